//! Which sockets may be dialled: globally routable addresses, on the web's ports, and what the operator allows.
//!
//! Owns the one rule (I9) and the list behind it, the IANA special-purpose registries for IPv4 and IPv6 (RFC 6890
//! and its updates). It knows neither names nor connections: whoever dials asks for each socket address, after
//! names are resolved and at every hop. Invariant: an address that carries another one inside (mapped, NAT64) is
//! judged as the inner one too. Start at [`Dial::socket`].

mod net;
mod own;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use net::{Net, NetError};
pub use own::{Listed, OwnSockets};

/// The ports of the web that need no permission.
pub const PORTS: [u16; 4] = [80, 443, 8080, 8443];

/// What an operator allows beyond the public web.
#[derive(Clone, Debug, Default)]
pub struct Dial {
    /// Networks whose addresses may be dialled although they are not globally routable (`--allow-net`).
    pub nets: Vec<Net>,
    /// Ports that may be dialled beside [`PORTS`] (`--allow-port`).
    pub ports: Vec<u16>,
    /// Sockets that are never dialled, whatever is allowed.
    pub own: OwnSockets,
}

/// An address that may not be dialled, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} may not be dialled ({kind})")]
pub struct AddressRefused {
    pub address: IpAddr,
    /// What the address is for, in a few words.
    pub kind: &'static str,
}

/// A port that may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("port {0} is not allowed")]
pub struct PortRefused(pub u16);

impl Dial {
    /// May this address be dialled?
    ///
    /// # Errors
    /// What the address is, when it is not globally routable and in none of the allowed networks.
    pub fn address(&self, address: IpAddr) -> Result<(), AddressRefused> {
        if self.is_exempt(address) {
            return Ok(());
        }
        special(address).map_or(Ok(()), |kind| Err(AddressRefused { address, kind }))
    }

    /// May this socket be dialled?
    ///
    /// # Errors
    /// As [`Dial::address`], and for the deployment's own sockets.
    pub fn socket(&self, socket: SocketAddr) -> Result<(), AddressRefused> {
        let address = socket.ip();
        let inner = embedded(address).map(|inner| SocketAddr::new(inner, socket.port()));
        if self.own.holds(socket) || inner.is_some_and(|inner| self.own.holds(inner)) {
            let kind = "a socket of the crawler's own";
            return Err(AddressRefused { address, kind });
        }
        self.address(address)
    }

    /// Is this address in a network that the operator named? Such networks are the operator's own: the budget of
    /// hosts per address does not hold there.
    pub fn is_exempt(&self, address: IpAddr) -> bool {
        let inner = embedded(address);
        self.nets
            .iter()
            .any(|net| net.contains(address) || inner.is_some_and(|inner| net.contains(inner)))
    }

    /// May this port be dialled?
    ///
    /// # Errors
    /// The port, when it is neither one of [`PORTS`] nor allowed.
    pub fn port(&self, port: u16) -> Result<(), PortRefused> {
        if PORTS.contains(&port) || self.ports.contains(&port) {
            Ok(())
        } else {
            Err(PortRefused(port))
        }
    }

    /// Those of the addresses that may be dialled.
    ///
    /// # Errors
    /// All refusals, when none may (at least one was given).
    pub fn filter(
        &self,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Vec<AddressRefused>> {
        let mut allowed = Vec::new();
        let mut refused = Vec::new();
        for socket in addresses {
            match self.socket(socket) {
                Ok(()) => allowed.push(socket),
                Err(error) => refused.push(error),
            }
        }
        if allowed.is_empty() && !refused.is_empty() {
            Err(refused)
        } else {
            Ok(allowed)
        }
    }
}

/// The IPv4 address that a packet to this one reaches in the end, where the form says so: mapped (RFC 4291
/// section 2.5.5.2) or behind the well-known NAT64 prefix (RFC 6052).
fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    let [.., a, b, c, d] = v6.octets();
    let inner = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    (v6.to_ipv4_mapped().is_some() || NAT64.contains(address)).then_some(inner)
}

const NAT64: Net = Net::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

/// What the address is for, if it is anything but a globally routable unicast address.
fn special(address: IpAddr) -> Option<&'static str> {
    if let Some(inner) = embedded(address) {
        return special(inner);
    }
    let table = match address {
        IpAddr::V4(_) => SPECIAL_V4,
        IpAddr::V6(v6) if !is_global_unicast(v6) => SPECIAL_V6_OUTSIDE,
        IpAddr::V6(_) => SPECIAL_V6,
    };
    table
        .iter()
        .find(|(net, _)| net.contains(address))
        .and_then(|(_, kind)| *kind)
}

/// In 2000::/3, the only space from which global unicast addresses are given out (RFC 4291 section 4).
fn is_global_unicast(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xe000 == 0x2000
}

/// A network and what it is for; none where it is globally reachable. The first that contains an address decides.
type Special = (Net, Option<&'static str>);

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8, kind: &'static str) -> Special {
    (Net::v4([a, b, c, d], bits), Some(kind))
}

const fn v6(segments: [u16; 8], bits: u8, kind: &'static str) -> Special {
    (Net::v6(segments, bits), Some(kind))
}

const fn reachable_v6(segments: [u16; 8], bits: u8) -> Special {
    (Net::v6(segments, bits), None)
}

/// IANA IPv4 Special-Purpose Address Registry, the entries that are not globally reachable, and multicast.
/// 192.0.0.0/24 whole: its two reachable entries are anycast addresses of the nearest NAT or relay, no web site.
const SPECIAL_V4: &[Special] = &[
    v4(0, 0, 0, 0, 8, "this network, RFC 791"),
    v4(10, 0, 0, 0, 8, "private, RFC 1918"),
    v4(100, 64, 0, 0, 10, "shared by carriers, RFC 6598"),
    v4(127, 0, 0, 0, 8, "loopback, RFC 1122"),
    v4(169, 254, 0, 0, 16, "link local, RFC 3927"),
    v4(172, 16, 0, 0, 12, "private, RFC 1918"),
    v4(192, 0, 0, 0, 24, "protocol assignments, RFC 6890"),
    v4(192, 0, 2, 0, 24, "documentation, RFC 5737"),
    v4(192, 88, 99, 0, 24, "6to4 relays, RFC 7526"),
    v4(192, 168, 0, 0, 16, "private, RFC 1918"),
    v4(198, 18, 0, 0, 15, "benchmarking, RFC 2544"),
    v4(198, 51, 100, 0, 24, "documentation, RFC 5737"),
    v4(203, 0, 113, 0, 24, "documentation, RFC 5737"),
    v4(224, 0, 0, 0, 4, "multicast, RFC 5771"),
    v4(255, 255, 255, 255, 32, "broadcast, RFC 919"),
    v4(240, 0, 0, 0, 4, "reserved, RFC 1112"),
];

/// The same for IPv6, inside 2000::/3.
const SPECIAL_V6: &[Special] = &[
    reachable_v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128), // port control, RFC 7723
    reachable_v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128), // TURN, RFC 8155
    reachable_v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128), // DNS-SD registration, RFC 9665
    reachable_v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32),  // multicast tunnels, RFC 7450
    reachable_v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48), // AS112, RFC 7535
    reachable_v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), // ORCHIDv2, RFC 7343
    reachable_v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28), // drone identifiers, RFC 9374
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo, RFC 4380"),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking, RFC 5180"),
    v6(
        [0x2001, 0, 0, 0, 0, 0, 0, 0],
        23,
        "protocol assignments, RFC 2928",
    ),
    v6(
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0],
        32,
        "documentation, RFC 3849",
    ),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4, RFC 7526"),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation, RFC 9637"),
];

/// Outside 2000::/3 nothing is globally routable; the table only says what it is.
const SPECIAL_V6_OUTSIDE: &[Special] = &[
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4-compatible, RFC 4291"),
    v6(
        [0x64, 0xff9b, 1, 0, 0, 0, 0, 0],
        48,
        "local NAT64, RFC 8215",
    ),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard, RFC 6666"),
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "dummy, RFC 9780"),
    v6(
        [0x5f00, 0, 0, 0, 0, 0, 0, 0],
        16,
        "segment routing, RFC 9602",
    ),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local, RFC 4193"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link local, RFC 4291"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site local, RFC 3879"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast, RFC 4291"),
    v6(
        [0, 0, 0, 0, 0, 0, 0, 0],
        0,
        "outside global unicast, RFC 4291",
    ),
];
