//! Sockets of this deployment itself: its store, its control APIs, its metrics. No page may lead to them.
//!
//! Owns the list, which all clones share, since it grows while the node works (each crawl has an API of its own). It
//! holds whatever `--allow-net` and `--allow-port` allow. Start at [`OwnSockets::holds`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};

/// What nobody dials for a page.
#[derive(Clone, Debug, Default)]
pub struct OwnSockets(Arc<RwLock<Vec<SocketAddr>>>);

/// A socket is on the list as long as this lives.
#[derive(Debug)]
pub struct Listed {
    sockets: OwnSockets,
    socket: SocketAddr,
}

impl OwnSockets {
    /// These are on the list for good.
    pub fn add(&self, sockets: impl IntoIterator<Item = SocketAddr>) {
        // A list has no state between two entries.
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        list.extend(sockets);
    }

    /// This one is on the list as long as the answer lives.
    pub fn list(&self, socket: SocketAddr) -> Listed {
        self.add([socket]);
        Listed {
            sockets: self.clone(),
            socket,
        }
    }

    /// Whether this is one of them, or another address of this machine at the port that one of them has here: a server
    /// listens at more addresses than the one by which we know it.
    pub fn holds(&self, socket: SocketAddr) -> bool {
        let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (at, port) = (socket.ip(), socket.port());
        list.iter()
            .filter(|own| own.port() == port)
            .any(|own| own.ip() == at || (is_here(own.ip()) && is_here(at)))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut list = self
            .sockets
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = list.iter().position(|socket| *socket == self.socket) {
            list.swap_remove(at);
        }
    }
}

/// Whether packets to this address stay on this machine: an address can be bound where it is one of ours.
fn is_here(address: IpAddr) -> bool {
    let is_any = match address {
        IpAddr::V4(v4) => v4 == Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(v6) => v6 == Ipv6Addr::UNSPECIFIED,
    };
    is_any || address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_known_by_all_its_addresses_here() {
        let own = OwnSockets::default();
        let check = |socket: &str, want: bool| {
            assert_eq!(own.holds(socket.parse().unwrap()), want, "{socket}");
        };
        check("127.0.0.1:6379", false);
        own.add(["127.0.0.1:6379", "203.0.113.7:6380"].map(|text| text.parse().unwrap()));
        for spelling in [
            "127.0.0.1:6379",
            "127.9.9.9:6379",
            "0.0.0.0:6379",
            "[::1]:6379",
        ] {
            check(spelling, true);
        }
        check("203.0.113.7:6380", true);
        check("203.0.113.7:6379", false);
        check("203.0.113.8:6380", false);
        check("127.0.0.1:6380", false);
        let listed = own.clone().list("0.0.0.0:9090".parse().unwrap());
        check("127.0.0.1:9090", true);
        drop(listed);
        check("127.0.0.1:9090", false);
        check("127.0.0.1:6379", true);
    }
}
