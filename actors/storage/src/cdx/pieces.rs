//! Sorted pieces of the index, beside each WARC file, in bounded memory.
//!
//! Lines gather in memory and go out sorted, [`PIECE_BYTES`] at a time, as `pieces/FILE.NNN.cdxj`. They are
//! made durable before their WARC file is sealed; those of an unsealed file may be lost and are made again from it.
//! Invariant: a sealed file has all its pieces. Start at [`Pieces`].

use std::fs;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::StoreError;

/// A piece holds about this much: it is in memory until it is written, and a WARC file of 1 GB has some ten of them.
pub const PIECE_BYTES: usize = 1 << 20;
/// End of a piece's name.
const SUFFIX: &str = ".cdxj";

/// The index of one WARC file, while it is written.
#[derive(Debug)]
pub struct Pieces {
    disk: Disk,
    folder: PathBuf,
    file: String,
    lines: String,
    done: Vec<PathBuf>,
}

impl Pieces {
    /// Starts the index of the WARC file named `file`; pieces of an earlier try are removed.
    ///
    /// # Errors
    /// The disk's.
    pub fn begin(disk: &Disk, folder: &Path, file: &str) -> Result<Self, StoreError> {
        for piece in pieces_of(folder, file)? {
            disk.remove(&piece)?;
        }
        Ok(Self {
            disk: disk.clone(),
            folder: folder.to_owned(),
            file: file.to_owned(),
            lines: String::new(),
            done: Vec::new(),
        })
    }

    /// Adds a line, which ends with its line end.
    ///
    /// # Errors
    /// The disk's.
    pub fn add(&mut self, line: &str) -> Result<(), StoreError> {
        if self.lines.len() + line.len() > PIECE_BYTES && !self.lines.is_empty() {
            self.write_piece()?;
        }
        self.lines.push_str(line);
        Ok(())
    }

    /// Writes the last piece and gives the names of all, to be made durable by [`sync`].
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, StoreError> {
        if !self.lines.is_empty() {
            self.write_piece()?;
        }
        Ok(self.done)
    }

    fn write_piece(&mut self) -> Result<(), StoreError> {
        let path = self
            .folder
            .join(format!("{}.{:03}{SUFFIX}", self.file, self.done.len()));
        let mut lines: Vec<&str> = self.lines.split_inclusive('\n').collect();
        lines.sort_unstable();
        self.disk.remove(&path)?;
        let mut piece = self.disk.create(&path)?;
        for line in lines {
            piece.buffer().extend_from_slice(line.as_bytes());
            piece.spill()?;
        }
        piece.flush()?;
        self.done.push(path);
        self.lines.clear();
        Ok(())
    }
}

/// Makes pieces durable.
///
/// # Errors
/// The disk's.
pub fn sync(disk: &Disk, pieces: &[PathBuf]) -> Result<(), StoreError> {
    for piece in pieces {
        disk.sync_file(piece)?;
    }
    pieces
        .first()
        .map_or(Ok(()), |piece| disk.sync_folder_of(piece))
}

/// The pieces of one WARC file.
fn pieces_of(folder: &Path, file: &str) -> Result<Vec<PathBuf>, StoreError> {
    let start = format!("{file}.");
    let mut found = all(folder)?;
    found.retain(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&start))
    });
    Ok(found)
}

/// All pieces in a folder, in order.
///
/// # Errors
/// A folder that cannot be read.
pub fn all(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error| StoreError::disk("list", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().ends_with(SUFFIX))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
