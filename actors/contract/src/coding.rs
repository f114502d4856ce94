//! Content codings (RFC 9110 section 8.4): gzip, deflate, br, zstd, undone as a stream and under limits.
//!
//! Owns the decoders; knows no HTTP and no documents. At most two codings in a row, zstd windows ≤ 8 MiB, and
//! the decoded length is counted while inflating, so that a small body cannot become a large memory.
//! Start at [`decode`].

mod whole;

use std::io::{self, Write};
use std::ops::ControlFlow;

use crate::body::Body;

pub use whole::WholeGzip;

/// No more codings than this are undone.
const CODINGS_MAX: usize = 2;
/// Largest zstd window, as a power of two (8 MiB; RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// One coding that we can undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body was not decoded to its end.
#[derive(Debug, thiserror::Error)]
pub enum CodingError {
    #[error("unknown content coding {0:?}")]
    Unknown(String),
    #[error("more than {CODINGS_MAX} content codings")]
    TooMany,
    #[error("the body does not decode")]
    Malformed(#[source] io::Error),
    #[error("the body cannot be read back")]
    Unreadable(#[source] io::Error),
}

/// Where decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeEnd {
    /// The whole body.
    Whole,
    /// After `limit` bytes; more would have come.
    Limit,
    /// The sink had enough.
    Enough,
}

/// The codings of a Content-Encoding value, outermost (last applied) first. `identity` and empty are none.
///
/// # Errors
/// A coding we do not know, or more than two.
pub fn parse(content_encoding: &str) -> Result<Vec<Coding>, CodingError> {
    let mut codings = Vec::new();
    for name in content_encoding
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let coding = match name.to_ascii_lowercase().as_str() {
            "identity" => continue,
            "gzip" | "x-gzip" => Coding::Gzip,
            "deflate" => Coding::Deflate,
            "br" => Coding::Brotli,
            "zstd" => Coding::Zstd,
            _ => return Err(CodingError::Unknown(name.chars().take(40).collect())),
        };
        if codings.len() == CODINGS_MAX {
            return Err(CodingError::TooMany);
        }
        codings.insert(0, coding);
    }
    Ok(codings)
}

/// Undoes `codings` and shows the plain bytes piece by piece, at most `limit` in all.
///
/// # Errors
/// Bytes that are no such coding (what came before is shown), or a body whose file cannot be read.
pub fn decode(
    body: &Body,
    codings: &[Coding],
    limit: u64,
    sink: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<DecodeEnd, CodingError> {
    let mut tap = Tap {
        left: limit,
        end: DecodeEnd::Whole,
        sink,
    };
    let mut chain = Chain::new(codings, &mut tap)?;
    let mut failed = None;
    body.for_each(|piece| match chain.write_all(piece) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })
    .map_err(CodingError::Unreadable)?;
    let outcome = match failed {
        Some(error) => Err(error),
        None => chain.finish(),
    };
    drop(chain);
    match (tap.end, outcome) {
        (DecodeEnd::Whole, Err(error)) => Err(CodingError::Malformed(error)),
        (end, _) => Ok(end),
    }
}

/// The innermost sink: counts, and stops the decoders by an error once it has enough.
struct Tap<'a> {
    left: u64,
    end: DecodeEnd,
    sink: &'a mut dyn FnMut(&[u8]) -> ControlFlow<()>,
}

impl Write for Tap<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        let shown = &bytes[..bytes.len().min(room)];
        self.left -= shown.len() as u64;
        if !shown.is_empty() && (self.sink)(shown).is_break() {
            self.end = DecodeEnd::Enough;
        } else if shown.len() < bytes.len() {
            self.end = DecodeEnd::Limit;
        }
        if self.end == DecodeEnd::Whole {
            Ok(bytes.len())
        } else {
            Err(io::Error::other("enough"))
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A row of decoders, each writing into the next.
enum Chain<'a> {
    Plain(&'a mut dyn Write),
    Gzip(Box<flate2::write::MultiGzDecoder<Chain<'a>>>),
    Deflate(Box<Deflate<'a>>),
    Brotli(Box<brotli::DecompressorWriter<Chain<'a>>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Chain<'a>>>),
}

impl<'a> Chain<'a> {
    fn new(codings: &[Coding], tap: &'a mut dyn Write) -> Result<Self, CodingError> {
        let mut chain = Chain::Plain(tap);
        for coding in codings.iter().rev() {
            chain = match coding {
                Coding::Gzip => Chain::Gzip(Box::new(flate2::write::MultiGzDecoder::new(chain))),
                Coding::Deflate => Chain::Deflate(Box::new(Deflate::Unsure(Some(chain)))),
                Coding::Brotli => {
                    Chain::Brotli(Box::new(brotli::DecompressorWriter::new(chain, 4_096)))
                }
                Coding::Zstd => {
                    let mut decoder =
                        zstd::stream::write::Decoder::new(chain).map_err(CodingError::Malformed)?;
                    decoder
                        .window_log_max(ZSTD_WINDOW_LOG_MAX)
                        .map_err(CodingError::Malformed)?;
                    Chain::Zstd(Box::new(decoder))
                }
            };
        }
        Ok(chain)
    }

    /// The end of the input: what is still inside the decoders comes out, and a cut body is an error.
    fn finish(&mut self) -> io::Result<()> {
        match self {
            Chain::Plain(_) => Ok(()),
            Chain::Gzip(decoder) => {
                decoder.try_finish()?;
                decoder.get_mut().finish()
            }
            Chain::Deflate(decoder) => decoder.finish(),
            Chain::Brotli(decoder) => {
                decoder.close()?;
                decoder.get_mut().finish()
            }
            Chain::Zstd(decoder) => {
                decoder.flush()?;
                decoder.get_mut().finish()
            }
        }
    }
}

impl Write for Chain<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Chain::Plain(tap) => tap.write(bytes),
            Chain::Gzip(decoder) => decoder.write(bytes),
            Chain::Deflate(decoder) => decoder.write(bytes),
            Chain::Brotli(decoder) => decoder.write(bytes),
            Chain::Zstd(decoder) => decoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `deflate` means zlib (RFC 9110 section 8.4.1.2), but some servers send raw deflate: the first byte tells.
enum Deflate<'a> {
    Unsure(Option<Chain<'a>>),
    Zlib(flate2::write::ZlibDecoder<Chain<'a>>),
    Raw(flate2::write::DeflateDecoder<Chain<'a>>),
}

impl Deflate<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Self::Unsure(chain) = self
            && let Some(&first) = bytes.first()
            && let Some(chain) = chain.take()
        {
            // A zlib header has compression method 8 and a window of at most 32 KiB (RFC 1950 section 2.2).
            *self = if first & 0x0f == 8 && first >> 4 <= 7 {
                Self::Zlib(flate2::write::ZlibDecoder::new(chain))
            } else {
                Self::Raw(flate2::write::DeflateDecoder::new(chain))
            };
        }
        match self {
            Self::Unsure(_) => Ok(0),
            Self::Zlib(decoder) => decoder.write(bytes),
            Self::Raw(decoder) => decoder.write(bytes),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Unsure(_) => Ok(()),
            Self::Zlib(decoder) => {
                decoder.try_finish()?;
                decoder.get_mut().finish()
            }
            Self::Raw(decoder) => {
                decoder.try_finish()?;
                decoder.get_mut().finish()
            }
        }
    }
}

/// Undoes `codings` of bytes in memory, at most `limit`; for small documents (robots.txt).
///
/// # Errors
/// As [`decode`]; what was decoded before the error is lost.
pub fn decode_bytes(
    body: &Body,
    codings: &[Coding],
    limit: u64,
) -> Result<(Vec<u8>, DecodeEnd), CodingError> {
    let mut plain = Vec::new();
    let end = decode(body, codings, limit, &mut |piece| {
        plain.extend_from_slice(piece);
        ControlFlow::Continue(())
    })?;
    Ok((plain, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::io::Read;

    fn coded(coding: &str, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            "gzip" => flate2::read::GzEncoder::new(text, flate2::Compression::fast())
                .read_to_end(&mut out)
                .map(drop),
            "deflate" => flate2::read::ZlibEncoder::new(text, flate2::Compression::fast())
                .read_to_end(&mut out)
                .map(drop),
            "raw" => flate2::read::DeflateEncoder::new(text, flate2::Compression::fast())
                .read_to_end(&mut out)
                .map(drop),
            "br" => brotli::CompressorReader::new(text, 4_096, 4, 20)
                .read_to_end(&mut out)
                .map(drop),
            "zstd" => zstd::stream::read::Encoder::new(text, 3)
                .unwrap()
                .read_to_end(&mut out)
                .map(drop),
            _ => text.take(u64::MAX).read_to_end(&mut out).map(drop),
        }
        .unwrap();
        out
    }

    fn in_pieces(bytes: &[u8], size: usize) -> Body {
        Body::in_memory(
            bytes
                .chunks(size.max(1))
                .map(Bytes::copy_from_slice)
                .collect(),
            None,
        )
    }

    #[test]
    fn each_coding_is_undone_in_pieces_of_any_size() {
        let text = b"<a href=x>argiope</a> ".repeat(5_000);
        #[track_caller]
        fn check(header: &str, coded: &[u8], text: &[u8]) {
            let codings = parse(header).unwrap();
            for size in [1, 7, 4_096, coded.len()] {
                let (plain, end) =
                    decode_bytes(&in_pieces(coded, size), &codings, 1 << 20).unwrap();
                assert_eq!(
                    (end, plain == text),
                    (DecodeEnd::Whole, true),
                    "{header} in pieces of {size}"
                );
            }
        }
        check("", &text, &text);
        check("identity", &text, &text);
        check("gzip", &coded("gzip", &text), &text);
        check("X-GZIP", &coded("gzip", &text), &text);
        check("deflate", &coded("deflate", &text), &text);
        check("deflate", &coded("raw", &text), &text);
        check("br", &coded("br", &text), &text);
        check("zstd", &coded("zstd", &text), &text);
        check("gzip, br", &coded("br", &coded("gzip", &text)), &text);
    }

    #[test]
    fn a_limit_holds_while_inflating() {
        let bomb = vec![0; 50 << 20];
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let body = in_pieces(&coded(coding, &bomb), 8_192);
            let mut seen = 0;
            let end = decode(&body, &parse(coding).unwrap(), 100_000, &mut |piece| {
                seen += piece.len();
                ControlFlow::Continue(())
            });
            assert_eq!(
                (end.unwrap(), seen),
                (DecodeEnd::Limit, 100_000),
                "{coding}"
            );
        }
    }

    #[test]
    fn cut_and_foreign_bytes_are_errors_that_lose_nothing_before_them() {
        let text = b"argiope ".repeat(20_000);
        for coding in ["gzip", "deflate", "br", "zstd"] {
            let whole = coded(coding, &text);
            let body = in_pieces(&whole[..whole.len() / 2], 100);
            let mut seen = Vec::new();
            let end = decode(&body, &parse(coding).unwrap(), 1 << 20, &mut |piece| {
                seen.extend_from_slice(piece);
                ControlFlow::Continue(())
            });
            assert!(text.starts_with(&seen), "{coding}");
            if coding != "zstd" {
                assert!(
                    matches!(end, Err(CodingError::Malformed(_))),
                    "{coding}: {end:?}"
                );
            }
            let garbage = in_pieces(b"this is no such coding at all, not at all", 9);
            assert!(
                decode_bytes(&garbage, &parse(coding).unwrap(), 1 << 20).is_err(),
                "{coding}"
            );
        }
        assert!(matches!(
            parse("gzip, gzip, gzip"),
            Err(CodingError::TooMany)
        ));
        assert!(matches!(parse("compress"), Err(CodingError::Unknown(_))));
    }
}
