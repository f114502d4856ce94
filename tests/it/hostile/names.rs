//! Names: a resolver that lies, says nothing or changes its mind.

use std::net::Ipv4Addr;

use kit::dns::{Forgery, Reply, Zone};
use kit::hostile::{ADDRESS, GOOD, Lair};

use super::{Den, FORBIDDEN, local};
use crate::crawl::PATIENCE;

const TRUTH: Ipv4Addr = ADDRESS;
const LIE: Ipv4Addr = FORBIDDEN;
/// Hosts in a zone that never answers.
const SILENT: usize = 60;

fn to(address: Ipv4Addr) -> Reply {
    Reply::Addresses(vec![address.into()])
}

#[test]
fn a_resolver_that_lies_leads_nobody_astray() {
    let forged = |forgery| Reply::Forged(forgery);
    // All pages of these are fetched from where they are.
    let found: [(&str, Reply); 9] = [
        ("plain", to(TRUTH)),
        (
            "wrong-id",
            forged(Forgery::WrongId {
                lie: LIE,
                truth: TRUTH,
            }),
        ),
        (
            "wrong-question",
            forged(Forgery::WrongQuestion {
                lie: LIE,
                truth: TRUTH,
            }),
        ),
        (
            "bailiwick",
            forged(Forgery::Bailiwick {
                victim: "plain.test".to_owned(),
                lie: LIE,
                truth: TRUTH,
            }),
        ),
        ("chain", forged(Forgery::Chain(5, TRUTH))),
        ("many", forged(Forgery::Many(3_500, TRUTH))),
        ("over-tcp", Reply::OverTcp(vec![TRUTH.into()])),
        ("ttl-0", Reply::Kept(0, Box::new(to(TRUTH)))),
        ("ttl-huge", Reply::Kept(u32::MAX, Box::new(to(TRUTH)))),
    ];
    // Of these nothing is. That there is no such name is the last word; what is only not known is asked again later.
    let lost: [(&str, Reply, Option<&str>); 9] = [
        ("gone", Reply::NoSuchName, Some("dns_not_found")),
        ("empty", Reply::Addresses(Vec::new()), Some("dns_not_found")),
        ("failing", Reply::Failure, None),
        (
            "other-owner",
            forged(Forgery::OtherOwner(TRUTH)),
            Some("dns_not_found"),
        ),
        ("loop", forged(Forgery::Loop), Some("dns_not_found")),
        ("cut", forged(Forgery::Cut), None),
        ("pointer-loop", forged(Forgery::PointerLoop), None),
        ("garbage", forged(Forgery::Garbage), None),
        ("silent", Reply::Silence, None),
    ];
    let mut zone = local().under("mute.test", Reply::Silence);
    for (name, reply) in found
        .iter()
        .cloned()
        .chain(lost.iter().cloned().map(|(name, reply, _)| (name, reply)))
    {
        zone = zone.name(&format!("{name}.test"), reply);
    }
    let den = Den::of(Lair::default(), zone);
    // What is silent is given up after 5 s.
    let mut crawl = den.crawl("0").flags(&["--time-limit", "8s"]);
    for n in 0..SILENT {
        crawl = crawl.seed(&den.lair.url(&format!("s{n}.mute"), "/"));
    }
    for name in found
        .iter()
        .map(|(name, _)| name)
        .chain(lost.iter().map(|(name, ..)| name))
    {
        crawl = crawl.seed(&den.lair.url(name, "/"));
    }
    crawl.ends(15);
    den.untouched();
    let outcomes = crawl.outcomes();
    let mut wrong = Vec::new();
    for (name, _) in &found {
        for n in 1..=GOOD {
            let page = den.lair.url(name, &format!("/good/{n}"));
            if outcomes.get(&page).map(|line| line.outcome.as_str()) != Some("ok") {
                wrong.push(format!("{page}: {:?}", outcomes.get(&page)));
            }
        }
    }
    for (name, _, want) in &lost {
        let home = outcomes.get(&den.lair.url(name, "/"));
        let outcome = home.map(|line| line.outcome.as_str());
        if outcome != *want {
            wrong.push(format!("{name}: not {want:?} but {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let asked = den.dns.queries("ttl-0.test");
    assert!(
        asked <= 4,
        "a TTL of 0 is kept for a second: {asked} queries"
    );
}

#[test]
fn a_name_that_changes_its_mind_is_judged_anew() {
    let first = Reply::Kept(0, Box::new(to(TRUTH)));
    let then = Reply::Kept(0, Box::new(to(LIE)));
    let late = vec![first.clone(), first.clone(), first.clone(), then.clone()];
    let zone = Zone::empty()
        .name("at-once.test", Reply::InTurn(vec![first, then]))
        .name("later.test", Reply::InTurn(late));
    let den = Den::of(Lair::default(), zone);
    // The lair closes connections that rest for a second, so that each request needs the name again.
    let crawl = den.crawl("1100ms");
    let crawl = crawl.seed(&den.lair.url("at-once", "/"));
    let crawl = crawl.seed(&den.lair.url("later", "/"));
    let ended = crawl.start(&[]).wait(PATIENCE).unwrap();
    den.untouched();
    let asked = den.lair.asked();
    assert!(
        asked.iter().any(|(host, _)| host == "later.test"),
        "it was allowed at first: {asked:?}, {}",
        ended.err
    );
    let outcomes = crawl.outcomes();
    for name in ["at-once.test", "later.test"] {
        let mut lines = outcomes.values().filter(|line| line.url.contains(name));
        assert!(
            lines.any(|line| line.outcome == "address_refused"),
            "{name}: {outcomes:?}"
        );
    }
}
