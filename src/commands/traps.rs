//! `traps`: the families of URLs that were given up as traps, with their evidence, from the ledger.
//!
//! The ledger has a line for each URL that was not asked for, whose detail is the family and the rule. It may be read
//! while the crawl writes it. Memory: a few hundred bytes for each family.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use contract::outcome::Outcome;
use serde::Serialize;
use storage::layout::Layout;
use storage::ledger::LedgerReader;

use crate::cli::TrapsArgs;
use crate::exit::{Code, Failure};
use crate::folder;

/// URLs of a family that are shown.
const EXAMPLES: usize = 3;

/// A family that was given up.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Family {
    why: String,
    /// URLs that were not asked for.
    urls: u64,
    first: String,
    last: String,
    examples: Vec<String>,
}

/// A family with its names, as a line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    host: &'a str,
    family: &'a str,
    #[serde(flatten)]
    told: &'a Family,
}

/// By host and family.
type Families = BTreeMap<(String, String), Family>;

/// Prints the traps of a crawl.
///
/// # Errors
/// A folder that is no crawl's, or cannot be read.
pub fn run(args: &TrapsArgs) -> Result<(), Failure> {
    let mut families = Families::new();
    let alone = Layout::new(&args.folder);
    if alone.ledger().is_file() {
        read(&alone.ledger(), &mut families)?;
    } else {
        for part in folder::parts(&args.folder, None)? {
            read(&part.layout.ledger(), &mut families)?;
        }
    }
    match args.jsonl {
        true => families.iter().try_for_each(line),
        false => {
            families.iter().for_each(tell);
            println!("{}", sum(&families));
            Ok(())
        }
    }
}

fn read(path: &Path, families: &mut Families) -> Result<(), Failure> {
    let unreadable = |error: io::Error| {
        Failure::new(
            Code::Error,
            format!("cannot read {}: {error}", path.display()),
        )
    };
    let mut ledger = LedgerReader::open(path).map_err(unreadable)?;
    loop {
        let entry = match ledger.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => continue,
            Err(error) => return Err(unreadable(error)),
        };
        if entry.outcome != Outcome::Trap.code() {
            continue;
        }
        let detail = entry.detail.unwrap_or_default();
        let (name, why) = detail.split_once(": ").unwrap_or((&detail, ""));
        let key = (entry.host.unwrap_or_default(), name.to_owned());
        let family = families.entry(key).or_default();
        family.urls += 1;
        family.why = why.to_owned();
        if family.first.is_empty() {
            family.first.clone_from(&entry.ts);
        }
        family.last = entry.ts;
        if family.examples.len() < EXAMPLES {
            family.examples.push(entry.url);
        }
    }
}

fn line(((host, family), told): (&(String, String), &Family)) -> Result<(), Failure> {
    let line = serde_json::to_string(&Line { host, family, told });
    let line = line.map_err(|error| Failure::new(Code::Error, error.to_string()))?;
    println!("{line}");
    Ok(())
}

fn tell(((host, family), told): (&(String, String), &Family)) {
    let (urls, first) = (told.urls, &told.first);
    println!("{host} {family}");
    println!("  {}", told.why);
    println!("  {urls} URLs not asked for since {first}, such as");
    for example in &told.examples {
        println!("    {example}");
    }
}

fn sum(families: &Families) -> String {
    let urls: u64 = families.values().map(|family| family.urls).sum();
    match families.len() {
        0 => "no traps".to_owned(),
        count => format!("{count} families given up, {urls} of their URLs not asked for"),
    }
}
