//! The room with a fake storage behind it.

use std::future::Future;

use contract::lease::Token;
use contract::outbox::Slot;
use contract::outcome::Outcome;
use tokio::sync::mpsc;

use super::*;
use crate::testing::{clock, page, rules};

const PAGE: &str = "http://a.test/dir/page.html";
const HTML: (&str, &str) = ("content-type", "text/html");

/// A storage that shows what it is given and keeps the slots while it is told to.
struct Shelf {
    kept: mpsc::Sender<(ParsedPage, Slot)>,
}

impl Actor for Shelf {
    type Context = Context<Self>;
}

impl Handler<Work<Keep>> for Shelf {
    type Result = ();
    fn handle(
        &mut self,
        Work {
            item: Keep(page),
            slot,
        }: Work<Keep>,
        _: &mut Self::Context,
    ) {
        self.kept.try_send((page, slot)).unwrap();
    }
}

struct Room {
    door: Outbox<Page>,
    keep: Outbox<Keep>,
    kept: mpsc::Receiver<(ParsedPage, Slot)>,
    clock: Clock,
}

fn setup(clock: &Clock) -> Setup {
    let rules = rules();
    Setup {
        config: rules.config,
        limits: rules.limits,
        robots_agent: rules.robots_agent,
        purpose: rules.purpose,
        scope: rules.scope,
        fingerprints: rules.fingerprints,
        clock: clock.clone(),
        found: ByteBudget::new(1 << 20),
    }
}

/// A storage that is closed.
fn nowhere() -> Outbox<Keep> {
    let keep = Outbox::new("keep", Vec::new(), 1, Duration::from_secs(5));
    keep.close();
    keep
}

fn room(slots: usize, faults: FailPlan) -> Room {
    room_with(slots, faults, |_| {})
}

fn room_with(slots: usize, faults: FailPlan, change: impl FnOnce(&mut ParserConfig)) -> Room {
    let (to, kept) = mpsc::channel(16);
    let keep = Outbox::new(
        "keep",
        vec![Shelf { kept: to }.start().recipient()],
        slots,
        Duration::from_secs(5),
    );
    let clock = clock();
    let mut setup = setup(&clock);
    change(&mut setup.config);
    let (died, _) = mpsc::channel(1);
    let parser = Parser::new(setup, keep.clone(), Beacon::new("parser", died))
        .with_faults(faults)
        .start();
    let door = Outbox::new("page", vec![parser.recipient()], 4, Duration::from_secs(5));
    Room {
        door,
        keep,
        kept,
        clock,
    }
}

fn numbered(token: u64) -> Page {
    let mut page = page(PAGE, &[HTML], b"<title>t</title><a href=b>");
    page.token = Token(token);
    page
}

#[actix::test]
async fn a_page_goes_on_with_what_was_read() {
    let mut room = room(1, FailPlan::none());
    room.door.give(numbered(1)).await.unwrap();
    let (parsed, _slot) = room.kept.recv().await.unwrap();
    assert_eq!(
        (parsed.links.len(), parsed.facts.title.as_deref()),
        (1, Some("t"))
    );
    assert_eq!(
        (parsed.page.verdict.outcome, parsed.page.verdict.fate),
        (Outcome::Ok, Fate::Done)
    );
}

#[actix::test]
async fn a_panic_is_the_pages_alone_and_the_page_goes_on() {
    let mut room = room(4, FailPlan::nth(1, 5, false));
    let mut last = numbered(1);
    last.queued.tries = 0;
    room.door.give(last).await.unwrap();
    room.door.give(numbered(2)).await.unwrap();
    let (panicked, _slot) = room.kept.recv().await.unwrap();
    assert_eq!(panicked.page.verdict.outcome, Outcome::Panicked);
    assert_eq!(
        panicked.page.verdict.fate,
        Fate::Retry {
            tries: 1,
            rest: Duration::ZERO
        }
    );
    assert!(
        panicked
            .page
            .verdict
            .detail
            .as_deref()
            .is_some_and(|detail| detail.starts_with("panicked: "))
    );
    assert!(panicked.page.exchange.is_some() && panicked.links.is_empty());
    let (next, _slot) = room.kept.recv().await.unwrap();
    assert_eq!(
        (next.page.token, next.page.verdict.outcome),
        (Token(2), Outcome::Ok)
    );
}

#[actix::test]
async fn the_last_panic_settles_the_page() {
    let mut room = room(4, FailPlan::nth(1, 5, true));
    let mut page = numbered(1);
    page.queued.tries = 2;
    room.door.give(page).await.unwrap();
    let (panicked, _slot) = room.kept.recv().await.unwrap();
    assert_eq!(
        (panicked.page.verdict.outcome, panicked.page.verdict.fate),
        (Outcome::Panicked, Fate::Done)
    );
}

/// A page that is large enough to be looked at with the clock.
fn large() -> Page {
    page(PAGE, &[HTML], "<a href=b>".repeat(10_000).as_bytes())
}

#[actix::test]
async fn time_over_is_told_by_its_layer() {
    let mut room = room(4, FailPlan::none());
    let mut page = large();
    page.deadline = Deadline::new(&room.clock, Layer::Page, Duration::ZERO);
    room.door.give(page).await.unwrap();
    let (late, _slot) = room.kept.recv().await.unwrap();
    assert_eq!(
        (late.page.verdict.outcome, late.page.verdict.fate),
        (Outcome::DeadlinePage, Fate::Return)
    );

    let mut page = large();
    page.deadline = Deadline::new(&room.clock, Layer::Parse, Duration::ZERO);
    room.door.give(page).await.unwrap();
    let (late, _slot) = room.kept.recv().await.unwrap();
    assert_eq!(
        (late.page.verdict.outcome, late.page.verdict.fate),
        (Outcome::DeadlineParse, Fate::Done)
    );
    assert_eq!(
        late.page.verdict.detail.as_deref(),
        Some("reading ended by deadline(parse)")
    );
    assert!(late.links.is_empty() && late.page.exchange.is_some());
}

#[actix::test]
async fn what_failed_before_stays_what_it_was() {
    let mut room = room(4, FailPlan::nth(1, 5, false));
    let mut page = numbered(1);
    page.verdict.outcome = Outcome::ServerError;
    page.verdict.fate = Fate::Retry {
        tries: 2,
        rest: Duration::from_secs(9),
    };
    room.door.give(page).await.unwrap();
    let (parsed, _slot) = room.kept.recv().await.unwrap();
    assert_eq!(parsed.page.verdict.outcome, Outcome::ServerError);
    assert_eq!(
        parsed.page.verdict.fate,
        Fate::Retry {
            tries: 2,
            rest: Duration::from_secs(9)
        }
    );
}

#[actix::test]
async fn a_full_storage_holds_the_parser_back() {
    let mut room = room(1, FailPlan::none());
    for n in 1..=3 {
        room.door.give(numbered(n)).await.unwrap();
    }
    let (first, slot) = room.kept.recv().await.unwrap();
    assert_eq!(first.page.token, Token(1));
    // The second waits for storage's slot with its own slot held; the third is not read at all.
    let mut second = Box::pin(room.kept.recv());
    assert!(poll_once(&mut second).await.is_none());
    assert_eq!((room.door.load().held, room.keep.load().held), (2, 1));
    drop(slot);
    let (second, slot) = second.await.unwrap();
    assert_eq!(second.page.token, Token(2));
    drop(slot);
    let (third, _slot) = room.kept.recv().await.unwrap();
    assert_eq!(third.page.token, Token(3));
}

#[actix::test]
async fn a_closed_storage_loses_pages_and_frees_their_slots() {
    let room = room(1, FailPlan::none());
    room.keep.close();
    for n in 0..8 {
        room.door.give(numbered(n)).await.unwrap(); // more than there are slots
    }
}

/// A page of so many links, in parts of ten, with how storage takes the parts.
async fn in_parts(links: usize, take: impl Fn(PageLife)) -> (Room, Vec<ParsedPage>) {
    let mut room = room_with(1, FailPlan::none(), |config| config.part_links_max = 10);
    let html: String = (0..links).map(|n| format!("<a href={n}>")).collect();
    let gauge = Arc::<PageGauge>::default();
    let mut page = page(PAGE, &[HTML], html.as_bytes());
    page.life = PageLife::begin(&gauge);
    room.door.give(page).await.unwrap();
    let mut kept = Vec::new();
    while gauge.in_ring() > 0 {
        // Either the next part comes, or the page's own life ends.
        tokio::select! {
            got = room.kept.recv() => {
                let (mut parsed, slot) = got.unwrap();
                let life = std::mem::replace(&mut parsed.page.life, PageLife::begin(&Arc::default()));
                kept.push(parsed);
                // Until it is settled no further part is read, though there is room for it.
                drop(slot);
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                assert!(room.kept.try_recv().is_err());
                take(life);
            }
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
    (room, kept)
}

#[actix::test]
async fn parts_of_many_links_go_ahead_of_their_page() {
    let (room, kept) = in_parts(25, PageLife::settle).await;
    let places: Vec<_> = kept.iter().map(|part| part.page.place.clone()).collect();
    assert_eq!(places, [Place::Beside, Place::Beside, Place::Queue(0)]);
    let details: Vec<_> = kept
        .iter()
        .map(|part| part.page.verdict.detail.clone())
        .collect();
    let told = |links: &str| Some(format!("links {links}, ahead of their page"));
    assert_eq!(details, [told("1 to 10"), told("11 to 20"), None]);
    assert!(kept[0].page.exchange.is_none() && kept[2].page.exchange.is_some());
    let urls = kept.iter().flat_map(|part| &part.links);
    let urls: Vec<&str> = urls.map(|link| &*link.url).collect();
    let want: Vec<String> = (0..25).map(|n| format!("http://a.test/dir/{n}")).collect();
    assert_eq!(urls, want);
    assert_eq!(room.door.load().held, 0);
}

#[actix::test]
async fn a_page_whose_part_is_lost_is_not_handed_on() {
    let (room, kept) = in_parts(25, drop).await;
    assert_eq!(kept.len(), 1, "its lease brings it back");
    assert_eq!(room.door.load().held, 0);
}

#[actix::test]
async fn a_planned_death_is_the_actors_own() {
    let (told, mut died) = mpsc::channel(1);
    let parser = Parser::new(setup(&clock()), nowhere(), Beacon::new("parser", told))
        .with_death(FailPlan::nth(2, 5, false))
        .start();
    let door = Outbox::new("page", vec![parser.recipient()], 4, Duration::from_secs(5));
    door.give(numbered(1)).await.unwrap();
    assert!(died.try_recv().is_err());
    door.give(numbered(2)).await.unwrap();
    assert!(died.recv().await.is_some_and(|died| died.panicking));
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    // The room has had every chance to act once this task was put last in the queue a few times.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[actix::test]
async fn what_is_refused_to_the_purpose_is_no_success_and_says_why() {
    async fn verdict(page: Page) -> (Outcome, Fate, Option<String>) {
        let mut room = room(1, FailPlan::none());
        room.door.give(page).await.unwrap();
        let (parsed, _slot) = room.kept.recv().await.unwrap();
        let verdict = parsed.page.verdict;
        (verdict.outcome, verdict.fate, verdict.detail)
    }
    let html = b"<meta name=robots content=noarchive>";
    let why = Some("meta: noarchive (purpose archive)".to_owned());
    let refused = verdict(page(PAGE, &[HTML], html)).await;
    assert_eq!(refused, (Outcome::DirectiveRefused, Fate::Done, why));
    // An error page is no content, and a page that comes again is judged then.
    let missing = crate::testing::with_status(page(PAGE, &[HTML], html), 404);
    assert_eq!(verdict(missing).await.0, Outcome::ClientError);
    let mut again = page(PAGE, &[HTML], html);
    again.verdict.fate = Fate::Return;
    assert_eq!(verdict(again).await.0, Outcome::Ok);
    let allowed = page(PAGE, &[HTML, ("x-robots-tag", "noindex, noai")], b"x");
    assert_eq!(verdict(allowed).await.0, Outcome::Ok);
}
