//! `verify`: prove I5 from the folder: a URL is done if and only if its record is durable and readable.
//!
//! Two halves. Storage reads each ledger line's record at its place, with its digest. Then the frontier's account is
//! laid beside the ledger: every URL that is known is either queued or has a sound final line. Nothing is repaired.

use std::collections::HashSet;
use std::path::Path;

use contract::Url;
use contract::canonical::{Fingerprint, Fingerprinter};
use contract::clock::Clock;
use contract::crawl::CrawlConfig;
use contract::error::chain;
use contract::fault::FailPlan;
use frontier::config::{FrontierConfig, Rules};
use frontier::store::Store;
use frontier::store::embedded::{Embedded, EmbeddedOptions};
use frontier::store::moving::Moves;
use storage::layout::Layout;
use storage::verify::verify;

use crate::cli::LogFormat;
use crate::exit::{Code, Failure};
use crate::identity::failed;
use crate::telemetry;

/// Fingerprints and queued URLs read from the frontier at once.
const PIECE: usize = 4_096;

/// Checks a crawl's folder and prints what was found.
///
/// # Errors
/// A folder that is no crawl's, or one that a running crawl holds.
pub async fn run(dir: &Path) -> Result<Code, Failure> {
    if !dir.join("frontier").is_dir() {
        return Err(Failure::input(format!(
            "{}: no crawl's folder (it has no frontier/)",
            dir.display()
        )));
    }
    telemetry::logs(LogFormat::Text, true);
    let store = open(dir)?;
    // Of a crawl that came out of a shared store fewer bits are known.
    let whole = store.whole().await.map_err(failed)?;
    let fingerprints = Fingerprinter {
        seed: store.fingerprint_seed().await.map_err(failed)?,
    };
    let mut sound_final = HashSet::new();
    let fingerprint = |url: &Url| Fingerprint(fingerprints.of(url).0 & whole.fingerprint_mask);
    let findings = verify(&Layout::new(dir), &mut |entry, sound| {
        // A refused link has no token: it was never in the frontier.
        if sound
            && entry.is_final
            && entry.is_url()
            && entry.token.is_some()
            && let Ok(url) = Url::parse(&entry.url)
        {
            sound_final.insert(fingerprint(&url));
        }
    });
    let findings = findings.map_err(|error| Failure::new(Code::Error, chain(&error)))?;
    println!(
        "ledger: {} lines, {} records, {} sound",
        findings.lines, findings.kept, findings.sound
    );
    for (problem, tally) in &findings.problems {
        println!("  {problem:?}: {}", tally.count);
        tally
            .examples
            .iter()
            .for_each(|example| println!("    {example}"));
    }
    let account = account(&store, fingerprint, &sound_final).await?;
    println!(
        "frontier: {} known = {} done + {} queued; {} without either",
        account.known, account.done, account.queued, account.lost
    );
    if account.again > 0 {
        println!(
            "  {} have a record and are queued: a crash came between, they are fetched again",
            account.again
        );
    }
    let is_clean = findings.is_clean() && account.lost == 0;
    println!(
        "{}",
        if is_clean {
            "verified: done means stored"
        } else {
            "NOT verified"
        }
    );
    Ok(if is_clean { Code::Done } else { Code::Error })
}

fn open(dir: &Path) -> Result<Embedded, Failure> {
    let config = FrontierConfig::default();
    let options = EmbeddedOptions {
        rules: Rules::new(&CrawlConfig::default(), &config),
        clock: Clock::machine(),
        memory_bytes: config.memory_bytes,
        fingerprint_seed: 0,
        fail: FailPlan::none(),
    };
    Embedded::open(&dir.join("frontier"), options).map_err(failed)
}

/// The frontier's URLs by where they stand.
#[derive(Debug, Default)]
struct Account {
    known: u64,
    done: u64,
    queued: u64,
    /// Queued, and in the ledger with a final line.
    again: u64,
    /// Known, but neither queued nor in the ledger.
    lost: u64,
}

async fn account(
    store: &impl Store,
    fingerprint: impl Fn(&Url) -> Fingerprint,
    sound_final: &HashSet<Fingerprint>,
) -> Result<Account, Failure> {
    let mut queued = HashSet::new();
    let mut after = None;
    loop {
        let piece = store.queued_after(after, PIECE).await.map_err(failed)?;
        let Some(last) = piece.last() else { break };
        after = Some(last.at.clone());
        queued.extend(
            piece
                .iter()
                .filter_map(|at| Url::parse(&at.queued.url).ok())
                .map(|url| fingerprint(&url)),
        );
    }
    let mut account = Account {
        queued: queued.len() as u64,
        ..Account::default()
    };
    account.again = queued.intersection(sound_final).count() as u64;
    let mut after = None;
    loop {
        let piece = store.known_after(after, PIECE).await.map_err(failed)?;
        let Some(last) = piece.last() else { break };
        after = Some(*last);
        account.known += piece.len() as u64;
        for fingerprint in &piece {
            if queued.contains(fingerprint) {
                continue;
            }
            if sound_final.contains(fingerprint) {
                account.done += 1;
            } else {
                account.lost += 1;
            }
        }
    }
    Ok(account)
}
