//! Other people's readers and crawlers, as oracles: warcio, cdxj-indexer, wget.
//!
//! The Python tools are found by a variable (`ARGIOPE_WARCIO`, `ARGIOPE_CDXJ_INDEXER`), on PATH, or where
//! `tests/run` installs them. A missing one is an error that says so: a check that silently does nothing is none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::files;
use crate::process::{Ended, run};

/// No tool takes longer than this for the material of our tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a tool is: as `variable` says, on PATH, or in the virtual environment of `tests/run`.
///
/// # Errors
/// When it is in none of these places.
pub fn find(tool: &str, variable: &str) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = std::env::split_paths(&path).chain([root.join("target/venv/bin")]);
    let found = folders
        .map(|folder| folder.join(tool))
        .find(|file| file.is_file());
    found.ok_or_else(|| {
        anyhow::anyhow!("{tool} is not installed; `tests/run` installs it, {variable} names it")
    })
}

/// Lets `warcio check` read a file: every record parses and every digest is right.
///
/// # Errors
/// With warcio's own words when it finds anything, or when there is no warcio.
pub fn warcio_check(archive: &Path) -> Result<()> {
    let mut command = Command::new(find("warcio", "ARGIOPE_WARCIO")?);
    let ended = run(command.args(["check", "-v"]).arg(archive), PATIENCE)?;
    // It tells of a torn file in words alone and ends with 0.
    let torn = ["no digest to check", "digest pass"]
        .iter()
        .all(|word| !ended.out.contains(word));
    ensure!(
        ended.code == Some(0) && ended.err.is_empty() && !torn,
        "warcio check: {}{}",
        ended.out,
        ended.err
    );
    Ok(())
}

/// The sorted CDXJ index that `cdxj-indexer` makes of archives, line by line.
///
/// # Errors
/// With its own words when it fails, or when it is not there.
pub fn cdxj_index(archives: &[PathBuf]) -> Result<Vec<String>> {
    let mut command = Command::new(find("cdxj-indexer", "ARGIOPE_CDXJ_INDEXER")?);
    let ended = run(command.arg("--sort").args(archives), PATIENCE)?;
    succeeded("cdxj-indexer", &ended)?;
    Ok(ended.out.lines().map(str::to_owned).collect())
}

/// Mirrors a site with wget into `folder` and returns the files it kept, by path and size.
///
/// `server` serves `http://HOST:PORT/` whatever the Host header says, so it is named as a proxy and no name
/// need be resolved. Robots rules are obeyed, every page requisite is taken, nothing is converted.
///
/// # Errors
/// When wget cannot be run or ends with anything but success or "some answer was an error" (8).
pub fn wget_mirror(home: &str, server: &str, folder: &Path) -> Result<BTreeMap<String, u64>> {
    let mut command = Command::new("wget");
    command.args([
        "--mirror",
        "--page-requisites",
        "--no-verbose",
        "--no-host-directories",
        "--no-config",
    ]);
    command
        .args([
            "--tries=2",
            "--timeout=20",
            "--local-encoding=UTF-8",
            "--directory-prefix",
        ])
        .arg(folder);
    command
        .arg(home)
        .env("http_proxy", format!("http://{server}/"))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY");
    let ended = run(&mut command, PATIENCE)?;
    if !matches!(ended.code, Some(0 | 8)) {
        bail!("wget: {:?} {}", ended.code, ended.err);
    }
    files::below(folder)
}

fn succeeded(tool: &str, ended: &Ended) -> Result<()> {
    ensure!(
        ended.code == Some(0),
        "{tool} ended with {:?}: {}{}",
        ended.code,
        ended.out,
        ended.err
    );
    Ok(())
}
