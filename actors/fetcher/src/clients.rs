//! One small HTTP client for each leased host, kept for its next lease while that is near.
//!
//! Owns the connections of a fetcher: a client is dropped when it has been idle too long or when there are too
//! many, and its connections close with it (I8). Invariant: clients in use and kept ones together are at most
//! [`Clients::bound`]; each holds one connection to an origin of its host. It knows no leases and sends nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use contract::clock::{Boot, Clock};
use contract::host::Host;
use reqwest::redirect::Policy;
use rustls::ClientConfig;

use crate::dialling::{Watch, WatchLayer};
use crate::dns::{Dns, ForReqwest};

/// Header lines of an answer; hyper's own bound of 100 refuses sites that are in use. Not more than it takes: hyper
/// clears room for so many (64 bytes each) before it reads an answer's head.
const HEADERS_MAX: usize = 256;

/// A client and the watch on its connector.
#[derive(Clone, Debug)]
pub(crate) struct HostClient {
    pub(crate) http: reqwest::Client,
    pub(crate) watch: Arc<Watch>,
}

/// What all clients of a fetcher are made of.
#[derive(Clone, Debug)]
pub(crate) struct Mould {
    pub(crate) clock: Clock,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) dns: Arc<Dns>,
    /// For name, TCP and TLS together.
    pub(crate) connect_limit: Duration,
    pub(crate) idle_limit: Duration,
}

impl Mould {
    pub(crate) fn cast(&self) -> Result<HostClient, reqwest::Error> {
        let watch = Watch::new(self.clock.clone());
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&self.tls))
            .dns_resolver(ForReqwest(self.dns.clone()))
            .connector_layer(WatchLayer(watch.clone()))
            .connect_timeout(self.connect_limit)
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(self.idle_limit)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .http1_max_headers(HEADERS_MAX)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_ignore_invalid_headers_in_responses(true)
            .build()?;
        Ok(HostClient { http, watch })
    }
}

/// A fetcher's clients.
#[derive(Debug)]
pub(crate) struct Clients {
    mould: Mould,
    bound: usize,
    in_use: usize,
    kept: HashMap<Host, (HostClient, Boot)>,
    /// Oldest first; an entry counts only while its time is still the kept client's.
    order: VecDeque<(Boot, Host)>,
}

impl Clients {
    pub(crate) fn new(mould: Mould, bound: usize) -> Self {
        Self {
            mould,
            bound,
            in_use: 0,
            kept: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The host's kept client, or a new one; to be given back by [`Clients::give_back`] or
    /// counted out by [`Clients::let_go`].
    ///
    /// # Errors
    /// reqwest cannot build a client.
    pub(crate) fn take(&mut self, host: &Host) -> Result<HostClient, reqwest::Error> {
        self.sweep();
        let client = match self.kept.remove(host) {
            Some((client, _)) => client,
            None => self.mould.cast()?,
        };
        self.in_use += 1;
        self.evict();
        Ok(client)
    }

    /// Keeps a client for the host's next lease.
    pub(crate) fn give_back(&mut self, host: Host, client: HostClient) {
        let now = self.mould.clock.boot();
        self.in_use = self.in_use.saturating_sub(1);
        self.order.push_back((now, host.clone()));
        self.kept.insert(host, (client, now));
        self.evict();
    }

    /// A client was dropped instead of given back, and its connection closed with it.
    pub(crate) fn let_go(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// Drops what has been idle for too long.
    pub(crate) fn sweep(&mut self) {
        let now = self.mould.clock.boot();
        while let Some((since, _)) = self.order.front() {
            if now.since(*since) < self.mould.idle_limit {
                break;
            }
            self.drop_oldest();
        }
    }

    /// Clients that are kept for a next lease.
    pub(crate) fn idle(&self) -> usize {
        self.kept.len()
    }

    #[cfg(test)]
    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    fn evict(&mut self) {
        while self.kept.len() + self.in_use > self.bound && self.drop_oldest() {}
        // Hosts that come and go within the idle time leave stale entries; they must not pile up.
        if self.order.len() > 2 * self.bound {
            let kept = &self.kept;
            self.order
                .retain(|(since, host)| kept.get(host).is_some_and(|(_, at)| at == since));
        }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((since, host)) = self.order.pop_front() else {
            return false;
        };
        if self.kept.get(&host).is_some_and(|(_, at)| *at == since) {
            self.kept.remove(&host);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::clock::Wall;

    fn clients(bound: usize) -> (Clients, Clock) {
        let clock = Clock::manual(Wall(0));
        let server = "127.0.0.1:53".parse().unwrap();
        let mould = Mould {
            clock: clock.clone(),
            tls: Arc::new(crate::testing::tls()),
            dns: Arc::new(Dns::new(Some(server), Arc::default()).unwrap()),
            connect_limit: Duration::from_secs(5),
            idle_limit: Duration::from_secs(30),
        };
        (Clients::new(mould, bound), clock)
    }

    fn host(n: usize) -> Host {
        Host::from_stored(&format!("h{n}.zoo.test"))
    }

    #[tokio::test]
    async fn a_host_gets_its_client_back_until_it_is_idle_too_long() {
        let (mut clients, clock) = clients(10);
        let first = clients.take(&host(1)).unwrap();
        let watch = first.watch.clone();
        clients.give_back(host(1), first);
        clock.advance(Duration::from_secs(29));
        let again = clients.take(&host(1)).unwrap();
        assert!(Arc::ptr_eq(&again.watch, &watch));
        clients.give_back(host(1), again);
        clock.advance(Duration::from_secs(29));
        clients.sweep();
        assert_eq!(clients.idle(), 1, "idle since its last lease only");
        clock.advance(Duration::from_secs(1));
        clients.sweep();
        assert_eq!((clients.idle(), clients.order.len()), (0, 0));
        assert!(!Arc::ptr_eq(&clients.take(&host(1)).unwrap().watch, &watch));
    }

    #[tokio::test]
    async fn the_bound_holds_and_the_longest_idle_goes_first() {
        let (mut clients, _) = clients(3);
        for n in 0..3 {
            let client = clients.take(&host(n)).unwrap();
            clients.give_back(host(n), client);
        }
        let _in_use = clients.take(&host(9)).unwrap();
        assert!(!clients.kept.contains_key(&host(0)));
        assert!(clients.kept.contains_key(&host(1)) && clients.kept.contains_key(&host(2)));
        for _ in 0..50 {
            let client = clients.take(&host(1)).unwrap();
            clients.give_back(host(1), client);
        }
        assert!(
            clients.order.len() <= 6 && clients.idle() == 2,
            "{clients:?}"
        );
    }
}
