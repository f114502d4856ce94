//! A host that cannot be reached: it rests, longer each time, and is then given up; its URLs burn no try.

use contract::lease::Strikes;

use super::*;

/// A lease of two pages whose robots.txt is known to allow all, of a host that has met us so.
fn lease_with(at: std::net::SocketAddr, strikes: Strikes, now: Wall) -> Lease {
    let mut lease = lease(&[format!("http://{at}/a"), format!("http://{at}/b")]);
    let origin = Origin::of(&Url::parse(&lease.urls[0].url).unwrap()).unwrap();
    let record = RobotsRecord {
        answer: RobotsAnswer::Unavailable { status: 404 },
        fetched: now,
        failures: 0,
    };
    lease.robots = vec![(origin, record)];
    lease.strikes = strikes;
    lease
}

/// What the frontier knows after the lease, if it was told anything.
fn told(bench: &Bench) -> Option<Strikes> {
    let log = bench.ring.log.lock().unwrap();
    log.schedules.iter().rev().find_map(|wants| wants.strikes)
}

#[actix::test]
async fn a_host_that_dies_rests_longer_each_time_and_then_its_urls_are_settled() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (mut strikes, mut rests) = (Strikes::default(), Vec::new());
    for times in 1..=4_u8 {
        // Another fetcher each time: what counts is what the frontier knows.
        let bench = Bench::at(gone.port());
        bench
            .run(lease_with(gone, strikes, bench.clock.wall()))
            .await;
        let settled = bench.ring.settled().await;
        assert_eq!(settled, [(0, Outcome::ConnectFailed, Fate::Return)]);
        rests.extend(bench.rests());
        strikes = told(&bench).unwrap();
        assert_eq!((strikes.unreached, strikes.refused), (times, 0));
    }
    assert_eq!(rests, [10, 60, 300, 900]);
    let bench = Bench::at(gone.port());
    bench
        .run(lease_with(gone, strikes, bench.clock.wall()))
        .await;
    let all = [
        done(0, Outcome::ConnectFailed),
        done(1, Outcome::HostUnreachable),
    ];
    assert_eq!(bench.ring.settled().await, all);
    assert_eq!((bench.rests(), bench.released()), (vec![], Some(2)));
    assert_eq!(told(&bench).map(|strikes| strikes.unreached), Some(5));
}

#[actix::test]
async fn a_host_that_was_given_up_is_left_alone_for_a_day_and_an_answer_clears_it() {
    let site = site_with_robots("").await;
    let bench = Bench::new(&site);
    let now = bench.clock.wall();
    let given_up = |ago: Duration| Strikes {
        unreached: 5,
        refused: 0,
        last: Wall(now.0 - contract::clock::micros(ago)),
    };
    let day = Duration::from_secs(24 * 3_600);
    bench
        .run(lease_with(site.at, given_up(day - MINUTE), now))
        .await;
    let all = [0, 1].map(|n| done(n, Outcome::HostUnreachable));
    assert_eq!(bench.ring.settled().await, all);
    assert_eq!((site.seen().len(), told(&bench)), (0, None));

    let struck = Strikes {
        unreached: 2,
        ..given_up(MINUTE)
    };
    for strikes in [given_up(day), struck] {
        let bench = Bench::new(&site);
        bench.run(lease_with(site.at, strikes, now)).await;
        let all = [0, 1].map(|n| done(n, Outcome::Ok));
        assert_eq!(bench.ring.settled().await, all);
        assert_eq!(told(&bench), Some(Strikes::default()), "{strikes:?}");
    }
}
