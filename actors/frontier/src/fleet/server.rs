//! Can this Redis hold a frontier? Asked once, before anything is written.
//!
//! Owns what a server must be and what it should be. Facts come from INFO, which managed servers answer too and which
//! a cluster's client asks of every server; CONFIG is used for the one fact that INFO lacks. Start at [`check`].

use std::fmt;

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use super::FleetError;

/// The oldest Redis that knows everything the scripts use (`#!lua`, redis.io/docs/manual/programmability).
const VERSION_MIN: (u32, u32) = (7, 0);
/// A bucket of the seen set past this is ten times as large in memory (FRONTIER, section 1).
const INTSET_MIN: u64 = 16_384;
const INTSET: &str = "set-max-intset-entries";

/// What works, but should be otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// No append-only file.
    NoAof,
    /// The limit of compact integer sets was too low, and was raised until the server restarts.
    IntsetRaised { from: u64 },
    /// It is too low, and this user may not raise it.
    IntsetLow { found: u64 },
    /// This user may not ask for it.
    Forbidden { command: &'static str },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAof => f.write_str(
                "Redis keeps no append-only file: a restart loses what was found since its last snapshot; set `appendonly yes`",
            ),
            Self::IntsetRaised { from } => write!(
                f,
                "{INTSET} was {from} and is {INTSET_MIN} now; set it in redis.conf, or it is lost with a restart of Redis"
            ),
            Self::IntsetLow { found } => write!(
                f,
                "{INTSET} is {found}: known URLs may take ten times the memory; set it to {INTSET_MIN} in redis.conf"
            ),
            Self::Forbidden { command } => write!(
                f,
                "the store's user may not use {command}: not all of Redis' settings could be checked; see maxmemory-policy \
                 noeviction, appendonly yes, {INTSET} {INTSET_MIN}"
            ),
        }
    }
}

/// Checks the server, or all of a cluster's.
///
/// # Errors
/// One that evicts keys or is too old, with the fix.
pub async fn check(conn: &mut (impl ConnectionLike + Send)) -> Result<Vec<Warning>, FleetError> {
    let mut warnings = Vec::new();
    match redis::cmd("INFO").query_async::<Value>(conn).await {
        Ok(answer) => {
            for text in texts(answer) {
                judge(&text, &mut warnings)?;
            }
        }
        Err(error) if is_forbidden(&error) => warnings.push(Warning::Forbidden { command: "INFO" }),
        Err(error) => return Err(error.into()),
    }
    warnings.dedup();
    intset(conn, &mut warnings).await?;
    Ok(warnings)
}

/// One text a server, however the answers are wrapped.
fn texts(answer: Value) -> Vec<String> {
    match answer {
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(&bytes).into_owned()],
        Value::VerbatimString { text, .. } => vec![text],
        Value::Map(servers) => servers
            .into_iter()
            .flat_map(|(_, info)| texts(info))
            .collect(),
        Value::Array(values) => values.into_iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Judges one server by its INFO.
fn judge(info: &str, warnings: &mut Vec<Warning>) -> Result<(), FleetError> {
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.trim())
    };
    if let Some(version) = field("redis_version") {
        let mut parts = version
            .split('.')
            .map(|part| part.parse::<u32>().unwrap_or(0));
        let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if found < VERSION_MIN {
            return Err(FleetError::Server {
                what: format!("its version is {version}"),
                fix: "use Redis 7.0 or newer",
            });
        }
    }
    if let Some(policy) = field("maxmemory_policy")
        && policy != "noeviction"
    {
        return Err(FleetError::Server {
            what: format!(
                "maxmemory-policy is {policy}, so that it forgets what it was told when memory runs short"
            ),
            fix: "set `maxmemory-policy noeviction`",
        });
    }
    if field("aof_enabled") == Some("0") {
        warnings.push(Warning::NoAof);
    }
    Ok(())
}

/// Sees to the limit of compact integer sets; of a cluster, one server answers for all.
async fn intset(
    conn: &mut (impl ConnectionLike + Send),
    warnings: &mut Vec<Warning>,
) -> Result<(), FleetError> {
    let get = redis::cmd("CONFIG").arg("GET").arg(INTSET).to_owned();
    let found = match get.query_async::<Vec<(String, u64)>>(conn).await {
        Ok(found) => found,
        Err(error) if is_forbidden(&error) => {
            warnings.push(Warning::Forbidden { command: "CONFIG" });
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let Some((_, found)) = found.into_iter().find(|(name, _)| name == INTSET) else {
        return Ok(());
    };
    if found < INTSET_MIN {
        let set = redis::cmd("CONFIG")
            .arg("SET")
            .arg(INTSET)
            .arg(INTSET_MIN)
            .to_owned();
        warnings.push(match set.query_async::<()>(conn).await {
            Ok(()) => Warning::IntsetRaised { from: found },
            Err(error) if is_forbidden(&error) => Warning::IntsetLow { found },
            Err(error) => return Err(error.into()),
        });
    }
    Ok(())
}

/// Refused by an ACL, or unknown because a provider took the command away.
fn is_forbidden(error: &RedisError) -> bool {
    let is_unknown = || {
        error
            .detail()
            .is_some_and(|text| text.contains("unknown command"))
    };
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoPerm) => true,
        ErrorKind::Server(ServerErrorKind::ResponseError) => is_unknown(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{connect, server};
    use super::*;

    #[tokio::test]
    async fn a_server_that_evicts_is_refused_with_the_fix() {
        let (_redis, mut conn) = server(&["maxmemory-policy allkeys-lru"]).await;
        let error = check(&mut conn).await.unwrap_err().to_string();
        assert!(error.contains("maxmemory-policy is allkeys-lru"), "{error}");
        assert!(
            error.ends_with("set `maxmemory-policy noeviction`"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_should_be_otherwise_is_said_once() {
        let (_redis, mut conn) = server(&[]).await;
        let raised = Warning::IntsetRaised { from: 512 };
        assert_eq!(check(&mut conn).await.unwrap(), [Warning::NoAof, raised]);
        assert_eq!(
            check(&mut conn).await.unwrap(),
            [Warning::NoAof],
            "it was raised"
        );
        let (_redis, mut conn) = server(&["appendonly yes", "set-max-intset-entries 20000"]).await;
        assert_eq!(check(&mut conn).await.unwrap(), []);
    }

    #[tokio::test]
    async fn what_an_acl_forbids_is_a_warning() {
        let lines = [
            "user crawler on >pw ~* +@all -config -info",
            "user reader on >pw ~* +@all -config|set",
        ];
        let (redis, _) = server(&lines).await;
        let mut conn = connect(&redis.url_of("crawler", "pw").unwrap()).await;
        assert_eq!(
            check(&mut conn).await.unwrap(),
            [
                Warning::Forbidden { command: "INFO" },
                Warning::Forbidden { command: "CONFIG" }
            ]
        );
        let mut conn = connect(&redis.url_of("reader", "pw").unwrap()).await;
        assert_eq!(
            check(&mut conn).await.unwrap(),
            [Warning::NoAof, Warning::IntsetLow { found: 512 }]
        );
    }

    #[test]
    fn an_old_server_is_refused() {
        let mut warnings = Vec::new();
        let old = judge("# Server\r\nredis_version:6.2.7\r\n", &mut warnings).unwrap_err();
        assert!(old.to_string().contains("its version is 6.2.7"), "{old}");
        judge("redis_version:7.0.15\r\naof_enabled:1\r\n", &mut warnings).unwrap();
        judge("redis_version:8.2.3\r\n", &mut warnings).unwrap();
        assert_eq!(warnings, []);
    }
}
