//! When is a crawl over, and why?
//!
//! Owns the rule of two sweeps: a crawl is done when two looks in a row find nothing queued, nothing leased and
//! nothing in the ring, and no count has changed between them. Pure: the view is passed in.

use std::time::Duration;

use contract::health::Fault;

/// What one look at the rooms shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub known: u64,
    pub queued: u64,
    pub done: u64,
    pub leases: u64,
    /// Pages between fetcher and settle.
    pub in_ring: u64,
    pub bytes: u64,
    pub limit_reached: bool,
    /// Running time over the crawl's life.
    pub running: Duration,
}

/// Why a crawl ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything that was found has its outcome.
    Done,
    /// `--limit`, `--time-limit`, `--size-limit`.
    PageLimit,
    TimeLimit,
    SizeLimit,
    /// An operator's stop, or a signal.
    Stopped,
    /// This node cannot work.
    Fault(Fault),
}

/// The limits that end a crawl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub time: Option<Duration>,
    pub size: Option<u64>,
}

/// Remembers the last look.
#[derive(Debug, Default)]
pub struct Course {
    last_idle: Option<(u64, u64)>,
}

impl Course {
    /// The end, if this look shows it.
    pub fn look(&mut self, view: &View, limits: Limits) -> Option<End> {
        let idle = view.queued == 0 && view.leases == 0 && view.in_ring == 0;
        let counts = (view.known, view.done);
        let settled_twice = idle && self.last_idle == Some(counts);
        self.last_idle = idle.then_some(counts);
        if settled_twice {
            return Some(End::Done);
        }
        if limits.time.is_some_and(|limit| view.running >= limit) {
            return Some(End::TimeLimit);
        }
        if limits.size.is_some_and(|limit| view.bytes >= limit) {
            return Some(End::SizeLimit);
        }
        (view.limit_reached && view.leases == 0 && view.in_ring == 0).then_some(End::PageLimit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(known: u64) -> View {
        View {
            known,
            done: known,
            ..View::default()
        }
    }

    #[test]
    fn done_takes_two_equal_idle_looks() {
        let mut course = Course::default();
        let limits = Limits::default();
        assert_eq!(
            course.look(
                &View {
                    queued: 1,
                    ..idle(5)
                },
                limits
            ),
            None
        );
        assert_eq!(
            course.look(&idle(5), limits),
            None,
            "one look is not enough"
        );
        assert_eq!(
            course.look(&idle(6), limits),
            None,
            "a count changed between the looks"
        );
        assert_eq!(
            course.look(
                &View {
                    in_ring: 1,
                    ..idle(6)
                },
                limits
            ),
            None,
            "a page is under way"
        );
        assert_eq!(course.look(&idle(6), limits), None);
        assert_eq!(course.look(&idle(6), limits), Some(End::Done));
    }

    #[test]
    fn a_limit_ends_it_with_its_own_name() {
        #[track_caller]
        fn check(view: View, want: Option<End>) {
            let limits = Limits {
                time: Some(Duration::from_secs(10)),
                size: Some(1_000),
            };
            assert_eq!(Course::default().look(&view, limits), want);
        }
        let busy = View {
            queued: 3,
            ..View::default()
        };
        check(
            View {
                running: Duration::from_secs(10),
                ..busy.clone()
            },
            Some(End::TimeLimit),
        );
        check(
            View {
                bytes: 1_000,
                ..busy.clone()
            },
            Some(End::SizeLimit),
        );
        check(
            View {
                limit_reached: true,
                leases: 1,
                ..busy.clone()
            },
            None,
        );
        check(
            View {
                limit_reached: true,
                ..busy.clone()
            },
            Some(End::PageLimit),
        );
        check(busy, None);
    }
}
