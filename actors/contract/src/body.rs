//! A body as received: chunks in memory, or an unlinked file.
//!
//! Owns the bytes and their reservation; both go with its `Drop` (I8). Parser and storage read the same chunks
//! without a copy. It knows no codings ([`crate::coding`] does). Start at [`Body::for_each`].

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use crate::memory::Reservation;

/// Read size for bodies in files.
const FILE_CHUNK: usize = 64 * 1_024;

/// What came after the head, transfer coding removed, content coding kept.
#[derive(Debug, Default)]
pub struct Body {
    place: Place,
    len: u64,
    #[expect(dead_code, reason = "held for its Drop")]
    held: Option<Reservation>,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<Bytes>),
    /// A file without a name: gone when closed.
    File(Arc<File>),
}

impl Default for Place {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Body {
    /// A body in memory, holding its reservation.
    pub fn in_memory(chunks: Vec<Bytes>, held: Option<Reservation>) -> Self {
        let len = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Self {
            place: Place::Memory(chunks),
            len,
            held,
        }
    }

    /// A body of `len` bytes in an unlinked file.
    pub fn in_file(file: File, len: u64) -> Self {
        Self {
            place: Place::File(Arc::new(file)),
            len,
            held: None,
        }
    }

    /// Length in bytes, as received.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks, when the body is in memory.
    pub fn chunks(&self) -> Option<&[Bytes]> {
        match &self.place {
            Place::Memory(chunks) => Some(chunks),
            Place::File(_) => None,
        }
    }

    /// Shows the body piece by piece, from its start, until `each` breaks.
    ///
    /// # Errors
    /// A body in a file that cannot be read (System).
    pub fn for_each(&self, mut each: impl FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<()> {
        match &self.place {
            Place::Memory(chunks) => {
                for chunk in chunks {
                    if each(chunk).is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Place::File(file) => {
                let mut buffer = vec![0; FILE_CHUNK];
                let mut at = 0;
                while at < self.len {
                    let want = usize::try_from(self.len - at)
                        .map_or(FILE_CHUNK, |left| left.min(FILE_CHUNK));
                    let got = file.read_at(&mut buffer[..want], at)?;
                    if got == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    if each(&buffer[..got]).is_break() {
                        break;
                    }
                    at += got as u64;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn memory_and_file_read_alike() {
        let text = vec![b'x'; 200_000];
        let memory = Body::in_memory(
            vec![
                Bytes::from(text[..10].to_vec()),
                Bytes::from(text[10..].to_vec()),
            ],
            None,
        );
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&text).unwrap();
        let file = Body::in_file(file, 200_000);
        for body in [memory, file] {
            let mut read = Vec::new();
            body.for_each(|piece| {
                read.extend_from_slice(piece);
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!((body.len(), read == text), (200_000, true));
        }
    }
}
