//! A real DNS responder on loopback, UDP and TCP on one port, that answers as a test tells it to.
//!
//! [`Zone`] says which names exist and how others fail; it can be changed while the resolver runs. Every query
//! is counted by name and type, so that a test can see what a cache saved and what it let go.
//! The wire format (RFC 1035, section 4) is in `wire.rs`; start reading at [`Reply`].

mod forged;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::loopback;
use crate::serving::Serving;
pub use forged::Forgery;
use wire::{Code, Question};

/// What a name answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// These addresses; a question for a family that has none gets an empty answer.
    Addresses(Vec<IpAddr>),
    /// The address that [`loopback::address_of`] gives the name.
    OwnAddress,
    /// There is no such name.
    NoSuchName,
    /// The server cannot answer.
    Failure,
    /// Nothing, ever.
    Silence,
    /// Over UDP nothing but the wish to be asked again over TCP, where these addresses are given.
    OverTcp(Vec<IpAddr>),
    /// Another name, which is then answered as it is.
    Alias(String),
    /// A lie.
    Forged(Forgery),
    /// These, one after the other; the last one stays.
    InTurn(Vec<Reply>),
    /// This, to be kept for so many seconds.
    Kept(u32, Box<Reply>),
}

/// Which names there are. A name that is not set is answered as its longest suffix that is; else it does not exist.
#[derive(Clone, Debug)]
pub struct Zone {
    names: BTreeMap<String, Reply>,
    suffixes: BTreeMap<String, Reply>,
    /// How long an answer may be kept, in seconds; negative ones too.
    pub ttl_s: u32,
}

/// A resolver that answers; dropping it closes its sockets.
pub struct Dns {
    address: SocketAddr,
    shared: Arc<Shared>,
    _serving: Serving,
}

struct Shared {
    zone: Mutex<Zone>,
    counts: Mutex<BTreeMap<(String, Kind), usize>>,
}

/// The type of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Any other, by its number.
    Other(u16),
}

impl Default for Zone {
    /// Every name under `.test` is 127.0.0.1, for a minute.
    fn default() -> Self {
        Self::empty().under("test", Reply::Addresses(vec![Ipv4Addr::LOCALHOST.into()]))
    }
}

impl Zone {
    /// No names at all; answers hold for a minute.
    pub fn empty() -> Self {
        Self {
            names: BTreeMap::new(),
            suffixes: BTreeMap::new(),
            ttl_s: 60,
        }
    }

    /// Every name under `suffix` has an address of its own.
    pub fn own_addresses(suffix: &str) -> Self {
        Self::empty().under(suffix, Reply::OwnAddress)
    }

    /// With this reply for every name under `suffix`.
    #[must_use]
    pub fn under(mut self, suffix: &str, reply: Reply) -> Self {
        self.suffixes.insert(suffix.to_ascii_lowercase(), reply);
        self
    }

    /// With this reply for `name`.
    #[must_use]
    pub fn name(mut self, name: &str, reply: Reply) -> Self {
        self.names.insert(name.to_ascii_lowercase(), reply);
        self
    }

    /// With this time to live, in seconds.
    #[must_use]
    pub fn ttl(self, ttl_s: u32) -> Self {
        Self { ttl_s, ..self }
    }

    fn reply(&self, name: &str) -> Reply {
        if let Some(reply) = self.names.get(name) {
            return reply.clone();
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(reply) = self.suffixes.get(parent) {
                return reply.clone();
            }
            rest = parent;
        }
        Reply::NoSuchName
    }
}

impl Dns {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free for both UDP and TCP.
    pub fn start(zone: Zone) -> io::Result<Self> {
        let (udp, tcp) = sockets()?;
        let address = udp.local_addr()?;
        let shared = Arc::new(Shared {
            zone: Mutex::new(zone),
            counts: Mutex::default(),
        });
        let serving = Serving::start("dns", {
            let shared = shared.clone();
            move || async move {
                tokio::join!(serve_udp(udp, shared.clone()), serve_tcp(tcp, shared));
            }
        })?;
        Ok(Self {
            address,
            shared,
            _serving: serving,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what `name` answers from now on.
    pub fn set(&self, name: &str, reply: Reply) {
        lock(&self.shared.zone)
            .names
            .insert(name.to_ascii_lowercase(), reply);
    }

    /// How often `name` was asked for, all types and both transports together.
    pub fn queries(&self, name: &str) -> usize {
        let counts = lock(&self.shared.counts);
        counts
            .iter()
            .filter(|((asked, _), _)| asked == name)
            .map(|(_, count)| count)
            .sum()
    }

    /// How often each name and type was asked for.
    pub fn counts(&self) -> BTreeMap<(String, Kind), usize> {
        lock(&self.shared.counts).clone()
    }
}

fn sockets() -> io::Result<(UdpSocket, std::net::TcpListener)> {
    const PORTS_TRIED_MAX: usize = 20;
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORTS_TRIED_MAX {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        udp.set_nonblocking(true)?;
        match std::net::TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => {
                tcp.set_nonblocking(true)?;
                return Ok((udp, tcp));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    // A bound, non-blocking socket fails here only outside a runtime.
    let Ok(socket) = tokio::net::UdpSocket::from_std(socket) else {
        return;
    };
    let mut message = [0; 1_500];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut message).await else {
            continue;
        };
        for answer in shared.answers(&message[..length], false) {
            // A client that has closed its socket needs no answer.
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}

async fn serve_tcp(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(converse(stream, shared.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Questions over TCP, each behind its length (RFC 1035, section 4.2.2).
async fn converse(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        for answer in shared.answers(&message, true) {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream
                .write_all(&[&length.to_be_bytes()[..], &answer].concat())
                .await?;
        }
    }
}

impl Shared {
    /// The answers to a message; none for silence, and for what is no question.
    fn answers(&self, message: &[u8], tcp: bool) -> Vec<Vec<u8>> {
        let Some(question) = Question::read(message) else {
            return Vec::new();
        };
        let asked = {
            let mut counts = lock(&self.counts);
            let asked = counts
                .entry((question.name.clone(), question.kind))
                .or_default();
            *asked += 1;
            *asked
        };
        let zone = lock(&self.zone);
        let mut name = question.name.clone();
        let mut alias = None;
        let mut ttl_s = zone.ttl_s;
        let mut reply = zone.reply(&name);
        if let Reply::InTurn(replies) = reply {
            let now = replies.get(asked - 1).or(replies.last());
            reply = now.cloned().unwrap_or(Reply::Failure);
        }
        if let Reply::Kept(seconds, kept) = reply {
            (ttl_s, reply) = (seconds, *kept);
        }
        // One step, as a resolver that already knows the target gives it.
        if let Reply::Alias(target) = reply {
            reply = zone.reply(&target);
            name.clone_from(&target);
            alias = Some(target);
        }
        let answer = |code, addresses: &[IpAddr]| {
            vec![question.answer(code, alias.as_deref(), addresses, ttl_s)]
        };
        match reply {
            Reply::Addresses(addresses) => answer(Code::NoError, &addresses),
            Reply::OwnAddress => answer(Code::NoError, &[loopback::address_of(&name).into()]),
            Reply::NoSuchName => answer(Code::NoSuchName, &[]),
            // Replies within replies are not answered further than this.
            Reply::Failure | Reply::Alias(_) | Reply::InTurn(_) | Reply::Kept(..) => {
                answer(Code::Failure, &[])
            }
            Reply::Silence => Vec::new(),
            Reply::OverTcp(addresses) if tcp => answer(Code::NoError, &addresses),
            Reply::OverTcp(_) => vec![question.truncated()],
            Reply::Forged(forgery) => forgery.messages(&question, ttl_s, tcp),
        }
    }
}

/// Asks a resolver for the IPv4 addresses of a name over UDP, by our own message: the test of a test's set-up.
///
/// # Errors
/// When no answer comes within `patience`, or it is no answer to this question.
pub fn ask(server: SocketAddr, name: &str, patience: Duration) -> io::Result<(u8, Vec<Ipv4Addr>)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(patience))?;
    socket.send_to(&wire::question(7, name), server)?;
    let mut message = [0; 1_500];
    let length = socket.recv(&mut message)?;
    wire::addresses(&message[..length], 7).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Entries are replaced whole, so a panic elsewhere leaves them sound.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn names_answer_as_they_are_told() {
        let other = Ipv4Addr::new(10, 0, 0, 1);
        let zone = Zone::default()
            .under("own.test", Reply::OwnAddress)
            .name("gone.test", Reply::NoSuchName)
            .name("broken.test", Reply::Failure)
            .name("six.test", Reply::Addresses(vec!["::1".parse().unwrap()]))
            .name(
                "private.test",
                Reply::Addresses(vec![other.into(), Ipv4Addr::LOCALHOST.into()]),
            )
            .name("www.test", Reply::Alias("a.own.test".to_owned()));
        let dns = Dns::start(zone).unwrap();
        #[track_caller]
        fn check(dns: &Dns, name: &str, code: u8, addresses: &[Ipv4Addr]) {
            assert_eq!(
                ask(dns.address(), name, SOON).unwrap(),
                (code, addresses.to_vec()),
                "{name}"
            );
        }
        check(&dns, "a.test", 0, &[Ipv4Addr::LOCALHOST]);
        check(&dns, "A.Test", 0, &[Ipv4Addr::LOCALHOST]);
        check(&dns, "b.own.test", 0, &[loopback::address_of("b.own.test")]);
        check(&dns, "gone.test", 3, &[]);
        check(&dns, "broken.test", 2, &[]);
        check(&dns, "six.test", 0, &[]);
        check(&dns, "private.test", 0, &[other, Ipv4Addr::LOCALHOST]);
        check(&dns, "www.test", 0, &[loopback::address_of("a.own.test")]);
        check(&dns, "elsewhere.example", 3, &[]);
        assert_eq!(dns.queries("a.test"), 2);
        assert_eq!(dns.counts()[&("gone.test".to_owned(), Kind::A)], 1);

        dns.set("gone.test", Reply::Addresses(vec![other.into()]));
        check(&dns, "gone.test", 0, &[other]);
    }

    #[test]
    fn silence_is_silent() {
        let dns = Dns::start(Zone::default().name("mute.test", Reply::Silence)).unwrap();
        assert!(ask(dns.address(), "mute.test", Duration::from_millis(50)).is_err());
        assert_eq!(dns.queries("mute.test"), 1);
    }

    #[test]
    fn a_truncated_answer_is_whole_over_tcp() {
        let address = Ipv4Addr::new(127, 1, 2, 3);
        let dns =
            Dns::start(Zone::default().name("big.test", Reply::OverTcp(vec![address.into()])))
                .unwrap();
        assert_eq!(
            ask(dns.address(), "big.test", SOON).unwrap(),
            (0, Vec::new())
        );
        let question = wire::question(7, "big.test");
        let mut stream = std::net::TcpStream::connect(dns.address()).unwrap();
        let length = u16::try_from(question.len()).unwrap().to_be_bytes();
        stream
            .write_all(&[&length[..], &question].concat())
            .unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(wire::addresses(&answer, 7), Some((0, vec![address])));
    }
}
