//! `--jsonl`: one case a line in, one answer a line out, in order.
//!
//! Owns the frame that all readers share: bounded lines, the case's `id` echoed, its document from `text`, `base64` or
//! `file`, an error as a line of its own, and when output is flushed. It knows no reader.
//! Invariant: every line that is not blank gets exactly one answer, and a case that cannot be read stops no other.
//! A driver that waits for each answer gets it: output is flushed whenever the next line is not already here.
//! Start at [`run`].

pub mod document;
mod lines;
#[cfg(test)]
mod tests;

use std::io::{ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::document::{Document, Text, read_file};
use self::lines::{Line, Lines};
use crate::exit::{Code, Failure};

/// Longer lines are skipped, and answered by an error. A base64 document of [`document::BYTES_MAX`] does not fit: those
/// that large come as files.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Answers are held back up to here while more input is waiting.
const OUT_BYTES: usize = 256 << 10;

/// A line of the input: the command's own fields, and the document if it has one.
#[derive(Debug)]
pub struct Case<F> {
    pub fields: F,
    document: Option<Document>,
}

impl<F> Case<F> {
    /// The document that the case must have.
    ///
    /// # Errors
    /// It has none.
    pub fn document(&mut self) -> Result<Document, String> {
        self.document
            .take()
            .ok_or_else(|| "no document: give one of `text`, `base64`, `file`".to_owned())
    }
}

/// What the frame itself reads of a line.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame {
    id: Option<Value>,
    text: Option<Text>,
    base64: Option<String>,
    file: Option<String>,
}

/// Answers every line of stdin on stdout.
///
/// `answer` gets the case's fields, whose unknown ones are ignored, and gives an object or why there is none.
///
/// # Errors
/// Input or output that fails. A reader that closes the pipe ends the run quietly.
pub fn run<F: DeserializeOwned, A: Serialize>(
    answer: impl FnMut(Case<F>) -> Result<A, String>,
) -> Result<Code, Failure> {
    let tally = answer_lines(std::io::stdin().lock(), std::io::stdout().lock(), answer);
    match tally {
        Ok(Tally { errors: 0, .. }) => Ok(Code::Done),
        Ok(Tally { lines, errors }) => Err(Failure::input(format!(
            "{errors} of {lines} lines could not be read; their answers say why"
        ))),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Code::Done),
        Err(error) => Err(Failure::new(Code::Error, format!("--jsonl: {error}"))),
    }
}

/// Lines answered, and those of them that were answered by an error.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    lines: u64,
    errors: u64,
}

fn answer_lines<F: DeserializeOwned, A: Serialize>(
    input: impl Read,
    mut output: impl Write,
    mut answer: impl FnMut(Case<F>) -> Result<A, String>,
) -> std::io::Result<Tally> {
    let mut lines = Lines::new(input, LINE_BYTES_MAX);
    let mut out = Vec::with_capacity(OUT_BYTES);
    let mut tally = Tally::default();
    loop {
        if out.len() >= OUT_BYTES || !lines.is_waiting() {
            output.write_all(&out)?;
            output.flush()?;
            out.clear();
        }
        let Some(line) = lines.next()? else {
            return Ok(tally);
        };
        let line = match line {
            Line::Whole(line) if line.trim_ascii().is_empty() => continue,
            Line::Whole(line) => Ok(line),
            Line::TooLong => Err(format!("longer than {LINE_BYTES_MAX} bytes")),
        };
        tally.lines += 1;
        let (id, answer) = match line {
            Ok(line) => answer_line(line, &mut answer),
            Err(error) => (None, Err(error)),
        };
        if let Err(error) = push(&mut out, id.as_ref(), answer) {
            tally.errors += 1;
            push_object(&mut out, id.as_ref(), &Refusal { error })?;
        }
    }
}

/// The answer to a case that could not be read.
#[derive(Serialize)]
struct Refusal {
    error: String,
}

/// The case's id, as far as it could be read, and its answer.
fn answer_line<F: DeserializeOwned, A: Serialize>(
    line: &[u8],
    answer: &mut impl FnMut(Case<F>) -> Result<A, String>,
) -> (Option<Value>, Result<A, String>) {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => return (None, Err(format!("not UTF-8: {error}"))),
    };
    // A list would be taken for a struct's fields in their order.
    if !text.trim_start().starts_with('{') {
        return (None, Err("no case: not a JSON object".to_owned()));
    }
    let frame: Frame = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(error) => return (None, Err(format!("no case: {error}"))),
    };
    let answered = (|| {
        let document = document::read(frame.text, frame.base64, frame.file)?;
        let fields = serde_json::from_str(text).map_err(|error| format!("no case: {error}"))?;
        // A reader must not panic; if one does, the other cases are answered still.
        catch_unwind(AssertUnwindSafe(|| answer(Case { fields, document })))
            .unwrap_or_else(|_| Err("the reader panicked: please report this case".to_owned()))
    })();
    (frame.id, answered)
}

fn push<A: Serialize>(
    out: &mut Vec<u8>,
    id: Option<&Value>,
    answer: Result<A, String>,
) -> Result<(), String> {
    let start = out.len();
    push_object(out, id, &answer?).map_err(|error| {
        out.truncate(start);
        format!("the answer is no JSON: {error}")
    })
}

/// Appends the object as a line, the id in front of its own fields.
fn push_object(
    out: &mut Vec<u8>,
    id: Option<&Value>,
    object: &impl Serialize,
) -> serde_json::Result<()> {
    if let Some(id) = id {
        out.extend_from_slice(b"{\"id\":");
        serde_json::to_writer(&mut *out, id)?;
        let comma = out.len();
        serde_json::to_writer(&mut *out, object)?;
        // The object's own brace becomes the comma, unless nothing follows it.
        if out[comma..].starts_with(b"{}") {
            out.remove(comma);
        } else {
            out[comma] = b',';
        }
    } else {
        serde_json::to_writer(&mut *out, object)?;
    }
    out.push(b'\n');
    Ok(())
}
