//! `frontier export|import`: a crawl as a file, out of a folder or a shared store, and into another.
//!
//! Owns where the crawl comes from and goes to; what the file holds is [`frontier::store::moving`]'s. Invariants: a file
//! has its name only when it is whole; only a new crawl is taken into. Start at [`export`] and [`import`].

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use contract::crawl::CrawlConfig;
use contract::error::{ErrorClass, chain};
use frontier::fleet::crawls::{self, NewCrawl};
use frontier::store::embedded::Embedded;
use frontier::store::moving::file::{self, FileError, Import};
use frontier::store::moving::{Moves, Whole};

use crate::cli::{FleetFlags, FrontierCommand};
use crate::config::NodeConfig;
use crate::exit::{Code, Failure};
use crate::fleet::store::{self, Shared};
use crate::fleet::{failed, who};
use crate::home::{self, SharedCrawl};
use crate::identity;

/// Writes or reads a crawl's file.
///
/// # Errors
/// A crawl that is worked on or is not there, a file that is damaged, a store that fails.
pub async fn run(command: &FrontierCommand) -> Result<(), Failure> {
    match command {
        FrontierCommand::Export { words, fleet } => match words.as_slice() {
            [dir, file] => {
                let folder = dir.join("frontier");
                if !folder.is_dir() {
                    let dir = dir.display();
                    return Err(Failure::input(format!(
                        "{dir}: no crawl's folder (it has no frontier/)"
                    )));
                }
                export(&in_folder(&folder, 0)?, file).await
            }
            [file] => {
                let mut shared = store::find(&fleet.store).await?;
                let crawl = store::crawl(&mut shared, fleet).await?;
                let config = CrawlConfig::default();
                export(&in_store(shared, crawl, &config).await?, file).await
            }
            _ => Err(Failure::input(
                "give the crawl's folder and the file; or --store and the file",
            )),
        },
        FrontierCommand::Import { words, fleet } => match words.as_slice() {
            [file, dir] => {
                let import = opened(file)?;
                let store = in_folder(&dir.join("frontier"), import.whole.fingerprint_seed)?;
                import_into(file, import, &store).await
            }
            [file] => into_store(file, opened(file)?, fleet).await,
            _ => Err(Failure::input(
                "give the file and the new crawl's folder; or the file and --store",
            )),
        },
    }
}

fn in_folder(folder: &Path, fingerprint_seed: u64) -> Result<Embedded, Failure> {
    let options = home::options_for_orders(fingerprint_seed);
    Embedded::open(folder, options).map_err(identity::failed)
}

async fn in_store(
    shared: Shared,
    crawl: crawls::Crawl,
    config: &CrawlConfig,
) -> Result<impl Moves, Failure> {
    let home = SharedCrawl {
        link: shared.link,
        deployment: shared.deployment,
        crawl,
    };
    home::attach_for_orders(&home, config, &NodeConfig::default()).await
}

async fn export(store: &impl Moves, path: &Path) -> Result<(), Failure> {
    let disk = |error| {
        let error = FileError::Write(error);
        unusable(path, &error)
    };
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let out = BufWriter::new(File::create(&part).map_err(disk)?);
    let written = async {
        let (whole, mut out) = file::export(store, out)
            .await
            .map_err(|error| unusable(path, &error))?;
        out.flush().map_err(disk)?;
        out.get_ref().sync_all().map_err(disk)?;
        fs::rename(&part, path).map_err(disk)?;
        Ok(whole)
    };
    let written = written.await;
    if written.is_err() {
        // It has no name that anybody looks for; what failed is said.
        let _removed = fs::remove_file(&part);
    }
    say(path, &written?);
    Ok(())
}

fn opened(path: &Path) -> Result<Import<File>, Failure> {
    let file = File::open(path).map_err(|error| unusable(path, &FileError::Read(error)))?;
    Import::open(file).map_err(|error| unusable(path, &error))
}

async fn into_store(path: &Path, import: Import<File>, flags: &FleetFlags) -> Result<(), Failure> {
    let Some(name) = &flags.crawl else {
        return Err(Failure::input("name the new crawl with --crawl"));
    };
    let text = import.whole.config.as_deref().unwrap_or("");
    let config: CrawlConfig = serde_json::from_str(text).map_err(|error| {
        Failure::input(format!("the file's configuration cannot be read: {error}"))
    })?;
    let mut shared = store::open(&flags.store).await?;
    // As for a new crawl that is expected to grow, but of no more bits than the file knows.
    let expected = import.whole.known.saturating_mul(4).max(10_000_000);
    let known_bits = (import.whole.fingerprint_mask >> 32).trailing_ones();
    let known_bits = u8::try_from(known_bits).unwrap_or(u8::MAX);
    let new = NewCrawl {
        name: name.clone(),
        fingerprint_seed: import.whole.fingerprint_seed,
        bucket_bits: crawls::bucket_bits(expected, shared.deployment.shards).min(known_bits),
        by: who::person(),
    };
    let crawl = crawls::create(&mut shared.link, &new, &config).await;
    let store = in_store(shared, crawl.map_err(failed)?, &config).await?;
    import_into(path, import, &store).await?;
    println!("the `argiope crawl --store` of its seeds with --name {name} goes on with it");
    Ok(())
}

async fn import_into(path: &Path, import: Import<File>, store: &impl Moves) -> Result<(), Failure> {
    let whole = import.into_store(store).await;
    say(path, &whole.map_err(|error| unusable(path, &error))?);
    Ok(())
}

fn say(path: &Path, whole: &Whole) {
    println!(
        "{}: {} URLs known, {} queued, {} done, {} kept",
        path.display(),
        whole.known,
        whole.queued,
        whole.done,
        whole.kept
    );
}

fn unusable(path: &Path, error: &FileError) -> Failure {
    let code = match error {
        FileError::Store(error) if error.class() != ErrorClass::Permanent => Code::Store,
        FileError::Write(source) if source.kind() == std::io::ErrorKind::StorageFull => {
            Code::DiskFull
        }
        _ => Code::BadInput,
    };
    Failure::new(code, format!("{}: {}", path.display(), chain(error)))
}
