//! Bodies that are more, less or something else than they say.

use std::io::Write as _;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compress, Compression, FlushCompress};

use super::{Script, Step};

/// What a bomb unpacks to, at least: far more than any limit.
pub const BOMB_BYTES: u64 = 256 << 20;
/// A piece of a bomb, unpacked.
const PIECE: usize = 8 << 20;
/// 2^28 spaces, as a Brotli encoder with a window of 16 MiB writes them.
const BROTLI_BOMB: &str = "cfffff7f002440e2b14072effff9ffff0f8004401c1680eefd3fffffff01900088c302d0bdffe7ffff3f001200715800baf7fffc\
ffff074002200e0b40f7fe9fffffff004800c46101e8defff3ffff1f000980382c00ddfb7ffeffff032001108705a07bffcfffff7f002400e2b00074effff9\
ffff0f8004401c1680eefd3fffffff01900088c302d0bdffe7ffff3f001200715800baf7fffcffff074002200e0b40f7fe9fffffff004800c46101e8deff\
f3ffff1f000980382c00ddfb7ffeffff032001108705a07bff3f";

/// An HTML page in this content coding.
pub fn coded(coding: &str, body: &[u8]) -> Script {
    let lines = format!("Content-Type: text/html\r\nContent-Encoding: {coding}\r\n");
    Script::answer(&lines, body)
}

/// Spaces in gzip, member after member: 1 MB on the wire is 1 GB.
pub fn gzip_bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let member = encoder
        .write_all(&vec![b' '; PIECE])
        .and_then(|()| encoder.finish())
        .unwrap_or_default();
    member.repeat(128)
}

/// Spaces in zlib's format, block after block of one stream.
pub fn deflate_bomb() -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    let mut block = Vec::with_capacity(PIECE / 100);
    // Room is made beforehand, and a flushed block needs nothing of the others.
    let _ = compress.compress_vec(&vec![b' '; PIECE], &mut block, FlushCompress::Full);
    [&[0x78, 0xda][..], &block.repeat(128)].concat()
}

/// Spaces in Brotli: 203 bytes are 256 MB.
pub fn brotli_bomb() -> Vec<u8> {
    hex(BROTLI_BOMB)
}

/// Spaces in Zstandard (RFC 8878 section 3.1.1): blocks of one byte repeated, 4 bytes for 128 KiB.
pub fn zstd_bomb() -> Vec<u8> {
    const BLOCKS: u64 = 8_192;
    let mut frame = zstd_head(7);
    for n in 1..=BLOCKS {
        frame.extend(zstd_block(n == BLOCKS, 1, 128 * 1_024));
        frame.push(b' ');
    }
    frame
}

/// A small page in a Zstandard frame whose window is declared as 1 GiB.
pub fn zstd_wide(text: &[u8]) -> Vec<u8> {
    let mut frame = zstd_head(20);
    // Texts of tests are short.
    frame.extend(zstd_block(true, 0, u32::try_from(text.len()).unwrap_or(0)));
    frame.extend(text);
    frame
}

/// Magic number, a descriptor without size or checksum, and a window of 2^(10 + `exponent`) bytes.
fn zstd_head(exponent: u8) -> Vec<u8> {
    vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3]
}

fn zstd_block(last: bool, kind: u32, size: u32) -> [u8; 3] {
    let [a, b, c, _] = (size << 3 | kind << 1 | u32::from(last)).to_le_bytes();
    [a, b, c]
}

/// This text deflated `times` times over.
pub fn nested_gzip(text: &[u8], times: usize) -> Vec<u8> {
    (0..times).fold(text.to_vec(), |inner, _| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder
            .write_all(&inner)
            .and_then(|()| encoder.finish())
            .unwrap_or_default()
    })
}

/// This text as raw deflate.
pub fn raw_deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(text)
        .and_then(|()| encoder.finish())
        .unwrap_or_default()
}

/// A head with these lines, before a body that follows as steps.
pub fn head(lines: &str) -> Script {
    Script::send(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{lines}\r\n"
    ))
}

/// A body without end.
pub fn endless() -> Script {
    head("").then(Step::Repeat(b"<p>more</p>\n".to_vec(), None))
}

/// A page whose link leads to `/smuggled`, as a whole answer: whoever reads it was led astray.
pub fn smuggled() -> Vec<u8> {
    let body = "<!DOCTYPE html><a href=/smuggled>s</a>";
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | pair.get(1).map_or(0, |&low| digit(low)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, copy, sink};

    use flate2::read::{MultiGzDecoder, ZlibDecoder};

    use super::*;

    #[test]
    fn bombs_are_small_and_unpack_to_much() {
        let gzip = gzip_bomb();
        assert!(gzip.len() < 1_100_000, "{}", gzip.len());
        let mut plain = MultiGzDecoder::new(&gzip[..]).take(BOMB_BYTES);
        assert_eq!(copy(&mut plain, &mut sink()).unwrap(), BOMB_BYTES);
        let deflate = deflate_bomb();
        assert!(deflate.len() < 1_200_000, "{}", deflate.len());
        let mut plain = ZlibDecoder::new(&deflate[..]).take(BOMB_BYTES);
        assert_eq!(copy(&mut plain, &mut sink()).unwrap(), BOMB_BYTES);
        assert_eq!(brotli_bomb().len(), 203);
        assert_eq!(zstd_bomb().len(), 6 + 4 * 8_192);
    }
}
