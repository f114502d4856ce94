//! A disk that is soon full: a small tmpfs over a folder, for as long as its owner lives.
//!
//! Mounting needs root; [`SmallDisk::over`] says why it could not, and the test decides what that means. A helper
//! process waits for the owner's end by a pipe, so that the disk goes also when the test is killed.
//! Invariant: when the value has been dropped, the folder is an ordinary one again.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Waits until its input ends, whatever signals come, and takes the disk away.
const KEEPER: &str = r#"trap '' HUP INT TERM; read -r _; exec umount --lazy "$1""#;

/// A mounted disk; dropping it takes it away with all that is on it.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
    keeper: Child,
}

impl SmallDisk {
    /// Puts a disk of so many bytes over a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When mounting is not permitted here, in the system's own words.
    pub fn over(folder: &Path, bytes: u64) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size(bytes), "tmpfs"]);
        run(command.arg(folder))?;
        // A group of its own: what ends the test's whole group must not end the keeper before its work.
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(folder);
        let keeper = keeper.stdin(Stdio::piped()).process_group(0).spawn();
        let keeper = keeper.inspect_err(|_| {
            let _reported_by_the_error_itself = run(Command::new("umount").arg(folder));
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            keeper,
        })
    }

    /// Takes all the room that is left, by a file on the disk.
    ///
    /// # Errors
    /// Anything but the disk's being full.
    pub fn fill(&self) -> Result<Filler> {
        let filler = Filler(self.folder.join("filler"));
        let mut file = fs::File::create(&filler.0)?;
        loop {
            match file.write_all(&[7; 4_096]) {
                Err(full) if full.kind() == io::ErrorKind::StorageFull => return Ok(filler),
                wrote => wrote?,
            }
        }
    }

    /// Gives the disk another size, with all that is on it.
    ///
    /// # Errors
    /// When what is on it does not fit.
    pub fn resize(&self, bytes: u64) -> Result<()> {
        let options = format!("remount,{}", size(bytes));
        run(Command::new("mount")
            .args(["-o", &options])
            .arg(&self.folder))
    }
}

/// A file that takes a disk's room; dropping it gives that back.
#[derive(Debug)]
pub struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        // Where it cannot be removed, the test that wants its room says so.
        let _removed = fs::remove_file(&self.0);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It can only have been ended from outside; then the folder's remover says what is in its way.
        let _ended = self.keeper.wait();
    }
}

fn size(bytes: u64) -> String {
    format!("size={bytes}")
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_can_grow_and_leaves_an_ordinary_folder() {
        let folder = tempfile::tempdir().unwrap();
        let under = folder.path().join("disk");
        let disk = match SmallDisk::over(&under, 64 * 1_024) {
            Ok(disk) => disk,
            Err(error) => return println!("skipped: no disk can be mounted here: {error:#}"),
        };
        let full = fs::write(under.join("large"), vec![7; 100_000]).unwrap_err();
        assert_eq!(full.raw_os_error(), Some(28), "ENOSPC");
        disk.resize(256 * 1_024).unwrap();
        fs::write(under.join("large"), vec![7; 100_000]).unwrap();
        let filler = disk.fill().unwrap();
        assert!(fs::write(under.join("more"), vec![7; 5_000]).is_err());
        drop(filler);
        fs::write(under.join("more"), vec![7; 5_000]).unwrap();
        drop(disk);
        assert_eq!(fs::read_dir(&under).unwrap().count(), 0);
        folder.close().unwrap();
    }
}
