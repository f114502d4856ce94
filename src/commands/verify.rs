//! `verify`: prove I5 from store and archive: a URL is done if and only if its record is durable and readable.
//!
//! Two halves. Storage reads each ledger line's record at its place, with its digest. Then the frontier's account is
//! laid beside the ledgers: every URL that is known is either queued or has a sound final line, in the one folder or in
//! that of some node. Nothing is repaired. Start at [`run`].

use std::path::Path;

use contract::crawl::CrawlConfig;
use contract::error::chain;
use frontier::fleet::crawls::Crawl;
use frontier::store::moving::Moves;
use storage::layout::Layout;
use storage::verify::{Findings, verify};

use crate::account::{Account, Standing};
use crate::cli::{FleetFlags, LogFormat, VerifyArgs};
use crate::config::NodeConfig;
use crate::exit::{Code, Failure};
use crate::fleet::store::{self, Shared};
use crate::folder;
use crate::home::{self, SharedCrawl};
use crate::identity::failed;
use crate::telemetry;

/// Checks a crawl and prints what was found.
///
/// # Errors
/// A folder that is no crawl's, one that a running crawl holds, or a store that fails.
pub async fn run(args: &VerifyArgs) -> Result<Code, Failure> {
    telemetry::logs(LogFormat::Text, true);
    match &args.folder {
        Some(folder) => alone(folder).await,
        None => shared(&args.fleet, &args.dir).await,
    }
}

async fn alone(dir: &Path) -> Result<Code, Failure> {
    let store = home::folder_for_orders(dir).await?;
    // Of a crawl that came out of a shared store fewer bits are known.
    let whole = store.whole().await.map_err(failed)?;
    let mut account = Account::read(&store, whole.fingerprint_mask).await?;
    let findings = lay_beside(&mut account, &Layout::new(dir))?;
    print_findings("", &findings);
    Ok(conclude(&account, findings.is_clean()))
}

async fn shared(flags: &FleetFlags, dir: &Path) -> Result<Code, Failure> {
    let mut shared = store::find(&flags.store).await?;
    let crawl = store::crawl(&mut shared, flags).await?;
    let parts = folder::parts(&dir.join(crawl.name.as_str()), Some(&crawl))?;
    let mut account = account(&shared, &crawl).await?;
    let mut is_clean = true;
    for part in &parts {
        let findings = lay_beside(&mut account, &part.layout)?;
        print_findings(&format!("{}: ", part.name), &findings);
        is_clean &= findings.is_clean();
    }
    let code = conclude(&account, is_clean);
    if account.count(Standing::Bare) > 0 {
        println!(
            "a node's folder that is not in {}? Bring it, or fetch again what it held: `argiope reopen --missing`",
            dir.join(crawl.name.as_str()).display()
        );
    }
    Ok(code)
}

/// What a shared store holds of a crawl.
///
/// # Errors
/// A store that fails.
pub async fn account(shared: &Shared, crawl: &Crawl) -> Result<Account, Failure> {
    let home = SharedCrawl {
        link: shared.link.clone(),
        deployment: shared.deployment,
        crawl: crawl.clone(),
    };
    let (config, node) = (CrawlConfig::default(), NodeConfig::default());
    let store = home::attach_for_orders(&home, &config, &node).await?;
    Account::read(&store, store.kept_bits()).await
}

/// Reads a folder's ledger and records, and shows them to the account.
///
/// # Errors
/// A ledger that cannot be read.
pub fn lay_beside(account: &mut Account, layout: &Layout) -> Result<Findings, Failure> {
    let findings = verify(layout, &mut |entry, sound| account.show(entry, sound));
    findings.map_err(|error| Failure::new(Code::Error, chain(&error)))
}

fn print_findings(of: &str, findings: &Findings) {
    println!(
        "{of}ledger: {} lines, {} records, {} sound",
        findings.lines, findings.kept, findings.sound
    );
    for (problem, tally) in &findings.problems {
        println!("  {problem:?}: {}", tally.count);
        tally
            .examples
            .iter()
            .for_each(|example| println!("    {example}"));
    }
}

fn conclude(account: &Account, is_clean: bool) -> Code {
    let [bare, queued, stored, again] = [
        Standing::Bare,
        Standing::Queued,
        Standing::Stored,
        Standing::Again,
    ]
    .map(|standing| account.count(standing));
    println!(
        "frontier: {} known = {stored} done + {} queued; {bare} without either",
        account.known(),
        queued + again
    );
    if again > 0 {
        println!(
            "  {again} have a record and are queued: they are to be refreshed, or a crash came between"
        );
    }
    if account.strange > 0 {
        println!(
            "  {} lines are of URLs that the store does not know: it was set back to an earlier time",
            account.strange
        );
    }
    let is_clean = is_clean && bare == 0;
    println!(
        "{}",
        if is_clean {
            "verified: done means stored"
        } else {
            "NOT verified"
        }
    );
    if is_clean { Code::Done } else { Code::Error }
}
