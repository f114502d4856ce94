//! The suite that every store answers to: random stories, told to the store and to the model, and a witness who
//! knows only what was answered and holds it against F1–F9. Where the model's order does not hold (many shards, many
//! nodes) stories are told to the store alone ([`nodes`]).
//!
//! A story is a list of [`Act`]s: claims, settles in any order and twice, releases, lost leases, crashes, time.
//! A failing story is shrunk by proptest and its seed is kept. Start reading at [`Stage::play`].

pub(crate) mod acts;
mod faults;
pub(crate) mod nodes;
pub(crate) mod small;
mod witness;

use std::time::Duration;

use contract::clock::{Clock, Wall};
use contract::fault::FailPlan;
use contract::host::Host;
use contract::lease::{Lease, Queued};
use contract::link::Link;
use contract::outcome::Outcome;
use contract::page::Fate;
use contract::settle::{Settle, Settles};
use proptest::prelude::*;

use self::acts::{Act, Answer, act};
use self::witness::Witness;
use super::embedded::{Embedded, EmbeddedOptions};
use super::memory::{Memory, Ways};
use super::{QueuedAt, Store};
use crate::config::Rules;
use crate::error::StoreError;

thread_local! {
    static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a test can have a runtime");
}

/// The answer, waited for on this thread; inside a runtime only that of a store that never waits.
pub(crate) fn now<T>(answer: impl Future<Output = T>) -> T {
    if tokio::runtime::Handle::try_current().is_err() {
        return RUNTIME.with(|runtime| runtime.block_on(answer));
    }
    let mut answer = std::pin::pin!(answer);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match answer.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("a store of this machine does not wait"),
    }
}

pub(crate) fn rules() -> Rules {
    Rules {
        delay: Duration::from_millis(100),
        tries_max: 3,
        domain_leases_max: Some(2),
        address_leases_max: Some(2),
        limit: None,
        lease: Duration::from_secs(5),
    }
}

fn start() -> Clock {
    Clock::manual(Wall(1_000_000_000_000))
}

/// A store that a story is told to.
pub(crate) trait Subject {
    type Store: Store;
    /// Where the model must follow it.
    const WAYS: Ways;
    /// Whether it may say this of the next claim, where the model says that. It may look once more at another fetcher's
    /// host that then turns out to have no room; never at once, and never too late.
    fn may_say(found: Option<Duration>, wanted: Option<Duration>) -> bool {
        let sooner = |found: Duration| !found.is_zero() && wanted.is_none_or(|w| found < w);
        found == wanted || found.is_some_and(sooner)
    }
    /// Whether the act means to it what it means to the model.
    fn knows(_: &Act) -> bool {
        true
    }
    /// A new, empty store.
    fn new(rules: Rules, clock: Clock) -> Self;
    fn store(&self) -> &Self::Store;
    /// Time has passed on the clock.
    fn passed(&self);
    /// The process ends, and another goes on.
    fn crash(&mut self);
}

/// An embedded store in a folder of its own, that can be crashed.
pub(super) struct InFolder {
    folder: tempfile::TempDir,
    rules: Rules,
    clock: Clock,
    store: Option<Embedded>,
}

impl InFolder {
    fn open(&mut self, fail: FailPlan) -> Result<(), StoreError> {
        self.store = None;
        let options = EmbeddedOptions {
            rules: self.rules.clone(),
            clock: self.clock.clone(),
            memory_bytes: 16 << 20,
            fingerprint_seed: 7,
            fail,
        };
        self.store = Some(Embedded::open(self.folder.path(), options)?);
        Ok(())
    }
}

impl Subject for InFolder {
    type Store = Embedded;
    const WAYS: Ways = Ways::Embedded;

    fn new(rules: Rules, clock: Clock) -> Self {
        let mut subject = Self {
            folder: tempfile::tempdir().unwrap(),
            rules,
            clock,
            store: None,
        };
        subject.open(FailPlan::none()).unwrap();
        subject
    }

    fn store(&self) -> &Embedded {
        self.store.as_ref().expect("it is opened when it is made")
    }

    fn passed(&self) {}

    fn crash(&mut self) {
        self.open(FailPlan::none()).unwrap();
    }
}

/// Model and store, playing the same story.
pub(crate) struct Stage<S> {
    clock: Clock,
    model: Memory,
    pub(crate) subject: S,
    witness: Witness,
}

impl<S: Subject> Stage<S> {
    pub(crate) fn new(rules: &Rules) -> Self {
        let clock = start();
        Self {
            model: Memory::new(S::WAYS, rules.clone(), clock.clone()),
            subject: S::new(rules.clone(), clock.clone()),
            witness: Witness::new(rules.clone()),
            clock,
        }
    }

    /// Plays one act on both and compares all that was answered.
    pub(crate) fn play(&mut self, act: &Act) {
        let Self {
            clock,
            model,
            subject,
            witness,
        } = self;
        match act {
            Act::Pass(time) => {
                clock.advance(*time);
                subject.passed();
            }
            Act::Crash => {
                model.crash();
                subject.crash();
                if S::WAYS == Ways::Embedded {
                    witness.crashed(clock.wall().millis());
                }
            }
            _ if !S::knows(act) => {}
            _ => {
                let wanted = act
                    .tell(model, witness, clock)
                    .expect("the model never fails");
                let found = act.tell(subject.store(), witness, clock).unwrap();
                match (&found, &wanted) {
                    (
                        Answer::Claimed(found, Some(due)),
                        Answer::Claimed(wanted, Some(wanted_due)),
                    ) => {
                        assert_eq!(found, wanted, "{act:?}");
                        assert!(
                            S::may_say(*due, *wanted_due),
                            "{act:?}: next in {due:?}, not {wanted_due:?}"
                        );
                    }
                    _ => assert_eq!(found, wanted, "{act:?}"),
                }
                witness.saw(act, &found, clock.wall().millis());
            }
        }
    }

    /// Compares everything that can be asked.
    pub(crate) fn compare(&self) {
        let (model, store) = (&self.model, self.subject.store());
        let stats = |stats| contract::control::FrontierStats {
            hosts_waiting: 0,
            next: None,
            ..stats
        };
        let found = stats(now(store.stats()).unwrap());
        assert_eq!(found, now(model.stats()).unwrap());
        assert_eq!(
            found.known,
            found.queued + found.done,
            "what is known is queued or done (F5, F6)"
        );
        let (mut known, mut after) = (Vec::new(), None);
        loop {
            let page = now(store.known_after(after, 7)).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(*last);
            known.extend(page);
        }
        assert_eq!(known, now(model.known_after(None, usize::MAX)).unwrap());
        let (mut queued, mut after) = (Vec::new(), None);
        loop {
            let page = now(store.queued_after(after, 7)).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.at.clone());
            queued.extend(page);
        }
        let wanted = now(model.queued_after(None, usize::MAX)).unwrap();
        assert_eq!(by_host(queued), by_host(wanted));
        assert_eq!(now(store.seeds()).unwrap(), now(model.seeds()).unwrap());
        for (host, ..) in by_host(now(model.queued_after(None, usize::MAX)).unwrap()) {
            let (found, wanted) = (store.last_token(&host), model.last_token(&host));
            let found = now(found).unwrap().unwrap_or_default();
            assert_eq!(found, now(wanted).unwrap().unwrap_or_default(), "{host}");
        }
        if S::knows(&Act::Configure(0)) {
            assert_eq!(now(store.config()).unwrap(), now(model.config()).unwrap());
        }
    }

    /// Fetches all there is, so that nothing can be stuck: every URL ends (F7).
    pub(crate) fn finish(&mut self) {
        for _ in 0..10_000 {
            let stats = now(self.model.stats()).unwrap();
            if stats.queued == 0 || stats.limit_reached {
                return self.compare();
            }
            self.play(&Act::Resume);
            self.play(&Act::Claim {
                taker: 0,
                hosts: 4,
                urls: 9,
            });
            let leases = self.witness.live();
            if leases.is_empty() {
                // A day: longer than any rest that a story asks for.
                self.play(&Act::Pass(Duration::from_secs(86_400)));
            }
            for lease in leases {
                self.play(&Act::SettleAll { lease });
                self.play(&Act::Release {
                    lease,
                    handed: usize::MAX,
                    ago: Some(Duration::ZERO),
                });
            }
        }
        panic!("the crawl does not end: {:?}", now(self.model.stats()));
    }
}

/// The first URL of a lease is done, with these links on it.
pub(crate) fn done(lease: &Lease, links: Vec<Link>) -> Settle {
    Settle {
        host: lease.host.clone(),
        token: lease.token,
        what: Settles::Url {
            position: 0,
            outcome: Outcome::Ok,
            fate: Fate::Done,
            kept: true,
            bytes: 1,
        },
        via: lease.urls[0].url.clone(),
        links,
        read: None,
    }
}

/// What can be compared: hosts in one order, each host's URLs in the queue's.
fn by_host(mut queued: Vec<QueuedAt>) -> Vec<(Host, u8, u64, Queued)> {
    queued.sort_by(|one, other| (&one.host, one.class).cmp(&(&other.host, other.class)));
    let item = |at: QueuedAt| (at.host, at.class, at.not_before, at.queued);
    queued.into_iter().map(item).collect()
}

pub(crate) fn story() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_store_does_what_the_model_does(many in acts::links(60), acts in story(), more in acts::links(60), others in story()) {
        let mut stage = Stage::<InFolder>::new(&rules());
        // URLs that come together lie in one row; stories alone would have few of them.
        let flood = |links: &[_]| Act::Admit { links: links.to_vec(), force: false };
        for act in std::iter::once(&flood(&many)).chain(&acts).chain([&flood(&more)]).chain(&others) {
            stage.play(act);
            stage.compare();
        }
        stage.finish();
    }

    #[test]
    fn the_limit_is_never_exceeded(acts in story(), limit in 0u64..12) {
        let mut stage = Stage::<InFolder>::new(&Rules { limit: Some(limit), ..rules() });
        for act in &acts {
            stage.play(act);
        }
        stage.finish();
        let stats = now(stage.subject.store().stats()).unwrap();
        prop_assert!(stats.kept <= limit, "{} kept of {}", stats.kept, limit);
    }
}
