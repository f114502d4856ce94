//! A server that means harm: each host of it is one attack, beside good pages that must be fetched all the same.
//!
//! It owns raw sockets and follows a [`Script`] byte by byte, since no library would send what is sent here. Its
//! names are `NAME.test`; `/` links to eight good pages, `/good/1` to `/good/8`, and between them to what the host
//! has in store. It counts its connections, so that a test sees what a client left open or should not have opened.
//! Idle connections are closed soon, as busy servers do. Start reading at [`Lair`], then `serve_one`.

pub mod bodies;
pub mod documents;
pub mod heads;
mod script;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::log::header;
use crate::loopback;
use crate::origin::read_head;
use crate::serving::Serving;

pub use script::{PORT, Script, Step};

/// Where a lair listens: on an address of its own, so that every other one can be forbidden.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);
/// Good pages of each host.
pub const GOOD: usize = 8;
/// A connection without a request is closed after this.
const IDLE: Duration = Duration::from_millis(700);

/// What a lair is to be, before it listens.
#[derive(Default)]
pub struct Lair {
    hosts: BTreeMap<String, BTreeMap<String, Script>>,
}

/// A lair that listens; dropping it closes every connection.
pub struct Hostile {
    port: u16,
    shared: Arc<Shared>,
    _serving: Serving,
}

#[derive(Default)]
struct Shared {
    hosts: BTreeMap<String, BTreeMap<String, Script>>,
    asked: Mutex<Vec<(String, String)>>,
    /// Connections that are open, by host as far as they have named one; and the most at once.
    open: AtomicUsize,
    by_host: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl Lair {
    /// With this script behind `path` of the host `NAME.test`. Paths that the home page should link to begin with
    /// `/attack`.
    #[must_use]
    pub fn with(mut self, name: &str, path: &str, script: Script) -> Self {
        let paths = self.hosts.entry(format!("{name}.test")).or_default();
        paths.insert(path.to_owned(), script);
        self
    }

    /// Listens on a free port of [`ADDRESS`] and serves until the returned value is dropped.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(self) -> io::Result<Hostile> {
        let listeners = loopback::listen(&[ADDRESS], 0)?;
        let port = match listeners.first() {
            Some(listener) => listener.local_addr()?.port(),
            None => 0,
        };
        let hosts = self.hosts.into_iter().map(|(host, paths)| {
            let paths = paths
                .into_iter()
                .map(|(path, script)| (path, script.with_port(port)));
            (host, paths.collect())
        });
        let shared = Arc::new(Shared {
            hosts: hosts.collect(),
            ..Shared::default()
        });
        let serving = Serving::start("hostile", {
            let shared = shared.clone();
            move || serve(listeners, shared)
        })?;
        Ok(Hostile {
            port,
            shared,
            _serving: serving,
        })
    }
}

impl Hostile {
    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of `path` on the host `NAME.test`.
    pub fn url(&self, name: &str, path: &str) -> String {
        format!("http://{name}.test:{}{path}", self.port)
    }

    /// Every request so far, host (without port) and target as sent.
    pub fn asked(&self) -> Vec<(String, String)> {
        lock(&self.shared.asked).clone()
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// The most connections at once that named the host `NAME.test`.
    pub fn most_at_once(&self, name: &str) -> usize {
        let by_host = lock(&self.shared.by_host);
        by_host
            .get(&format!("{name}.test"))
            .map_or(0, |(_, most)| *most)
    }
}

/// The text by which a good page is known, wherever it turns up.
pub fn mark(name: &str, n: usize) -> String {
    format!("good page {n} of {name}.test")
}

async fn serve(listeners: Vec<std::net::TcpListener>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    // One listener: the address is one.
    let Some(Ok(listener)) = listeners.into_iter().next().map(TcpListener::from_std) else {
        return;
    };
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(connect(stream, shared.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection for as long as it is held.
struct Counted<'a> {
    shared: &'a Shared,
    host: Option<String>,
}

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.open.fetch_add(1, Ordering::AcqRel);
        Self { shared, host: None }
    }

    fn named(&mut self, host: &str) {
        if self.host.is_none() {
            let mut by_host = lock(&self.shared.by_host);
            let (now, most) = by_host.entry(host.to_owned()).or_default();
            *now += 1;
            *most = (*most).max(*now);
            self.host = Some(host.to_owned());
        }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::AcqRel);
        if let Some(host) = &self.host
            && let Some((now, _)) = lock(&self.shared.by_host).get_mut(host)
        {
            *now -= 1;
        }
    }
}

async fn connect(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut counted = Counted::new(&shared);
    let _ = stream.set_nodelay(true);
    let mut read = Vec::new();
    // An error is a client that had enough, which is what most attacks wait for.
    while matches!(
        serve_one(&mut stream, &mut read, &shared, &mut counted).await,
        Ok(true)
    ) {}
}

/// Answers one request; whether another may follow on this connection.
async fn serve_one<S>(
    stream: &mut S,
    read: &mut Vec<u8>,
    shared: &Shared,
    counted: &mut Counted<'_>,
) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(head) = timeout(IDLE, read_head(stream, read)).await else {
        return Ok(false);
    };
    let Some(head) = head? else { return Ok(false) };
    let path = head
        .split_ascii_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let host = header(&head, "host")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let host = host
        .rsplit_once(':')
        .map_or(host.as_str(), |(name, _)| name)
        .to_owned();
    counted.named(&host);
    lock(&shared.asked).push((host.clone(), path.clone()));
    let paths = shared.hosts.get(&host);
    if let Some(script) = paths.and_then(|paths| paths.get(&path)) {
        return script.play(stream).await;
    }
    let (status, body) = page(&host, &path, paths);
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(true)
}

/// What a host answers where no script is.
fn page(
    host: &str,
    path: &str,
    paths: Option<&BTreeMap<String, Script>>,
) -> (&'static str, String) {
    let name = host.strip_suffix(".test").unwrap_or(host);
    let good = |n: usize| format!("<a href=/good/{n}>{n}</a>\n");
    let number = path.strip_prefix("/good/").and_then(|n| n.parse().ok());
    match (path, number) {
        ("/", _) => {
            let attacks = paths.into_iter().flat_map(BTreeMap::keys);
            let attacks = attacks.filter(|path| path.starts_with("/attack"));
            let attacks: String = attacks
                .map(|path| format!("<a href=\"{path}\">a</a>\n"))
                .collect();
            let before: String = (1..=GOOD / 2).map(good).collect();
            let behind: String = (GOOD / 2 + 1..=GOOD).map(good).collect();
            (
                "200 OK",
                format!("<!DOCTYPE html>\n{before}{attacks}{behind}"),
            )
        }
        (_, Some(n)) => (
            "200 OK",
            format!("<!DOCTYPE html>\n<p>{}</p>", mark(name, n)),
        ),
        _ => ("404 Not Found", String::new()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Values are replaced whole, so a panic elsewhere leaves them sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
