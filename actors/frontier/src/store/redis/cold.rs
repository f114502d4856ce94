//! Cold queues: what of a long class waits packed, so that a host with millions of URLs costs few bytes each.
//!
//! A class is its queue (the head, leased from), then chunks, then a tail that takes new URLs. Whoever makes the tail one
//! chunk longer packs it ([`spill`]); whoever leases from a head that runs out puts the next chunk back ([`Thin::put_back`]).
//! Redis cannot pack, so each is two round trips, and a crash between them changes nothing: the second is refused if what
//! was read has left its place since (the record's `cut` in `lua/head.lua`). It knows nothing of leases and does not read
//! elements. Invariant: the order is kept, and a chunk unpacks to what was packed, byte for byte.

#[cfg(test)]
mod tests;

use contract::codec::CodecError;
use redis::{Cmd, Value};

use super::Core;
use super::scripts::odd;
use crate::error::StoreError;
use crate::events;

/// How long the parts of a cold queue are, in URLs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    /// A class longer than this is cold; so long a tail is packed.
    pub(super) queue_max: usize,
    /// URLs of a chunk at most.
    pub(super) chunk: usize,
    /// A head shorter than this gets the next chunk; more than a lease holds.
    pub(super) low: usize,
}

impl Lengths {
    pub(super) const USUAL: Self = Self {
        queue_max: 2_048,
        chunk: 1_024,
        low: 256,
    };
}

/// Chunks that one call packs at most, about: the next one goes on.
const SPILLED_TOGETHER: usize = 64;
/// The URLs of a chunk before they are packed, in bytes; one URL may be more.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// No chunk unpacks to more.
const UNPACKED_BYTES_MAX: usize = 4 << 20;
const VERSION: u8 = 1;
/// Of zstd: the usual one.
const LEVEL: i32 = 3;

/// A host's class that is to be spilled: the host's name and the class, as the script says them.
pub(super) type Long = (String, u8);

/// Packs the tail while it is long.
///
/// # Errors
/// A store that is away or does not know the script's words.
pub(super) async fn spill(core: &Core, shard: u16, (host, class): &Long) -> Result<(), StoreError> {
    let mut packed: Option<(String, usize, Vec<u8>)> = None;
    for _ in 0..SPILLED_TOGETHER {
        let args = |cmd: &mut Cmd| {
            cmd.arg(core.shape.crawl.0)
                .arg(host)
                .arg(class)
                .arg(core.cold.queue_max)
                .arg(core.cold.chunk);
            if let Some((cut, urls, chunk)) = &packed {
                cmd.arg(cut).arg(urls).arg(&chunk[..]);
            }
        };
        let answer = core.ask(shard, &core.scripts.spill, None, args).await?;
        let (is_ours, cut, urls): (u8, String, Vec<Vec<u8>>) =
            redis::from_redis_value(answer).map_err(|_| odd("spill"))?;
        if is_ours == 0 {
            return Ok(());
        }
        if let Some((_, urls, chunk)) = &packed {
            events::Spilled {
                urls: *urls,
                bytes: chunk.len(),
            }
            .emit();
        }
        if urls.is_empty() {
            return Ok(());
        }
        let (used, chunk) = aside(move || pack(&urls)).await??;
        packed = Some((cut, used, chunk));
    }
    Ok(())
}

/// A queue whose head runs out, and its next chunk.
pub(super) struct Thin {
    host: Vec<u8>,
    class: u8,
    cut: String,
    chunk: Vec<u8>,
}

impl Thin {
    /// As the claim's script says it.
    pub(super) fn read(answer: Value) -> Option<Self> {
        let (host, class, cut, chunk) = redis::from_redis_value(answer).ok()?;
        Some(Self {
            host,
            class,
            cut,
            chunk,
        })
    }

    /// Puts the chunk into the queue; false if somebody else did.
    ///
    /// # Errors
    /// A store that is away, or a chunk that cannot be read.
    pub(super) async fn put_back(self, core: &Core, shard: u16) -> Result<bool, StoreError> {
        let chunk = self.chunk;
        let urls = aside(move || unpack(&chunk)).await??;
        let args = |cmd: &mut Cmd| {
            cmd.arg(core.shape.crawl.0)
                .arg(self.host)
                .arg(self.class)
                .arg(self.cut)
                .arg(&urls);
        };
        let answer = core.ask(shard, &core.scripts.unspill, None, args).await?;
        let is_ours: u8 = redis::from_redis_value(answer).map_err(|_| odd("unspill"))?;
        if is_ours == 1 {
            events::Unspilled { urls: urls.len() }.emit();
        }
        Ok(is_ours == 1)
    }
}

/// Packing takes a millisecond: not on the thread that answers.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::BrokeDown(error.to_string()))
}

fn unreadable(source: CodecError) -> StoreError {
    StoreError::Value {
        what: "chunk of a queue",
        source,
    }
}

fn engine(source: std::io::Error) -> StoreError {
    StoreError::Pack(source)
}

/// As many of the elements as fit into a chunk, from the first, and the chunk.
///
/// Of each element that part is left out which it has in common with the end of the one before: where a URL was found
/// comes last in an element, and is the same for all links of a page.
fn pack(elements: &[Vec<u8>]) -> Result<(usize, Vec<u8>), StoreError> {
    let (mut plain, mut used, mut before): (Vec<u8>, usize, &[u8]) = (Vec::new(), 0, &[]);
    for element in elements {
        if used > 0 && plain.len() + element.len() + 16 > CHUNK_BYTES_MAX {
            break;
        }
        let same = std::iter::zip(element.iter().rev(), before.iter().rev());
        let same = same.take_while(|(one, other)| one == other).count();
        let own = element.len() - same;
        put_number(&mut plain, same);
        put_number(&mut plain, own);
        plain.extend(&element[..own]);
        (used, before) = (used + 1, element);
    }
    let packed = zstd::bulk::compress(&plain, LEVEL).map_err(engine)?;
    let mut chunk = vec![VERSION];
    put_number(&mut chunk, used);
    put_number(&mut chunk, plain.len());
    chunk.extend(packed);
    Ok((used, chunk))
}

/// The elements again.
pub(super) fn unpack(chunk: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
    let (&version, mut rest) = chunk.split_first().ok_or(unreadable(CodecError::Empty))?;
    if version != VERSION {
        return Err(unreadable(CodecError::Version {
            found: version,
            known: VERSION,
        }));
    }
    let torn = || odd("chunk of a queue");
    let count = take_number(&mut rest).ok_or_else(torn)?;
    let bytes = take_number(&mut rest).filter(|&bytes| bytes <= UNPACKED_BYTES_MAX);
    let plain = zstd::bulk::decompress(rest, bytes.ok_or_else(torn)?).map_err(engine)?;
    let mut plain = &plain[..];
    let mut elements: Vec<Vec<u8>> = Vec::with_capacity(count.min(plain.len()));
    for _ in 0..count {
        let same = take_number(&mut plain).ok_or_else(torn)?;
        let own = take_number(&mut plain).ok_or_else(torn)?;
        let (own, others) = plain.split_at_checked(own).ok_or_else(torn)?;
        let before = elements.last().map_or(&[][..], |before| before);
        let from = before.len().checked_sub(same).ok_or_else(torn)?;
        let mut element = Vec::with_capacity(own.len() + same);
        element.extend(own);
        element.extend(&before[from..]);
        elements.push(element);
        plain = others;
    }
    if plain.is_empty() {
        Ok(elements)
    } else {
        Err(torn())
    }
}

/// Seven bits a byte, the lowest first.
fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0usize;
    for shift in [0, 7, 14, 21] {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
