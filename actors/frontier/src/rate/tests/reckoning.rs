//! The reckoning: tables of single questions, at moments that are made up.

use contract::rate::Versions;

use super::super::gcra::{Meter, reserve};
use super::*;

const MS: u64 = 1_000;
/// Some moment.
const T: u64 = 1_700_000_000_000_000;

/// Both rates, set.
struct Both(Meter, Meter);

impl Both {
    fn of(cluster: Limit, crawl: Limit) -> Self {
        let mut both = Self(Meter::default(), Meter::default());
        both.0.set(cluster);
        both.1.set(crawl);
        both
    }

    fn ask(&mut self, ask: &Reserve, at: u64) -> Reserved {
        reserve(&mut self.0, &mut self.1, ask, StoreTime(at))
    }
}

#[test]
fn one_question_at_rest() {
    // Granted; start and step in ms; what is booked by the looser rate, start and step in ms.
    #[track_caller]
    fn check(cluster: Limit, crawl: Limit, want: u32, weight: u32, wanted: [u64; 5]) {
        let mut both = Both::of(cluster, crawl);
        let question = Reserve {
            weight,
            ..ask(want)
        };
        let slots = slots(&both.ask(&question, T));
        let ms = |at: StoreTime| at.0.wrapping_sub(T) / MS;
        let got = [
            u64::from(slots.granted),
            ms(slots.start),
            slots.step_ns / 1_000_000,
            ms(slots.booked),
            slots.booked_step_ns / 1_000_000,
        ];
        assert_eq!(got, wanted);
    }
    let none = limit("", 1);
    check(limit("100/s", 1), none, 3, 1, [3, 0, 10, 0, 10]);
    check(none, limit("100/s", 1), 3, 1, [3, 0, 10, 0, 10]);
    // Half of what is booked ahead, 75 ms.
    check(limit("100/s", 1), none, 1_000, 1, [8, 0, 10, 0, 10]);
    check(limit("100/s", 1), none, 0, 1, [0, 0, 10, 0, 10]);
    check(limit("100/s", 1), none, 1_000, 5, [2, 0, 50, 0, 50]);
    // The slower one decides, the faster one says how long they are good.
    check(limit("100/s", 1), limit("20/s", 1), 9, 1, [2, 0, 50, 0, 10]);
    check(limit("20/s", 1), limit("100/s", 1), 9, 1, [2, 0, 50, 0, 10]);
    check(limit("1/h", 1), none, 9, 1, [1, 0, 3_600_000, 0, 3_600_000]);
}

#[test]
fn a_burst_is_there_after_a_pause_and_no_larger_than_an_hours_worth() {
    #[track_caller]
    fn check(limit: Limit, want: u32, granted: u32) {
        let mut both = Both::of(limit, Limit::default());
        let reserved = both.ask(&ask(want), T);
        let at_once = due(&reserved).iter().filter(|due| **due <= T).count();
        assert_eq!(at_once, granted as usize);
    }
    check(limit("10/s", 1), 100, 1);
    check(limit("10/s", 5), 100, 5);
    check(limit("10/s", 5), 3, 3);
    check(limit("10/h", 1_000_000), 100, 11);
}

#[test]
fn what_is_booked_in_one_rate_is_booked_in_the_other() {
    let mut both = Both::of(limit("100/s", 1), limit("20/s", 1));
    assert_eq!(due(&both.ask(&ask(9), T)).len(), 2);
    let mut other = Meter::default();
    other.set(Limit::default());
    // Another crawl of the cluster finds two of its slots taken.
    let reserved = reserve(&mut both.0, &mut other, &ask(100), StoreTime(T));
    assert_eq!(slots(&reserved).start, StoreTime(T + 20 * MS));
    // Where the crawl has none, none is taken from the cluster.
    let before = both.0.tat;
    let reserved = both.ask(&ask(9), T);
    assert_eq!(slots(&reserved).granted, 0);
    assert_eq!(both.0.tat, before);
}

#[test]
fn a_setting_counts_its_changes_and_holds_at_once() {
    let mut both = Both::of(Limit::default(), limit("1/h", 1));
    assert_eq!(both.1.set(limit("1/h", 1)), 1, "the same again");
    assert_eq!(due(&both.ask(&ask(5), T)), [T]);
    assert_eq!(slots(&both.ask(&ask(5), T + 1)).granted, 0);
    // Faster: the hour that was booked is not waited for.
    assert_eq!(both.1.set(limit("100/s", 1)), 2);
    let reserved = both.ask(&ask(5), T + 1);
    let versions = Versions {
        cluster: 1,
        crawl: 2,
    };
    assert_eq!(reserved.versions, versions);
    assert!(slots(&reserved).start.0 <= T + 1_100 * MS, "{reserved:?}");
    both.1.set(Limit::default());
    assert_eq!(both.ask(&ask(5), T).grant, Grant::Unlimited);
}

#[test]
fn a_clock_that_goes_back_holds_nobody_up_for_long() {
    let mut both = Both::of(limit("100/s", 1), Limit::default());
    both.ask(&ask(100), T);
    let earlier = T - 7_200_000 * MS;
    let start = slots(&both.ask(&ask(1), earlier)).start.0;
    assert!(start > earlier && start <= earlier + 1_010 * MS);
}
