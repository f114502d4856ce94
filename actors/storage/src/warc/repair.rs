//! What a crash has left: files that were never sealed.
//!
//! Such a file is read from its start; whole records stay, the torn tail goes, and the file is sealed under its
//! own name. Records behind the last settled one may stay too: their URLs come again, which repeats, but never
//! loses. Invariant: a sealed file is whole. Start at [`repair`].

use std::path::Path;

use super::reader::{Entry, Reader};
use super::writer::OPEN_SUFFIX;
use crate::disk::Disk;
use crate::error::StoreError;

/// What was done about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Name of the file, sealed; it is gone when no record was whole.
    pub file: String,
    pub records: u64,
    /// Bytes taken off its end, and why.
    pub cut: u64,
    pub why: Option<String>,
}

/// Makes the unsealed file at `path` whole and seals it; shows each record that stays. `before_seal` runs when
/// all have been shown, and the file is sealed only if it succeeds.
///
/// # Errors
/// The disk's, or those of `each` and `before_seal`.
pub fn repair(
    disk: &Disk,
    path: &Path,
    each: &mut dyn FnMut(&Entry) -> Result<(), StoreError>,
    before_seal: &mut dyn FnMut() -> Result<(), StoreError>,
) -> Result<Repaired, StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = name.strip_suffix(OPEN_SUFFIX).unwrap_or(&name).to_owned();
    let mut reader = Reader::open(path)?;
    let (mut records, mut whole, mut why) = (0, 0, None);
    loop {
        match reader.next(&mut |_| {}) {
            Ok(Some(entry)) if entry.is_sound() => {
                records += 1;
                whole = reader.offset();
                each(&entry)?;
            }
            Ok(Some(_)) => {
                why = Some("a digest does not match".to_owned());
                break;
            }
            Ok(None) => break,
            Err(error) => {
                why = Some(error.to_string());
                break;
            }
        }
    }
    let len = path
        .metadata()
        .map_err(|error| StoreError::disk("read", path, error))?
        .len();
    if records == 0 {
        disk.remove(path)?;
    } else {
        disk.cut(path, whole)?;
        before_seal()?;
        disk.rename(path, &path.with_file_name(&file))?;
    }
    Ok(Repaired {
        file,
        records,
        cut: len.saturating_sub(whole),
        why,
    })
}
