//! A URL's server to a connection: its name, TCP, TLS.
//!
//! Owns the one point where a fetcher opens sockets, and so the address rule at it ([`Dial`], I9): whatever a name or
//! a literal leads to is looked at here, on the socket address. It sends nothing and knows no lease; whoever calls it
//! ends it by dropping it. Start at [`Connector::connect`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contract::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::address::Dial;
use crate::connection::{Carrier, Connection, Line, is_secure};
use crate::dialling::dial;
use crate::dns::{Dns, DnsError};
use crate::error::FetchError;
use crate::events::LineMeters;
use crate::wire::{Meter, Wire};

/// What all connections of a fetcher are made with.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) dns: Arc<Dns>,
    pub(crate) dial: Arc<Dial>,
    /// For name, TCP and TLS together. Shared out among a host's addresses here, kept by whoever waits.
    pub(crate) limit: Duration,
    pub(crate) meters: LineMeters,
}

impl Connector {
    /// A connection to the URL's server, on which nothing has been asked.
    ///
    /// # Errors
    /// It may not be dialled or cannot be reached, or it is not who it says.
    pub(crate) async fn connect(&self, url: &Url) -> Result<Connection, FetchError> {
        let addresses = self.addresses(url).await?;
        let tcp = dial(&addresses, self.limit).await;
        let tcp = tcp.map_err(|error| FetchError::of_connect(&error))?;
        let io = |error| FetchError::of_connect(&error);
        tcp.set_nodelay(true).map_err(io)?;
        let remote = tcp.peer_addr().map_err(io)?;
        self.meters.tcp.increment(1);
        let open = self.meters.open();
        let meter = Arc::new(Meter::default());
        let wire = Wire::new(tcp, meter.clone());
        let (carrier, is_http2): (Box<dyn Carrier>, bool) = match is_secure(url) {
            false => (Box::new(wire), false),
            true => self.secure(url, wire).await?,
        };
        let line = Line {
            carrier,
            is_http2,
            remote,
            meter,
            open,
        };
        let connection = Connection::open(url, line).await;
        connection.map_err(|error| FetchError::of_hyper(&error))
    }

    /// The socket addresses that may be dialled for this URL.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, FetchError> {
        let port = url.port_or_known_default().unwrap_or_default();
        self.dial.port(port)?;
        let found = match url.host() {
            None => return Err(FetchError::InvalidUrl("it has no host".to_owned())),
            Some(url::Host::Ipv4(address)) => vec![SocketAddr::new(address.into(), port)],
            Some(url::Host::Ipv6(address)) => vec![SocketAddr::new(address.into(), port)],
            Some(url::Host::Domain(name)) => {
                let mut found = self.dns.lookup(name).await?;
                found.iter_mut().for_each(|address| address.set_port(port));
                found
            }
        };
        self.dial
            .filter(found)
            .map_err(|refused| match &refused[..] {
                [one] => FetchError::Address(*one),
                _ => FetchError::Dns(DnsError::Refused {
                    name: url.host_str().unwrap_or_default().to_owned(),
                    addresses: refused,
                }),
            })
    }

    /// TLS on the wire, and whether the server chose HTTP/2.
    async fn secure(
        &self,
        url: &Url,
        wire: Wire<TcpStream>,
    ) -> Result<(Box<dyn Carrier>, bool), FetchError> {
        let unfit = || FetchError::InvalidUrl("no certificate can name its host".to_owned());
        let name = match url.host().ok_or_else(unfit)? {
            // The final dot says that the name is whole; certificates have none (RFC 6066 section 3).
            url::Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                ServerName::try_from(name.to_owned()).map_err(|_| unfit())?
            }
            url::Host::Ipv4(address) => ServerName::IpAddress(address.into()),
            url::Host::Ipv6(address) => ServerName::IpAddress(address.into()),
        };
        let secured = TlsConnector::from(self.tls.clone()).connect(name, wire);
        let stream = secured
            .await
            .map_err(|error| FetchError::of_connect(&error))?;
        self.meters.tls.increment(1);
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(stream), is_http2))
    }
}
