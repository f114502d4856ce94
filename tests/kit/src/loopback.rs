//! Loopback addresses and ports: each host of a test may have an address of its own.
//!
//! Linux answers on all of 127.0.0.0/8, so a name hashed into it gives nearly every host another address without
//! any set-up (of 1,000 names two may share one by chance). [`crate::dns`] answers with the same address that [`crate::origin`] and [`crate::nginx`] listen on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use crate::seed::mix;

/// The address of `host` in 127.0.0.0/8, decided by its name alone. Never 127.0.0.x, which is everyone's.
pub fn address_of(host: &str) -> Ipv4Addr {
    let [.., b, c, d] = mix(0, &host.to_ascii_lowercase()).to_be_bytes();
    Ipv4Addr::new(127, b.clamp(1, 254), c, d.clamp(1, 254))
}

/// Listeners on one common port of all `addresses` (127.0.0.1 when there are none); `port` 0 picks a free one.
///
/// # Errors
/// When an address is not of this machine, or the port is taken; for port 0 a few others are tried first.
pub fn listen(addresses: &[Ipv4Addr], port: u16) -> io::Result<Vec<TcpListener>> {
    const PORTS_TRIED_MAX: usize = 20;
    let mut addresses = addresses.to_vec();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST);
    }
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..if port == 0 { PORTS_TRIED_MAX } else { 1 } {
        match listen_once(&addresses, port) {
            Ok(listeners) => return Ok(listeners),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_once(addresses: &[Ipv4Addr], mut port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for &address in addresses {
        let listener = TcpListener::bind(SocketAddr::new(IpAddr::V4(address), port))?;
        listener.set_nonblocking(true)?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nearly_every_host_has_its_own_address() {
        let addresses: BTreeSet<Ipv4Addr> = (0..1_000)
            .map(|n| address_of(&format!("h{n}.zoo.test")))
            .collect();
        assert!(addresses.len() >= 998, "{}", addresses.len());
        assert!(
            addresses
                .iter()
                .all(|a| a.is_loopback() && a.octets()[1] != 0)
        );
        assert_eq!(address_of("H1.zoo.test"), address_of("h1.ZOO.test"));
    }

    #[test]
    fn many_addresses_share_a_port() {
        let addresses = [
            Ipv4Addr::LOCALHOST,
            address_of("a.test"),
            address_of("b.test"),
            address_of("a.test"),
        ];
        let listeners = listen(&addresses, 0).unwrap();
        let ports: BTreeSet<u16> = listeners
            .iter()
            .map(|l| l.local_addr().unwrap().port())
            .collect();
        assert_eq!((listeners.len(), ports.len()), (3, 1));
        let taken = *ports.first().unwrap();
        assert!(listen(&addresses, taken).is_err());
    }
}
