//! `forget`: ended crawls of a shared store are taken off its list, and their frontiers with them.
//!
//! Owns the order: off the list first, then the keys; a run that was cut off is made good by the next. What nodes have
//! written stays where it is. Start at [`run`].

use frontier::fleet::forgetting;
use frontier::fleet::nodes::{self, Node};
use frontier::store::redis::clearing;

use crate::cli::ForgetArgs;
use crate::exit::Failure;
use crate::fleet::failed;
use crate::fleet::store;
use crate::identity;

/// Forgets these crawls, and what an earlier run has left.
///
/// # Errors
/// A crawl that is not there, has not ended or is still in a node's hands; a store that fails.
pub async fn run(args: &ForgetArgs) -> Result<(), Failure> {
    let mut shared = store::find(&args.store).await?;
    let link = &mut shared.link;
    for name in &args.crawls {
        let crawl = frontier::fleet::crawls::find(link, name).await;
        let number = crawl.map_err(failed)?.number;
        let living = nodes::list(link).await.map_err(failed)?;
        let has_it = |node: &&Node| {
            let mut on = node.status.iter().flat_map(|status| &status.crawls);
            node.is_alive() && on.any(|on| on.crawl == number)
        };
        if let Some(node) = living.iter().find(has_it) {
            return Err(Failure::input(format!(
                "the crawl {name} is still in the hands of node {}; try again when it has let it go",
                node.name
            )));
        }
        forgetting::forget(link, name).await.map_err(failed)?;
        println!("{name}: forgotten; what the nodes have written of it stays");
    }
    for (number, bits) in forgetting::gone(link).await.map_err(failed)? {
        let keys = clearing::clear(link, &shared.deployment, number, bits).await;
        let keys = keys.map_err(identity::failed)?;
        forgetting::cleared(link, number).await.map_err(failed)?;
        println!("{keys} keys of crawl number {number} are gone");
    }
    Ok(())
}
