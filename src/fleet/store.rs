//! From the flags to an open shared store.
//!
//! Owns where the address and its password come from. Invariant: no password is shown. Start at [`open`].

use std::net::SocketAddr;

use contract::error::chain;
use frontier::fleet::address::Address;
use frontier::fleet::crawls::Crawl;
use frontier::fleet::deployment::{self, Deployment};
use frontier::fleet::link::LinkError;
use frontier::fleet::{Link, crawls, sockets};
use tracing::warn;

use super::failed;
use crate::cli::{FleetFlags, StoreFlags};
use crate::exit::{Code, Failure};

/// A shared store that this program can work with.
#[derive(Clone, Debug)]
pub struct Shared {
    pub link: Link,
    pub deployment: Deployment,
    /// Without its password.
    pub address: String,
    /// Where its servers are, for who works by it; whoever only asks or orders need not know.
    pub sockets: Vec<SocketAddr>,
}

/// Opens the store that the flags name, and makes a deployment of an empty one. What should be otherwise in it is said.
///
/// # Errors
/// A bad address, a store that is away (exit code 8) or that cannot be used.
pub async fn open(flags: &StoreFlags) -> Result<Shared, Failure> {
    let (mut link, address) = connect(flags).await?;
    let sockets = sockets::sockets(&mut link, &address).await;
    let address = address.to_string();
    let opened = deployment::open_or_create(&mut link, deployment::SHARDS).await;
    let (deployment, warnings) = opened.map_err(failed)?;
    for warning in warnings {
        warn!(store = address, "{warning}");
    }
    Ok(Shared {
        link,
        deployment,
        address,
        sockets,
    })
}

/// The same for a question or an order, which makes nothing of an empty store.
///
/// # Errors
/// As [`open`], and a store without a deployment.
pub async fn find(flags: &StoreFlags) -> Result<Shared, Failure> {
    let (mut link, address) = connect(flags).await?;
    let address = address.to_string();
    match deployment::find(&mut link).await.map_err(failed)? {
        Some(deployment) => Ok(Shared {
            link,
            deployment,
            address,
            sockets: Vec::new(),
        }),
        None => Err(Failure::input(format!(
            "{address}: no crawl was ever started in this store; see `argiope crawl --help`, --store"
        ))),
    }
}

/// The crawl that the flags name, or the only one that has not ended.
///
/// # Errors
/// No such crawl, or more than one to choose from.
pub async fn crawl(shared: &mut Shared, flags: &FleetFlags) -> Result<Crawl, Failure> {
    if let Some(name) = &flags.crawl {
        return crawls::find(&mut shared.link, name).await.map_err(failed);
    }
    let all = crawls::list(&mut shared.link).await.map_err(failed)?;
    let (ended, mut open): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|crawl| crawl.state.is_ended());
    let names = |crawls: &[Crawl]| {
        let names: Vec<_> = crawls.iter().map(|crawl| crawl.name.as_str()).collect();
        names.join(", ")
    };
    match (open.len(), ended.len()) {
        (1, _) => Ok(open.remove(0)),
        (0, 0) => Err(Failure::input("there is no crawl in this store")),
        (0, _) => Err(Failure::input(format!(
            "no crawl of this store is open; name an ended one with --crawl: {}",
            names(&ended)
        ))),
        _ => Err(Failure::input(format!(
            "which crawl? Name one with --crawl: {}",
            names(&open)
        ))),
    }
}

async fn connect(flags: &StoreFlags) -> Result<(Link, Address), Failure> {
    let address = address(flags)?;
    let opened = Link::open(&address, flags.store_ca.clone()).await;
    let link = opened.map_err(|error| {
        let code = match error {
            LinkError::Certificates { .. } => Code::BadInput,
            LinkError::Away { .. } => Code::Store,
        };
        Failure::new(code, chain(&error))
    })?;
    Ok((link, address))
}

/// The address that the flags name, with its password.
///
/// # Errors
/// None or a bad one, or a password's file that cannot be read.
pub fn address(flags: &StoreFlags) -> Result<Address, Failure> {
    let Some(text) = &flags.store else {
        return Err(Failure::input(
            "no store is given: name one with --store, say redis://localhost:6379",
        ));
    };
    let address =
        Address::parse(text).map_err(|error| Failure::input(format!("--store: {error}")))?;
    let Some(file) = &flags.store_password_file else {
        return Ok(address);
    };
    let password = std::fs::read_to_string(file).map_err(|error| {
        Failure::input(format!("--store-password-file {}: {error}", file.display()))
    })?;
    Ok(address.or_password(password.trim_end_matches(['\r', '\n'])))
}
