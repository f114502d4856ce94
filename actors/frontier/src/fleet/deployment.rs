//! The deployment: what all crawls and nodes of one store have in common, for its life.
//!
//! Owns `{argiope}:conf` and the making of the shards' gates. Invariant: a store of other rules or of a later schema
//! is refused before anything is written. Start at [`open_or_create`].

use std::collections::HashMap;
use std::sync::LazyLock;

use contract::canonical::CANONICAL_VERSION;
use contract::host::PSL_VERSION;
use redis::Script;
use redis::aio::ConnectionLike;

use super::server::{self, Warning};
use super::{CONF, FleetError};

/// The version of the keys and values of a store in Redis.
pub const SCHEMA: u64 = 1;
/// Shards of a new deployment: enough for four masters (FRONTIER, section 9).
pub const SHARDS: u16 = 64;
/// Shards at most: more than this many and a batch is one script call for each page (FRONTIER, section 5).
pub const SHARDS_MAX: u16 = 4_096;

/// What never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub shards: u16,
}

/// Checks the server, then reads what the deployment is, or makes it with so many shards. Idempotent.
///
/// # Errors
/// A server or a deployment that this program cannot work with; nothing was written then.
pub async fn open_or_create(
    conn: &mut (impl ConnectionLike + Send),
    shards: u16,
) -> Result<(Deployment, Vec<Warning>), FleetError> {
    let warnings = server::check(conn).await?;
    static OPEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("open.lua")));
    let mut open = OPEN.key(CONF);
    open.arg(SCHEMA)
        .arg(shards.clamp(1, SHARDS_MAX))
        .arg(PSL_VERSION)
        .arg(CANONICAL_VERSION);
    let facts: HashMap<String, String> = open.invoke_async(conn).await?;
    let deployment = read(&facts)?;
    if !facts.contains_key("gates") {
        gates(conn, deployment.shards).await?;
    }
    Ok((deployment, warnings))
}

/// Reads what the deployment is; none where the store is empty.
///
/// # Errors
/// A deployment that this program cannot work with.
pub async fn find(
    conn: &mut (impl ConnectionLike + Send),
) -> Result<Option<Deployment>, FleetError> {
    let facts: HashMap<String, String> = redis::cmd("HGETALL").arg(CONF).query_async(conn).await?;
    if facts.is_empty() {
        return Ok(None);
    }
    read(&facts).map(Some)
}

fn read(facts: &HashMap<String, String>) -> Result<Deployment, FleetError> {
    let text = |field: &str| facts.get(field).map_or("", String::as_str);
    let number = |what: &'static str| {
        let text = text(what);
        text.parse::<u64>().map_err(|_| FleetError::Text {
            what,
            why: format!("{text:?} is no number"),
        })
    };
    let found = number("schema")?;
    if found > SCHEMA {
        let known = SCHEMA;
        return Err(FleetError::NewerSchema { found, known });
    }
    for (what, field, known) in [
        ("public suffixes of", "psl", PSL_VERSION.to_owned()),
        (
            "canonical URLs of version",
            "canonical",
            CANONICAL_VERSION.to_string(),
        ),
    ] {
        let found = text(field).to_owned();
        if found != known {
            return Err(FleetError::OtherRules { what, found, known });
        }
    }
    let shards = number("shards")?;
    match u16::try_from(shards) {
        Ok(shards @ 1..=SHARDS_MAX) => Ok(Deployment { shards }),
        _ => Err(FleetError::Text {
            what: "shards",
            why: format!("{shards} is not 1 to {SHARDS_MAX}"),
        }),
    }
}

/// Makes every shard's gate, then notes that all are made. Never again: a gate that is missing later belongs to a
/// slot on its way to another server, and must stay missing there (FRONTIER, section 9).
async fn gates(conn: &mut (impl ConnectionLike + Send), shards: u16) -> Result<(), FleetError> {
    static GATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("gate.lua")));
    for shard in 0..shards {
        let mut gate = GATE.key(format!("{{s{shard}}}:m"));
        let _made: i64 = gate.arg(SCHEMA).invoke_async(conn).await?;
    }
    let made = redis::cmd("HSET").arg(CONF).arg("gates").arg(1).to_owned();
    let _new: i64 = made.query_async(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::server;
    use super::*;

    #[tokio::test]
    async fn a_deployment_is_made_once_and_keeps_its_shards() {
        let (_redis, mut conn) = server(&[]).await;
        assert_eq!(find(&mut conn).await.unwrap(), None);
        let (made, _) = open_or_create(&mut conn, 8).await.unwrap();
        assert_eq!(made, Deployment { shards: 8 });
        let (again, _) = open_or_create(&mut conn, 64).await.unwrap();
        assert_eq!(again, made, "a store keeps its shards");
        assert_eq!(find(&mut conn).await.unwrap(), Some(made));
        for shard in 0..9 {
            let gate: HashMap<String, String> = redis::cmd("HGETALL")
                .arg(format!("{{s{shard}}}:m"))
                .query_async(&mut conn)
                .await
                .unwrap();
            let want: &[(&str, &str)] = if shard < 8 {
                &[("st", "run"), ("v", "1")]
            } else {
                &[]
            };
            let mut gate: Vec<_> = gate.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            gate.sort_unstable();
            assert_eq!(gate, want, "shard {shard}");
        }
    }

    #[tokio::test]
    async fn gates_are_finished_after_a_crash_and_left_alone_afterwards() {
        let (_redis, mut conn) = server(&[]).await;
        open_or_create(&mut conn, 4).await.unwrap();
        let run = async |conn: &mut redis::aio::MultiplexedConnection, line: &str| {
            let mut words = line.split(' ');
            let mut cmd = redis::cmd(words.next().unwrap());
            for word in words {
                cmd.arg(word);
            }
            cmd.query_async::<i64>(conn).await.unwrap()
        };
        // As after a crash in the middle: some gates, no note that all are there.
        run(&mut conn, "HDEL {argiope}:conf gates").await;
        run(&mut conn, "DEL {s3}:m").await;
        run(&mut conn, "HSET {s1}:m st moving").await;
        open_or_create(&mut conn, 4).await.unwrap();
        assert_eq!(run(&mut conn, "EXISTS {s3}:m").await, 1);
        assert_eq!(
            run(&mut conn, "HSETNX {s1}:m st run").await,
            0,
            "a moving shard stays so"
        );
        // All were made: a missing one is on its way elsewhere.
        run(&mut conn, "DEL {s2}:m").await;
        open_or_create(&mut conn, 4).await.unwrap();
        assert_eq!(run(&mut conn, "EXISTS {s2}:m").await, 0);
    }

    #[tokio::test]
    async fn other_rules_and_later_schemas_are_refused() {
        let (_redis, mut conn) = server(&[]).await;
        open_or_create(&mut conn, 2).await.unwrap();
        for (field, value, want) in [
            (
                "schema",
                "2",
                "made with schema 2, this program reads up to 1",
            ),
            (
                "psl",
                "psl-1",
                "made with public suffixes of psl-1, this program has psl-",
            ),
            ("canonical", "9", "canonical URLs of version 9"),
            ("shards", "0", "shards cannot be read: 0 is not 1 to"),
            ("shards", "many", "\"many\" is no number"),
        ] {
            let old: String = redis::cmd("HGET")
                .arg(CONF)
                .arg(field)
                .query_async(&mut conn)
                .await
                .unwrap();
            let set = |value: String| {
                redis::cmd("HSET")
                    .arg(CONF)
                    .arg(field)
                    .arg(value)
                    .to_owned()
            };
            let _: i64 = set(value.into()).query_async(&mut conn).await.unwrap();
            let error = open_or_create(&mut conn, 2).await.unwrap_err();
            assert!(error.to_string().contains(want), "{field}: {error}");
            let _: i64 = set(old).query_async(&mut conn).await.unwrap();
        }
        open_or_create(&mut conn, 2).await.unwrap();
    }
}
