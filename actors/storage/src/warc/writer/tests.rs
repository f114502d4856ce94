//! Files written, torn, failing, and read back.

use super::*;
use crate::warc::digest::Digest;
use crate::warc::member::Packing;
use crate::warc::reader::{Check, Entry, Reader};
use crate::warc::repair::{Repaired, repair};
use contract::body::Body;
use contract::clock::Wall;
use contract::fault::FailPlan;
use proptest::prelude::*;
use std::fs;

const NOW: Wall = Wall(1_764_000_001_123_456);
const ENOSPC: i32 = 28;

fn config(folder: &Path, size_max: u64) -> WriterConfig {
    let info = vec![("software".to_owned(), "argiope/test".to_owned())];
    WriterConfig {
        folder: folder.to_owned(),
        prefix: "Site: A/B".to_owned(),
        size_max,
        info,
    }
}

fn writer(folder: &Path, size_max: u64, faults: FailPlan) -> Writer {
    Writer::new(
        config(folder, size_max),
        Disk::new(faults),
        Clock::manual(NOW),
        Chance::seeded(1),
    )
}

/// A response of `body` to a request for `url`.
fn put_page(
    writer: &mut Writer,
    url: &str,
    body: &Body,
    packing: Packing,
) -> Result<Span, StoreError> {
    let (id, other) = (writer.draw_id(), writer.draw_id());
    let digest = Digest::of_body(body).map_err(StoreError::Body)?;
    let response = Record {
        target: Some(url),
        payload_digest: Some(digest),
        body: Some(body),
        packing,
        ..Record::new(
            Kind::Response,
            id,
            NOW,
            "application/http; msgtype=response",
            b"HTTP/1.1 200 OK\r\n\r\n",
        )
    };
    let request = Record {
        target: Some(url),
        concurrent_to: Some(id),
        ..Record::new(
            Kind::Request,
            other,
            NOW,
            "application/http; msgtype=request",
            b"GET / HTTP/1.1\r\n\r\n",
        )
    };
    writer.append(&[response, request]).map(|spans| spans[0])
}

fn body(bytes: &[u8]) -> Body {
    Body::in_memory(
        bytes
            .chunks(1_000)
            .map(bytes::Bytes::copy_from_slice)
            .collect(),
        None,
    )
}

fn seal(writer: &mut Writer) -> PathBuf {
    let sealing = writer.take().unwrap().unwrap();
    sealing.sync().unwrap();
    sealing.seal().unwrap()
}

fn read(path: &Path) -> Vec<(Entry, Vec<u8>)> {
    let mut reader = Reader::open(path).unwrap();
    let mut entries = Vec::new();
    loop {
        let mut payload = Vec::new();
        match reader
            .next(&mut |piece| payload.extend_from_slice(piece))
            .unwrap()
        {
            Some(entry) => entries.push((entry, payload)),
            None => return entries,
        }
    }
}

#[test]
fn a_file_starts_with_warcinfo_and_is_named_as_iipc_asks() {
    let dir = crate::testing::scratch();
    let mut writer = writer(dir.path(), 1 << 30, FailPlan::none());
    let span = put_page(
        &mut writer,
        "http://a.test/",
        &body(b"hello"),
        Packing::Deflate,
    )
    .unwrap();
    writer.flush().unwrap();
    let name = "Site__A_B-20251124160001123-00000.warc.gz";
    assert_eq!(writer.file().unwrap(), name);
    assert!(dir.path().join(format!("{name}.open")).exists() && !dir.path().join(name).exists());
    let sealed = seal(&mut writer);
    assert_eq!(sealed, dir.path().join(name));

    let records = read(&sealed);
    let kinds: Vec<_> = records
        .iter()
        .map(|(e, _)| e.fields.get("WARC-Type").unwrap())
        .collect();
    assert_eq!(kinds, ["warcinfo", "response", "request"]);
    let (info, text) = &records[0];
    assert_eq!(info.fields.get("WARC-Filename"), Some(name));
    assert!(
        String::from_utf8_lossy(text)
            .starts_with("software: argiope/test\r\nformat: WARC File Format 1.1\r\n")
    );
    let (response, payload) = &records[1];
    assert_eq!(
        (response.offset, response.length),
        (span.offset, span.length)
    );
    assert_eq!(
        (&payload[..], response.payload, response.block),
        (&b"hello"[..], Check::Right, Check::Absent)
    );
    assert_eq!(
        response.fields.get("WARC-Warcinfo-ID"),
        info.fields.get("WARC-Record-ID")
    );
    let (request, _) = &records[2];
    assert_eq!(
        request.fields.get("WARC-Concurrent-To"),
        response.fields.get("WARC-Record-ID")
    );
    assert_eq!(request.block, Check::Right);
}

#[test]
fn a_full_file_is_followed_by_another_and_none_is_written_over() {
    let dir = crate::testing::scratch();
    let noise: Vec<u8> = (0..5_000_u32)
        .map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap())
        .collect();
    let mut sealed = Vec::new();
    // Two writers in the same millisecond: the second finds the first's names taken.
    for _ in 0..2 {
        let mut writer = writer(dir.path(), 4_000, FailPlan::none());
        for _ in 0..3 {
            put_page(
                &mut writer,
                "http://a.test/",
                &body(&noise),
                Packing::Stored,
            )
            .unwrap();
            assert!(writer.is_full());
            sealed.push(seal(&mut writer));
        }
    }
    sealed.sort();
    sealed.dedup();
    assert_eq!(sealed.len(), 6);
    assert!(sealed.iter().all(|path| read(path).len() == 3));
}

#[test]
fn a_file_cut_anywhere_keeps_its_whole_records_and_nothing_else() {
    let dir = crate::testing::scratch();
    let mut whole = writer(dir.path(), 1 << 30, FailPlan::none());
    put_page(
        &mut whole,
        "http://a.test/1",
        &body(b"one"),
        Packing::Deflate,
    )
    .unwrap();
    put_page(
        &mut whole,
        "http://a.test/2",
        &body(&[b'x'; 300]),
        Packing::Stored,
    )
    .unwrap();
    let sealed = seal(&mut whole);
    let bytes = fs::read(&sealed).unwrap();
    let ends: Vec<u64> = read(&sealed)
        .iter()
        .map(|(e, _)| e.offset + e.length)
        .collect();
    let name = sealed.file_name().unwrap().to_str().unwrap().to_owned();

    let check = |torn: &[u8], what: &str| {
        let dir = crate::testing::scratch();
        let open = dir.path().join(format!("{name}{OPEN_SUFFIX}"));
        fs::write(&open, torn).unwrap();
        let (mut shown, mut ready) = (0, false);
        let done = repair(
            &Disk::default(),
            &open,
            &mut |_| {
                shown += 1;
                Ok(())
            },
            &mut || {
                ready = true;
                Ok(())
            },
        );
        let want = ends.iter().filter(|end| **end <= torn.len() as u64).count() as u64;
        let kept = ends
            .iter()
            .rev()
            .find(|end| **end <= torn.len() as u64)
            .copied()
            .unwrap_or(0);
        let Repaired {
            file,
            records,
            cut,
            why,
        } = done.unwrap();
        assert_eq!(
            (file.as_str(), records, shown, cut),
            (name.as_str(), want, want, torn.len() as u64 - kept),
            "{what}"
        );
        assert_eq!((why.is_some(), ready), (cut > 0, want > 0), "{what}");
        assert!(!open.exists(), "{what}");
        let sealed = dir.path().join(&name);
        assert_eq!(sealed.exists(), want > 0, "{what}");
        if want > 0 {
            assert_eq!(
                fs::read(sealed).unwrap(),
                &torn[..usize::try_from(kept).unwrap()],
                "{what}"
            );
        }
    };
    for at in 0..=bytes.len() {
        check(&bytes[..at], &format!("cut at {at}"));
    }
    // A crash of the machine may leave zeros or rubbish where data was promised.
    for end in &ends {
        let mut torn = bytes[..usize::try_from(*end).unwrap()].to_vec();
        let len = torn.len();
        torn.extend_from_slice(&[0; 4_096]);
        check_tail(&torn, len, &name);
        torn[len..].fill(0x1f);
        check_tail(&torn, len, &name);
    }
}

fn check_tail(torn: &[u8], good: usize, name: &str) {
    let dir = crate::testing::scratch();
    let open = dir.path().join(format!("{name}{OPEN_SUFFIX}"));
    fs::write(&open, torn).unwrap();
    repair(&Disk::default(), &open, &mut |_| Ok(()), &mut || Ok(())).unwrap();
    assert_eq!(fs::read(dir.path().join(name)).unwrap(), &torn[..good]);
}

#[test]
fn a_bit_that_flipped_in_the_tail_is_found() {
    let dir = crate::testing::scratch();
    let mut writer = writer(dir.path(), 1 << 30, FailPlan::none());
    put_page(
        &mut writer,
        "http://a.test/1",
        &body(b"one"),
        Packing::Stored,
    )
    .unwrap();
    let span = put_page(
        &mut writer,
        "http://a.test/2",
        &body(&[b'x'; 300]),
        Packing::Stored,
    )
    .unwrap();
    writer.flush().unwrap();
    let open = dir
        .path()
        .join(format!("{}{OPEN_SUFFIX}", writer.file().unwrap()));
    let mut bytes = fs::read(&open).unwrap();
    bytes[usize::try_from(span.offset + span.length).unwrap() - 60] ^= 1;
    fs::write(&open, bytes).unwrap();
    let done = repair(&Disk::default(), &open, &mut |_| Ok(()), &mut || Ok(())).unwrap();
    assert_eq!(done.records, 3, "{done:?}");
}

#[test]
fn whichever_step_fails_what_was_appended_before_it_stays_whole() {
    let large = body(&vec![b'y'; 3 << 20]);
    let mut n = 0;
    loop {
        n += 1;
        let dir = crate::testing::scratch();
        let faults = FailPlan::nth(n, ENOSPC, false);
        let mut writer = writer(dir.path(), 8 << 20, faults.clone());
        let (mut kept, mut refused) = (Vec::new(), 0);
        for round in 0..6 {
            let url = format!("http://a.test/{round}");
            let page = if round % 2 == 1 {
                &large
            } else {
                &body(b"small")
            };
            match put_page(&mut writer, &url, page, Packing::Stored).and_then(|_| writer.flush()) {
                Ok(()) => kept.push(url),
                Err(error) => {
                    assert!(error.is_disk_full(), "step {n}: {error}");
                    refused += 1;
                }
            }
        }
        let sealed = writer
            .take()
            .and_then(|s| s.map_or(Ok(()), |s| s.sync().and_then(|()| s.seal()).map(drop)));
        assert_eq!(
            refused + u32::from(sealed.is_err()),
            u32::from(faults.fired()),
            "step {n}"
        );
        for file in fs::read_dir(dir.path()).unwrap() {
            let path = file.unwrap().path();
            if path.to_string_lossy().ends_with(OPEN_SUFFIX) {
                repair(&Disk::default(), &path, &mut |_| Ok(()), &mut || Ok(())).unwrap();
            }
        }
        let mut found = Vec::new();
        for file in fs::read_dir(dir.path()).unwrap() {
            for (entry, _) in read(&file.unwrap().path()) {
                assert!(entry.is_sound());
                if entry.fields.get("WARC-Type") == Some("response") {
                    found.push(entry.fields.get("WARC-Target-URI").unwrap().to_owned());
                }
            }
        }
        found.sort();
        for url in &kept {
            assert!(
                found.contains(url),
                "step {n}: {url} is gone, {found:?} is there"
            );
        }
        if !faults.fired() {
            assert!(n > 6, "only {n} steps could fail");
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read_back(
        pages in prop::collection::vec((".{0,40}", prop::collection::vec(any::<u8>(), 0..70_000), any::<bool>()), 1..6)
    ) {
        let dir = crate::testing::scratch();
        let mut writer = writer(dir.path(), 1 << 30, FailPlan::none());
        let mut spans = Vec::new();
        for (url, bytes, stored) in &pages {
            let packing = if *stored { Packing::Stored } else { Packing::Deflate };
            spans.push(put_page(&mut writer, url, &body(bytes), packing).unwrap());
        }
        let sealed = seal(&mut writer);
        let records = read(&sealed);
        prop_assert_eq!(records.len(), 1 + 2 * pages.len());
        for ((pair, span), (url, bytes, _)) in records[1..].chunks(2).zip(&spans).zip(&pages) {
            let (entry, payload) = &pair[0];
            prop_assert_eq!((entry.offset, entry.length), (span.offset, span.length));
            prop_assert!(entry.is_sound() && entry.payload == Check::Right);
            prop_assert_eq!(payload, bytes);
            let shown: String = url.chars().filter(|c| *c == '\t' || !c.is_ascii_control()).collect();
            prop_assert_eq!(entry.fields.get("WARC-Target-URI"), Some(shown.trim()));
            let mut at = Reader::open_at(&sealed, span.offset).unwrap();
            let again = at.next(&mut |_| {}).unwrap().unwrap();
            prop_assert_eq!(again.fields, entry.fields.clone());
        }
    }
}
