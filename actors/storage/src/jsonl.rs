//! Files of JSON lines: how a line is spelled, and what a crash left of the last one.
//!
//! JSON's escaping is what keeps page text from forging a line; beyond what JSON asks, the controls that steer a
//! terminal (DEL and C1) and Unicode's own line ends are escaped too, since people look at these files.
//! Invariant: a line that is in a file is whole, or it is the last and is cut off at the next opening.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use crate::disk::{Appender, Disk};
use crate::error::StoreError;
use crate::layout::Layout;

/// Read size while looking for the last line end.
const BLOCK: u64 = 64 * 1_024;

/// Appends `value` as one line.
///
/// # Errors
/// A value that JSON cannot spell (none of ours).
pub fn push(out: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    let start = out.len();
    let mut spelled = Serializer::with_formatter(&mut *out, Visible);
    if let Err(error) = value.serialize(&mut spelled) {
        out.truncate(start);
        return Err(error.into());
    }
    out.push(b'\n');
    Ok(())
}

/// Spells strings so that they can be looked at.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        // The first bytes, in UTF-8, of all that is escaped here.
        if !text.bytes().any(|byte| matches!(byte, 0x7f | 0xc2 | 0xe2)) {
            return CompactFormatter.write_string_fragment(out, text);
        }
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            if matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}') {
                out.write_all(&text.as_bytes()[plain..at])?;
                write!(out, "\\u{:04x}", u32::from(c))?;
                plain = at + c.len_utf8();
            }
        }
        out.write_all(&text.as_bytes()[plain..])
    }
}

/// Ledger and page list, open for appending by one owner.
#[derive(Debug)]
pub struct Logs {
    pub ledger: Appender,
    pub pages: Appender,
    /// Held for its lock: whoever opens the logs after us waits until our last write is over, also when this
    /// generation of the room has died and only its sync still runs.
    _lock: File,
}

impl Logs {
    /// Opens both; cuts torn last lines off and says how many bytes that were.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(disk: &Disk, layout: &Layout) -> Result<(Self, u64), StoreError> {
        let path = layout.ledger();
        let locked = || {
            let lock = File::options().append(true).create(true).open(&path)?;
            lock.lock()?;
            Ok(lock)
        };
        let lock = locked().map_err(|error| StoreError::disk("lock", &path, error))?;
        let mut ledger = disk.append(&path)?;
        let mut pages = disk.append(&layout.pages())?;
        let mut torn = 0;
        for (file, path) in [(&mut ledger, path.clone()), (&mut pages, layout.pages())] {
            let read = || {
                let file = File::open(&path)?;
                let len = file.metadata()?.len();
                Ok((whole_lines(&file, len)?, len))
            };
            let (whole, len) = read().map_err(|error| StoreError::disk("read", &path, error))?;
            if whole < len {
                torn += len - whole;
                file.cut(whole)?;
            }
        }
        disk.sync_folder_of(&path)?;
        Ok((
            Self {
                ledger,
                pages,
                _lock: lock,
            },
            torn,
        ))
    }
}

/// Length of a file up to its last line end.
fn whole_lines(file: &File, len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(usize::MAX)];
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let part = &mut block[..usize::try_from(end - start).unwrap_or(0)];
        file.read_exact_at(part, start)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn text_stays_in_its_line_and_comes_back() {
        #[track_caller]
        fn check(text: &str, want: &str) {
            let mut out = Vec::new();
            push(&mut out, &text).unwrap();
            assert_eq!(String::from_utf8(out.clone()).unwrap(), format!("{want}\n"));
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
        check(
            "a\"}\n{\"url\":\"forged\"}\r",
            r#""a\"}\n{\"url\":\"forged\"}\r""#,
        );
        check("\u{1b}[2J\u{9b}2J\u{7f}", r#""\u001b[2J\u009b2J\u007f""#);
        check("é\u{2028}…\u{2029}", "\"é\\u2028…\\u2029\"");
        check("", r#""""#);
    }

    #[test]
    fn a_torn_last_line_is_cut_off() {
        #[track_caller]
        fn check(text: &[u8], want: usize) {
            let dir = crate::testing::scratch();
            let layout = Layout::new(dir.path());
            for folder in ["logs", "pages"] {
                fs::create_dir(dir.path().join(folder)).unwrap();
            }
            fs::write(layout.ledger(), text).unwrap();
            let (logs, torn) = Logs::open(&Disk::default(), &layout).unwrap();
            assert_eq!(torn, (text.len() - want) as u64);
            assert_eq!(logs.ledger.end(), want as u64);
            assert_eq!(fs::read(layout.ledger()).unwrap(), text[..want]);
        }
        check(b"", 0);
        check(b"{}\n", 3);
        check(b"{}\n{\"ur", 3);
        check(b"{\"ur", 0);
        let long = [b"{}\n".to_vec(), vec![b'x'; 200_000]].concat();
        check(&long, 3);
    }
}
