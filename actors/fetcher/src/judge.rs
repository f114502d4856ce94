//! What a try's end means for the URL and for its host.
//!
//! Owns the rules of retrying (DESIGN.md, Layers of time and Errors): plain values in, a decision out. It sends
//! nothing and knows no time but what it is told. Invariant: a URL is tried at most `tries_max` times in all, and
//! whatever asks for a longer rest than is kept ends with an outcome, not with silence. Start at [`judge`].

use std::time::Duration;

use contract::clock::Wall;
use contract::error::ErrorClass;
use contract::lease::Strikes;
use contract::outcome::Outcome;
use contract::page::{Cut, Fate, Verdict};
use http::header::RETRY_AFTER;

use crate::config::FetcherConfig;
use crate::error::FetchError;
use crate::http::Answered;
use crate::retry_after::retry_after;

/// A host that says 429 so often in a row is not waited for any longer: the URL it was said for is settled.
const REFUSALS_MAX: u8 = 8;
/// Strikes are forgotten after so long: a host that was given up is tried again.
const STRIKES_HOLD: Duration = Duration::from_secs(24 * 3_600);

/// What is known of a try that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) outcome: Outcome,
    pub(crate) detail: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
    /// The host, or the way to it, is down.
    pub(crate) unreached: bool,
}

impl Facts {
    /// Of an exchange that ended now, in milliseconds since 1970.
    pub(crate) fn of(result: &Result<Answered, FetchError>, now_ms: u64) -> Self {
        match result {
            Ok(answered) => Self::of_answer(answered, now_ms),
            Err(error) => Self::of_error(error),
        }
    }

    pub(crate) fn of_error(error: &FetchError) -> Self {
        Self {
            outcome: error.outcome(),
            detail: Some(error.to_string()),
            status: None,
            retry_after: None,
            unreached: error.is_unreached(),
        }
    }

    fn of_answer(answered: &Answered, now_ms: u64) -> Self {
        let exchange = &answered.exchange;
        let status = exchange.status.as_u16();
        let of_status = Outcome::of_status(status);
        let (outcome, detail) = match (&answered.problem, exchange.cut) {
            // An error page that came in part says as much as a whole one.
            _ if of_status.class().is_some() => (of_status, None),
            (Some(problem), _) => (problem.outcome(), Some(problem.to_string())),
            (None, Some(Cut::Length)) => (Outcome::TooLarge, None),
            (None, _) => (of_status, None),
        };
        let asked = exchange.headers.get(RETRY_AFTER);
        let retry_after = asked.and_then(|value| retry_after(value.as_bytes(), now_ms));
        Self {
            outcome,
            detail,
            status: Some(status),
            retry_after,
            unreached: false,
        }
    }

    fn verdict(&self, fate: Fate) -> Verdict {
        Verdict {
            outcome: self.outcome,
            detail: self.detail.clone(),
            fate,
        }
    }
}

/// Where the URL and its host stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) config: &'a FetcherConfig,
    pub(crate) retry_after_max: Duration,
    pub(crate) tries_max: u8,
    /// Tries of the URL that have ended, this one included.
    pub(crate) tries: u8,
    /// Of those, tries within this lease.
    pub(crate) tries_here: u8,
    /// How the host has met us, this try included.
    pub(crate) strikes: Strikes,
    /// What is left of the page's time.
    pub(crate) page_left: Duration,
}

/// What happens to the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Settle(Verdict),
    /// Another try on this lease, after this pause or the host's delay, the longer of them.
    Again(Duration),
}

/// What happens to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostNext {
    GoOn,
    /// It is left alone for so long, and the lease is given back.
    Rest(Duration),
    /// It asks for more than is kept, or cannot be reached for good: its URLs of this lease are settled alike.
    Park,
    /// This node cannot work: the lease is given back.
    Stop,
}

/// Does this end count as a strike of the host?
pub(crate) fn is_strike(facts: &Facts) -> bool {
    let asks = facts.retry_after.is_some() && facts.outcome.class() == Some(ErrorClass::Transient);
    asks || facts.unreached || matches!(facts.status, Some(429 | 503))
}

/// How the host has met us after a try that ended so at this time.
pub(crate) fn strikes_after(before: Strikes, facts: &Facts, now: Wall) -> Strikes {
    let last = now;
    match facts {
        facts if facts.unreached => Strikes {
            unreached: before.unreached.saturating_add(1),
            last,
            ..before
        },
        facts if is_strike(facts) => Strikes {
            unreached: 0,
            refused: before.refused.saturating_add(1),
            last,
        },
        facts if facts.status.is_some() => Strikes::default(),
        _ => before,
    }
}

/// What of a host's strikes still counts at this time.
pub(crate) fn strikes_now(strikes: Strikes, now: Wall) -> Strikes {
    // From the future (a clock that went back) they are old.
    let age = now.0.checked_sub(strikes.last.0);
    let counts = age.is_some_and(|age| Duration::from_micros(age) < STRIKES_HOLD);
    if counts { strikes } else { Strikes::default() }
}

/// Why a host's URLs are settled without a request: nothing of it could be reached time after time.
pub(crate) fn given_up(config: &FetcherConfig, tries_max: u8, strikes: Strikes) -> Option<Verdict> {
    let rest = config.unreached_rest(strikes.unreached, tries_max);
    let is_over = strikes.unreached > 0 && rest.is_none();
    is_over.then(|| Verdict {
        outcome: Outcome::HostUnreachable,
        detail: Some(format!(
            "nothing of the host could be reached, {} times in a row",
            strikes.unreached
        )),
        fate: Fate::Done,
    })
}

/// Decides.
pub(crate) fn judge(facts: &Facts, at: Standing<'_>) -> (Next, HostNext) {
    match facts.outcome.class() {
        None | Some(ErrorClass::Permanent) => {
            (Next::Settle(facts.verdict(Fate::Done)), HostNext::GoOn)
        }
        Some(ErrorClass::System) => (Next::Settle(facts.verdict(Fate::Return)), HostNext::Stop),
        Some(ErrorClass::Transient) if facts.unreached => unreached(facts, at),
        Some(ErrorClass::Transient) if is_strike(facts) => struck(facts, at),
        Some(ErrorClass::Transient) => failed(facts, at),
    }
}

/// Nothing of the host was reached: that is no try of the URL, unless the host is given up.
fn unreached(facts: &Facts, at: Standing<'_>) -> (Next, HostNext) {
    let rest = at.config.unreached_rest(at.strikes.unreached, at.tries_max);
    let (fate, host) = match rest {
        Some(rest) => (Fate::Return, HostNext::Rest(rest)),
        None => (Fate::Done, HostNext::Park),
    };
    (Next::Settle(facts.verdict(fate)), host)
}

/// The host asked to be left alone.
fn struck(facts: &Facts, at: Standing<'_>) -> (Next, HostNext) {
    let rest = facts
        .retry_after
        .unwrap_or_else(|| at.config.rest_after(at.strikes.refused));
    if rest > at.retry_after_max {
        let detail = Some(format!("asked for a pause of {} s", rest.as_secs()));
        let parked = Verdict {
            outcome: Outcome::HostParked,
            detail,
            fate: Fate::Done,
        };
        return (Next::Settle(parked), HostNext::Park);
    }
    let fate = match facts.status {
        // 429 is about the host's patience, not about the URL.
        Some(429) if at.strikes.refused <= REFUSALS_MAX => Fate::Return,
        Some(429) => Fate::Done,
        _ if at.tries >= at.tries_max => Fate::Done,
        _ => Fate::Retry {
            tries: at.tries,
            rest,
        },
    };
    (Next::Settle(facts.verdict(fate)), HostNext::Rest(rest))
}

fn failed(facts: &Facts, at: Standing<'_>) -> (Next, HostNext) {
    let doublings = u32::from(at.tries_here.saturating_sub(1)).min(16);
    let pause = Duration::from_millis(at.config.retry_ms.saturating_mul(1 << doublings));
    let next = if at.tries >= at.tries_max {
        Next::Settle(facts.verdict(Fate::Done))
    } else if pause < at.page_left {
        Next::Again(pause)
    } else {
        // How long it waits is the frontier's to say.
        Next::Settle(facts.verdict(Fate::Retry {
            tries: at.tries,
            rest: Duration::ZERO,
        }))
    };
    (next, HostNext::GoOn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn facts(outcome: Outcome, status: Option<u16>, retry_after: Option<u64>) -> Facts {
        let unreached = outcome == Outcome::ConnectFailed;
        Facts {
            outcome,
            detail: None,
            status,
            retry_after: retry_after.map(secs),
            unreached,
        }
    }

    fn status(status: u16, retry_after: Option<u64>) -> Facts {
        facts(Outcome::of_status(status), Some(status), retry_after)
    }

    #[track_caller]
    fn check(facts: &Facts, tries: u8, strikes: u8, fate: Fate, host: HostNext) {
        let (next, found) = decide(facts, tries, strikes, secs(100));
        let Next::Settle(verdict) = next else {
            panic!("{facts:?}: not settled but {next:?}")
        };
        assert_eq!((verdict.fate, found), (fate, host), "{facts:?}");
    }

    fn decide(facts: &Facts, tries: u8, strikes: u8, page_left: Duration) -> (Next, HostNext) {
        let config = FetcherConfig::default();
        let standing = Standing {
            config: &config,
            retry_after_max: secs(86_400),
            tries_max: 3,
            tries,
            tries_here: tries,
            strikes: Strikes {
                unreached: strikes,
                refused: strikes,
                last: Wall(0),
            },
            page_left,
        };
        judge(facts, standing)
    }

    #[test]
    fn what_is_final_is_done() {
        for code in [200, 204, 301, 304, 403, 404, 410] {
            check(&status(code, Some(7)), 1, 0, Fate::Done, HostNext::GoOn);
        }
        check(
            &facts(Outcome::TlsFailed, None, None),
            1,
            0,
            Fate::Done,
            HostNext::GoOn,
        );
        check(
            &facts(Outcome::DnsNotFound, None, None),
            1,
            0,
            Fate::Done,
            HostNext::GoOn,
        );
        check(
            &facts(Outcome::NodeFailed, None, None),
            1,
            0,
            Fate::Return,
            HostNext::Stop,
        );
    }

    #[test]
    fn a_host_that_asks_for_rest_gets_it() {
        let rest = |seconds| HostNext::Rest(secs(seconds));
        check(&status(429, Some(120)), 1, 1, Fate::Return, rest(120));
        check(&status(429, None), 3, 2, Fate::Return, rest(40));
        check(&status(429, None), 1, 9, Fate::Done, rest(900));
        check(
            &status(503, Some(120)),
            1,
            1,
            Fate::Retry {
                tries: 1,
                rest: secs(120),
            },
            rest(120),
        );
        check(
            &status(503, None),
            2,
            1,
            Fate::Retry {
                tries: 2,
                rest: secs(10),
            },
            rest(10),
        );
        check(&status(503, None), 3, 1, Fate::Done, rest(10));
        check(
            &status(500, Some(30)),
            1,
            1,
            Fate::Retry {
                tries: 1,
                rest: secs(30),
            },
            rest(30),
        );
    }

    #[test]
    fn a_host_that_cannot_be_reached_rests_and_is_given_up_and_no_url_burns_a_try() {
        let failed = facts(Outcome::ConnectFailed, None, None);
        for (strikes, seconds) in [(1, 10), (2, 60), (3, 300), (4, 900)] {
            let rest = HostNext::Rest(secs(seconds));
            check(&failed, 3, strikes, Fate::Return, rest);
        }
        check(&failed, 1, 5, Fate::Done, HostNext::Park);
        let config = FetcherConfig::default();
        let after = |unreached| {
            let strikes = Strikes {
                unreached,
                ..Strikes::default()
            };
            given_up(&config, 3, strikes).map(|verdict| verdict.outcome)
        };
        assert_eq!([0, 4].map(after), [None, None]);
        assert_eq!(after(5), Some(Outcome::HostUnreachable));
    }

    #[test]
    fn strikes_count_in_a_row_and_for_a_day() {
        let (connect, busy) = (facts(Outcome::ConnectFailed, None, None), status(429, None));
        let (reset, fine) = (
            facts(Outcome::ConnectionReset, None, None),
            status(404, None),
        );
        let mut strikes = Strikes::default();
        let mut saw = Vec::new();
        for (n, end) in [&connect, &connect, &reset, &busy, &busy, &connect, &fine]
            .iter()
            .enumerate()
        {
            strikes = strikes_after(strikes, end, Wall(n as u64 + 1));
            saw.push((strikes.unreached, strikes.refused, strikes.last.0));
        }
        let wanted = [
            (1, 0, 1),
            (2, 0, 2),
            (2, 0, 2),
            (0, 1, 4),
            (0, 2, 5),
            (1, 2, 6),
            (0, 0, 0),
        ];
        assert_eq!(saw, wanted);
        let one = strikes_after(Strikes::default(), &connect, Wall(7));
        let day = contract::clock::micros(STRIKES_HOLD);
        assert_eq!(strikes_now(one, Wall(6 + day)), one);
        assert_eq!(strikes_now(one, Wall(7 + day)), Strikes::default());
        assert_eq!(strikes_now(one, Wall(6)), Strikes::default());
    }

    #[test]
    fn a_host_that_asks_for_too_much_is_parked() {
        for code in [429, 503] {
            let (next, host) = decide(&status(code, Some(86_401)), 1, 1, secs(100));
            let Next::Settle(verdict) = next else {
                panic!("{next:?}")
            };
            assert_eq!(
                (verdict.outcome, verdict.fate, host),
                (Outcome::HostParked, Fate::Done, HostNext::Park)
            );
        }
    }

    #[test]
    fn other_failures_are_tried_again_while_there_is_time() {
        for failed in [
            status(500, None),
            status(408, None),
            facts(Outcome::HeadTimeout, None, None),
        ] {
            let next = |tries, left| decide(&failed, tries, 0, left).0;
            assert_eq!(next(1, secs(100)), Next::Again(secs(1)));
            assert_eq!(next(2, secs(100)), Next::Again(secs(2)));
            let later = failed.verdict(Fate::Retry {
                tries: 2,
                rest: Duration::ZERO,
            });
            assert_eq!(next(2, secs(2)), Next::Settle(later));
            check(&failed, 3, 0, Fate::Done, HostNext::GoOn);
        }
    }
}
