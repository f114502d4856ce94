//! A TCP proxy on loopback that does to connections what a bad network does.
//!
//! It stands between a program and a server, carries bytes as they are and can cut, hold, delay or lose; the test
//! says what and when. It knows no protocol. A fault holds from the return of the call that orders it.
//! Invariant: bytes arrive in order, once, or the connection is reset: TCP knows no third way.
//! Start reading at [`Proxy`], then `carry.rs`.

mod carry;

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::port::Port;
use crate::seed::{Seed, mix};
use crate::serving::Serving;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToUpstream,
    /// From the server to the client.
    ToClient,
    /// Both.
    Both,
}

/// A proxy in work; dropping it closes its connections.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// To the thread that serves; held while it works on an order, so that there is one at a time.
    orders: Mutex<mpsc::Sender<Order>>,
    _serving: Serving,
}

/// What the proxy and its connections share.
struct Shared {
    upstream: SocketAddr,
    faults: watch::Sender<Faults>,
    connections: AtomicU64,
    to_upstream: AtomicU64,
    to_client: AtomicU64,
}

/// What is wrong at the moment; nothing by default.
#[derive(Clone, Default)]
struct Faults {
    cut: bool,
    hole: Option<Direction>,
    delay: Duration,
    loss: Option<(u8, Seed)>,
}

/// Listen, or close the port once all connections have ended, and say so.
struct Order {
    listen: bool,
    done: SyncSender<io::Result<()>>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and carries each connection to `upstream`, which need not be there yet:
    /// a client is reset when it is not.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        let port = Port::reserve()?;
        let address = port.address();
        let shared = Arc::new(Shared {
            upstream,
            faults: watch::Sender::default(),
            connections: AtomicU64::new(0),
            to_upstream: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
        });
        let (orders, ordered) = mpsc::channel(1);
        let serving = Serving::start("proxy", {
            let shared = shared.clone();
            move || serve(port, ordered, shared)
        })?;
        let proxy = Self {
            address,
            shared,
            orders: Mutex::new(orders),
            _serving: serving,
        };
        proxy.listen(true)?;
        Ok(proxy)
    }

    /// Where it listens; the same through every cut.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets every connection, on both sides, and refuses new ones.
    ///
    /// # Errors
    /// When the proxy's thread has died.
    pub fn cut(&self) -> io::Result<()> {
        self.change(|faults| faults.cut = true);
        self.listen(false)
    }

    /// Takes connections and forwards nothing this way: neither bytes nor a connection's end. What is held
    /// arrives when the proxy is healed, as after a cable was out for a while. A new connection reaches the server
    /// when the way to it is open. Replaces an earlier hole.
    pub fn black_hole(&self, direction: Direction) {
        self.change(|faults| faults.hole = Some(direction));
    }

    /// Forwards each chunk this much later, each way, without limiting how much is on its way at once (but to some
    /// hundred chunks). A connection is taken at once all the same.
    pub fn delay(&self, delay: Duration) {
        self.change(|faults| faults.delay = delay);
    }

    /// Resets the connection at this share of the chunks that pass and of the connections that are made, in percent.
    /// The seed, the number of the connection and that of the chunk decide which; the first connection is 1.
    ///
    /// # Panics
    /// When it is more than 100 percent.
    pub fn loss(&self, percent: u8, seed: Seed) {
        assert!(percent <= 100, "{percent} percent");
        self.change(|faults| faults.loss = Some((percent, seed)));
    }

    /// Ends every fault: takes new connections, lets what was held go on.
    ///
    /// # Errors
    /// When it cannot listen again.
    pub fn heal(&self) -> io::Result<()> {
        self.change(|faults| *faults = Faults::default());
        self.listen(true)
    }

    /// How many connections were taken so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many bytes were forwarded to the server so far.
    pub fn bytes_to_upstream(&self) -> u64 {
        self.shared.to_upstream.load(Ordering::Relaxed)
    }

    /// How many bytes were forwarded to clients so far.
    pub fn bytes_to_client(&self) -> u64 {
        self.shared.to_client.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.shared.faults.send_modify(change);
    }

    /// Has the port opened or closed, and returns when that is done.
    fn listen(&self, listen: bool) -> io::Result<()> {
        // Poisoned or not, a sender is whole.
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, is_done) = sync_channel(1);
        let gone = || io::Error::other("the proxy's thread has died");
        orders
            .try_send(Order { listen, done })
            .map_err(|_| gone())?;
        is_done.recv().map_err(|_| gone())?
    }
}

impl Faults {
    fn hold(&self, way: Direction) -> bool {
        self.hole
            .is_some_and(|hole| hole == way || hole == Direction::Both)
    }

    /// Whether the event of this name is one of those that are lost.
    fn lose(&self, event: impl FnOnce() -> String) -> bool {
        self.loss
            .is_some_and(|(percent, Seed(seed))| mix(seed, &event()) % 100 < u64::from(percent))
    }
}

async fn serve(port: Port, mut orders: mpsc::Receiver<Order>, shared: Arc<Shared>) {
    let mut listener: Option<TcpListener> = None;
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            taken = accept(listener.as_ref()) => if let Ok(client) = taken {
                let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
                carried.spawn(carry::connection(client, number, shared.clone()));
            },
            Some(_) = carried.join_next() => {}
            order = orders.recv() => {
                let Some(Order { listen, done }) = order else { return };
                let outcome = if listen {
                    if listener.is_none() { port.listen().map(|new| listener = Some(new)) } else { Ok(()) }
                } else {
                    listener = None;
                    // They have seen the cut, or see it next.
                    while carried.join_next().await.is_some() {}
                    Ok(())
                };
                // Whoever gave the order waits for this; if not, nobody misses it.
                let _ = done.send(outcome);
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
