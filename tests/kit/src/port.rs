//! A port of 127.0.0.1 that stays ours while nobody listens on it.
//!
//! A port that was only looked up may be another's before it is used, and a server that is down for a while may find
//! its own gone: taken for some connection's near end, even for the end of one that a client makes to it, and so to
//! itself. A socket that is bound and never listens keeps the number from being chosen, yet lets a server that sets
//! `SO_REUSEADDR` bind it, as redis-server and tokio do. Connections to it are refused until one does.
//! It knows nothing of what will listen. Start reading at [`Port::reserve`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// A port that is free for its owner alone; dropping it gives it back.
pub(crate) struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// Takes a free port.
    pub(crate) fn reserve() -> io::Result<Self> {
        let held = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = held.local_addr()?;
        Ok(Self {
            address,
            _held: held,
        })
    }

    /// Where a server of it is to listen.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.address.port()
    }

    /// Listens on it; called within a runtime.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        bound(self.address)?.listen(BACKLOG)
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn it_refuses_until_somebody_listens_and_again_after() {
        let port = Port::reserve().unwrap();
        let refused = || TcpStream::connect(port.address()).map_err(|error| error.kind());
        assert_eq!(refused().err(), Some(ErrorKind::ConnectionRefused));
        for _ in 0..2 {
            let listener = port.listen().unwrap();
            assert!(TcpStream::connect(port.address()).is_ok());
            drop(listener);
            assert_eq!(refused().err(), Some(ErrorKind::ConnectionRefused));
        }
    }

    #[test]
    fn nobody_else_is_given_it() {
        let port = Port::reserve().unwrap();
        // More than there are ports that the system gives out of itself.
        for _ in 0..40_000 {
            let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            assert_ne!(other.local_addr().unwrap(), port.address());
        }
    }
}
