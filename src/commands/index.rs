//! `index`: one index, and one set of reports, of what several nodes wrote.

use std::path::{Path, PathBuf};

use contract::error::chain;
use storage::disk::Disk;
use storage::error::StoreError;
use storage::layout::Layout;
use storage::together;

use crate::exit::{Code, Failure};
use crate::folder;

/// Merges the indexes of the nodes' folders in `dir`, and writes the reports over all of them.
///
/// # Errors
/// A folder without nodes' folders in it, or the disk's.
pub fn merge(dir: &Path, output: Option<&PathBuf>) -> Result<(), Failure> {
    let parts = folder::parts(dir, None)?;
    let target = output.cloned().unwrap_or_else(|| dir.join("index.cdxj"));
    let disk = Disk::default();
    let failed = |error: StoreError| Failure::new(Code::Error, chain(&error));
    together::merge_indexes(&disk, &parts, &target).map_err(failed)?;
    let folder = Layout::new(dir);
    let figures = together::report(&disk, &parts, &folder).map_err(failed)?;
    println!(
        "{}: the index of {} nodes, WARC files as they are found from {}",
        target.display(),
        parts.len(),
        dir.display()
    );
    println!(
        "{}: {} URLs, {} kept, {} of them decided again by a second node",
        folder.reports().display(),
        figures.urls,
        figures.kept,
        figures.repeats
    );
    Ok(())
}
