//! A real HTTP/1.1 origin on loopback, on raw sockets: any number of hosts, every request in a log.
//!
//! It serves a [`Web`], and before it the answers a test has planted for single URLs. Connections are kept
//! alive. A client that goes away while its answer is held back is noticed at once, so that a crawler killed in
//! the middle of a request does not seem to overlap with its own next life.
//! Start reading at [`Site`], then `converse`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::answer::{Answer, Piece};
use crate::log::{Entry, Log, Open, header, now};
use crate::loopback;
use crate::serving::Serving;
use crate::web::{Place, Truth, Web};

/// A request's head larger than this ends the connection.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The end of a request is stamped before this many last bytes of its answer.
const LAST_BYTES: usize = 16 * 1024;

/// What is told of each request when it ends.
type Told = Box<dyn Fn(&Entry) + Send + Sync>;

/// What hosts beside the web answer, by host and path.
type Beside = Box<dyn Fn(&str, &str) -> Option<Answer> + Send + Sync>;

/// What an origin is to be, before it listens.
#[derive(Default)]
pub struct Site {
    web: Web,
    addresses: Vec<Ipv4Addr>,
    port: u16,
    tls: Option<Arc<ServerConfig>>,
    told: Option<Told>,
    beside: Option<Beside>,
}

/// An origin that listens; dropping it closes every connection.
pub struct Origin {
    port: u16,
    shared: Arc<Shared>,
    _serving: Serving,
}

struct Shared {
    web: Web,
    port: u16,
    log: Log,
    told: Option<Told>,
    beside: Option<Beside>,
    planted: Mutex<HashMap<(String, String), Planted>>,
    visits: Mutex<HashMap<(String, String), u32>>,
}

/// Answers to give one after the other; the last one stays.
struct Planted {
    answers: Vec<Answer>,
    next: usize,
}

impl Site {
    /// An origin for `web`, on 127.0.0.1 and a free port.
    pub fn of(web: Web) -> Self {
        Self {
            web,
            ..Self::default()
        }
    }

    /// Listens on the address of each host's own ([`loopback::address_of`]) instead of 127.0.0.1.
    #[must_use]
    pub fn on_own_addresses(mut self) -> Self {
        self.addresses = self
            .web
            .host_names()
            .map(|host| loopback::address_of(&host))
            .collect();
        self
    }

    /// Listens on these addresses instead of 127.0.0.1: the log tells which a client was led to.
    #[must_use]
    pub fn on_addresses(self, addresses: Vec<Ipv4Addr>) -> Self {
        Self { addresses, ..self }
    }

    /// Listens on this port instead of a free one, such as that of an origin that has gone.
    #[must_use]
    pub fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Speaks TLS, see [`crate::tls::Authority::server`]; links in full become `https`.
    #[must_use]
    pub fn with_tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.web.scheme = "https".to_owned();
        self.tls = Some(config);
        self
    }

    /// Calls `told` with each request when it ends.
    #[must_use]
    pub fn telling(self, told: impl Fn(&Entry) + Send + Sync + 'static) -> Self {
        Self {
            told: Some(Box::new(told)),
            ..self
        }
    }

    /// Answers by this formula where it has an answer: hosts beside the web.
    #[must_use]
    pub fn beside(
        self,
        beside: impl Fn(&str, &str) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self {
            beside: Some(Box::new(beside)),
            ..self
        }
    }

    /// Listens and serves until the returned value is dropped.
    ///
    /// # Errors
    /// When an address or the port cannot be had.
    pub fn start(self) -> io::Result<Origin> {
        let listeners = loopback::listen(&self.addresses, self.port)?;
        let port = match listeners.first() {
            Some(listener) => listener.local_addr()?.port(),
            None => self.port,
        };
        let shared = Arc::new(Shared {
            web: self.web,
            port,
            log: Log::default(),
            told: self.told,
            beside: self.beside,
            planted: Mutex::default(),
            visits: Mutex::default(),
        });
        let serving = Serving::start("origin", {
            let shared = shared.clone();
            let tls = self.tls.map(TlsAcceptor::from);
            move || serve(listeners, tls, shared)
        })?;
        Ok(Origin {
            port,
            shared,
            _serving: serving,
        })
    }
}

impl Origin {
    /// The port of every address it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The web it serves.
    pub fn web(&self) -> &Web {
        &self.shared.web
    }

    /// The URL of `path` on `host`.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.shared.web.scheme, self.port)
    }

    /// The URL where [`Web::truth`] starts.
    pub fn home(&self) -> String {
        self.shared.web.url(0, Place::Page(0), self.port)
    }

    /// What there is to find, from the first host's home page, on the hosts that `scope` accepts.
    pub fn truth(&self, scope: impl Fn(&str) -> bool) -> Truth {
        self.shared.web.truth(self.port, scope)
    }

    /// Answers requests for `path` on `host` with `answers`, one after the other; the last one stays.
    pub fn plant(&self, host: &str, path: &str, answers: impl IntoIterator<Item = Answer>) {
        let planted = Planted {
            answers: answers.into_iter().collect(),
            next: 0,
        };
        lock(&self.shared.planted).insert((host.to_owned(), path.to_owned()), planted);
    }

    /// Every request so far, in order of their start.
    pub fn log(&self) -> Vec<Entry> {
        self.shared.log.entries()
    }

    /// How many requests there were so far.
    pub fn requests(&self) -> usize {
        self.shared.log.len()
    }
}

async fn serve(
    listeners: Vec<std::net::TcpListener>,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) {
    let mut accepting = JoinSet::new();
    for listener in listeners {
        // A listener that is bound and non-blocking already; it fails only outside a runtime.
        let Ok(listener) = TcpListener::from_std(listener) else {
            continue;
        };
        accepting.spawn(accept(listener, tls.clone(), shared.clone()));
    }
    while accepting.join_next().await.is_some() {}
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Connections end with their owner: dropping the set aborts them.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, peer)) = accepted else { continue };
                connections.spawn(connect(stream, peer, tls.clone(), shared.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) {
    // Small answers go out at once, else Nagle's delay would count as the server's.
    let _ = stream.set_nodelay(true);
    let Ok(address) = stream.local_addr().map(|here| here.ip()) else {
        return;
    };
    // An error is a client that left or spoke no HTTP; the log has what it asked before.
    let _ = match tls {
        None => converse(stream, (address, peer), &shared).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => converse(stream, (address, peer), &shared).await,
            Err(error) => Err(error),
        },
    };
}

/// Answers requests until the client leaves or an answer ends the connection.
async fn converse<S>(
    mut stream: S,
    (address, peer): (IpAddr, SocketAddr),
    shared: &Shared,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut read = Vec::new();
    while let Some(head) = read_head(&mut stream, &mut read).await? {
        let mut words = head.split_ascii_whitespace();
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default().to_owned();
        let old = words.next() == Some("HTTP/1.0");
        let asked_to_close =
            header(&head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let host = header(&head, "host")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let host = host
            .rsplit_once(':')
            .map_or(host.as_str(), |(name, _)| name)
            .to_owned();
        let answer = match method {
            "GET" | "HEAD" => shared.answer(&host, &path, &head),
            _ => Answer::text(405, "GET or HEAD\n"),
        };
        let close = answer.closes() || old || asked_to_close;
        let pieces = answer.pieces(method == "HEAD", close);
        let open = shared.log.open(Entry {
            start: now(),
            end: None,
            scheme: shared.web.scheme.clone(),
            host,
            address,
            port: shared.port,
            path,
            peer,
            agent: header(&head, "user-agent").unwrap_or_default().to_owned(),
            status: answer.status,
            whole: false,
            head,
        });
        // Whatever happens while writing, the entry gets its end.
        let mut ending = Ending {
            open,
            shared,
            whole: false,
        };
        write(&mut stream, pieces, &mut read, &mut ending).await?;
        drop(ending);
        if close {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// The entry of a request, ended at the latest when the connection's task goes.
struct Ending<'a> {
    open: Open,
    shared: &'a Shared,
    whole: bool,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.open.end(self.whole);
        if let Some(told) = &self.shared.told {
            told(&self.open.entry());
        }
    }
}

/// Reads up to the empty line that ends a head; `None` when the client left before it began another.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    read: &mut Vec<u8>,
) -> io::Result<Option<String>> {
    loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end + 4]).into_owned();
            read.drain(..end + 4);
            return Ok(Some(head));
        }
        if read.len() > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(read).await? == 0 {
            return if read.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
    }
}

async fn write<S>(
    stream: &mut S,
    pieces: Vec<Piece>,
    read: &mut Vec<u8>,
    ending: &mut Ending<'_>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let last = pieces.len().saturating_sub(1);
    for (n, Piece { pause, bytes }) in pieces.into_iter().enumerate() {
        pause_with(stream, pause, read).await?;
        let split = if n == last {
            bytes.len().saturating_sub(LAST_BYTES)
        } else {
            bytes.len()
        };
        stream.write_all(&bytes[..split]).await?;
        stream.flush().await?;
        if n == last {
            // Stamped first: after the write the client may be ahead of us.
            ending.open.end(true);
            stream.write_all(&bytes[split..]).await?;
            stream.flush().await?;
            ending.whole = true;
        }
    }
    Ok(())
}

/// Waits for `pause`, or fails as soon as the client is gone. What it sends meanwhile is kept for later.
async fn pause_with<S: AsyncRead + Unpin>(
    stream: &mut S,
    pause: Duration,
    read: &mut Vec<u8>,
) -> io::Result<()> {
    if pause.is_zero() {
        return Ok(());
    }
    let timer = tokio::time::sleep(pause);
    tokio::pin!(timer);
    while read.len() < HEAD_BYTES_MAX {
        tokio::select! {
            () = &mut timer => return Ok(()),
            got = stream.read_buf(read) => if got? == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            },
        }
    }
    timer.await;
    Ok(())
}

impl Shared {
    fn answer(&self, host: &str, path: &str, head: &str) -> Answer {
        let key = (host.to_owned(), path.to_owned());
        if let Some(planted) = lock(&self.planted).get_mut(&key) {
            let answer = planted
                .answers
                .get(planted.next)
                .or(planted.answers.last())
                .cloned();
            planted.next += 1;
            return answer.unwrap_or_else(|| Answer::text(404, "planted nothing\n"));
        }
        if let Some(answer) = self.beside.as_ref().and_then(|beside| beside(host, path)) {
            return answer;
        }
        let visit = {
            let mut visits = lock(&self.visits);
            let visit = visits.entry(key).or_default();
            *visit += 1;
            *visit
        };
        let gzip = header(head, "accept-encoding").is_some_and(|value| value.contains("gzip"));
        self.web.answer(host, path, self.port, visit, gzip)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Values are replaced whole, so a panic elsewhere leaves them sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
