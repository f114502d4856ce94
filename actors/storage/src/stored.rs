//! A kept answer, read back: its head and body as they were received, or what of it a refresh needs ([`earlier`]).
//!
//! Owns how a ledger line leads to them. It judges nothing: whoever needs to know that all is sound asks
//! [`verify`](crate::verify). Start at [`answer`].

use contract::earlier::{Earlier, validator};

use crate::layout::Layout;
use crate::ledger::Entry;
use crate::warc::http_head;
use crate::warc::reader::{Entry as Read, Reader};

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

/// What a refresh of this line's URL is asked with and compared to; none where the record that has its payload is not there
/// and whole. `gone` says that the URL was not found since.
pub fn earlier(layout: &Layout, entry: &Entry, gone: bool) -> Option<Earlier> {
    let own = whole(layout, entry.warc.as_deref()?, entry.offset?, &entry.url)?;
    let payload = match &entry.same_as {
        Some(first) => whole(layout, &first.warc, first.offset, &first.url)?,
        None => own.clone(),
    };
    let field = |name| payload.fields.get(name);
    if field("WARC-Type") != Some("response")
        || field("WARC-Payload-Digest") != entry.digest.as_deref()
    {
        return None;
    }
    let (own_head, head) = (own.http_head?, payload.http_head.as_deref()?);
    // What a server does not say of a page that is not modified holds as it was (RFC 9110 section 15.4.5).
    let is_whole = entry.status != Some(304);
    let said = |name: &str| {
        let own = validator(http_head::find(&own_head, name).unwrap_or_default());
        match own {
            None if !is_whole => validator(http_head::find(head, name).unwrap_or_default()),
            own => own,
        }
    };
    let (warc, offset) = match &entry.same_as {
        Some(first) => (first.warc.clone(), first.offset),
        None => (entry.warc.as_deref()?.into(), entry.offset?),
    };
    Some(Earlier {
        digest: entry.digest.as_deref()?.into(),
        status: match is_whole {
            true => entry.status?,
            false => http_head::status(head)?.parse().ok()?,
        },
        gone,
        record: field("WARC-Record-ID")?.into(),
        url: field("WARC-Target-URI")?.into(),
        date: field("WARC-Date")?.into(),
        warc,
        offset,
        etag: said("etag"),
        modified: said("last-modified"),
    })
}

/// The record of this URL in this place, if no digest of it is wrong.
fn whole(layout: &Layout, warc: &str, offset: u64, url: &str) -> Option<Read> {
    let mut reader = Reader::open_at(&layout.warc(warc)?, offset).ok()?;
    let record = reader.next(&mut |_| {}).ok()??;
    let is_it = record.is_sound() && record.fields.get("WARC-Target-URI") == Some(url);
    is_it.then_some(record)
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
    use crate::change::Change;
    use crate::disk::Disk;
    use crate::figures::Row;
    use crate::ledger::LedgerReader;
    use crate::reports::finish;
    use crate::stamp;
    use crate::testing::{NOW, PageBuilder, scratch, store_pages};
    use crate::warc::record::{NOT_MODIFIED, SAME_PAYLOAD};

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

    /// The lines of the ledger.
    fn lines(layout: &Layout) -> Vec<Entry> {
        let mut ledger = LedgerReader::open(&layout.ledger()).unwrap();
        std::iter::from_fn(|| ledger.next_entry().unwrap()).collect()
    }

    #[test]
    fn a_refresh_stands_for_the_record_that_has_the_payload_however_often() {
        let dir = scratch();
        let body = "the same words. ".repeat(100);
        let page = || PageBuilder::new("http://a.test/x");
        let first = page()
            .header("etag", "\"1\"")
            .header("last-modified", "a while ago");
        let layout = store_pages(dir.path(), [first.html(&body).build()]);
        let refresh = |page: PageBuilder, gone: bool| {
            let before = lines(&layout).pop().unwrap();
            let mut page = page.build();
            page.page.queued.earlier = Some(Box::new(earlier(&layout, &before, gone).unwrap()));
            store_pages(dir.path(), [page]);
            lines(&layout).pop().unwrap()
        };
        let kept = |entry: &Entry| {
            let path = layout.warc(entry.warc.as_deref().unwrap()).unwrap();
            let mut reader = Reader::open_at(&path, entry.offset.unwrap()).unwrap();
            reader.next(&mut |_| {}).unwrap().unwrap().fields
        };
        let original = &lines(&layout)[0];
        let id = kept(original).get("WARC-Record-ID").unwrap().to_owned();
        let found = earlier(&layout, original, false).unwrap();
        let (etag, modified) = (found.etag.as_deref(), found.modified.as_deref());
        assert_eq!((etag, modified), (Some("\"1\""), Some("a while ago")));
        let is_revisit = |entry: &Entry, profile: &str| {
            let fields = kept(entry);
            let field = |name| fields.get(name);
            assert_eq!(field("WARC-Type"), Some("revisit"));
            assert_eq!(field("WARC-Profile"), Some(profile));
            assert_eq!(field("WARC-Refers-To"), Some(&*id));
            assert_eq!(field("WARC-Refers-To-Target-URI"), Some("http://a.test/x"));
            assert_eq!(field("WARC-Refers-To-Date"), Some(&*stamp::iso(NOW)));
            assert_eq!(entry.digest, original.digest);
            assert_eq!(field("WARC-Payload-Digest"), entry.digest.as_deref());
            assert_eq!(
                entry.same_as.as_ref().unwrap().offset,
                original.offset.unwrap()
            );
        };
        // A 304 that repeats one validator; another after it; then the same body once more, in whole.
        for _twice in 0..2 {
            let told = refresh(page().status(304).header("etag", "\"1\""), false);
            assert_eq!(told.change, Some(Change::Unchanged));
            is_revisit(&told, NOT_MODIFIED);
            let found = earlier(&layout, &told, false).unwrap();
            assert_eq!(
                (found.status, found.modified.as_deref()),
                (200, Some("a while ago"))
            );
        }
        let same = refresh(page().header("etag", "\"2\"").html(&body), true);
        assert_eq!(same.change, Some(Change::Back));
        is_revisit(&same, SAME_PAYLOAD);
        let found = earlier(&layout, &same, false).unwrap();
        assert_eq!(
            (found.etag.as_deref(), found.modified),
            (Some("\"2\""), None)
        );
        // Changed: a record of its own.
        let changed = refresh(page().html(&body.replace("same", "new")), false);
        assert_eq!(
            (changed.change, &changed.same_as),
            (Some(Change::Changed), &None)
        );
        // Gone: nothing is asked of what it was, which its line still tells.
        let gone = refresh(page().status(404).html("no"), false);
        assert_eq!(gone.change, Some(Change::Gone));
        let findings = crate::verify::verify(&layout, &mut |_, _| {}).unwrap();
        assert!(findings.is_clean(), "{findings:?}");
        let figures = finish(&layout, &Disk::default()).unwrap();
        let refreshes: Vec<_> = figures.refreshes.into_iter().collect();
        assert_eq!(
            refreshes,
            [
                (Change::Unchanged, 2),
                (Change::Changed, 1),
                (Change::Gone, 1),
                (Change::Back, 1)
            ]
        );
        assert_eq!((figures.urls, figures.kept, figures.repeats), (1, 1, 0));
        assert_eq!(
            figures.gone.into_iter().collect::<Vec<_>>(),
            ["http://a.test/x"]
        );
    }

    #[test]
    fn a_payload_in_another_folder_is_named_and_kept_here_all_the_same() {
        let (there, here) = (scratch(), scratch());
        let body = "the same words. ".repeat(100);
        let page = || PageBuilder::new("http://a.test/x").header("etag", "\"1\"");
        let other = store_pages(there.path(), [page().html(&body).build()]);
        let mut before = earlier(&other, &lines(&other)[0], false).unwrap();
        // Files of two nodes have not the same name, as those of two tests have.
        before.warc = "another".into();
        let refreshed = [page().status(304).build(), page().html(&body).build()].map(|mut page| {
            page.page.queued.earlier = Some(Box::new(before.clone()));
            page
        });
        let layout = store_pages(here.path(), refreshed);
        let [told, whole] = lines(&layout).try_into().unwrap();
        assert_eq!((told.change, told.same_as), (Some(Change::Unchanged), None));
        assert_eq!(
            (whole.change, &whole.same_as),
            (Some(Change::Unchanged), &None)
        );
        assert!(answer(&layout, &whole).is_some_and(|stored| stored.body == body.as_bytes()));
        let findings = crate::verify::verify(&layout, &mut |_, _| {}).unwrap();
        assert!(findings.is_clean(), "{findings:?}");
    }
}
