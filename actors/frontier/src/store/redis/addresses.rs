//! The budget of an address over all nodes and crawls: at most so many leases of hosts at one address at once.
//!
//! Owns what this node's leases count at. The count itself is a key of the address' own (`{ip:<address>}`), in another
//! slot than the lease's shard: a lease is looked up there first, then counted here until the moment at which it ends, so
//! that what a dead node counted ends by itself. Invariant: no request goes to an address at which its lease is not
//! counted. Start at [`Addresses::enter`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use contract::host::Host;
use contract::lease::{EnterAddress, Token};
use redis::Cmd;

use super::scripts::{call, odd};
use super::{Core, locked};
use crate::error::StoreError;

/// See the module.
#[derive(Default)]
pub(super) struct Addresses(Mutex<HashMap<(Host, Token), Vec<IpAddr>>>);

impl Addresses {
    /// Counts the lease at an address; false where that has its fill, or the lease may not send any more.
    pub(super) async fn enter(
        &self,
        core: &Core,
        enter: &EnterAddress,
    ) -> Result<bool, StoreError> {
        let Some(most) = core.rules().address_leases_max else {
            return Ok(true);
        };
        let (now, ends) = holds(core, &enter.host, enter.token).await?;
        if ends == 0 {
            return Ok(false);
        }
        let key = format!("{{ip:{}}}", enter.address);
        let member = member(core, &enter.host, enter.token);
        let args = |cmd: &mut Cmd| {
            cmd.arg(member).arg(now).arg(ends).arg(most);
        };
        let entered = call(&core.link, &core.scripts.enter, &key, args).await?;
        let entered = redis::from_redis_value::<u8>(entered).map_err(|_| odd("enter"))? == 1;
        if entered {
            let mut all = locked(&self.0);
            let known = all.entry((enter.host.clone(), enter.token)).or_default();
            if !known.contains(&enter.address) {
                known.push(enter.address);
            }
        }
        Ok(entered)
    }

    /// The lease was extended: it counts for as long.
    pub(super) async fn extended(
        &self,
        core: &Core,
        host: &Host,
        token: Token,
    ) -> Result<(), StoreError> {
        let known = locked(&self.0).get(&(host.clone(), token)).cloned();
        for address in known.unwrap_or_default() {
            let enter = EnterAddress {
                host: host.clone(),
                token,
                address,
            };
            self.enter(core, &enter).await?;
        }
        Ok(())
    }

    /// No request is sent under the lease any more.
    pub(super) async fn leave(
        &self,
        core: &Core,
        host: &Host,
        token: Token,
    ) -> Result<(), StoreError> {
        let known = locked(&self.0).remove(&(host.clone(), token));
        for address in known.unwrap_or_default() {
            let mut leave = redis::cmd("ZREM");
            leave
                .arg(format!("{{ip:{address}}}"))
                .arg(member(core, host, token));
            core.plain::<u64>(leave).await?;
        }
        Ok(())
    }

    /// The lease ran out, and its counts with it.
    pub(super) fn forget(&self, lease: &(Host, Token)) {
        locked(&self.0).remove(lease);
    }
}

fn member(core: &Core, host: &Host, token: Token) -> String {
    format!("{}|{host}|{}", core.shape.crawl, token.0)
}

/// The time in the lease's shard and when the lease ends (0: it may not send any more), both in ms.
async fn holds(core: &Core, host: &Host, token: Token) -> Result<(u64, u64), StoreError> {
    let shard = core.shape.shard(host.area());
    let args = |cmd: &mut Cmd| {
        cmd.arg(core.shape.crawl.0).arg(host.as_str()).arg(token.0);
    };
    let answer = core.ask(shard, &core.scripts.holds, None, args).await?;
    let (ends, now): (u64, u64) = redis::from_redis_value(answer).map_err(|_| odd("holds"))?;
    Ok((now, ends))
}
