//! URLs that the frontier gave up reach the ledger: asked for here, handed to storage as pages without an answer.
//!
//! Owns the numbers that the frontier may forget: those whose pages have all been settled, so that a crash in between
//! brings the URL back to us. Pure but for the doors' values it makes.

use std::sync::Arc;
use std::time::Duration;

use contract::Url;
use contract::cause::{Deadline, Layer};
use contract::clock::Clock;
use contract::control::GaveUp;
use contract::keep::{Facts, ParsedPage};
use contract::outcome::Outcome;
use contract::page::{Fate, Page, PageGauge, PageLife, Place, Verdict};

/// How long storage may take for such a page.
const LIMIT: Duration = Duration::from_secs(120);

/// What has been handed over and what of it is in the ledger.
#[derive(Debug, Default)]
pub struct HandedOver {
    gauge: Arc<PageGauge>,
    /// In the ledger.
    told: Vec<u64>,
    /// Under way there.
    handed: Vec<u64>,
    lost: u64,
}

impl HandedOver {
    /// What the frontier may forget; none while pages are under way.
    pub fn told(&mut self) -> Option<Vec<u64>> {
        if self.gauge.in_ring() > 0 {
            return None;
        }
        let handed = std::mem::take(&mut self.handed);
        if self.gauge.dropped() == self.lost {
            self.told.extend(handed);
        } else {
            // One of them vanished: all that were under way come again.
            self.lost = self.gauge.dropped();
        }
        Some(self.told.clone())
    }

    /// The frontier has heard the first `count` of what it was told.
    pub fn heard(&mut self, count: usize) {
        self.told.drain(..count.min(self.told.len()));
    }

    /// Pages under way to the ledger.
    pub fn in_ring(&self) -> i64 {
        self.gauge.in_ring()
    }

    /// The page that tells the ledger of this URL.
    pub fn page(&mut self, clock: &Clock, gave_up: GaveUp) -> Option<ParsedPage> {
        self.handed.push(gave_up.number);
        let GaveUp {
            host,
            token,
            queued,
            ..
        } = gave_up;
        // Only URLs that parsed are ever queued.
        let url = Url::parse(&queued.url).ok()?;
        let detail = Some(format!(
            "{} leases ended with it at their head",
            queued.tries
        ));
        let page = Page {
            host,
            token,
            place: Place::Beside,
            url,
            queued,
            began: clock.wall(),
            deadline: Deadline::new(clock, Layer::Page, LIMIT),
            verdict: Verdict {
                outcome: Outcome::Quarantined,
                detail,
                fate: Fate::Done,
            },
            exchange: None,
            said: Vec::new(),
            life: PageLife::begin(&self.gauge),
        };
        Some(ParsedPage {
            page,
            links: Vec::new(),
            refused: Vec::new(),
            facts: Facts::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Wall;
    use contract::host::Host;
    use contract::lease::{Queued, Token};
    use contract::link::LinkKind;

    fn gave_up(number: u64) -> GaveUp {
        let queued = Queued {
            url: "http://a.test/x".into(),
            kind: LinkKind::Page,
            depth: 1,
            hops: 0,
            tries: 3,
            via: None,
            earlier: None,
        };
        GaveUp {
            number,
            host: Host::from_stored("a.test"),
            token: Token(9),
            queued,
        }
    }

    #[test]
    fn the_frontier_forgets_only_what_the_ledger_has() {
        let clock = Clock::manual(Wall(1));
        let mut handed = HandedOver::default();
        assert_eq!(handed.told(), Some(vec![]));
        let page = handed.page(&clock, gave_up(4)).unwrap();
        assert_eq!(page.page.verdict.outcome, Outcome::Quarantined);
        assert_eq!(handed.told(), None, "it is under way");
        page.page.life.settle();
        assert_eq!(handed.told(), Some(vec![4]));
        drop(handed.page(&clock, gave_up(5)).unwrap());
        assert_eq!(
            handed.told(),
            Some(vec![4]),
            "a page that vanished is asked for again"
        );
        handed.heard(1);
        assert_eq!(handed.told(), Some(vec![]), "it is told once");
    }
}
