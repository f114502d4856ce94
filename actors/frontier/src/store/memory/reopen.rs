//! Reopening in the model: the queue is searched for each URL by its spelling.

use contract::earlier::{Again, Earlier, Reopened};
use contract::lease::Queued;
use contract::link::Link;

use super::Model;

/// A link that is to be tried for the first time.
pub(super) fn queued(link: &Link, via: Option<Box<str>>, earlier: Option<Box<Earlier>>) -> Queued {
    Queued {
        url: link.url.clone(),
        kind: link.kind,
        depth: link.depth,
        hops: link.hops,
        tries: 0,
        via,
        earlier,
    }
}

impl Model {
    pub(super) fn reopen(&mut self, all: &[Again]) -> Reopened {
        let now = self.time.now();
        let mut reopened = Reopened::default();
        for again in all {
            let link = &again.link;
            let at = self.host(&link.host);
            let waits = |item: &super::Item| item.host == at && item.queued.url == link.url;
            if self.queue.iter().any(waits) {
                reopened.waiting += 1;
                continue;
            }
            reopened.queued += 1;
            if self.known.insert(link.fingerprint.0) {
                self.admitted += 1;
            } else {
                self.done = self.done.saturating_sub(1);
                self.kept = self.kept.saturating_sub(u64::from(again.was_kept));
            }
            self.hosts[at].strikes.unreached = 0;
            let queued = queued(link, again.via.clone(), again.earlier.clone());
            self.push(at, again.class(), 0, queued, now);
        }
        reopened
    }
}
