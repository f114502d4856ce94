//! The scripts, and how one is called: by its hash, loaded where a server does not know it yet.
//!
//! Owns what an answer of Redis means for the caller ([`Trouble`]). Every script may run twice. Start at [`Scripts::call`].

use redis::{Cmd, ErrorKind, RedisError, Script, ServerErrorKind, Value};

use crate::error::StoreError;
use crate::fleet::Link;

/// Why a script has no answer.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// It may have run or not: ask again.
    Lost(RedisError),
    /// The crawl is paused: no claims.
    Paused,
    /// The shard is being moved to another server: ask again.
    Moving,
    /// The store has no room for more.
    Full(RedisError),
    /// It did not run, and would not run another time.
    Refused(RedisError),
}

impl Trouble {
    fn of(error: RedisError) -> Self {
        match (error.kind(), error.code()) {
            (_, Some("PAUSED")) => Self::Paused,
            // A shard that is half moved has no gate where it was.
            (_, Some("MOVING" | "NOGATE")) => Self::Moving,
            (_, Some("OOM")) => Self::Full(error),
            (ErrorKind::Server(ServerErrorKind::ResponseError), _) => Self::Refused(error),
            (ErrorKind::Server(_) | ErrorKind::Io, _) => Self::Lost(error),
            _ if error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error() => {
                Self::Lost(error)
            }
            (ErrorKind::Extension, _) => Self::Refused(error),
            _ => Self::Lost(error),
        }
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Paused => Self::Refusing("paused"),
            Trouble::Moving => Self::Refusing("being moved"),
            Trouble::Lost(source) | Trouble::Full(source) => Self::Away(source),
            Trouble::Refused(source) => Self::Remote(source),
        }
    }
}

/// All scripts.
pub(super) struct Scripts {
    pub(super) claim: Script,
    pub(super) visit: Script,
    pub(super) apply: Script,
    /// The same for what takes no room: also a full store does it, or its queues would never shrink.
    pub(super) drain: Script,
    pub(super) holds: Script,
    pub(super) enter: Script,
    pub(super) permits: Script,
    pub(super) reckon: Script,
    pub(super) spill: Script,
    pub(super) unspill: Script,
    pub(super) now: Script,
    pub(super) take_in: Script,
    pub(super) forget: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let head = include_str!("lua/head.lua");
        let with_head = |body: &str| Script::new(&format!("{head}{body}"));
        let drain = format!(
            "#!lua flags=allow-oom{}{}",
            head.strip_prefix("#!lua").unwrap_or(head),
            include_str!("lua/apply.lua")
        );
        Self {
            drain: Script::new(&drain),
            claim: with_head(include_str!("lua/claim.lua")),
            visit: with_head(include_str!("lua/visit.lua")),
            apply: with_head(include_str!("lua/apply.lua")),
            holds: with_head(include_str!("lua/holds.lua")),
            enter: Script::new(include_str!("lua/enter.lua")),
            permits: Script::new(include_str!("lua/permits.lua")),
            reckon: Script::new(include_str!("lua/reckon.lua")),
            spill: with_head(include_str!("lua/spill.lua")),
            unspill: with_head(include_str!("lua/unspill.lua")),
            now: with_head(include_str!("lua/now.lua")),
            take_in: with_head(include_str!("lua/take_in.lua")),
            forget: with_head(include_str!("lua/forget.lua")),
        }
    }
}

/// Calls a script on the shard (or other tag) of this key.
pub(super) async fn call(
    link: &Link,
    script: &Script,
    key: &str,
    args: impl FnOnce(&mut Cmd),
) -> Result<Value, Trouble> {
    let mut link = link.clone();
    let mut cmd = redis::cmd("EVALSHA");
    cmd.arg(script.get_hash()).arg(1).arg(key);
    args(&mut cmd);
    let answer: Result<Value, RedisError> = cmd.query_async(&mut link).await;
    match answer {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            script.load_async(&mut link).await.map_err(Trouble::of)?;
            cmd.query_async(&mut link).await.map_err(Trouble::of)
        }
        other => other.map_err(Trouble::of),
    }
}

/// The connection is not the one that was asked.
pub(super) fn broken() -> Trouble {
    Trouble::Lost(RedisError::from((ErrorKind::Io, "the connection broke")))
}

/// The store did not answer in time.
pub(super) fn away() -> StoreError {
    broken().into()
}

/// An answer that is not of the form that its script gives.
pub(super) fn odd(what: &'static str) -> StoreError {
    StoreError::Answer { what }
}
