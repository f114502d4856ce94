//! The crawls of a deployment: made once, found by name, moved from state to state.
//!
//! Owns `{argiope}:crawls` and the facts in `{argiope}:c<c>`. Invariants: a number is never used again; a crawl and
//! its first configuration appear together, and no node takes it up before its seeds are in; a state changes only
//! from one that allows it, whoever else changes it at the same time. Start at [`create`].

use std::collections::HashMap;
use std::sync::LazyLock;

use contract::crawl::CrawlConfig;
use contract::fleet::{CrawlEnd, CrawlName, CrawlNumber, CrawlState};
use redis::Script;
use redis::aio::ConnectionLike;

use super::configs::to_json;
use super::{CONF, CRAWLS, FleetError, crawl_key};

/// Crawls that a deployment remembers at most: each heartbeat reads their states.
pub const CRAWLS_MAX: usize = 1_000;
/// Bits of a bucket's number at most (FRONTIER, section 2).
const BUCKET_BITS_MAX: u8 = 16;
/// URLs of a bucket, if as many come as were expected (FRONTIER, section 2).
const URLS_PER_BUCKET: u64 = 512;

/// What a new crawl is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCrawl {
    pub name: CrawlName,
    /// Drawn by the caller, kept secret from sites.
    pub fingerprint_seed: u64,
    /// From [`bucket_bits`].
    pub bucket_bits: u8,
    /// Who makes it, for the configuration's history.
    pub by: String,
}

/// A crawl as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crawl {
    pub name: CrawlName,
    pub number: CrawlNumber,
    pub fingerprint_seed: u64,
    pub bucket_bits: u8,
    /// When it was made, in ms since 1970 by the store's clock.
    pub made_ms: u64,
    pub state: CrawlState,
    /// The version of its configuration, from 1.
    pub config: u64,
}

/// Bits of the buckets' numbers within a shard: so many that a bucket holds about 512 of the expected URLs. A crawl
/// may grow sixteen times as large before that costs time.
pub fn bucket_bits(expected_urls: u64, shards: u16) -> u8 {
    let buckets = expected_urls.div_ceil(u64::from(shards.max(1)) * URLS_PER_BUCKET);
    let bits = buckets.max(1).next_power_of_two().trailing_zeros();
    u8::try_from(bits).map_or(BUCKET_BITS_MAX, |bits| bits.min(BUCKET_BITS_MAX))
}

/// Makes a crawl with its first configuration; it is [`CrawlState::Preparing`] until [`start`]. Answers the crawl of
/// this name that is there already, unchanged, if there is one: asking twice is asking once.
///
/// # Errors
/// A configuration that cannot be used, or no more room for crawls.
pub async fn create(
    conn: &mut (impl ConnectionLike + Send),
    new: &NewCrawl,
    config: &CrawlConfig,
) -> Result<Crawl, FleetError> {
    static CREATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("create.lua")));
    let json = to_json(config)?;
    let mut create = CREATE.key(CONF);
    create
        .key(CRAWLS)
        .arg(new.name.as_str())
        .arg(new.fingerprint_seed)
        .arg(new.bucket_bits)
        .arg(json)
        .arg(&new.by)
        .arg(CRAWLS_MAX);
    let number: Option<u64> = create.invoke_async(conn).await?;
    let number = number.ok_or(FleetError::ManyCrawls(CRAWLS_MAX))?;
    read(conn, new.name.clone(), CrawlNumber(number)).await
}

/// The crawl of this name.
///
/// # Errors
/// [`FleetError::NoCrawl`], or facts that cannot be read.
pub async fn find(
    conn: &mut (impl ConnectionLike + Send),
    name: &CrawlName,
) -> Result<Crawl, FleetError> {
    let get = redis::cmd("HGET").arg(CRAWLS).arg(name.as_str()).to_owned();
    match get.query_async::<Option<u64>>(conn).await? {
        Some(number) => read(conn, name.clone(), CrawlNumber(number)).await,
        None => Err(FleetError::NoCrawl(name.clone())),
    }
}

/// All crawls, the oldest first.
///
/// # Errors
/// Facts that cannot be read.
pub async fn list(conn: &mut (impl ConnectionLike + Send)) -> Result<Vec<Crawl>, FleetError> {
    let get = redis::cmd("HGETALL").arg(CRAWLS).to_owned();
    let mut numbers: Vec<(String, u64)> = get.query_async(conn).await?;
    numbers.sort_unstable_by_key(|(_, number)| *number);
    let mut crawls = Vec::with_capacity(numbers.len());
    for (name, number) in numbers {
        let name = name.parse().map_err(|error| text("name", error))?;
        crawls.push(read(conn, name, CrawlNumber(number)).await?);
    }
    Ok(crawls)
}

async fn read(
    conn: &mut (impl ConnectionLike + Send),
    name: CrawlName,
    number: CrawlNumber,
) -> Result<Crawl, FleetError> {
    let get = redis::cmd("HGETALL").arg(crawl_key(number)).to_owned();
    let facts: HashMap<String, String> = get.query_async(conn).await?;
    let field = |what: &'static str| facts.get(what).map_or("", String::as_str);
    let whole = |what: &'static str| {
        field(what)
            .parse::<u64>()
            .map_err(|error| text(what, error))
    };
    let bits = whole("bits")?;
    let state = field("state");
    Ok(Crawl {
        name,
        number,
        fingerprint_seed: whole("seed")?,
        bucket_bits: match u8::try_from(bits) {
            Ok(bits @ 0..=BUCKET_BITS_MAX) => bits,
            _ => return Err(text("bits", bits)),
        },
        made_ms: whole("made-ms")?,
        state: CrawlState::of_word(state).ok_or_else(|| text("state", format!("{state:?}")))?,
        config: whole("version")?,
    })
}

fn text(what: &'static str, why: impl std::fmt::Display) -> FleetError {
    let why = why.to_string();
    FleetError::Text { what, why }
}

/// The seeds are in, or the same command was given again: nodes take the crawl up. A paused one stays paused.
///
/// # Errors
/// No such crawl.
pub async fn start(
    conn: &mut (impl ConnectionLike + Send),
    name: &CrawlName,
) -> Result<Crawl, FleetError> {
    let crawl = find(conn, name).await?;
    let may = |state: CrawlState| state == CrawlState::Preparing || state.is_ended();
    let is_there = |state: CrawlState| state.is_worked_on();
    change(conn, crawl, CrawlState::Running, "started", may, is_there).await
}

/// No node sends another request for it, until [`resume`].
///
/// # Errors
/// No such crawl, or one that does not run.
pub async fn pause(
    conn: &mut (impl ConnectionLike + Send),
    name: &CrawlName,
) -> Result<Crawl, FleetError> {
    let crawl = find(conn, name).await?;
    let may = |state| state == CrawlState::Running;
    let is_there = |state| state == CrawlState::Paused;
    change(conn, crawl, CrawlState::Paused, "paused", may, is_there).await
}

/// Ends a pause.
///
/// # Errors
/// No such crawl, or one that is not worked on.
pub async fn resume(
    conn: &mut (impl ConnectionLike + Send),
    name: &CrawlName,
) -> Result<Crawl, FleetError> {
    let crawl = find(conn, name).await?;
    let may = |state| state == CrawlState::Paused;
    let is_there = |state| state == CrawlState::Running;
    change(conn, crawl, CrawlState::Running, "resumed", may, is_there).await
}

/// Ends the crawl for all nodes. The first reason stays. An operator may stop any crawl; all else ends only one that
/// runs, so that a pause is never taken for the end.
///
/// # Errors
/// No such crawl, or one that may not end now.
pub async fn end(
    conn: &mut (impl ConnectionLike + Send),
    name: &CrawlName,
    why: CrawlEnd,
) -> Result<Crawl, FleetError> {
    let crawl = find(conn, name).await?;
    let may = move |state: CrawlState| match why {
        CrawlEnd::Stopped => !state.is_ended(),
        _ => state == CrawlState::Running,
    };
    change(
        conn,
        crawl,
        CrawlState::Ended(why),
        "ended",
        may,
        CrawlState::is_ended,
    )
    .await
}

/// Compare-and-set until it is settled: to `to` from a state that `may`, nothing from one that `is_there`.
async fn change(
    conn: &mut (impl ConnectionLike + Send),
    mut crawl: Crawl,
    to: CrawlState,
    wanted: &'static str,
    may: impl Fn(CrawlState) -> bool,
    is_there: impl Fn(CrawlState) -> bool,
) -> Result<Crawl, FleetError> {
    static CHANGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("change.lua")));
    loop {
        if is_there(crawl.state) {
            return Ok(crawl);
        }
        if !may(crawl.state) {
            let (name, state) = (crawl.name, crawl.state);
            return Err(FleetError::State {
                name,
                state,
                wanted,
            });
        }
        let mut change = CHANGE.key(crawl_key(crawl.number));
        change.arg(crawl.state.as_str()).arg(to.as_str());
        let found: String = change.invoke_async(conn).await?;
        let found = CrawlState::of_word(&found).ok_or_else(|| text("state", &found))?;
        if found == crawl.state {
            crawl.state = to;
            return Ok(crawl);
        }
        // Somebody was faster: judge again by what he made of it.
        crawl.state = found;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{server, with_crawl};
    use super::super::{configs, deployment};
    use super::*;

    fn new(name: &str, seed: u64) -> NewCrawl {
        NewCrawl {
            name: name.parse().unwrap(),
            fingerprint_seed: seed,
            bucket_bits: 3,
            by: "test".into(),
        }
    }

    #[test]
    fn buckets_hold_about_512_of_the_expected_urls() {
        #[track_caller]
        fn check(expected: u64, shards: u16, bits: u8) {
            assert_eq!(
                bucket_bits(expected, shards),
                bits,
                "{expected} over {shards}"
            );
        }
        check(0, 64, 0);
        check(32_768, 64, 0);
        check(32_769, 64, 1);
        check(10_000_000, 64, 9);
        check(1_000_000_000, 64, 15);
        check(u64::MAX, 64, 16);
        check(1_000, 0, 1);
    }

    #[tokio::test]
    async fn a_crawl_is_made_once_whoever_asks() {
        let (_redis, mut conn) = server(&[]).await;
        deployment::open_or_create(&mut conn, 2).await.unwrap();
        let config = CrawlConfig::default();
        let (mut one, mut other) = (conn.clone(), conn.clone());
        let (first, second) = (new("a", u64::MAX), new("a", 2));
        let (one, other) = tokio::join!(
            create(&mut one, &first, &config),
            create(&mut other, &second, &config)
        );
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one, other, "both are told of the one that was made");
        assert_eq!((one.state, one.config), (CrawlState::Preparing, 1));
        let next = create(&mut conn, &new("b", 3), &config).await.unwrap();
        assert_eq!((one.number, next.number), (CrawlNumber(1), CrawlNumber(2)));
        assert_eq!(list(&mut conn).await.unwrap(), [one.clone(), next]);
        assert_eq!(find(&mut conn, &one.name).await.unwrap(), one);
        let stored = configs::current(&mut conn, one.number).await.unwrap();
        assert_eq!((stored.version, stored.config), (1, config));
        let missing = find(&mut conn, &"c".parse().unwrap()).await.unwrap_err();
        assert_eq!(missing.to_string(), "there is no crawl c in this store");
    }

    #[tokio::test]
    async fn a_crawl_with_bad_numbers_is_not_made() {
        let (_redis, mut conn) = server(&[]).await;
        let mut config = CrawlConfig::default();
        config.pace.tries_max = 0;
        let refused = create(&mut conn, &new("a", 1), &config).await.unwrap_err();
        assert!(refused.to_string().contains("pace.tries-max"), "{refused}");
        assert_eq!(list(&mut conn).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_state_changes_only_from_one_that_allows_it() {
        let (_redis, mut conn, crawl) = with_crawl().await;
        let name = crawl.name;
        assert_eq!(crawl.state, CrawlState::Running);
        let state = |crawl: Result<Crawl, FleetError>| crawl.map(|crawl| crawl.state);
        let paused = state(pause(&mut conn, &name).await).unwrap();
        assert_eq!(paused, CrawlState::Paused);
        let again = state(pause(&mut conn, &name).await).unwrap();
        assert_eq!(again, CrawlState::Paused, "twice is once");
        let started = state(start(&mut conn, &name).await).unwrap();
        assert_eq!(
            started,
            CrawlState::Paused,
            "a pause outlives the same command"
        );
        let done = state(end(&mut conn, &name, CrawlEnd::Done).await).unwrap_err();
        assert_eq!(
            done.to_string(),
            "the crawl a is paused: it cannot be ended"
        );
        state(resume(&mut conn, &name).await).unwrap();
        let (mut one, mut other) = (conn.clone(), conn.clone());
        let (one, other) = tokio::join!(
            end(&mut one, &name, CrawlEnd::Done),
            end(&mut other, &name, CrawlEnd::PageLimit)
        );
        let (one, other) = (state(one).unwrap(), state(other).unwrap());
        assert_eq!(one, other, "a crawl ends once, for one reason");
        let late = state(pause(&mut conn, &name).await).unwrap_err();
        assert!(
            late.to_string().starts_with("the crawl a is ended: "),
            "{late}"
        );
        let again = state(start(&mut conn, &name).await).unwrap();
        assert_eq!(again, CrawlState::Running, "the same command goes on");
    }
}
