//! A cluster's connection that finds its way back from standing still.
//!
//! The client library's connection to a cluster can stop for ever: while it looks for the slots' new masters it does not
//! go on with the questions that are under way, and waits for a lock that one of them holds (redis-rs, issue 2418, mended
//! there for reconnections only). Nothing that is asked of it is ever answered then. Owns the connection and the moment
//! since which nothing was answered. Invariant: a connection that has answered nothing for [`STILL`] while it was asked is
//! replaced by a new one, counted as a break; where none can be had, the old one stays. Start at [`Clustered::asked`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::RoutingInfo;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};
use tokio::time::{Instant, timeout};

use super::link::Breaks;

/// So long a cluster of which some master lives never says nothing.
pub(super) const STILL: Duration = Duration::from_secs(2);
/// For a new connection: longer than its parts may take.
const RENEWED: Duration = Duration::from_secs(10);

/// Shared by all clones.
#[derive(Clone)]
pub(super) struct Clustered(Arc<Inner>);

struct Inner {
    client: ClusterClient,
    now: Mutex<Now>,
    breaks: Breaks,
    /// Held by whoever makes a new connection.
    renewing: tokio::sync::Mutex<()>,
}

struct Now {
    /// Tells it from the one before.
    number: u64,
    conn: ClusterConnection,
    /// When the first question was asked of those that came after the last answer.
    unanswered: Option<Instant>,
}

impl Clustered {
    pub(super) async fn open(client: ClusterClient, breaks: Breaks) -> RedisResult<Self> {
        let now = Now {
            number: 0,
            conn: client.get_async_connection().await?,
            unanswered: None,
        };
        Ok(Self(Arc::new(Inner {
            client,
            now: Mutex::new(now),
            breaks,
            renewing: tokio::sync::Mutex::default(),
        })))
    }

    fn now<T>(&self, take: impl FnOnce(&mut Now) -> T) -> T {
        take(&mut self.0.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The connection to ask, which is another one where the last stands still.
    async fn asked(&self) -> (u64, ClusterConnection) {
        let stands_still = |now: &Now| now.unanswered.is_some_and(|since| since.elapsed() > STILL);
        // Whoever asks meanwhile asks the old one: it is not known to be lost.
        if self.now(|now| stands_still(now))
            && let Ok(_alone) = self.0.renewing.try_lock()
            && self.now(|now| stands_still(now))
        {
            let renewed = timeout(RENEWED, self.0.client.get_async_connection()).await;
            self.now(|now| {
                now.unanswered = None;
                if let Ok(Ok(conn)) = renewed {
                    self.0.breaks.count();
                    (now.number, now.conn) = (now.number + 1, conn);
                }
            });
        }
        self.now(|now| {
            now.unanswered.get_or_insert_with(Instant::now);
            (now.number, now.conn.clone())
        })
    }

    /// The connection of this number has answered.
    fn answered<T>(&self, number: u64, answer: T) -> T {
        self.now(|now| {
            if now.number == number {
                now.unanswered = None;
            }
        });
        answer
    }

    pub(super) async fn route(&self, cmd: Cmd, to: RoutingInfo) -> RedisResult<Value> {
        let (number, mut conn) = self.asked().await;
        self.answered(number, conn.route_command(cmd, to).await)
    }
}

impl ConnectionLike for Clustered {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (number, mut conn) = self.asked().await;
            self.answered(number, conn.req_packed_command(cmd).await)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (number, mut conn) = self.asked().await;
            let answer = conn.req_packed_commands(pipeline, offset, count).await;
            self.answered(number, answer)
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

impl fmt::Debug for Clustered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clustered")
    }
}
