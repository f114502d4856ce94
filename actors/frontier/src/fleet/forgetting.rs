//! Ended crawls that are forgotten: off the list in one step, their keys after it, however often that is cut off.
//!
//! Owns `{argiope}:gone`, the crawls that are off the list and whose keys are still to go. It asks no shard: that is
//! [`crate::store::redis::clearing`]'s. Invariant: only a crawl that has ended is taken off, and its number is never used
//! again, so that whoever still knows it finds nothing. Start at [`forget`].

use std::collections::BTreeMap;
use std::sync::LazyLock;

use contract::fleet::{CrawlName, CrawlNumber, CrawlState};
use redis::Script;
use redis::aio::ConnectionLike;

use super::{CRAWLS, FleetError, GONE, config_key, crawl_key};

/// Takes an ended crawl off the list; what is left of it is among [`gone`] from now on.
///
/// # Errors
/// No such crawl, or one that has not ended.
pub async fn forget(
    conn: &mut (impl ConnectionLike + Send),
    name: &CrawlName,
) -> Result<(), FleetError> {
    static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("forget.lua")));
    let mut forget = FORGET.key(CRAWLS);
    forget.key(GONE).arg(name.as_str());
    let found: Option<String> = forget.invoke_async(conn).await?;
    match found.as_deref() {
        None => Err(FleetError::NoCrawl(name.clone())),
        Some("gone") => Ok(()),
        Some(state) => Err(FleetError::State {
            name: name.clone(),
            state: CrawlState::of_word(state).ok_or_else(|| FleetError::Text {
                what: "state",
                why: format!("{state:?}"),
            })?,
            wanted: "forgotten",
        }),
    }
}

/// Crawls whose keys are still to go, each with the bits of its buckets' numbers.
///
/// # Errors
/// A store that does not answer.
pub async fn gone(
    conn: &mut (impl ConnectionLike + Send),
) -> Result<Vec<(CrawlNumber, u8)>, FleetError> {
    let get = redis::cmd("HGETALL").arg(GONE).to_owned();
    let found: BTreeMap<u64, u8> = get.query_async(conn).await?;
    let found = found.into_iter();
    Ok(found
        .map(|(number, bits)| (CrawlNumber(number), bits))
        .collect())
}

/// The crawl's keys in the shards are gone: so is the rest of it.
///
/// # Errors
/// A store that does not answer.
pub async fn cleared(
    conn: &mut (impl ConnectionLike + Send),
    crawl: CrawlNumber,
) -> Result<(), FleetError> {
    let keys = [crawl_key(crawl), config_key(crawl)];
    let unlink = redis::cmd("UNLINK").arg(&keys).to_owned();
    let _keys: u64 = unlink.query_async(conn).await?;
    let done = redis::cmd("HDEL").arg(GONE).arg(crawl.0).to_owned();
    let _known: u64 = done.query_async(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use contract::fleet::CrawlEnd;

    use super::super::crawls;
    use super::super::testing::with_crawl;
    use super::*;

    #[tokio::test]
    async fn only_what_has_ended_is_forgotten_and_once() {
        let (_redis, mut conn, crawl) = with_crawl().await;
        let refused = forget(&mut conn, &crawl.name).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the crawl a is running: it cannot be forgotten"
        );
        assert_eq!(gone(&mut conn).await.unwrap(), []);
        let ended = crawls::end(&mut conn, &crawl.name, CrawlEnd::Done).await;
        ended.unwrap();
        forget(&mut conn, &crawl.name).await.unwrap();
        assert_eq!(crawls::list(&mut conn).await.unwrap(), []);
        let left = [(crawl.number, crawl.bucket_bits)];
        assert_eq!(gone(&mut conn).await.unwrap(), left);
        let again = forget(&mut conn, &crawl.name).await.unwrap_err();
        assert!(matches!(again, FleetError::NoCrawl(_)), "{again}");
        cleared(&mut conn, crawl.number).await.unwrap();
        assert_eq!(gone(&mut conn).await.unwrap(), []);
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("{}*", crawl_key(crawl.number)))
            .query_async(&mut conn)
            .await
            .unwrap();
        assert_eq!(keys, Vec::<String>::new());
    }
}
