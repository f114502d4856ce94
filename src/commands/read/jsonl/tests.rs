//! The frame from outside: ids, documents, bad lines, bounds, and a driver that waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    word: Text,
    #[serde(default)]
    fails: bool,
    #[serde(default)]
    panics: bool,
}

#[derive(Serialize)]
struct Echo {
    #[serde(skip_serializing_if = "String::is_empty")]
    word: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<(Vec<u8>, bool)>,
}

fn echo(mut case: Case<Fields>) -> Result<Echo, String> {
    assert!(!case.fields.panics, "as the case asks");
    if case.fields.fails {
        return Err("refused".to_owned());
    }
    let document = case.document().ok();
    Ok(Echo {
        word: case.fields.word.0,
        document: document.map(|document| (document.bytes, document.is_text)),
    })
}

/// What goes in, and what comes out.
fn answers(input: &[u8]) -> (Vec<String>, Tally) {
    let mut out = Vec::new();
    let tally = answer_lines(input, &mut out, echo).unwrap();
    let out = String::from_utf8(out).unwrap();
    (out.lines().map(str::to_owned).collect(), tally)
}

#[test]
fn a_case_is_answered_with_its_id() {
    #[track_caller]
    fn check(line: &str, want: &str) {
        assert_eq!(answers(line.as_bytes()).0, [want], "{line}");
    }
    check(r#"{"word":"a"}"#, r#"{"word":"a"}"#);
    check(r#"{"id":7,"word":"a"}"#, r#"{"id":7,"word":"a"}"#);
    check(
        r#"{"word":"a","id":{"n":[1,null]}}"#,
        r#"{"id":{"n":[1,null]},"word":"a"}"#,
    );
    check(r#"{"id":"x"}"#, r#"{"id":"x"}"#);
    check(r#"{"id":null,"word":"a"}"#, r#"{"word":"a"}"#);
    check(r#"{"other":1,"word":"a"}"#, r#"{"word":"a"}"#);
    // An escape may name half a pair; RFC 8259 section 8.2 leaves open what becomes of it.
    check(
        r#"{"word":"a\ud83d\ude00\ud800z\udc00"}"#,
        "{\"word\":\"a😀\u{FFFD}z\u{FFFD}\"}",
    );
    check(r#"{"text":"é"}"#, r#"{"document":[[195,169],true]}"#);
    check(r#"{"base64":"/wA="}"#, r#"{"document":[[255,0],false]}"#);
    check(r#"{"id":1,"fails":true}"#, r#"{"id":1,"error":"refused"}"#);
    check(
        r#"{"id":1,"text":"a","base64":""}"#,
        r#"{"id":1,"error":"more than one of `text`, `base64`, `file`"}"#,
    );
    check(
        r#"{"id":1,"base64":"a"}"#,
        r#"{"id":1,"error":"base64: invalid length at 0"}"#,
    );
    check(
        r#"{"id":1,"file":"/no/such"}"#,
        r#"{"id":1,"error":"file \"/no/such\": No such file or directory (os error 2)"}"#,
    );
    check(
        r#"{"id":1,"word":[]}"#,
        r#"{"id":1,"error":"no case: invalid type: sequence, expected a string at line 1 column 17"}"#,
    );
    check(r#"[1]"#, r#"{"error":"no case: not a JSON object"}"#);
    check(
        r#"{"id":1,"panics":true}"#,
        r#"{"id":1,"error":"the reader panicked: please report this case"}"#,
    );
}

#[test]
fn a_bad_line_stops_no_other_and_is_counted() {
    let (lines, tally) = answers(b"{\"word\":\"a\"}\r\n\n  \nnonsense\n\xff\n{\"word\":\"b\"}");
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(
        (&*lines[0], &*lines[3]),
        (r#"{"word":"a"}"#, r#"{"word":"b"}"#)
    );
    assert!(lines[1].starts_with(r#"{"error":"no case: "#), "{lines:?}");
    assert!(
        lines[2].starts_with(r#"{"error":"not UTF-8: "#),
        "{lines:?}"
    );
    assert_eq!(
        tally,
        Tally {
            lines: 4,
            errors: 2
        }
    );
}

#[test]
fn lines_are_bounded_and_found_in_any_pieces() {
    #[track_caller]
    fn check(pieces: &[&str], want: &[Option<&str>]) {
        let pieces = pieces
            .iter()
            .map(|piece| piece.as_bytes().to_vec())
            .collect();
        let mut lines = Lines::new(Pieces(pieces), 4);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(match line {
                Line::Whole(line) => Some(String::from_utf8(line.to_vec()).unwrap()),
                Line::TooLong => None,
            });
        }
        let want: Vec<_> = want.iter().map(|line| line.map(str::to_owned)).collect();
        assert_eq!(found, want);
    }
    check(&[], &[]);
    check(&["a\nb\n"], &[Some("a"), Some("b")]);
    check(&["a\n", "b"], &[Some("a"), Some("b")]);
    check(&["a", "b", "\n", "\nc"], &[Some("ab"), Some(""), Some("c")]);
    check(&["abcd\nabcde\na"], &[Some("abcd"), None, Some("a")]);
    check(&["abc", "def", "ghi", "\na\n"], &[None, Some("a")]);
    check(&["abcdef"], &[None]);
}

/// An input that comes in these pieces.
struct Pieces(VecDeque<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let piece = self.0.pop_front().unwrap_or_default();
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// An output that shows what was flushed.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<(Vec<u8>, usize)>>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let mut shown = self.0.lock().unwrap();
        shown.1 = shown.0.len();
        Ok(())
    }
}

/// A driver that writes its next lines only when it has seen the answers to all before.
struct Waits {
    shown: Shown,
    lines: VecDeque<&'static str>,
    answers: usize,
}

impl Read for Waits {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let shown = self.shown.0.lock().unwrap();
        let answers = shown.0[..shown.1]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        assert_eq!(answers, self.answers, "the driver would wait for ever");
        let lines = self.lines.pop_front().unwrap_or_default();
        self.answers += lines.matches('\n').count();
        buffer[..lines.len()].copy_from_slice(lines.as_bytes());
        Ok(lines.len())
    }
}

#[test]
fn whoever_waits_for_an_answer_gets_it() {
    let shown = Shown::default();
    let driver = Waits {
        shown: shown.clone(),
        lines: VecDeque::from(["{}\n", "{}\n{}\n{", "}\n"]),
        answers: 0,
    };
    let tally = answer_lines(driver, shown, echo).unwrap();
    assert_eq!(
        tally,
        Tally {
            lines: 4,
            errors: 0
        }
    );
}
