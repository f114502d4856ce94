//! The fewest words of Redis' protocol (RESP2) that the kit needs to ask its servers things.
//!
//! One question at a time, blocking, over TCP or a server's own socket file. It knows no command. The crawler's
//! client is another one, so that no test checks it by itself. Start reading at [`Client::call`].

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// The longest line of an answer, in bytes.
const LINE_BYTES_MAX: u64 = 64 * 1_024;
/// The longest string of an answer, in bytes.
const BULK_BYTES_MAX: i64 = 64 * 1_024 * 1_024;
/// The most members of an array.
const MEMBERS_MAX: i64 = 1_000_000;
/// How deep arrays lie in arrays.
const DEPTH_MAX: usize = 8;

/// A connection to a server.
pub struct Client {
    reader: BufReader<Box<dyn Read + Send>>,
    writer: Box<dyn Write + Send>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing there.
    Nil,
    /// A word such as `OK`.
    Simple(String),
    /// A refusal that is a member of an array; a whole answer of this kind is an error of [`Client::call`].
    Refused(String),
    /// A number.
    Int(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// Several answers.
    Array(Vec<Value>),
}

impl Client {
    /// Connects over TCP; each answer is waited for so long.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn tcp(address: SocketAddr, patience: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self {
            reader: BufReader::new(Box::new(stream.try_clone()?)),
            writer: Box::new(stream),
        })
    }

    /// Connects to a server's socket file; each answer is waited for so long.
    ///
    /// # Errors
    /// When nobody listens.
    pub(super) fn unix(path: &Path, patience: Duration) -> Result<Self> {
        let stream = UnixStream::connect(path)
            .with_context(|| format!("cannot connect to {}", path.display()))?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self {
            reader: BufReader::new(Box::new(stream.try_clone()?)),
            writer: Box::new(stream),
        })
    }

    /// Gives a command and returns the answer.
    ///
    /// # Errors
    /// With the server's words when it refuses; when the connection ends, no answer comes in time, or it is none.
    /// After all but a refusal the connection is of no more use.
    pub fn call<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Value> {
        let mut message = format!("*{}\r\n", words.len()).into_bytes();
        for word in words.iter().map(AsRef::as_ref) {
            message.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            message.extend_from_slice(word);
            message.extend_from_slice(b"\r\n");
        }
        let told = || {
            let words = words.iter().take(3);
            let words: Vec<_> = words
                .map(|word| String::from_utf8_lossy(word.as_ref()))
                .collect();
            format!("no answer to {}", words.join(" "))
        };
        self.writer.write_all(&message).with_context(told)?;
        match read(&mut self.reader, 0).with_context(told)? {
            Value::Refused(why) => bail!("{why}"),
            value => Ok(value),
        }
    }
}

impl Value {
    /// A word or a string as text; empty for anything else.
    pub fn text(&self) -> String {
        match self {
            Self::Simple(text) => text.clone(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nil | Self::Refused(_) | Self::Int(_) | Self::Array(_) => String::new(),
        }
    }

    /// The members of an array; none for anything else.
    pub fn members(self) -> Vec<Self> {
        match self {
            Self::Array(members) => members,
            Self::Nil | Self::Simple(_) | Self::Refused(_) | Self::Int(_) | Self::Bulk(_) => {
                Vec::new()
            }
        }
    }
}

/// Reads one answer; `depth` is how many arrays it lies in.
pub(super) fn read(input: &mut impl BufRead, depth: usize) -> Result<Value> {
    let mut line = Vec::new();
    input
        .by_ref()
        .take(LINE_BYTES_MAX)
        .read_until(b'\n', &mut line)?;
    let Some((&kind, rest)) = line.strip_suffix(b"\r\n").and_then(<[u8]>::split_first) else {
        bail!("the answer ends in its midst");
    };
    let text = String::from_utf8_lossy(rest).into_owned();
    let number = || {
        text.parse::<i64>()
            .with_context(|| format!("{text:?} is no number"))
    };
    Ok(match kind {
        b'+' => Value::Simple(text),
        b'-' => Value::Refused(text),
        b':' => Value::Int(number()?),
        b'$' | b'*' if text == "-1" => Value::Nil,
        b'$' => {
            let length = number()?;
            ensure!(
                (0..=BULK_BYTES_MAX).contains(&length),
                "a string of {length} bytes"
            );
            let mut bytes = vec![0; usize::try_from(length)? + 2];
            input.read_exact(&mut bytes)?;
            ensure!(bytes.ends_with(b"\r\n"), "a string is longer than it says");
            bytes.truncate(bytes.len() - 2);
            Value::Bulk(bytes)
        }
        b'*' => {
            let count = number()?;
            ensure!(
                (0..=MEMBERS_MAX).contains(&count) && depth < DEPTH_MAX,
                "an array of {count} in {depth} others"
            );
            let members = (0..count).map(|_| read(input, depth + 1));
            Value::Array(members.collect::<Result<_>>()?)
        }
        _ => bail!("{text:?} is no answer"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_answer_is_read() {
        #[track_caller]
        fn check(bytes: &str, want: Value) {
            let mut input = bytes.as_bytes();
            assert_eq!(read(&mut input, 0).unwrap(), want, "{bytes:?}");
            assert_eq!(input, b"", "{bytes:?}");
        }
        check("+OK\r\n", Value::Simple("OK".to_owned()));
        check("-ERR no\r\n", Value::Refused("ERR no".to_owned()));
        check(":-7\r\n", Value::Int(-7));
        check("$-1\r\n", Value::Nil);
        check("*-1\r\n", Value::Nil);
        check("$0\r\n\r\n", Value::Bulk(Vec::new()));
        check("$3\r\na\r\n\r\n", Value::Bulk(b"a\r\n".to_vec()));
        check("*0\r\n", Value::Array(Vec::new()));
        check(
            "*2\r\n:1\r\n*1\r\n-ERR x\r\n",
            Value::Array(vec![
                Value::Int(1),
                Value::Array(vec![Value::Refused("ERR x".to_owned())]),
            ]),
        );
    }

    #[test]
    fn what_is_no_answer_is_told() {
        #[track_caller]
        fn check(bytes: &str, want: &str) {
            let error = format!("{:#}", read(&mut bytes.as_bytes(), 0).unwrap_err());
            assert!(error.contains(want), "{bytes:?}: {error}");
        }
        check("", "in its midst");
        check("+O", "in its midst");
        check("\r\n", "in its midst");
        check("!1\r\n", "no answer");
        check(":x\r\n", "no number");
        check("$-2\r\n", "-2 bytes");
        check("$99999999999\r\n", "99999999999 bytes");
        check("$1\r\nabc\r\n", "longer than it says");
        check("$5\r\nab", "fill whole buffer");
        check("*1000001\r\n", "an array of 1000001");
        check(&"*1\r\n".repeat(20), "an array of 1 in 8 others");
    }
}
