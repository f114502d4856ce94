//! One gzip member per record (ISO 28500:2017, annex D), as cheaply as the record allows.
//!
//! A body that is coded already (gzip, an image) does not get smaller: it goes into *stored* deflate blocks that
//! are framed by hand, at the cost of a copy and a CRC. All else goes through a fast compressor that is kept.
//! It knows no records and no files, only a [`Sink`]. Invariant: every member is whole gzip (RFC 1952).
//! Start at [`Packer::begin`].

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::disk::Appender;
use crate::error::StoreError;

/// Longest stored block (RFC 1951, 3.2.4).
const STORED_MAX: usize = 65_535;
/// Room offered to the compressor at a time.
const ROOM: usize = 32 * 1_024;
/// No name, no time, no extra field; "unknown" system, so that archives do not depend on the machine.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// A last block with nothing in it, in the fixed code: one bit "last", two bits "fixed", seven bits "end".
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// How a record's bytes go into its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are, in stored blocks.
    Stored,
    /// Compressed, fast rather than small.
    Deflate,
}

impl Packing {
    /// How to pack a body with these header values. Media types that are compressed inside are those of
    /// pictures, sound, film, archives, documents and fonts in their usual forms; text-based ones are not.
    pub fn of(content_encoding: Option<&[u8]>, content_type: Option<&[u8]>) -> Self {
        let coding = content_encoding.unwrap_or_default().trim_ascii();
        if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity") {
            return Self::Stored;
        }
        let mime = content_type.unwrap_or_default();
        let mime = mime
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii()
            .to_ascii_lowercase();
        let starts = |with: &[&[u8]]| with.iter().any(|start| mime.starts_with(start));
        let ends = |with: &[&[u8]]| with.iter().any(|end| mime.ends_with(end));
        let raw_inside = ends(&[
            b"svg+xml",
            b"/bmp",
            b"x-ms-bmp",
            b"/wav",
            b"x-wav",
            b"/tiff",
            b"/midi",
            b"mpegurl",
        ]);
        let coded_inside = starts(&[
            b"image/",
            b"audio/",
            b"video/",
            b"application/pdf",
            b"application/gzip",
            b"application/x-gzip",
            b"application/x-bzip",
            b"application/x-xz",
            b"application/x-7z",
            b"application/x-rar",
            b"application/vnd.rar",
            b"application/vnd.android.package-archive",
            b"application/vnd.debian.binary-package",
            b"application/vnd.openxmlformats",
            b"application/vnd.oasis.opendocument",
            b"application/zstd",
            b"application/java-archive",
            b"application/font-woff",
            b"application/x-font-woff",
            b"font/woff",
        ]) || ends(&[b"/zip", b"+zip", b"x-zip-compressed"]);
        if coded_inside && !raw_inside {
            Self::Stored
        } else {
            Self::Deflate
        }
    }
}

/// Where a member's bytes go.
pub trait Sink {
    fn buffer(&mut self) -> &mut Vec<u8>;
    /// Called between pieces: makes room if much has come together.
    fn spill(&mut self) -> Result<(), StoreError>;
}

impl Sink for Appender {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer()
    }
    fn spill(&mut self) -> Result<(), StoreError> {
        self.spill()
    }
}

impl Sink for Vec<u8> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self
    }
    fn spill(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Writes members one after the other; keeps the compressor between them.
#[derive(Debug)]
pub struct Packer {
    deflate: Compress,
    /// True between a compressed member's start and its end. Resetting the compressor then would let bits of
    /// the old stream into the new one (seen with zlib-rs 0.6), so it is replaced.
    amid: bool,
    packing: Packing,
    crc: crc32fast::Hasher,
    /// Bytes so far, modulo 2^32 as the trailer has it.
    size: u32,
}

impl Default for Packer {
    fn default() -> Self {
        Self {
            deflate: compressor(),
            amid: false,
            packing: Packing::Stored,
            crc: crc32fast::Hasher::new(),
            size: 0,
        }
    }
}

impl Packer {
    /// Starts a member. One that was left unfinished after an error is forgotten; its bytes are the sink's.
    pub fn begin(&mut self, sink: &mut impl Sink, packing: Packing) {
        if self.amid {
            self.deflate = compressor();
        } else if packing == Packing::Deflate {
            self.deflate.reset();
        }
        self.amid = packing == Packing::Deflate;
        self.packing = packing;
        self.crc.reset();
        self.size = 0;
        sink.buffer().extend_from_slice(&GZIP_HEADER);
    }

    /// The next bytes of the member.
    ///
    /// # Errors
    /// The sink's.
    pub fn piece(&mut self, sink: &mut impl Sink, bytes: &[u8]) -> Result<(), StoreError> {
        self.crc.update(bytes);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the trailer counts modulo 2^32"
        )]
        {
            self.size = self.size.wrapping_add(bytes.len() as u32);
        }
        match self.packing {
            Packing::Stored => {
                for block in bytes.chunks(STORED_MAX) {
                    let len = u16::try_from(block.len()).unwrap_or(u16::MAX); // chunks of STORED_MAX
                    let out = sink.buffer();
                    out.reserve(5 + block.len());
                    out.push(0);
                    out.extend_from_slice(&len.to_le_bytes());
                    out.extend_from_slice(&(!len).to_le_bytes());
                    out.extend_from_slice(block);
                    sink.spill()?;
                }
            }
            Packing::Deflate => {
                let mut left = bytes;
                while !left.is_empty() {
                    let before = self.deflate.total_in();
                    let out = sink.buffer();
                    out.reserve(ROOM);
                    self.deflate
                        .compress_vec(left, out, FlushCompress::None)
                        .map_err(impossible)?;
                    let taken =
                        usize::try_from(self.deflate.total_in() - before).unwrap_or(usize::MAX);
                    left = left.get(taken..).unwrap_or_default();
                    sink.spill()?;
                }
            }
        }
        Ok(())
    }

    /// Ends the member with its trailer.
    ///
    /// # Errors
    /// The sink's.
    pub fn end(&mut self, sink: &mut impl Sink) -> Result<(), StoreError> {
        match self.packing {
            Packing::Stored => sink.buffer().extend_from_slice(&LAST_BLOCK),
            Packing::Deflate => loop {
                let out = sink.buffer();
                out.reserve(ROOM);
                let status = self
                    .deflate
                    .compress_vec(&[], out, FlushCompress::Finish)
                    .map_err(impossible)?;
                if status == Status::StreamEnd {
                    self.amid = false;
                    break;
                }
                sink.spill()?;
            },
        }
        let crc = std::mem::take(&mut self.crc).finalize();
        let out = sink.buffer();
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        sink.spill()
    }
}

fn compressor() -> Compress {
    Compress::new(Compression::new(1), false)
}

/// A compressor with room and valid flushes has no way to fail; if it does, the record is not written.
fn impossible(error: flate2::CompressError) -> StoreError {
    StoreError::disk(
        "compress for",
        std::path::Path::new("the archive"),
        std::io::Error::other(error),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read;

    fn pack(packer: &mut Packer, packing: Packing, pieces: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        packer.begin(&mut out, packing);
        for piece in pieces {
            packer.piece(&mut out, piece).unwrap();
        }
        packer.end(&mut out).unwrap();
        out
    }

    fn unpack(member: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut decoder = flate2::bufread::GzDecoder::new(member);
        decoder.read_to_end(&mut plain).unwrap();
        assert!(decoder.into_inner().is_empty(), "bytes behind the member");
        plain
    }

    proptest! {
        #[test]
        fn any_pieces_come_back(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3_000), 0..8)) {
            let mut packer = Packer::default();
            let whole = pieces.concat();
            for packing in [Packing::Stored, Packing::Deflate, Packing::Stored, Packing::Deflate] {
                prop_assert_eq!(&unpack(&pack(&mut packer, packing, &pieces)), &whole);
            }
        }
    }

    #[test]
    fn long_pieces_are_cut_into_blocks_and_an_unfinished_member_does_no_harm() {
        let mut packer = Packer::default();
        let noise: Vec<u8> = (0..300_000_u32)
            .map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap())
            .collect();
        let mut given_up = Vec::new();
        packer.begin(&mut given_up, Packing::Deflate);
        packer.piece(&mut given_up, &noise).unwrap();
        let stored = pack(&mut packer, Packing::Stored, std::slice::from_ref(&noise));
        assert_eq!(unpack(&stored), noise);
        assert_eq!(stored.len(), noise.len() + 10 + 5 * 5 + 2 + 8);
        let text = b"the same words again and again. ".repeat(10_000);
        let packed = pack(&mut packer, Packing::Deflate, std::slice::from_ref(&text));
        assert_eq!(unpack(&packed), text);
        assert!(packed.len() < text.len() / 20, "{}", packed.len());
    }

    #[test]
    fn what_is_coded_already_is_not_coded_again() {
        #[track_caller]
        fn check(encoding: Option<&str>, mime: Option<&str>, want: Packing) {
            assert_eq!(
                Packing::of(encoding.map(str::as_bytes), mime.map(str::as_bytes)),
                want,
                "{encoding:?} {mime:?}"
            );
        }
        check(Some("gzip"), Some("text/html"), Packing::Stored);
        check(Some("br"), None, Packing::Stored);
        check(Some(" identity "), Some("text/html"), Packing::Deflate);
        check(None, Some("text/html; charset=utf-8"), Packing::Deflate);
        check(None, Some("IMAGE/PNG"), Packing::Stored);
        check(None, Some("image/svg+xml; charset=utf-8"), Packing::Deflate);
        check(None, Some("image/bmp"), Packing::Deflate);
        check(None, Some("application/zip"), Packing::Stored);
        check(None, Some("application/epub+zip"), Packing::Stored);
        check(None, Some("application/json"), Packing::Deflate);
        check(None, Some("font/woff2"), Packing::Stored);
        check(None, None, Packing::Deflate);
    }
}
