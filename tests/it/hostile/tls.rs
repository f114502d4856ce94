//! TLS: certificates that are not valid, and a handshake that never ends.

use std::net::{Ipv4Addr, TcpListener};

use kit::answer::Answer;
use kit::dns::{Dns, Zone};
use kit::origin::{Origin, Site};
use kit::tls::{Authority, Flaw};
use kit::web::Web;

use crate::crawl::Crawl;

/// A server with a page at `/`, under a certificate with this flaw if any.
fn server(authority: &Authority, host: &str, flaw: Option<Flaw>) -> Origin {
    let web = Web {
        hosts: 0,
        ..Web::default()
    };
    let config = flaw.map_or_else(|| authority.server(), |flaw| authority.flawed(flaw));
    let origin = Site::of(web).with_tls(config.unwrap()).start().unwrap();
    origin.plant(host, "/", [Answer::html("<p>there</p>")]);
    origin
}

#[test]
fn a_certificate_that_is_not_valid_is_refused() {
    let authority = Authority::new().unwrap();
    let dns = Dns::start(Zone::default()).unwrap();
    let wants = [
        ("valid.zoo.test", None, "ok"),
        ("expired.zoo.test", Some(Flaw::Expired), "tls_failed"),
        ("early.zoo.test", Some(Flaw::NotYet), "tls_failed"),
        ("other.zoo.test", Some(Flaw::OtherName), "tls_failed"),
        ("own.zoo.test", Some(Flaw::SelfSigned), "tls_failed"),
    ];
    let servers = wants.map(|(host, flaw, _)| (host, server(&authority, host, flaw)));
    // The kernel takes the connection, and nobody ever says a word on it.
    let stalled = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = stalled.local_addr().unwrap().port();

    let crawl = Crawl::new();
    let files = authority.write(crawl.output().parent().unwrap()).unwrap();
    let mut crawl = crawl
        .config("[limits]\nconnect-ms-max = 1000\n")
        .flags(&["--delay", "0", "--allow-net", "127.0.0.1"])
        .flags(&["--dns", &dns.address().to_string()])
        .flags(&["--ca", files.authority.to_str().unwrap()])
        // The host whose handshake stalls is left alone for long before it is asked again.
        .flags(&["--time-limit", "4s", "--allow-port", &port.to_string()])
        .seed(&format!("https://stalled.zoo.test:{port}/"));
    for (host, origin) in &servers {
        crawl = crawl
            .flags(&["--allow-port", &origin.port().to_string()])
            .seed(&origin.url(host, "/"));
    }
    crawl.ends(15);
    let outcomes = crawl.outcomes();
    for ((host, origin), (_, _, want)) in servers.iter().zip(wants) {
        let line = &outcomes[&origin.url(host, "/")];
        assert_eq!(line.outcome, want, "{line:?}");
        let asked = origin.requests();
        assert_eq!(asked > 0, want == "ok", "{host} was asked {asked} times");
    }
}
