//! One connection through the proxy, with whatever is wrong at each moment.
//!
//! Each way is a reader that stamps chunks with the time when they are due and a writer that keeps to it; between
//! them lies a bounded queue. The end of a connection is an item of that queue too, so that a delay and a hole hold
//! it as they hold bytes. Start reading at [`connection`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Direction, Faults, Shared};

/// The most bytes of one chunk.
const CHUNK_BYTES: usize = 16 * 1_024;
/// The most chunks on their way at once.
const CHUNKS_MAX: usize = 256;

/// What arrives at one end and is to arrive at the other.
enum Item {
    Bytes(Vec<u8>),
    /// Nothing more will come this way.
    End,
    /// The connection has been torn down.
    Reset,
}

/// The connection is to be torn down at both ends.
struct Reset;

/// One way of a connection.
struct Way<'a> {
    direction: Direction,
    number: u64,
    faults: watch::Receiver<Faults>,
    forwarded: &'a AtomicU64,
}

/// Carries a client's connection, the proxy's `number`th, until it ends or is reset.
pub(super) async fn connection(mut client: TcpStream, number: u64, shared: Arc<Shared>) {
    let mut cut = shared.faults.subscribe();
    let mut upstream = None;
    let torn = tokio::select! {
        carried = carry(&mut client, &mut upstream, number, &shared) => carried.is_err(),
        _ = cut.wait_for(|faults| faults.cut) => true,
    };
    if torn {
        for stream in [Some(client), upstream].into_iter().flatten() {
            // Without it the end would be an orderly one; it is refused only to a socket that is gone.
            let _ = stream.set_zero_linger();
        }
    }
}

async fn carry(
    client: &mut TcpStream,
    upstream: &mut Option<TcpStream>,
    number: u64,
    shared: &Shared,
) -> Result<(), Reset> {
    let way = |direction, forwarded| Way {
        direction,
        number,
        faults: shared.faults.subscribe(),
        forwarded,
    };
    let mut there = way(Direction::ToUpstream, &shared.to_upstream);
    let mut back = way(Direction::ToClient, &shared.to_client);
    if there.loses("made") {
        return Err(Reset);
    }
    there.open().await?;
    let Ok(connected) = TcpStream::connect(shared.upstream).await else {
        back.open().await?;
        return Err(Reset);
    };
    let upstream = upstream.insert(connected);
    for stream in [&*client, &*upstream] {
        // Chunks are to go as they came; what refuses this is a socket that is gone, as reading it will show.
        let _ = stream.set_nodelay(true);
    }
    let (client_reads, client_writes) = client.split();
    let (upstream_reads, upstream_writes) = upstream.split();
    tokio::try_join!(
        there.pump(client_reads, upstream_writes),
        back.pump(upstream_reads, client_writes)
    )?;
    Ok(())
}

impl Way<'_> {
    async fn pump(self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> Result<(), Reset> {
        let (queue, queued) = mpsc::channel(CHUNKS_MAX);
        let faults = self.faults.clone();
        let writer = Self { faults, ..self };
        tokio::try_join!(self.read(from, queue), writer.write(queued, to))?;
        Ok(())
    }

    async fn read(
        &self,
        mut from: ReadHalf<'_>,
        queue: mpsc::Sender<(Instant, Item)>,
    ) -> Result<(), Reset> {
        for chunk in 1_u64.. {
            let mut bytes = Vec::with_capacity(CHUNK_BYTES);
            let item = match from.read_buf(&mut bytes).await {
                Ok(0) => Item::End,
                Ok(_) => Item::Bytes(bytes),
                Err(_) => Item::Reset,
            };
            let over = !matches!(item, Item::Bytes(_));
            if !over && self.loses(&format!("chunk {chunk}")) {
                return Err(Reset);
            }
            let due = Instant::now() + self.faults.borrow().delay;
            if queue.send((due, item)).await.is_err() || over {
                break;
            }
        }
        Ok(())
    }

    async fn write(
        mut self,
        mut queued: mpsc::Receiver<(Instant, Item)>,
        mut to: WriteHalf<'_>,
    ) -> Result<(), Reset> {
        while let Some((due, item)) = queued.recv().await {
            sleep_until(due).await;
            self.open().await?;
            let written = match item {
                Item::Bytes(bytes) => {
                    // Before they go, so that whoever has them finds them counted.
                    self.forwarded
                        .fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    to.write_all(&bytes).await
                }
                Item::End => to.shutdown().await,
                Item::Reset => return Err(Reset),
            };
            if written.is_err() {
                // The other way reads from the same socket and brings the news, when it may.
                break;
            }
        }
        Ok(())
    }

    /// Waits until no hole is in this way.
    async fn open(&mut self) -> Result<(), Reset> {
        let direction = self.direction;
        let open = self.faults.wait_for(|faults| !faults.hold(direction)).await;
        // The proxy is gone, and its connections with it.
        open.map(drop).map_err(|_| Reset)
    }

    fn loses(&self, event: &str) -> bool {
        let (number, direction) = (self.number, self.direction);
        let faults = self.faults.borrow();
        faults.lose(|| format!("connection {number} {direction:?} {event}"))
    }
}
