//! Every special-purpose range, in every form an address takes.

use super::*;

#[track_caller]
fn check(dial: &Dial, address: &str, allowed: bool) {
    let parsed: IpAddr = address.parse().unwrap();
    let answer = dial.address(parsed);
    assert_eq!(answer.is_ok(), allowed, "{address}: {answer:?}");
}

#[test]
fn only_the_public_internet_may_be_dialled() {
    let dial = Dial::default();
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.31.196.1",
        "192.52.193.1",
        "192.175.48.1",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "2000::1",
        "2001:200::1",
        "2001:1::1",
        "2001:3::1",
        "2001:4:112::1",
        "2001:20::1",
        "2620:4f:8000::1",
        "3ffe::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ];
    for address in public {
        check(&dial, address, true);
    }
    let special = [
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.9",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.7",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.254",
        "255.255.255.255",
        "::",
        "::1",
        "::8.8.8.8",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "100:0:0:1::1",
        "200::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:1::4",
        "2001:db8::1",
        "2002:808:808::1",
        "2002:7f00:1::1",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ];
    for address in special {
        check(&dial, address, false);
    }
}

#[test]
fn an_allowed_network_opens_itself_and_nothing_else() {
    let dial = Dial {
        nets: vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        ports: vec![8_000],
        own: OwnSockets::default(),
    };
    check(&dial, "127.3.2.1", true);
    check(&dial, "::ffff:127.0.0.1", true);
    check(&dial, "fd00::7", true);
    check(&dial, "8.8.8.8", true);
    check(&dial, "::1", false);
    check(&dial, "128.0.0.1", true);
    check(&dial, "10.0.0.1", false);
    check(&dial, "fc00::7", false);
    assert_eq!(dial.port(8_000), Ok(()));
    assert_eq!(dial.port(443), Ok(()));
    assert_eq!(dial.port(22), Err(PortRefused(22)));
    assert_eq!(Dial::default().port(8_000), Err(PortRefused(8_000)));
}

#[test]
fn what_remains_after_the_filter_is_what_may_be_dialled() {
    let sockets = |list: &[&str]| {
        list.iter()
            .map(|text| text.parse().unwrap())
            .collect::<Vec<SocketAddr>>()
    };
    let dial = Dial::default();
    let mixed = sockets(&["10.0.0.1:80", "8.8.8.8:80", "[::1]:80"]);
    assert_eq!(dial.filter(mixed), Ok(sockets(&["8.8.8.8:80"])));
    let refused = dial
        .filter(sockets(&["10.0.0.1:80", "[fe80::1]:80"]))
        .unwrap_err();
    assert_eq!(
        refused[0].to_string(),
        "10.0.0.1 may not be dialled (private, RFC 1918)"
    );
    assert_eq!(refused.len(), 2);
    assert_eq!(dial.filter([]), Ok(vec![]));
}

#[test]
fn a_network_is_written_as_cidr() {
    #[track_caller]
    fn reads(text: &str, want: &str) {
        assert_eq!(
            text.parse::<Net>().map(|net| net.to_string()),
            Ok(want.to_owned())
        );
    }
    #[track_caller]
    fn fails(text: &str, want: &str) {
        assert_eq!(text.parse::<Net>().unwrap_err().to_string(), want);
    }
    reads("127.0.0.0/8", "127.0.0.0/8");
    reads("127.0.0.1", "127.0.0.1/32");
    reads("::1", "::1/128");
    reads("0.0.0.0/0", "0.0.0.0/0");
    reads("::/0", "::/0");
    reads("fd00::/8", "fd00::/8");
    fails(
        "10.1.2.3/8",
        "`10.1.2.3/8` has bits set beyond its prefix: did you mean 10.0.0.0/8?",
    );
    fails(
        "fd00::1/64",
        "`fd00::1/64` has bits set beyond its prefix: did you mean fd00::/64?",
    );
    fails(
        "10.0.0.0/33",
        "`10.0.0.0/33`: the prefix length must be a number from 0 to 32",
    );
    fails(
        "10.0.0.0/",
        "`10.0.0.0/`: the prefix length must be a number from 0 to 32",
    );
    fails(
        "10.0.0.0/+8",
        "`10.0.0.0/+8`: the prefix length must be a number from 0 to 32",
    );
    fails(
        "::/129",
        "`::/129`: the prefix length must be a number from 0 to 128",
    );
    fails(
        "localhost",
        "`localhost` is no IP network: write it as 127.0.0.0/8, fd00::/8 or a single address",
    );
    fails(
        "",
        "`` is no IP network: write it as 127.0.0.0/8, fd00::/8 or a single address",
    );
}

#[test]
fn everything_and_nothing_are_networks() {
    let all: Net = "0.0.0.0/0".parse().unwrap();
    assert!(
        all.contains("255.255.255.255".parse().unwrap()) && !all.contains("::1".parse().unwrap())
    );
    let one: Net = "::1".parse().unwrap();
    assert!(one.contains("::1".parse().unwrap()) && !one.contains("::2".parse().unwrap()));
}
