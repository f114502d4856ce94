//! A real server and a connection for this module's tests.

use contract::crawl::CrawlConfig;
use kit::redis::{Redis, RedisOptions};
use redis::aio::MultiplexedConnection;

use super::crawls::{self, Crawl, NewCrawl};
use super::deployment;

/// A server with these further lines of configuration, and a connection to it.
pub(super) async fn server(lines: &[&str]) -> (Redis, MultiplexedConnection) {
    let redis = Redis::start(RedisOptions {
        lines: lines.iter().map(|&line| line.to_owned()).collect(),
        ..RedisOptions::default()
    });
    let redis = redis.unwrap();
    let conn = connect(&redis.url()).await;
    (redis, conn)
}

/// A connection; answers are waited for as long as it takes on a busy machine.
pub(super) async fn connect(url: &str) -> MultiplexedConnection {
    let patient = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let client = redis::Client::open(url).unwrap();
    client
        .get_multiplexed_async_connection_with_config(&patient)
        .await
        .unwrap()
}

/// A server with a deployment of two shards and one crawl `a` that runs.
pub(super) async fn with_crawl() -> (Redis, MultiplexedConnection, Crawl) {
    let (redis, mut conn) = server(&[]).await;
    deployment::open_or_create(&mut conn, 2).await.unwrap();
    let new = NewCrawl {
        name: "a".parse().unwrap(),
        fingerprint_seed: 7,
        bucket_bits: 3,
        by: "test".into(),
    };
    let config = CrawlConfig::default();
    crawls::create(&mut conn, &new, &config).await.unwrap();
    let crawl = crawls::start(&mut conn, &new.name).await.unwrap();
    (redis, conn, crawl)
}
