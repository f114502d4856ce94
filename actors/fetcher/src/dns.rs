//! Names to addresses, for one fetcher: a resolver and a cache that live and die with it.
//!
//! Owns the cache's bound and the clamp of its times, and the answer's filter: what comes out has passed
//! [`Dial`], and it is exactly what is dialled, since no second lookup is made. It knows neither URLs nor connections. The hosts file is not read; `localhost` and what
//! lies below it is the loopback interface (RFC 6761 section 6.3). Start at [`Dns::lookup`].

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use contract::error::ErrorClass;
use futures_util::future::{Either, select};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as Answer, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::time::timeout;

use crate::address::{AddressRefused, Dial};

/// Answers that are kept, per fetcher.
pub const ENTRIES_MAX: u64 = 4_096;
/// Answers, also negative ones, are kept at least and at most so long, whatever their TTL says.
const TTL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// For one name, both families and all tries together.
const NAME_LIMIT: Duration = Duration::from_secs(5);
/// For one try: a lost datagram costs this, and leaves time for another.
const TRY_LIMIT: Duration = Duration::from_secs(2);
/// How long the second family is waited for once the first has given addresses.
const SECOND_FAMILY: Duration = Duration::from_millis(500);
/// Queries in flight to one server, enough for every request in flight of a fetcher to ask for both families.
const ACTIVE_MAX: usize = 1_024;

/// One fetcher's resolver.
#[derive(Debug)]
pub struct Dns {
    resolver: Hickory,
    dial: Arc<Dial>,
    queries: AtomicU64,
    hits: AtomicU64,
}

/// The resolver has no `Debug` of its own.
struct Hickory(TokioResolver);

impl std::fmt::Debug for Hickory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokioResolver")
    }
}

/// Why a name gave no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist or has no address.
    #[error("{0} has no address")]
    NotFound(String),
    /// The resolver said something else than an answer, or nothing that can be understood.
    #[error("the resolver failed for {name}: {reason}")]
    Failed { name: String, reason: String },
    #[error("no answer about {0} in time")]
    TimedOut(String),
    /// All its addresses are forbidden.
    #[error("{name}: {}", refusals(.addresses))]
    Refused {
        name: String,
        addresses: Vec<AddressRefused>,
    },
}

/// The system's resolver configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DnsSetupError {
    #[error("cannot read the system's resolver configuration: give a resolver by --dns ADDR:PORT")]
    System(#[source] NetError),
    #[error("cannot build the resolver")]
    Build(#[source] NetError),
}

/// How a resolver fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsLoad {
    /// Names asked for.
    pub queries: u64,
    /// Of those, answered at once, from the cache.
    pub hits: u64,
    /// No more answers than this are in the cache.
    pub entries_at_most: u64,
}

impl DnsError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound(_) | Self::Refused { .. } => ErrorClass::Permanent,
            Self::Failed { .. } | Self::TimedOut(_) => ErrorClass::Transient,
        }
    }
}

impl Dns {
    /// A resolver that asks `server`, or those of the system's configuration. To be called inside the runtime whose
    /// thread shall do its work.
    ///
    /// # Errors
    /// The system's configuration is missing or malformed.
    pub fn new(server: Option<SocketAddr>, dial: Arc<Dial>) -> Result<Self, DnsSetupError> {
        let mut builder = match server {
            None => TokioResolver::builder_tokio().map_err(DnsSetupError::System)?,
            Some(server) => {
                let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut name_server.connections {
                    connection.port = server.port();
                }
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        options.cache_size = ENTRIES_MAX;
        (options.positive_min_ttl, options.positive_max_ttl) = (Some(TTL.0), Some(TTL.1));
        (options.negative_min_ttl, options.negative_max_ttl) = (Some(TTL.0), Some(TTL.1));
        options.use_hosts_file = ResolveHosts::Never;
        options.timeout = TRY_LIMIT;
        options.attempts = 2;
        options.max_active_requests = ACTIVE_MAX;
        let resolver = Hickory(builder.build().map_err(DnsSetupError::Build)?);
        Ok(Self {
            resolver,
            dial,
            queries: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        })
    }

    /// The addresses of a host name that may be dialled, IPv4 before IPv6, with port 0.
    ///
    /// # Errors
    /// No such address, or no answer; see [`DnsError`].
    pub async fn lookup(&self, host: &str) -> Result<Vec<SocketAddr>, DnsError> {
        let name = host.strip_suffix('.').unwrap_or(host);
        let addresses = if is_localhost(name) {
            vec![
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ]
        } else {
            self.ask(name).await?
        };
        let sockets = addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, 0));
        self.dial
            .filter(sockets)
            .map_err(|addresses| DnsError::Refused {
                name: name.to_owned(),
                addresses,
            })
    }

    async fn ask(&self, name: &str) -> Result<Vec<IpAddr>, DnsError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        // The final dot: no search domains (a public name must not become a local one).
        let Ok(full) = Name::from_utf8(format!("{name}.")) else {
            return Err(DnsError::NotFound(name.to_owned()));
        };
        let mut both = pin!(self.both_families(full, name));
        // What is ready at its first look needed no network.
        let at_once = poll_fn(|cx| Poll::Ready(both.as_mut().poll(cx))).await;
        if let Poll::Ready(answer) = at_once {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return answer;
        }
        timeout(NAME_LIMIT, both)
            .await
            .unwrap_or_else(|_| Err(DnsError::TimedOut(name.to_owned())))
    }

    async fn both_families(&self, full: Name, name: &str) -> Result<Vec<IpAddr>, DnsError> {
        let resolver = &self.resolver.0;
        let v4 = pin!(resolver.lookup(full.clone(), RecordType::A));
        let v6 = pin!(resolver.lookup(full, RecordType::AAAA));
        let (v4, v6) = match select(v4, v6).await {
            Either::Left((v4, v6)) => {
                let v4 = addresses(v4, name);
                let v6 = second(&v4, v6, name).await;
                (v4, v6)
            }
            Either::Right((v6, v4)) => {
                let v6 = addresses(v6, name);
                (second(&v6, v4, name).await, v6)
            }
        };
        match (v4, v6) {
            (Ok(mut v4), Ok(v6)) => {
                v4.extend(v6);
                Ok(v4)
            }
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
            // That one family has no address says little while the other's is not known.
            (Err(DnsError::NotFound(_)), Err(error)) | (Err(error), Err(_)) => Err(error),
        }
    }

    /// How it fares so far.
    pub fn load(&self) -> DnsLoad {
        let queries = self.queries.load(Ordering::Relaxed);
        let hits = self.hits.load(Ordering::Relaxed);
        // Each name that was not in the cache left at most an answer for each family there.
        let entries_at_most = queries
            .saturating_sub(hits)
            .saturating_mul(2)
            .min(ENTRIES_MAX);
        DnsLoad {
            queries,
            hits,
            entries_at_most,
        }
    }
}

/// The second family's addresses: not waited for long when the first family has some.
async fn second(
    first: &Result<Vec<IpAddr>, DnsError>,
    lookup: impl Future<Output = Result<Lookup, NetError>>,
    name: &str,
) -> Result<Vec<IpAddr>, DnsError> {
    let answer = if first.is_ok() {
        timeout(SECOND_FAMILY, lookup).await
    } else {
        Ok(lookup.await)
    };
    answer.map_or_else(
        |_| Err(DnsError::TimedOut(name.to_owned())),
        |answer| addresses(answer, name),
    )
}

/// The addresses of an answer; an answer without any is an error.
fn addresses(answer: Result<Lookup, NetError>, name: &str) -> Result<Vec<IpAddr>, DnsError> {
    let answer = answer.map_err(|error| error_of(&error, name))?;
    let found: Vec<IpAddr> = answer
        .answers()
        .iter()
        .filter_map(|record| record.data.ip_addr())
        .collect();
    if found.is_empty() {
        Err(DnsError::NotFound(name.to_owned()))
    } else {
        Ok(found)
    }
}

fn error_of(error: &NetError, name: &str) -> DnsError {
    let failed = |reason: String| DnsError::Failed {
        name: name.to_owned(),
        reason,
    };
    let code = match error {
        NetError::Timeout => return DnsError::TimedOut(name.to_owned()),
        NetError::Dns(Answer::NoRecordsFound(none)) => none.response_code,
        NetError::Dns(Answer::ResponseCode(code)) => *code,
        other => return failed(other.to_string()),
    };
    match code {
        ResponseCode::NXDomain | ResponseCode::NoError => DnsError::NotFound(name.to_owned()),
        other => failed(other.to_str().to_owned()),
    }
}

fn is_localhost(name: &str) -> bool {
    let tail = name.rsplit('.').next().unwrap_or_default();
    tail.eq_ignore_ascii_case("localhost")
}

fn refusals(addresses: &[AddressRefused]) -> String {
    let each: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    each.join(", ")
}
