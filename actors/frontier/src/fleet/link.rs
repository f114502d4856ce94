//! The connection to the shared store, whatever its servers' topology: one server, a cluster, or a master that
//! sentinels name.
//!
//! Owns how it is opened, how it finds its way back, and how often it broke. Clones share one connection; a question that
//! was under way when it broke fails, and its asker asks again: every script is idempotent. Invariants: no answer is
//! waited for longer than [`ANSWER`]; a connection that is not the one before has been counted before it answers.
//! Start at [`Link::open`].

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::{
    ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection, SendError,
};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, ProtocolVersion, PushInfo, PushKind,
    RedisError, RedisFuture, RedisResult, ServerErrorKind, TlsCertificates, TlsMode, Value,
};

use super::address::{Address, Server, Topology};
use super::clustered::Clustered;

/// An answer that takes longer is lost. Longer than the longest script and a failover.
pub const ANSWER: Duration = Duration::from_secs(15);
/// A server that does not take a connection within this is away.
const CONNECT: Duration = Duration::from_secs(5);
/// A server that has not acknowledged what was sent within this can no longer be reached by this connection, though
/// nobody said so (its machine is gone, or our address is another one now): the kernel ends it, and the next is opened.
/// Without it that takes a quarter of an hour (tcp(7), TCP_USER_TIMEOUT).
const ACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The file of further roots.
    #[error("cannot read the store's certificates in {path}")]
    Certificates {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Nobody there, or a refused login.
    #[error("the store at {address} does not let us in")]
    Away { address: String, source: RedisError },
}

/// A shared connection.
#[derive(Clone)]
pub struct Link {
    way: Way,
    breaks: Breaks,
}

/// Counts broken connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaks(Arc<AtomicU64>);

impl Breaks {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// What a connection tells: it counts its own end, before there is another.
    fn listener(&self) -> impl Fn(PushInfo) -> Result<(), SendError> + Send + Sync + use<> {
        let breaks = self.clone();
        move |told| {
            if told.kind == PushKind::Disconnection {
                breaks.count();
            }
            Ok(())
        }
    }
}

#[derive(Clone)]
enum Way {
    One(ConnectionManager),
    Cluster(Clustered),
    Named(Named),
    #[cfg(test)]
    Failing(super::failing::Failing),
}

impl Link {
    /// The same link, whose questions fail as planned.
    #[cfg(test)]
    pub(crate) fn failing(self, failures: super::failing::Failures) -> Self {
        let (link, breaks) = (Box::new(self.clone()), self.breaks);
        let way = Way::Failing(super::failing::Failing {
            link,
            failures,
            breaks: breaks.clone(),
        });
        Self { way, breaks }
    }

    /// Connects; under TLS it trusts the certificates of this PEM file instead of the system's, if one is given.
    ///
    /// # Errors
    /// Certificates that cannot be read, or a store that cannot be reached.
    pub async fn open(address: &Address, ca: Option<PathBuf>) -> Result<Self, LinkError> {
        let certificates = match ca.filter(|_| address.tls) {
            None => None,
            Some(path) => {
                let pem = std::fs::read(&path)
                    .map_err(|source| LinkError::Certificates { path, source })?;
                Some(TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem),
                })
            }
        };
        let breaks = Breaks::default();
        let way = match &address.topology {
            Topology::Single(server) => one(address, server, certificates, &breaks).await,
            Topology::Cluster(servers) => cluster(address, servers, certificates, &breaks).await,
            Topology::Sentinel { sentinels, master } => {
                named(address, sentinels, master, certificates, &breaks).await
            }
        };
        let way = way.map_err(|source| LinkError::Away {
            address: address.to_string(),
            source,
        })?;
        Ok(Self { way, breaks })
    }

    /// How often a connection of it has broken. A question that was answered with this number unchanged was answered by
    /// a server that had been there all the while.
    pub fn breaks(&self) -> u64 {
        self.breaks.0.load(Ordering::Acquire)
    }

    fn is_cluster(&self) -> bool {
        match &self.way {
            Way::Cluster(_) => true,
            Way::One(_) | Way::Named(_) => false,
            #[cfg(test)]
            Way::Failing(conn) => conn.link.is_cluster(),
        }
    }

    /// Asks all of this: at once where one server is asked, so that many small questions cost what one does. Of a cluster
    /// each shard is asked by itself. Answers come in the order of the questions.
    ///
    /// # Errors
    /// A question that failed; the others may have been done.
    pub async fn each(&self, questions: Vec<Cmd>) -> RedisResult<Vec<Value>> {
        let mut link = self.clone();
        if link.is_cluster() {
            let asked = questions.into_iter().map(|question| {
                let mut link = link.clone();
                async move { question.query_async::<Value>(&mut link).await }
            });
            return try_join_all(asked).await;
        }
        let mut all = Pipeline::with_capacity(questions.len());
        for question in questions {
            all.add_command(question);
        }
        all.query_async(&mut link).await
    }

    /// Which process the server is that has this slot of a cluster, or the one server: another than before may have
    /// forgotten what that last did.
    ///
    /// # Errors
    /// A server that does not answer.
    pub async fn identity(&mut self, slot: u16) -> RedisResult<String> {
        let mut info = redis::cmd("INFO");
        info.arg("server");
        #[cfg(test)]
        if let Way::Failing(conn) = &mut self.way {
            return Box::pin(conn.link.identity(slot)).await;
        }
        let answer = match &mut self.way {
            Way::Cluster(conn) => {
                let owner = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                conn.route(info, RoutingInfo::SingleNode(owner)).await?
            }
            _ => info.query_async(self).await?,
        };
        let text: String = redis::from_redis_value(answer)?;
        let run = text.lines().find_map(|line| line.strip_prefix("run_id:"));
        let run = run.ok_or_else(|| {
            RedisError::from((ErrorKind::UnexpectedReturnType, "INFO names no run_id"))
        })?;
        Ok(run.trim().to_owned())
    }
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_user_timeout(ACKNOWLEDGED)
}

async fn one(
    address: &Address,
    server: &Server,
    certificates: Option<TlsCertificates>,
    breaks: &Breaks,
) -> RedisResult<Way> {
    let info = address.info(server).set_tcp_settings(tcp());
    let client = match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates)?,
        None => Client::open(info)?,
    };
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER))
        .set_push_sender(breaks.listener())
        .set_max_delay(Duration::from_secs(2));
    // The manager's own first connection is tried again and again; whoever starts wants to hear of a refusal at once.
    let first = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT));
    drop(
        client
            .get_multiplexed_async_connection_with_config(&first)
            .await?,
    );
    Ok(Way::One(
        ConnectionManager::new_with_config(client, config).await?,
    ))
}

async fn cluster(
    address: &Address,
    servers: &[Server],
    certificates: Option<TlsCertificates>,
    breaks: &Breaks,
) -> RedisResult<Way> {
    let mut builder = ClusterClientBuilder::new(servers.iter().map(|server| address.info(server)))
        .connection_timeout(CONNECT)
        .response_timeout(ANSWER)
        .tcp_settings(tcp())
        .use_protocol(ProtocolVersion::RESP3)
        .push_sender(breaks.listener())
        .retries(3);
    if let Some(username) = address.username() {
        builder = builder.username(username);
    }
    if let Some(password) = address.password() {
        builder = builder.password(password);
    }
    if address.tls {
        builder = builder.tls(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    let clustered = Clustered::open(builder.build()?, breaks.clone()).await?;
    Ok(Way::Cluster(clustered))
}

async fn named(
    address: &Address,
    sentinels: &[Server],
    master: &str,
    certificates: Option<TlsCertificates>,
    breaks: &Breaks,
) -> RedisResult<Way> {
    let at = sentinels
        .iter()
        .map(|server| address.info(server).addr().clone());
    let mut builder = SentinelClientBuilder::new(at, master, SentinelServerType::Master)?
        .set_client_to_redis_db(address.db);
    if let Some(username) = address.username() {
        builder = builder
            .set_client_to_redis_username(username)
            .set_client_to_sentinel_username(username);
    }
    if let Some(password) = address.password() {
        builder = builder
            .set_client_to_redis_password(password)
            .set_client_to_sentinel_password(password);
    }
    if address.tls {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    let named = Named {
        sentinels: Arc::new(tokio::sync::Mutex::new(builder.build()?)),
        current: Arc::default(),
        breaks: breaks.clone(),
        db: address.db,
    };
    named.current().await?;
    Ok(Way::Named(named))
}

/// The master that sentinels name; asked for again once it fails or is no master any more.
#[derive(Clone)]
struct Named {
    sentinels: Arc<tokio::sync::Mutex<SentinelClient>>,
    /// With a number that tells it from the one before.
    current: Arc<Mutex<(u64, Option<MultiplexedConnection>)>>,
    breaks: Breaks,
    db: i64,
}

impl Named {
    fn known(&self) -> (u64, Option<MultiplexedConnection>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    async fn current(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        if let (number, Some(conn)) = self.known() {
            return Ok((number, conn));
        }
        let mut sentinels = self.sentinels.lock().await;
        // Somebody else may have asked while we waited.
        if let (number, Some(conn)) = self.known() {
            return Ok((number, conn));
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let asked = sentinels.get_async_connection_with_config(&config);
        let conn = tokio::time::timeout(ANSWER, asked).await.map_err(|_| {
            RedisError::from((ErrorKind::Io, "no sentinel names a master in time"))
        })??;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = (current.0 + 1, Some(conn.clone()));
        Ok((current.0, conn))
    }

    /// After an answer that says that this is not the master, or not there.
    fn judge<T>(&self, number: u64, answer: &RedisResult<T>) {
        let is_gone = answer.as_ref().err().is_some_and(|error| {
            let kind = error.kind();
            error.is_io_error()
                || error.is_unrecoverable_error()
                || matches!(
                    kind,
                    ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
                )
        });
        if is_gone {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if current.0 == number && current.1.take().is_some() {
                self.breaks.count();
            }
        }
    }
}

impl ConnectionLike for Named {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (number, mut conn) = self.current().await?;
            let answer = conn.req_packed_command(cmd).await;
            self.judge(number, &answer);
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (number, mut conn) = self.current().await?;
            let answer = conn.req_packed_commands(pipeline, offset, count).await;
            self.judge(number, &answer);
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.db
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.way {
            Way::One(conn) => conn.req_packed_command(cmd),
            Way::Cluster(conn) => conn.req_packed_command(cmd),
            Way::Named(conn) => conn.req_packed_command(cmd),
            #[cfg(test)]
            Way::Failing(conn) => conn.command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.way {
            Way::One(conn) => conn.req_packed_commands(pipeline, offset, count),
            Way::Cluster(conn) => conn.req_packed_commands(pipeline, offset, count),
            Way::Named(conn) => conn.req_packed_commands(pipeline, offset, count),
            #[cfg(test)]
            Way::Failing(conn) => conn.commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.way {
            Way::One(conn) => conn.get_db(),
            Way::Cluster(conn) => conn.get_db(),
            Way::Named(conn) => conn.get_db(),
            #[cfg(test)]
            Way::Failing(_) => 0,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.way {
            Way::One(_) => "Link(one)",
            Way::Cluster(_) => "Link(cluster)",
            Way::Named(_) => "Link(named)",
            #[cfg(test)]
            Way::Failing(_) => "Link(failing)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::deployment;
    use super::*;
    use kit::redis::{Redis, RedisCluster, RedisOptions, Sentinel};

    async fn open(url: &str, ca: Option<PathBuf>) -> Result<Link, LinkError> {
        // As the program does when it starts.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        Link::open(&Address::parse(url).unwrap(), ca).await
    }

    async fn shards(link: &mut Link) -> u16 {
        let (made, _) = deployment::open_or_create(link, 4).await.unwrap();
        made.shards
    }

    #[tokio::test]
    async fn one_server_with_a_password_and_tls() {
        let redis = Redis::start(RedisOptions {
            password: Some("geheim".into()),
            tls: true,
            ..RedisOptions::default()
        });
        let redis = redis.unwrap();
        let ca = Some(redis.authority());
        let mut link = open(&redis.url(), ca.clone()).await.unwrap();
        assert_eq!(shards(&mut link).await, 4);
        let stranger = open(&redis.url(), None).await.unwrap_err();
        assert!(matches!(stranger, LinkError::Away { .. }), "{stranger}");
        let wrong = redis.url().replace("geheim", "falsch");
        let wrong = open(&wrong, ca).await.unwrap_err();
        let text = contract::error::chain(&wrong);
        assert!(text.contains("rediss://default:***@127.0.0.1:"), "{text}");
        assert!(!text.contains("falsch"), "{text}");
        let none = open(&redis.url(), Some("/no/such/file".into())).await;
        assert!(none.unwrap_err().to_string().contains("/no/such/file"));
    }

    #[tokio::test]
    async fn a_connection_comes_back_after_the_server_did() {
        let mut redis = Redis::start(RedisOptions {
            appendonly: true,
            ..RedisOptions::default()
        })
        .unwrap();
        let mut link = open(&redis.url(), None).await.unwrap();
        assert_eq!(shards(&mut link).await, 4);
        let (before, breaks) = (link.identity(0).await.unwrap(), link.breaks());
        redis.kill().unwrap();
        deployment::find(&mut link).await.unwrap_err();
        redis.restart().unwrap();
        while deployment::find(&mut link).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(shards(&mut link).await, 4);
        assert!(link.breaks() > breaks, "a break is counted");
        assert_ne!(link.identity(0).await.unwrap(), before);
        redis.kill().unwrap();
        let away = open(&redis.url(), None).await.unwrap_err();
        assert!(matches!(away, LinkError::Away { .. }), "{away}");
    }

    #[tokio::test]
    async fn a_cluster_holds_a_deployment() {
        let cluster = RedisCluster::start(3, 0).unwrap();
        let one = cluster.urls()[0].replace("redis://", "redis+cluster://");
        let mut link = open(&one, None).await.unwrap();
        assert_eq!(shards(&mut link).await, 4);
        let mut processes = std::collections::BTreeSet::new();
        for slot in [0, 8_000, 16_000, 16_383] {
            processes.insert(link.identity(slot).await.unwrap());
        }
        assert_eq!(processes.len(), 3);
    }

    #[tokio::test]
    async fn a_cluster_that_said_nothing_for_long_is_asked_by_another_connection() {
        let cluster = RedisCluster::start(3, 0).unwrap();
        let one = cluster.urls()[0].replace("redis://", "redis+cluster://");
        let mut link = open(&one, None).await.unwrap();
        assert_eq!(shards(&mut link).await, 4);
        let breaks = link.breaks();
        (0..3).for_each(|n| cluster.node(n).freeze().unwrap());
        let patience = Duration::from_millis(100);
        let began = tokio::time::Instant::now();
        while began.elapsed() < super::super::clustered::STILL + patience {
            let asked = tokio::time::timeout(patience, link.identity(0)).await;
            assert!(asked.is_err(), "nobody can have answered: {asked:?}");
            assert_eq!(link.breaks(), breaks, "nor taken a new connection");
        }
        (0..3).for_each(|n| cluster.node(n).thaw().unwrap());
        assert_eq!(shards(&mut link).await, 4);
        assert_eq!(link.breaks(), breaks + 1);
        assert_eq!(shards(&mut link).await, 4);
        assert_eq!(link.breaks(), breaks + 1, "it answers: it stays");
    }

    #[tokio::test]
    async fn the_master_that_sentinels_name_is_followed() {
        let sentinel = Sentinel::start("main").unwrap();
        let hosts: Vec<_> = sentinel
            .urls()
            .iter()
            .map(|url| {
                url.trim_start_matches("redis://")
                    .trim_end_matches('/')
                    .to_owned()
            })
            .collect();
        let url = format!(
            "redis+sentinel://{}/{}",
            hosts.join(","),
            sentinel.master_name()
        );
        let mut link = open(&url, None).await.unwrap();
        assert_eq!(shards(&mut link).await, 4);
        sentinel.failover().unwrap();
        // The old master refuses writes or connections at first; then the new one answers.
        while deployment::open_or_create(&mut link, 4).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
