//! `recrawl`: what was kept is looked at again, and what has changed is kept anew.
//!
//! Owns the order of things: which pages are due is told by the ledger, what to ask for them with by their records; they
//! are queued again in the folder's frontier, and a run like any other works them off into the same folder. What is
//! queued stays queued when the run ends early: `recrawl` or the crawl's own command goes on. Start at [`run`].

use std::path::Path;

use contract::Url;
use contract::canonical::Fingerprinter;
use contract::clock::Clock;
use contract::crawl::CrawlConfig;
use contract::earlier::{Again, Earlier, REOPENED_TOGETHER, Reopened};
use contract::host::Host;
use contract::link::Link;
use frontier::store::Store;
use storage::layout::Layout;
use storage::ledger::Entry;
use storage::stored;

use crate::cli::RecrawlArgs;
use crate::config::{self, Settings};
use crate::exit::{Code, Failure};
use crate::folder::Folder;
use crate::recrawl::due::{self, Wanted};
use crate::{home, identity, telemetry};

/// Queues the pages that are due, and crawls.
///
/// # Errors
/// A folder that is no crawl's or in use, a ledger or store that fails; then as `crawl`.
pub async fn run(args: &RecrawlArgs) -> Result<Code, Failure> {
    let (node, dial) = config::node(&args.machine)?;
    telemetry::logs(args.machine.log_format, args.machine.quiet);
    let dir = &args.folder;
    let store = home::folder_for_orders(dir).await?;
    let folder = Folder::open(dir, false)?;
    let stored = store.config().await.map_err(identity::failed)?;
    let config: Option<CrawlConfig> =
        stored.and_then(|stored| serde_json::from_slice(&stored.bytes).ok());
    let config = config.ok_or_else(|| {
        Failure::input(format!(
            "{}: what the crawl is cannot be read; `argiope crawl` with the same command says it anew",
            dir.display()
        ))
    })?;
    let settings = Settings::shared(config, node, dial, dir.clone())?;
    let layout = Layout::new(dir);
    let wanted = args.older_than.map_or(Wanted::Due, Wanted::Older);
    let most = args.limit.unwrap_or(u64::MAX);
    let (urls, reopened) = reopen(&store, &layout, &wanted, most).await?;
    drop(store);
    println!(
        "{}: {urls} pages were kept, {} are queued to be refreshed, {} are already",
        dir.display(),
        reopened.queued,
        reopened.waiting
    );
    let before = length(&layout.ledger());
    let code = super::crawl::work(settings, folder, false, &args.machine).await?;
    let more = length(&layout.ledger()).saturating_sub(before);
    for (change, pages) in due::found(&layout.ledger(), more)? {
        println!("{}: {pages}", change.name());
    }
    Ok(code)
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// Queues what is wanted again, `most` at most; answers how many URLs were looked at, and what became of those.
///
/// # Errors
/// A ledger or a store that fails.
pub async fn reopen(
    store: &impl Store,
    layout: &Layout,
    wanted: &Wanted,
    most: u64,
) -> Result<(u64, Reopened), Failure> {
    let seed = store.fingerprint_seed().await.map_err(identity::failed)?;
    let mut queue = Queue {
        store,
        some: Vec::new(),
        reopened: Reopened::default(),
    };
    let mut left = most;
    let show = async |entry: Entry, gone: bool| {
        if left == 0 {
            return Ok(false);
        }
        let earlier = match wanted {
            Wanted::Ended(_) => None,
            Wanted::Older(_) | Wanted::Due => earlier(layout, &entry, gone),
        };
        if let Some(again) = again(entry, earlier, Fingerprinter { seed }) {
            left -= 1;
            queue.push(again).await?;
        }
        Ok(left > 0)
    };
    let urls = due::each(&layout.ledger(), wanted, Clock::machine().wall(), show).await?;
    queue.send().await?;
    Ok((urls, queue.reopened))
}

/// What is sent to the store together.
struct Queue<'s, S> {
    store: &'s S,
    some: Vec<Again>,
    reopened: Reopened,
}

impl<S: Store> Queue<'_, S> {
    async fn push(&mut self, again: Again) -> Result<(), Failure> {
        self.some.push(again);
        match self.some.len() {
            REOPENED_TOGETHER.. => self.send().await,
            _ => Ok(()),
        }
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let done = self.store.reopen(&self.some).await;
        let done = done.map_err(identity::failed)?;
        self.reopened.queued += done.queued;
        self.reopened.waiting += done.waiting;
        self.some.clear();
        Ok(())
    }
}

/// What the line's page was. Where its record cannot be read the page is asked for without conditions, and compared by
/// the digest in the line.
fn earlier(layout: &Layout, entry: &Entry, gone: bool) -> Option<Earlier> {
    let found = stored::earlier(layout, entry, gone);
    found.or_else(|| {
        Some(Earlier {
            digest: entry.digest.as_deref()?.into(),
            status: entry.status?,
            gone,
            ..Earlier::default()
        })
    })
}

fn again(entry: Entry, earlier: Option<Earlier>, fingerprints: Fingerprinter) -> Option<Again> {
    let url = Url::parse(&entry.url).ok()?;
    Some(Again {
        link: Link {
            host: Host::of(&url)?,
            url: url.as_str().into(),
            fingerprint: fingerprints.of(&url),
            kind: serde_json::from_value(entry.kind.as_str().into()).ok()?,
            depth: entry.depth.unwrap_or(0),
            hops: 0,
        },
        via: entry.via.map(String::into_boxed_str),
        earlier: earlier.map(Box::new),
        was_kept: entry.warc.is_some(),
    })
}
