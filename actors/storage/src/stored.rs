//! A kept answer, read back: its head and body as they were received.
//!
//! Owns how a ledger line leads to them. It judges nothing: whoever needs to know that all is sound asks
//! [`verify`](crate::verify). Start at [`answer`].

use crate::layout::Layout;
use crate::ledger::Entry;
use crate::warc::reader::Reader;

/// Longer bodies are not read back: a sitemap may be as long, and nothing else is read for links that far.
pub const BODY_MAX: usize = 64 << 20;

/// An answer as it was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The HTTP head with its empty line.
    pub head: Vec<u8>,
    /// As received, content coding kept.
    pub body: Vec<u8>,
}

/// The answer that a line names; none where the line names none, where there is no whole record of an answer in that
/// place (a revisit's payload is elsewhere), or where its body is too long.
pub fn answer(layout: &Layout, entry: &Entry) -> Option<Stored> {
    let path = layout.warc(entry.warc.as_deref()?)?;
    let mut reader = Reader::open_at(&path, entry.offset?).ok()?;
    let (mut body, mut is_long) = (Vec::new(), false);
    let mut take = |piece: &[u8]| {
        is_long |= body.len() + piece.len() > BODY_MAX;
        if !is_long {
            body.extend_from_slice(piece);
        }
    };
    let record = reader.next(&mut take).ok()??;
    let is_answer = record.fields.get("WARC-Type") == Some("response")
        && record.fields.get("WARC-Target-URI") == Some(&entry.url);
    let head = record.http_head.filter(|_| is_answer && !is_long)?;
    Some(Stored { head, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerReader;
    use crate::testing::{PageBuilder, scratch, store_pages};

    #[test]
    fn an_answer_is_read_back_by_its_line() {
        let dir = scratch();
        let pages = (0..3).map(|n| {
            PageBuilder::new(&format!("http://a.test/{n}"))
                .html(&format!("page {n}"))
                .build()
        });
        let layout = store_pages(dir.path(), pages);
        let mut ledger = LedgerReader::open(&layout.ledger()).unwrap();
        let (mut n, mut last) = (0, Entry::default());
        while let Some(entry) = ledger.next_entry().unwrap() {
            let stored = answer(&layout, &entry).unwrap();
            assert_eq!(stored.body, format!("page {n}").into_bytes());
            assert!(stored.head.starts_with(b"HTTP/1.1 200") && stored.head.ends_with(b"\r\n\r\n"));
            (n, last) = (n + 1, entry);
        }
        assert_eq!(n, 3);
        let other = Entry {
            url: "http://a.test/0".into(),
            ..last.clone()
        };
        assert_eq!(
            answer(&layout, &other),
            None,
            "the record is of another URL"
        );
        let none = Entry { warc: None, ..last };
        assert_eq!(answer(&layout, &none), None);
    }
}
