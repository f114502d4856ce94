//! A body as it comes in: kept as received while that is cheap, in a file when it is not.
//!
//! Owns the byte budget's rules for one body (DESIGN.md, Transport): the request's reserve covers the start, growing
//! asks without waiting, and on refusal or above [`SPILL_ABOVE`] the body goes to a file without a name.
//! Chunks are not copied, but for crumbs: each chunk has a cost of its own, and a hostile server sends millions.
//! Invariant (I6): what is in memory is never more than what is reserved, plus one chunk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use contract::body::Body;
use contract::memory::{ByteBudget, REQUEST_RESERVE, Reservation};

/// A longer body goes to a file.
const SPILL_ABOVE: u64 = 1_024 * 1_024;
/// A smaller chunk is a crumb: it is copied to others.
const CRUMB: usize = 4 * 1_024;
/// Crumbs are collected up to this size.
const CRUMBS_MAX: usize = 16 * 1_024;

/// Where bodies go that are too large for memory.
#[derive(Clone, Debug)]
pub(crate) struct SpillDir(Arc<Path>);

impl SpillDir {
    /// A folder that exists and can be written to.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path.into())
    }

    /// A file without a name: it is gone when it is closed, also by a crash.
    fn open(&self) -> io::Result<File> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.0.join(format!("body-{}-{number}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }
}

/// A body that grows.
#[derive(Debug)]
pub(crate) struct Gather {
    budget: ByteBudget,
    held: Reservation,
    dir: SpillDir,
    chunks: Vec<Bytes>,
    crumbs: BytesMut,
    /// Bytes in `chunks` and `crumbs`.
    in_memory: u64,
    len: u64,
    file: Option<File>,
}

impl Gather {
    /// An empty body that holds a request's reserve.
    pub(crate) fn new(budget: ByteBudget, held: Reservation, dir: SpillDir) -> Self {
        let (chunks, crumbs) = (Vec::new(), BytesMut::new());
        Self {
            budget,
            held,
            dir,
            chunks,
            crumbs,
            in_memory: 0,
            len: 0,
            file: None,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds what came.
    ///
    /// # Errors
    /// The file cannot be made or written (System).
    pub(crate) async fn push(&mut self, chunk: Bytes) -> io::Result<()> {
        self.len += chunk.len() as u64;
        self.in_memory += chunk.len() as u64;
        if chunk.len() < CRUMB {
            self.crumbs.extend_from_slice(&chunk);
            if self.crumbs.len() >= CRUMBS_MAX {
                self.keep_crumbs();
            }
        } else {
            self.keep_crumbs();
            self.chunks.push(chunk);
        }
        let in_file = self.file.is_some();
        let fits = if in_file {
            self.in_memory <= REQUEST_RESERVE
        } else {
            self.len <= SPILL_ABOVE && self.held.grow_to(&self.budget, self.in_memory)
        };
        if !fits {
            self.spill().await?;
        }
        Ok(())
    }

    fn keep_crumbs(&mut self) {
        if !self.crumbs.is_empty() {
            self.chunks.push(self.crumbs.split().freeze());
        }
    }

    /// Moves what is in memory to the file, away from the thread that serves other requests.
    async fn spill(&mut self) -> io::Result<()> {
        self.keep_crumbs();
        let chunks = std::mem::take(&mut self.chunks);
        let file = self.file.take();
        let dir = self.dir.clone();
        let write = move || {
            let mut file = file.map_or_else(|| dir.open(), Ok)?;
            for chunk in &chunks {
                file.write_all(chunk)?;
            }
            Ok::<_, io::Error>(file)
        };
        // A join error means a panic in the closure (it has none) or the runtime's end.
        self.file = Some(
            tokio::task::spawn_blocking(write)
                .await
                .map_err(io::Error::other)??,
        );
        self.in_memory = 0;
        self.held.shrink_to(REQUEST_RESERVE);
        Ok(())
    }

    /// The body, with the reservation for what of it is in memory.
    ///
    /// # Errors
    /// The file cannot be written (System).
    pub(crate) async fn finish(mut self) -> io::Result<Body> {
        if self.file.is_some() {
            self.spill().await?;
        }
        self.keep_crumbs();
        match self.file {
            Some(file) => Ok(Body::in_file(file, self.len)),
            None => {
                // Chunks are views of read buffers, so that a small body may hold more than its length.
                self.held.shrink_to(
                    self.len
                        .saturating_mul(2)
                        .clamp(8 * 1_024, self.held.bytes()),
                );
                Ok(Body::in_memory(self.chunks, Some(self.held)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    async fn gather(budget: &ByteBudget, dir: &Path) -> Gather {
        Gather::new(
            budget.clone(),
            budget.reserve().await,
            SpillDir::new(dir.to_owned()),
        )
    }

    fn read(body: &Body) -> Vec<u8> {
        let mut all = Vec::new();
        body.for_each(|piece| {
            all.extend_from_slice(piece);
            ControlFlow::Continue(())
        })
        .unwrap();
        all
    }

    #[tokio::test]
    async fn any_cut_into_chunks_gives_the_same_body() {
        let dir = tempfile::tempdir().unwrap();
        let budget = ByteBudget::new(64 << 20);
        let text: Vec<u8> = (0..1_500_000_u32)
            .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
            .collect();
        for (len, in_file) in [
            (0, false),
            (100, false),
            (1_048_576, false),
            (1_048_577, true),
            (1_500_000, true),
        ] {
            for step in [999, 4_096, 70_000] {
                let mut body = gather(&budget, dir.path()).await;
                for chunk in text[..len].chunks(step) {
                    body.push(Bytes::copy_from_slice(chunk)).await.unwrap();
                }
                let body = body.finish().await.unwrap();
                assert_eq!(body.chunks().is_none(), in_file, "{len} by {step}");
                assert!(read(&body) == text[..len], "{len} by {step}");
            }
        }
        assert_eq!(budget.held(), 0, "every reservation came back");
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "no file has a name"
        );
    }

    #[tokio::test]
    async fn a_full_budget_sends_bodies_to_files_and_blocks_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let budget = ByteBudget::new(3 * REQUEST_RESERVE);
        let mut first = gather(&budget, dir.path()).await;
        let mut second = gather(&budget, dir.path()).await;
        first.push(Bytes::from(vec![1; 100_000])).await.unwrap();
        second.push(Bytes::from(vec![2; 100_000])).await.unwrap();
        let (first, second) = (
            first.finish().await.unwrap(),
            second.finish().await.unwrap(),
        );
        assert!(first.chunks().is_some() && second.chunks().is_none());
        assert_eq!(read(&second), vec![2; 100_000]);
        drop((first, second));
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn crumbs_are_collected() {
        let dir = tempfile::tempdir().unwrap();
        let budget = ByteBudget::new(1 << 20);
        let mut body = gather(&budget, dir.path()).await;
        for _ in 0..40_000 {
            body.push(Bytes::from_static(b"x")).await.unwrap();
        }
        let body = body.finish().await.unwrap();
        assert_eq!(
            (body.len(), body.chunks().map(<[Bytes]>::len)),
            (40_000, Some(3))
        );
        drop(body);
        let mut small = gather(&budget, dir.path()).await;
        small.push(Bytes::from_static(b"hello")).await.unwrap();
        let _small = small.finish().await.unwrap();
        assert_eq!(
            budget.held(),
            8 * 1_024,
            "a small body gives back what it does not need"
        );
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_an_error() {
        let budget = ByteBudget::new(8 << 20);
        let mut body = gather(&budget, Path::new("/nonexistent/tmp")).await;
        assert!(body.push(Bytes::from(vec![0; 2_000_000])).await.is_err());
    }
}
