//! Files of others, damaged files and garbage.

use super::*;
use proptest::prelude::*;

fn plain(fields: &str, block: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "WARC/1.0\r\n{fields}Content-Length: {}\r\n\r\n",
        block.len()
    )
    .into_bytes();
    out.extend_from_slice(block);
    out.extend_from_slice(b"\r\n\r\n");
    out
}

fn all(bytes: &[u8]) -> (Vec<(Entry, Vec<u8>)>, Option<ReadError>) {
    let mut reader = Reader::new(bytes, "t.warc", 0);
    let mut entries = Vec::new();
    loop {
        let mut payload = Vec::new();
        match reader.next(&mut |piece| payload.extend_from_slice(piece)) {
            Ok(Some(entry)) => entries.push((entry, payload)),
            Ok(None) => return (entries, None),
            Err(error) => {
                assert!(
                    matches!(reader.next(&mut |_| {}), Ok(None)),
                    "it went on after an error"
                );
                return (entries, Some(error));
            }
        }
    }
}

#[test]
fn plain_files_of_others_are_read() {
    let one = plain(
        "WARC-Type: response\r\nX:  folded\r\n  twice\r\nContent-Type: application/http\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody",
    );
    let two = plain(
        "warc-type: resource\r\nWARC-Payload-Digest: sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ\r\n",
        b"",
    );
    let (entries, error) = all(&[one.clone(), two.clone()].concat());
    assert!(error.is_none(), "{error:?}");
    let [(first, body), (second, _)] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(first.fields.get("x"), Some("folded twice"));
    assert_eq!(
        first.http_head.as_deref(),
        Some(&b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"[..])
    );
    assert_eq!(
        (&body[..], first.payload_len, first.payload),
        (&b"body"[..], 4, Check::Absent)
    );
    assert_eq!((first.offset, first.length), (0, one.len() as u64));
    assert_eq!(
        (second.offset, second.length),
        (one.len() as u64, two.len() as u64)
    );
    assert_eq!(second.payload, Check::Right);
}

#[test]
fn an_error_says_where_and_what() {
    #[track_caller]
    fn check(bytes: &[u8], want: &str) {
        let good = plain("WARC-Type: resource\r\n", b"x");
        let (entries, error) = all(&[&good[..], bytes].concat());
        assert_eq!(entries.len(), 1);
        assert_eq!(
            error.unwrap().to_string(),
            format!("t.warc: record at {}: {want}", good.len())
        );
    }
    check(b"\0\0\0\0", "does not start with WARC/1.0 or WARC/1.1");
    check(
        b"WARC/2.0\r\n\r\n",
        "does not start with WARC/1.0 or WARC/1.1",
    );
    check(
        b"WARC/1.1\r\n\r\n",
        "the header has no usable Content-Length",
    );
    check(
        b"WARC/1.1\r\nContent-Length: -1\r\n\r\n",
        "the header has no usable Content-Length",
    );
    check(
        b"WARC/1.1\r\nContent-Length: 5\r\n\r\nabc",
        "the file ends within the record",
    );
    check(
        b"WARC/1.1\r\nContent-Length: 0\r\n\r\nabcd",
        "the record does not end with two line ends",
    );
    check(b"WARC/1.1\r\nA: b", "the file ends within the record");
    check(b"\x1f\x8b\x08\0", "the file ends within the record");
    let long = [b"WARC/1.1\r\nA: ".to_vec(), vec![b'x'; HEADER_MAX]].concat();
    check(&long, "the header is longer than 262144 bytes");
}

#[test]
fn a_wrong_digest_is_seen() {
    let (entries, _) = all(&plain(
        "WARC-Block-Digest: sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ\r\n",
        b"x",
    ));
    assert_eq!(
        (entries[0].0.block, entries[0].0.is_sound()),
        (Check::Wrong, false)
    );
}

#[test]
fn a_head_without_an_end_is_bounded() {
    let block = vec![b'x'; HTTP_HEAD_MAX + 100_000];
    let (entries, _) = all(&plain("Content-Type: application/http\r\n", &block));
    assert_eq!(
        entries[0].0.http_head.as_ref().unwrap().len(),
        HTTP_HEAD_MAX
    );
    assert_eq!(entries[0].0.payload_len, 0);
}

proptest! {
    #[test]
    fn garbage_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), gzip in any::<bool>(), at in 0_usize..200, flip in any::<u8>()) {
        all(&bytes);
        let mut file = plain("WARC-Type: response\r\nContent-Type: application/http\r\n", &bytes);
        if gzip {
            let mut out = Vec::new();
            flate2::read::GzEncoder::new(&file[..], flate2::Compression::fast()).read_to_end(&mut out).unwrap();
            file = out;
        }
        let at = at % file.len();
        file[at] ^= flip;
        all(&file);
    }
}
