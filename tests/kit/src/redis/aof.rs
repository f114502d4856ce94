//! What a power cut takes from a server's journal: the end of its newest append-only file.
//!
//! A killed server loses nothing that it has answered for, since the system has its writes; a machine that loses
//! power keeps a prefix of the file, whole commands or not. It knows the files (`appendonlydir`, since Redis 7),
//! not the process, which must have ended. Start reading at [`cut_bytes`].

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::client;

const FOLDER: &str = "appendonlydir";
const MANIFEST: &str = "appendonly.aof.manifest";

/// Takes so many bytes from the end and returns how many are left.
pub(super) fn cut_bytes(folder: &Path, bytes: u64) -> Result<u64> {
    let path = newest(folder)?;
    let file = open(&path)?;
    let had = file.metadata()?.len();
    let left = had
        .checked_sub(bytes)
        .with_context(|| format!("{} has {had} bytes only", path.display()))?;
    file.set_len(left)?;
    Ok(left)
}

/// Takes so many commands from the end, and what is torn after the last whole one; returns how many are left.
pub(super) fn cut_commands(folder: &Path, commands: usize) -> Result<usize> {
    let path = newest(folder)?;
    let ends = ends(&std::fs::read(&path)?);
    let had = ends.len() - 1;
    ensure!(
        commands <= had,
        "{} has {had} commands only",
        path.display()
    );
    let left = had - commands;
    open(&path)?.set_len(ends[left])?;
    Ok(left)
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// Where commands end, from 0, which ends none. What is torn or no command ends the list.
fn ends(bytes: &[u8]) -> Vec<u64> {
    let mut ends = vec![0];
    let mut rest = bytes;
    while !rest.is_empty() && client::read(&mut rest, 0).is_ok() {
        ends.push((bytes.len() - rest.len()) as u64);
    }
    ends
}

/// The file that is appended to: the last incremental one of the manifest.
fn newest(folder: &Path) -> Result<PathBuf> {
    let folder = folder.join(FOLDER);
    let manifest = folder.join(MANIFEST);
    let text = std::fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {}; is appendonly on?", manifest.display()))?;
    let name = text
        .lines()
        .filter(|line| line.ends_with(" type i"))
        .filter_map(|line| line.split(' ').nth(1))
        .next_back()
        .with_context(|| format!("no incremental file in {}", manifest.display()))?;
    Ok(folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_those_of_whole_commands() {
        let (select, set) = (
            "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n",
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\r\n*1\r\n",
        );
        let text = [select, set, &set[..20]].concat();
        let first = select.len() as u64;
        assert_eq!(ends(text.as_bytes()), [0, first, first + set.len() as u64]);
        assert_eq!(ends(b""), [0]);
    }

    #[test]
    fn the_newest_file_of_the_manifest_is_cut_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        assert!(newest(folder.path()).is_err());
        let inner = folder.path().join(FOLDER);
        std::fs::create_dir(&inner).unwrap();
        let manifest = "file a.1.base.rdb seq 1 type b\nfile a.0.incr.aof seq 0 type h\n\
                        file a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n";
        std::fs::write(inner.join(MANIFEST), manifest).unwrap();
        std::fs::write(inner.join("a.2.incr.aof"), "*1\r\n$4\r\nPING\r\n".repeat(3)).unwrap();
        assert_eq!(cut_bytes(folder.path(), 1).unwrap(), 41);
        assert_eq!(cut_commands(folder.path(), 1).unwrap(), 1);
        assert_eq!(cut_bytes(folder.path(), 0).unwrap(), 14);
        assert!(cut_bytes(folder.path(), 15).is_err());
        assert!(cut_commands(folder.path(), 2).is_err());
    }
}
