//! `reopen --outcome`: URLs of a folder that ended so are queued again. `reopen --missing`: URLs that are done in the store
//! and in no node's folder that is there are fetched again.
//!
//! A lost folder's ledger is lost with it: of its URLs only fingerprints are left. Those that a page or a robots.txt that
//! is still there leads to, and seeds, can be named and are queued again; the others are forgotten, and come in as new
//! when the pages that lead to them are fetched again. So all come back, for whatever was found hangs by links on a seed:
//! the last page of such a chain that is still there names the first that is not. Links of kept pages that the store does
//! not know (it was set back to an earlier time) are admitted on the way. Order does not matter: whatever ends the
//! command, the same command does the rest. Start at [`run`].

use std::path::Path;
use std::sync::Arc;

use contract::Url;
use contract::admit::Admit;
use contract::canonical::Fingerprint;
use contract::earlier::{Again, REOPENED_TOGETHER};
use contract::error::chain;
use contract::host::Host;
use contract::link::{Link, LinkKind};
use contract::outcome::Outcome;
use contract::page::Page;
use contract::robots::RobotsAnswer;
use contract::scope::Scope;
use fetcher::robots::Robots;
use frontier::fleet::crawls::{self, Crawl};
use frontier::fleet::{configs, nodes};
use frontier::store::Store;
use frontier::store::redis::RedisStore;
use parser::config::ParserConfig;
use parser::reader::{Reader, Rules};
use parser::watch::Watch;
use storage::layout::Layout;
use storage::ledger::{Entry, LedgerReader};
use storage::together::Part;

use super::recrawl::reopen;
use super::verify::lay_beside;
use crate::account::{Account, Standing};
use crate::cli::{LogFormat, ReopenArgs};
use crate::config::{NodeConfig, Settings, dial};
use crate::exit::{Code, Failure};
use crate::fleet::failed;
use crate::fleet::store::{self, Shared};
use crate::home::{self, SharedCrawl};
use crate::recrawl::due::Wanted;
use crate::{folder, identity, stored, telemetry};

/// Links sent to the store at once: for each time a host's queue is read.
const TOGETHER: usize = REOPENED_TOGETHER;

/// Brings back what is missing, and lets the crawl go on.
///
/// # Errors
/// No such crawl, one that a node works on, folders that cannot be read, or a store that fails.
pub async fn run(args: &ReopenArgs) -> Result<(), Failure> {
    telemetry::logs(LogFormat::Text, true);
    if let Some(dir) = &args.folder {
        return by_outcome(dir, &args.outcome).await;
    }
    let mut shared = store::find(&args.fleet.store).await?;
    let crawl = store::crawl(&mut shared, &args.fleet).await?;
    nobody_works(&mut shared, &crawl).await?;
    let parts = folder::parts(&args.dir.join(crawl.name.as_str()), Some(&crawl))?;
    let version = configs::current(&mut shared.link, crawl.number).await;
    let config = version.map_err(failed)?.config;
    let node = NodeConfig::default();
    let dial = dial(&node)?;
    let settings = Settings::shared(config, node, dial, std::path::PathBuf::new())?;
    let home = SharedCrawl {
        link: shared.link.clone(),
        deployment: shared.deployment,
        crawl: crawl.clone(),
    };
    let store = home::attach_for_orders(&home, &settings.crawl, &settings.node).await?;
    let mut account = Account::read(&store, store.kept_bits()).await?;
    for part in &parts {
        let findings = lay_beside(&mut account, &part.layout)?;
        println!("{}: {} sound records", part.name, findings.sound);
    }
    let missing = account.count(Standing::Bare);
    let seeds = identity::seeds(&store, &settings).await?;
    let mut search = Search::new(account, &settings, &seeds, &store)?;
    search.seeds(&seeds);
    search.robots().await?;
    for part in &parts {
        search.part(part).await?;
    }
    let done = search.end().await?;
    println!(
        "{}: {missing} URLs are done and in none of these {} folders: {} are queued again, {} come when pages lead to them",
        crawl.name,
        parts.len(),
        done.queued,
        done.forgotten
    );
    if done.unread > 0 {
        println!(
            "  {} pages whose links were not kept are fetched again for them",
            done.unread
        );
    }
    if done.admitted > 0 {
        println!(
            "  {} links of kept pages were not known any more, and are queued",
            done.admitted
        );
    }
    if done != Done::default() {
        let crawl = crawls::start(&mut shared.link, &crawl.name).await;
        let crawl = crawl.map_err(failed)?;
        println!("{}: {}", crawl.name, crawl.state);
    }
    Ok(())
}

/// URLs of a folder's crawl that ended so are queued again.
async fn by_outcome(dir: &Path, codes: &[String]) -> Result<(), Failure> {
    if let Some(code) = codes.iter().find(|code| Outcome::from_code(code).is_none()) {
        return Err(Failure::input(format!(
            "--outcome {code}: there is no such outcome (docs/reference/outcomes.md)"
        )));
    }
    let store = home::folder_for_orders(dir).await?;
    let wanted = Wanted::Ended(codes.to_vec());
    let (ended, reopened) = reopen(&store, &Layout::new(dir), &wanted, u64::MAX).await?;
    println!(
        "{}: {ended} URLs ended so, {} are queued again, {} were already; the crawl's command fetches them",
        dir.display(),
        reopened.queued,
        reopened.waiting
    );
    Ok(())
}

/// A node remembers what it has seen: what is forgotten here would stay known there.
async fn nobody_works(shared: &mut Shared, crawl: &Crawl) -> Result<(), Failure> {
    let nodes = nodes::list(&mut shared.link).await.map_err(failed)?;
    let works = |node: &&nodes::Node| {
        let crawls = node.status.as_ref().map(|status| &status.crawls);
        node.is_alive()
            && crawls.is_none_or(|crawls| crawls.iter().any(|on| on.crawl == crawl.number))
    };
    let names: Vec<_> = nodes
        .iter()
        .filter(works)
        .map(|node| node.name.as_str())
        .collect();
    match names.is_empty() {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "nodes work on {}: {}; end them first (SIGTERM), or the crawl (`argiope stop`), and start them again afterwards",
            crawl.name,
            names.join(", ")
        ))),
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    /// Missing ones that could be named.
    queued: u64,
    forgotten: u64,
    /// Links that the store did not know.
    admitted: u64,
    /// Pages that are fetched again for their links.
    unread: u64,
}

/// The reading of what is there for links to what is not.
struct Search<'s> {
    account: Account,
    reader: Reader,
    store: &'s RedisStore,
    again: Vec<Again>,
    new: Vec<(Link, Box<str>)>,
    /// Kept pages that may have links, and whose body was not kept.
    unread: Vec<Again>,
    done: Done,
}

impl<'s> Search<'s> {
    fn new(
        account: Account,
        settings: &Settings,
        seeds: &[Url],
        store: &'s RedisStore,
    ) -> Result<Self, Failure> {
        let crawl = &settings.crawl;
        let scope = Scope::new(&crawl.scope, seeds);
        let reader = Reader::new(Rules {
            config: ParserConfig::default(),
            limits: crawl.limits.clone(),
            robots_agent: crawl.agent.robots_agent.clone(),
            purpose: crawl.agent.purpose,
            scope: Arc::new(scope.map_err(|error| Failure::input(chain(&error)))?),
            fingerprints: account.fingerprints(),
        });
        Ok(Self {
            account,
            reader,
            store,
            again: Vec::new(),
            new: Vec::new(),
            unread: Vec::new(),
            done: Done::default(),
        })
    }

    fn seeds(&mut self, seeds: &[Url]) {
        for seed in seeds {
            if let Some(link) = link_of(
                seed,
                LinkKind::Seed,
                0,
                self.account.fingerprints().of(seed),
            ) {
                self.take(link, "seed");
            }
        }
    }

    /// Sitemaps that a robots.txt names.
    async fn robots(&mut self) -> Result<(), Failure> {
        let store = self.store;
        let read = store.each_robots(|origin, record| {
            if let RobotsAnswer::File(body) = &record.answer {
                let sitemaps = Robots::parse(body).sitemaps().to_vec();
                if let Some(page) = stored::robots(&origin, record, sitemaps) {
                    self.look(&page);
                }
            }
        });
        read.await.map_err(identity::failed)
    }

    /// All pages that a node kept.
    async fn part(&mut self, part: &Part) -> Result<(), Failure> {
        let path = part.layout.ledger();
        let unreadable = |error: std::io::Error| {
            Failure::new(
                Code::Error,
                format!("cannot read {}: {error}", path.display()),
            )
        };
        let mut ledger = LedgerReader::open(&path).map_err(unreadable)?;
        loop {
            let entry = match ledger.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => continue,
                Err(error) => return Err(unreadable(error)),
            };
            if entry.is_final && entry.is_url() && entry.warc.is_some() {
                match stored::page(&part.layout, &entry) {
                    Some(page) => self.look(&page),
                    None => self.unread(&entry),
                }
            }
            if self.again.len() + self.new.len() >= TOGETHER {
                self.send().await?;
            }
        }
    }

    fn unread(&mut self, entry: &Entry) {
        let is_answered = entry.status.is_some_and(|status| status < 400);
        let Ok(url) = Url::parse(&entry.url) else {
            return;
        };
        let fingerprint = self.account.fingerprints().of(&url);
        let is_sound = self.account.standing(fingerprint) == Some(Standing::Stored);
        let kind = serde_json::from_value(entry.kind.as_str().into());
        if let (true, Ok(kind)) = (is_answered && is_sound, kind) {
            let via = entry.via.as_deref().unwrap_or_default().into();
            let link = link_of(&url, kind, entry.depth.unwrap_or(0), fingerprint);
            self.unread.extend(link.map(|link| again(link, via)));
        }
    }

    /// Reads a page's links.
    fn look(&mut self, page: &Page) {
        let mut from = Some(0);
        while let Some(first) = from {
            let read = self.reader.read(page, first, &mut Watch::new(&|| false));
            for link in read.links {
                self.take(link, page.url.as_str());
            }
            from = read.next;
        }
    }

    fn take(&mut self, link: Link, via: &str) {
        let fingerprint = link.fingerprint;
        match self.account.standing(fingerprint) {
            Some(Standing::Bare) => self.again.push(again(link, via.into())),
            None => self.new.push((link, via.into())),
            Some(Standing::Queued | Standing::Stored | Standing::Again) => return,
        }
        self.account.is_queued(fingerprint);
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let reopened = self.store.reopen(&self.again).await;
        self.done.queued += reopened.map_err(identity::failed)?.queued;
        self.again.clear();
        for (link, via) in self.new.drain(..) {
            let admit = Admit {
                links: vec![link],
                via,
                force: false,
            };
            let admitted = self.store.admit(&admit).await;
            self.done.admitted += admitted.map_err(identity::failed)?.new;
        }
        Ok(())
    }

    /// What is left cannot be named.
    async fn end(mut self) -> Result<Done, Failure> {
        self.send().await?;
        let rest: Vec<Fingerprint> = self.account.bare().collect();
        if !rest.is_empty() {
            // Only these may lead there.
            for some in self.unread.chunks(TOGETHER) {
                let reopened = self.store.reopen(some).await;
                self.done.unread += reopened.map_err(identity::failed)?.queued;
            }
            let forgotten = self.store.forget(&rest).await;
            self.done.forgotten = forgotten.map_err(identity::failed)?;
        }
        Ok(self.done)
    }
}

/// What was kept of it is gone, so nothing is compared, and whether it counted as kept is not known.
fn again(link: Link, via: Box<str>) -> Again {
    Again {
        link,
        via: Some(via),
        earlier: None,
        was_kept: false,
    }
}

fn link_of(url: &Url, kind: LinkKind, depth: u16, fingerprint: Fingerprint) -> Option<Link> {
    Some(Link {
        host: Host::of(url)?,
        url: url.as_str().into(),
        fingerprint,
        kind,
        depth,
        hops: 0,
    })
}
