//! Addresses that nobody may dial, in every spelling and by every way a page can lead there.

use std::fmt::Write as _;
use std::net::TcpListener;

use kit::dns::Reply;
use kit::hostile::{Lair, PORT, Script};

use super::{Den, FORBIDDEN, local};
use crate::cluster::{Fleet, reach};
use crate::crawl::{CONTACT, ended};
use crate::stand::Stand;

/// What may stand for a forbidden address between `//` and the port.
const FORMS: [&str; 84] = [
    // 127.0.0.2, where something listens, as the URL standard reads IPv4.
    "127.0.0.2",
    "127.0.0.2.",
    "127.0.2",
    "127.2",
    "2130706434",
    "0x7f000002",
    "0X7F.0.0.2",
    "0x7f.2",
    "0177.0.0.2",
    "0177.0.0.02",
    "017700000002",
    "00000177.0.0.2",
    "127.0x0.00.2",
    "%31%32%37.0.0.2",
    "127%2e0%2e0%2e2",
    "127。0。0。2",
    "127．0．0．2",
    "１２７.0.0.2",
    "①②⑦.0.0.②",
    "127.0.0.\u{ad}2",
    // The same within IPv6.
    "[::ffff:127.0.0.2]",
    "[::ffff:7f00:2]",
    "[0:0:0:0:0:ffff:127.0.0.2]",
    "[0000:0000:0000:0000:0000:FFFF:7F00:0002]",
    "[::127.0.0.2]",
    "[::ffff:0:127.0.0.2]",
    "[64:ff9b::127.0.0.2]",
    "[64:ff9b::7f00:2]",
    "[64:ff9b:1::127.0.0.2]",
    "[2002:7f00:2::]",
    "[2002:7f00:2::1]",
    "[2001:0:7f00:2::1]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffd]",
    "[fe80::5efe:127.0.0.2]",
    // This machine and its neighbours.
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "0.0.0.0",
    "0",
    "0x0",
    "00",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "ⓛocalhost",
    "10.0.0.1",
    "10.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.1.1",
    "192.168.257",
    "0xc0a80101",
    "100.64.0.1",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fec0::1]",
    // Metadata of clouds, and the special-purpose registries.
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[100::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[ff02::1]",
    // Names, and what only looks like one.
    "alias.test",
    "six.test",
    "mapped.test",
    "good.test@127.0.0.2",
    "good.test:80@127.2",
];

/// Hosts whose robots.txt lies at one of the first forms.
const RULES: usize = 40;

fn names() -> kit::dns::Zone {
    let to = |text: &str| Reply::Addresses(vec![text.parse().unwrap()]);
    local()
        .name("alias.test", to("127.0.0.2"))
        .name("six.test", to("::1"))
        .name("mapped.test", to("::ffff:127.0.0.2"))
}

fn answer(media: &str, text: &str) -> Script {
    Script::answer(&format!("Content-Type: {media}\r\n"), text.as_bytes())
}

/// The lair's hosts that lead to all forms: by links, bases, redirects, sitemaps and robots.txt.
fn ways() -> Lair {
    let (mut links, mut maps, mut list) = (String::new(), String::new(), String::new());
    let mut lair = Lair::default();
    for (n, form) in FORMS.iter().enumerate() {
        let target = format!("http://{form}:{PORT}");
        // Writing to a string does not fail.
        let _ = writeln!(
            links,
            "<a href='{target}/link/{n}'>l</a><img src='{target}/image/{n}'>"
        );
        let _ = writeln!(maps, "Sitemap: {target}/map/{n}");
        let _ = writeln!(list, "<url><loc>{target}/listed/{n}</loc></url>");
        let moved = format!(
            "HTTP/1.1 307 Moved\r\nLocation: {target}/moved/{n}\r\nContent-Length: 0\r\n\r\n"
        );
        let based = format!("<!DOCTYPE html><base href='{target}/based/'><a href='{n}'>b</a>");
        lair = lair
            .with("moved", &format!("/attack/{n}"), Script::send(moved).kept())
            .with(
                "based",
                &format!("/attack/{n}"),
                answer("text/html", &based),
            );
        if n < RULES {
            let robots = format!(
                "HTTP/1.1 302 Moved\r\nLocation: {target}/robots.txt\r\nContent-Length: 0\r\n\r\n"
            );
            lair = lair.with(
                &format!("rules{n}"),
                "/robots.txt",
                Script::send(robots).kept(),
            );
        }
    }
    maps += &format!("Sitemap: http://maps.test:{PORT}/list.xml\n");
    lair.with(
        "links",
        "/attack",
        answer("text/html", &format!("<!DOCTYPE html>{links}")),
    )
    .with("maps", "/robots.txt", answer("text/plain", &maps))
    .with(
        "maps",
        "/list.xml",
        answer("application/xml", &format!("<urlset>{list}</urlset>")),
    )
}

#[test]
fn no_way_leads_to_a_forbidden_address() {
    let den = Den::of(ways(), names());
    let mut crawl = den.crawl("0").flags(&["--scope-type", "any"]);
    for name in ["links", "moved", "based", "maps"] {
        crawl = crawl.seed(&den.lair.url(name, "/"));
    }
    // A proxy that the environment names is nobody's to use either.
    let proxy = format!("http://{FORBIDDEN}:{}", den.lair.port());
    let running = crawl.start_with_env("http_proxy", &proxy);
    ended(running, 0);
    den.untouched();
    let outcomes = crawl.outcomes();
    let lair = format!(".test:{}/", den.lair.port());
    let (mut refused, mut invalid) = (0, 0);
    for line in outcomes.values() {
        let named = ["alias.test", "six.test", "mapped.test"];
        let ours = line.url.contains(&lair) && !named.iter().any(|name| line.url.contains(name));
        match line.outcome.as_str() {
            "address_refused" => refused += 1,
            "invalid_url" | "dns_not_found" if !ours => invalid += 1,
            _ => assert!(ours, "{line:?}"),
        }
    }
    println!("{refused} refused, {invalid} no URL");
    // Some forms are one and the same URL; six ways lead to each.
    assert!(refused > 60 * 5, "only {refused} refused");
}

#[test]
fn robots_txt_leads_to_no_forbidden_address() {
    let den = Den::of(ways(), names());
    let crawl = (0..RULES).fold(den.crawl("0"), |crawl, n| {
        crawl.seed(&den.lair.url(&format!("rules{n}"), "/"))
    });
    crawl.ends(0);
    den.untouched();
    // Where rules cannot be had for good there are none (RFC 9309 section 2.3.1.2): the host itself is crawled.
    let outcomes = crawl.outcomes();
    for n in 0..RULES {
        let home = &outcomes[&den.lair.url(&format!("rules{n}"), "/")];
        assert_eq!(home.outcome, "ok", "{home:?}");
    }
}

/// A page whose links lead to this port of this machine, by five of its names.
fn links_to(port: u16) -> (String, Vec<String>) {
    let names = [
        "127.0.0.1",
        "localhost",
        "127.9.9.9",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
    ];
    let link = |name| format!("<a href='http://{name}:{port}/own'>o</a>");
    let read = ["127.0.0.1", "localhost", "127.9.9.9", "[::ffff:7f00:1]"];
    let urls = read.map(|name| format!("http://{name}:{port}/own"));
    (names.map(link).concat(), urls.into())
}

/// What lets a page lead anywhere on this machine, to this port too.
fn open_to(port: u16) -> [String; 6] {
    let words = [
        "--allow-port",
        "",
        "--allow-net",
        "::ffff:0:0/96",
        "--scope-type",
        "any",
    ];
    let mut words = words.map(str::to_owned);
    words[1] = port.to_string();
    words
}

#[test]
fn its_metrics_are_nothing_to_crawl_though_their_port_is_allowed() {
    let stand = Stand::bare();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = free.local_addr().unwrap();
    drop(free);
    let (links, urls) = links_to(own.port());
    stand.page("a.test", "/", &links);
    let open = open_to(own.port());
    let crawl = stand
        .crawl()
        .flags(&open.each_ref().map(String::as_str))
        .flags(&["--delay", "0", "--metrics-listen", &own.to_string()])
        .seed(&stand.origin.url("a.test", "/"));
    crawl.ends(0);
    let outcomes = crawl.outcomes();
    for url in urls {
        assert_eq!(outcomes[&url].outcome, "address_refused", "{outcomes:#?}");
    }
}

#[test]
fn its_store_is_nothing_to_crawl_though_its_port_is_allowed() {
    let (stand, fleet) = (Stand::bare(), Fleet::start());
    let (links, urls) = links_to(fleet.redis.port());
    stand.page("a.test", "/", &links);
    let (open, reach) = (open_to(fleet.redis.port()), reach(&stand));
    let seed = stand.origin.url("a.test", "/");
    let mut words: Vec<&str> = open.iter().chain(&reach).map(String::as_str).collect();
    words.extend([&seed, "--name", "zoo", "--contact", CONTACT, "--delay", "0"]);
    words.extend(["--node-name", "n", "--fetchers", "1"]);
    ended(fleet.run("crawl", &words), 0);
    let ledger = fleet.folder.path().join("zoo/n/logs/crawl.jsonl");
    let ledger = std::fs::read_to_string(ledger).unwrap();
    for url in urls {
        let refused = ledger.lines().any(|line| {
            line.contains(&format!("\"{url}\"")) && line.contains("\"address_refused\"")
        });
        assert!(refused, "{url}: {ledger}");
    }
}
