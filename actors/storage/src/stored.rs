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

/// The answer that a line names, with the body of the earlier record where its own stands for that; none where the line
/// names none, where there is no whole record of an answer in that place (of what the server said is not modified there
/// is none), or where its body is too long.
pub fn answer(layout: &Layout, entry: &Entry) -> Option<Stored> {
    let (warc, offset) = (entry.warc.as_deref()?, entry.offset?);
    let Some(first) = &entry.same_as else {
        return read(layout, warc, offset, &entry.url, "response");
    };
    let Stored { head, .. } = read(layout, warc, offset, &entry.url, "revisit")?;
    let Stored { body, .. } = read(layout, &first.warc, first.offset, &first.url, "response")?;
    Some(Stored { head, body })
}

/// Reads the record of this URL and kind in this place.
fn read(layout: &Layout, warc: &str, offset: u64, url: &str, kind: &str) -> Option<Stored> {
    let path = layout.warc(warc)?;
    let mut reader = Reader::open_at(&path, offset).ok()?;
    let (mut body, mut is_long) = (Vec::new(), false);
    let mut take = |piece: &[u8]| {
        is_long |= body.len() + piece.len() > BODY_MAX;
        if !is_long {
            body.extend_from_slice(piece);
        }
    };
    let record = reader.next(&mut take).ok()??;
    let is_answer = record.fields.get("WARC-Type") == Some(kind)
        && record.fields.get("WARC-Target-URI") == Some(url);
    let head = record.http_head.filter(|_| is_answer && !is_long)?;
    Some(Stored { head, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::figures::Row;
    use crate::ledger::LedgerReader;
    use crate::reports::finish;
    use crate::stamp;
    use crate::testing::{NOW, PageBuilder, scratch, store_pages};
    use crate::warc::record::SAME_PAYLOAD;

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

    #[test]
    fn a_payload_met_again_is_read_where_it_was_stored_first() {
        let dir = scratch();
        let body = "the same words. ".repeat(100);
        let page = |n: u32| {
            PageBuilder::new(&format!("http://a.test/{n}"))
                .header("x-n", &n.to_string())
                .html(&body)
                .build()
        };
        // The third comes after a restart: the ledger's end is remembered.
        let layout = store_pages(dir.path(), [page(0), page(1)]);
        store_pages(dir.path(), [page(2)]);
        let mut ledger = LedgerReader::open(&layout.ledger()).unwrap();
        for n in 0..3 {
            let entry = ledger.next_entry().unwrap().unwrap();
            let first = entry.same_as.as_ref().map(|first| &*first.url);
            assert_eq!(first, (n > 0).then_some("http://a.test/0"));
            let stored = answer(&layout, &entry).unwrap();
            assert_eq!(stored.body, body.as_bytes());
            let head = String::from_utf8(stored.head).unwrap();
            assert!(head.contains(&format!("x-n: {n}\r\n")), "{head}");
            if n > 0 {
                // It is smaller by more than the body, and says what it stands for.
                let path = layout.warc(entry.warc.as_deref().unwrap()).unwrap();
                let mut reader = Reader::open_at(&path, entry.offset.unwrap()).unwrap();
                let record = reader.next(&mut |_| {}).unwrap().unwrap();
                let field = |name| record.fields.get(name);
                assert_eq!(field("WARC-Profile"), Some(SAME_PAYLOAD));
                assert_eq!(field("WARC-Refers-To-Target-URI"), Some("http://a.test/0"));
                assert_eq!(field("WARC-Refers-To-Date"), Some(&*stamp::iso(NOW)));
                assert_eq!(field("WARC-Payload-Digest"), entry.digest.as_deref());
                assert_eq!(record.payload_len, 0);
            }
        }
        let figures = finish(&layout, &Disk::default()).unwrap();
        let duplicates = Row {
            urls: 2,
            bytes: 3_200,
        };
        assert_eq!((figures.kept, figures.duplicates), (3, duplicates));
        let index = std::fs::read_to_string(layout.index()).unwrap();
        assert_eq!(index.matches("\"mime\": \"warc/revisit\"").count(), 2);
        let pages = std::fs::read_to_string(layout.pages()).unwrap();
        assert_eq!(pages.matches("\"same_as\":\"http://a.test/0\"").count(), 2);
    }
}
