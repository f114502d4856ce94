//! `reserve`: time slots of the rate that all nodes share, a request a slot.
//!
//! A node asks for as many slots as it is about to need; the store books them in the cluster's rate and in the crawl's
//! at once and says when each is due, on its own clock. Nothing is held as free permits, so that a node that is gone
//! takes no more with it than the slots of [`AHEAD`]. Bound (I3), over all nodes and any window w:
//! requests ≤ rate · (w + [`CHUNK`]) + burst, since a slot is used no earlier than it was booked for and no later than
//! [`CHUNK`] after. What a node does with its slots is [`crate::turns`]'. Start at [`Reserve`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admit::FrontierError;
use crate::outbox::Ask;

/// A slot that was not used for so long is over: it is never made up.
pub const CHUNK: Duration = Duration::from_millis(200);
/// Slots are booked so far ahead. Less than [`CHUNK`]: a slot that one of the two rates lets in early and the other
/// late must still be good when it is due.
pub const AHEAD: Duration = Duration::from_millis(150);
/// What one request may count at most.
pub const WEIGHT_MAX: u32 = 1_000;
/// Requests that one [`Reserve`] may ask for.
pub const WANT_MAX: u32 = 20_000;

/// Requests in a time: "200/s", "30/m", "1.5/s", "100/h". From 1/h to 1,000,000/s, in whole requests an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(u64);

impl Rate {
    const PER_HOUR_MAX: u64 = 1_000_000 * 3_600;

    /// So many requests an hour; none below 1 or above 1,000,000 a second.
    pub fn per_hour(requests: u64) -> Option<Self> {
        (1..=Self::PER_HOUR_MAX)
            .contains(&requests)
            .then_some(Self(requests))
    }

    /// Requests an hour.
    pub fn in_an_hour(self) -> u64 {
        self.0
    }

    /// Requests a second.
    pub fn in_a_second(self) -> f64 {
        self.0 as f64 / 3_600.0
    }

    /// From one slot to the next, in nanoseconds; rounded up, so that the rate is never exceeded.
    pub fn step_ns(self) -> u64 {
        3_600_000_000_000_u64.div_ceil(self.0)
    }
}

/// Not a rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rate (say 200/s, 30/m or 100/h; from 1/h to 1000000/s)")]
pub struct NoRate(String);

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let wrong = || NoRate(text.to_owned());
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let an_hour = match unit.trim() {
            "s" => 3_600.0,
            "m" | "min" => 60.0,
            "h" => 1.0,
            _ => return Err(wrong()),
        };
        let digits = number.trim();
        if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(wrong());
        }
        let number: f64 = digits.parse().map_err(|_| wrong())?;
        // A float that is too large becomes the largest integer, which is no rate.
        Self::per_hour((number * an_hour).floor() as u64).ok_or_else(wrong)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n % 3_600 == 0 => write!(f, "{}/s", n / 3_600),
            n if n % 60 == 0 => write!(f, "{}/m", n / 60),
            n => write!(f, "{n}/h"),
        }
    }
}

impl TryFrom<String> for Rate {
    type Error = NoRate;

    fn try_from(text: String) -> Result<Self, NoRate> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

/// Whose requests a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateScope {
    /// Those of all crawls of the deployment.
    Cluster,
    /// Those of this crawl.
    Crawl,
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// None: as fast as it goes.
    pub rate: Option<Rate>,
    /// Requests that may go out at once after a pause, at least 1; beyond what an hour allows it counts as that.
    pub burst: u32,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            rate: None,
            burst: 1,
        }
    }
}

/// A moment of the store's own clock, in microseconds. Comparable with others of one store only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StoreTime(pub u64);

impl StoreTime {
    /// Time from `earlier` to this moment; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// "Give me slots." May be sent again when its answer is lost: that loses slots and makes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// At most so many, up to [`WANT_MAX`]; 0 only asks how things stand.
    pub want: u32,
    /// What each request counts, in both rates, from 1 to [`WEIGHT_MAX`].
    pub weight: u32,
    /// `now` of the last answer with slots to ask for; zero at first. Tells the store how many nodes are asking.
    pub last: StoreTime,
    /// `share` of the last answer; zero at first.
    pub share: StoreTime,
}

impl Ask for Reserve {
    type Reply = Result<Reserved, FrontierError>;
}

/// What was booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The store's clock when it booked.
    pub now: StoreTime,
    pub versions: Versions,
    pub grant: Grant,
}

/// Which settings an answer follows; each counts its changes, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Versions {
    pub cluster: u64,
    pub crawl: u64,
}

/// How fast a node may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Neither rate is limited.
    Unlimited,
    Slots(Slots),
}

/// Slots in a row, perhaps none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    pub granted: u32,
    /// When the first is due; with none granted: when the next one would be.
    pub start: StoreTime,
    /// From one to the next, in nanoseconds.
    pub step_ns: u64,
    /// Where the first is booked in the rate that lets it in earlier: its time to be used ends [`CHUNK`] after that, or
    /// after `now` where that is later.
    pub booked: StoreTime,
    /// From one booking to the next, in nanoseconds.
    pub booked_step_ns: u64,
    /// How far this node has used up its equal share; to be sent with the next [`Reserve`].
    pub share: StoreTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_people_write_them() {
        #[track_caller]
        fn check(text: &str, want: Option<(u64, &str)>) {
            let rate = text.parse::<Rate>().ok();
            assert_eq!(
                rate.map(Rate::in_an_hour),
                want.map(|want| want.0),
                "{text}"
            );
            assert_eq!(
                rate.map(|rate| rate.to_string()).as_deref(),
                want.map(|want| want.1)
            );
        }
        check("200/s", Some((720_000, "200/s")));
        check("1.5/s", Some((5_400, "90/m")));
        check(" 30 / m ", Some((1_800, "30/m")));
        check("7/h", Some((7, "7/h")));
        check("1000000/s", Some((3_600_000_000, "1000000/s")));
        for none in [
            "",
            "200",
            "/s",
            "200/d",
            "0/s",
            "0.5/h",
            "-1/s",
            "inf/s",
            "nan/s",
            "1e3/s",
            "1000001/s",
            "99999999999999999999999/s",
            "1.2.3/s",
        ] {
            check(none, None);
        }
    }

    #[test]
    fn a_rate_is_never_exceeded_by_rounding() {
        for per_hour in [1, 7, 3_600, 3_601, 119_998, 3_600_000_000] {
            let rate = Rate::per_hour(per_hour).unwrap();
            assert!(u128::from(rate.step_ns()) * u128::from(per_hour) >= 3_600_000_000_000);
        }
        let json = serde_json::to_string(&"90/m".parse::<Rate>().unwrap()).unwrap();
        assert_eq!(json, "\"90/m\"");
        assert!(serde_json::from_str::<Rate>("\"fast\"").is_err());
    }
}
