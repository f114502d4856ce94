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

/// Lets `warcio check` read a file and returns how many records it found: all parse, every digest is right.
///
/// # Errors
/// With warcio's own words when it finds anything, or when there is no warcio.
pub fn warcio_check(archive: &Path) -> Result<usize> {
    let mut command = Command::new(find("warcio", "ARGIOPE_WARCIO")?);
    let ended = run(command.args(["check", "-v"]).arg(archive), PATIENCE)?;
    // A file torn within its last record passes for warcio, but for this remark; that of a revisit is no wonder.
    let mut remarks = ended.out.lines().map(str::trim);
    let torn = remarks.any(|remark| remark == "digest present but not checked");
    ensure!(
        ended.code == Some(0) && !torn,
        "warcio check: {}{}",
        ended.out,
        ended.err
    );
    Ok(ended
        .out
        .lines()
        .filter(|line| line.trim_start().starts_with("offset "))
        .count())
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::warc::sha1_of;

    fn record(uri: &str, body: &str) -> Vec<u8> {
        let block = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        write!(
            encoder,
            "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:16da6da0-bcdc-49c3-927e-57494593b943>\r\n\
             WARC-Date: 2026-01-02T03:04:05Z\r\nWARC-Target-URI: {uri}\r\nWARC-Payload-Digest: {}\r\n\
             Content-Type: application/http; msgtype=response\r\nContent-Length: {}\r\n\r\n{block}\r\n\r\n",
            sha1_of(b"hello"),
            block.len()
        )
        .unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn other_readers_agree_with_ours_on_good_and_bad() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let (b, a) = (
            record("http://b.test/", "hello"),
            record("http://a.test/x?y=1", "hello"),
        );
        let good = write("good.warc.gz", &[b.clone(), a.clone()].concat());
        assert_eq!(warcio_check(&good).unwrap(), 2);
        let torn = write(
            "torn.warc.gz",
            &[b.clone(), a[..a.len() - 20].to_vec()].concat(),
        );
        assert!(warcio_check(&torn).is_err());
        let wrong = write("wrong.warc.gz", &record("http://a.test/", "hullo"));
        assert!(
            warcio_check(&wrong)
                .unwrap_err()
                .to_string()
                .contains("payload digest failed")
        );

        let lines = cdxj_index(&[good]).unwrap();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].starts_with("test,a)/x?y=1 20260102030405 {"),
            "{}",
            lines[0]
        );
        assert!(lines[1].contains("\"offset\": \"0\""), "{}", lines[1]);
    }
}
