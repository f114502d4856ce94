//! Is the frontier older than the ledger of its folder?
//!
//! A lease is in the frontier before any page of it is in the ledger, and tokens of a host rise: a line under a later token
//! than the frontier's last one for its host says that the frontier has lost what it knew (a spoilt or cut journal, a
//! store that was set back). Nothing is lost by that for good, since the pages come again with their links; but it is
//! said. Lines of a host that was leased anew since tell nothing. Start at [`look`].

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use contract::host::Host;
use contract::lease::Token;
use frontier::store::Store;
use storage::ledger::LedgerReader;
use tracing::warn;

use crate::exit::{Code, Failure};
use crate::identity;

/// So much of the ledger's end is looked at: some hundreds of lines, more than one crash has in work.
const TAIL_BYTES: u64 = 256 << 10;

/// Says it if it is so.
///
/// # Errors
/// A ledger that cannot be read, or a store that fails.
pub async fn look(store: &impl Store, ledger: &Path) -> Result<(), Failure> {
    let tokens = tail(ledger).map_err(|error| {
        Failure::new(
            Code::Error,
            format!("cannot read {}: {error}", ledger.display()),
        )
    })?;
    let (mut lines, mut hosts) = (0, 0);
    for (host, tokens) in &tokens {
        let known = store.last_token(&Host::from_stored(host)).await;
        let known = known.map_err(identity::failed)?.unwrap_or_default();
        let later = tokens.iter().filter(|token| **token > known).count();
        lines += later;
        hosts += usize::from(later > 0);
    }
    if lines > 0 {
        warn!(
            lines,
            hosts,
            "the frontier is older than the ledger: it has lost what it knew last; those pages are fetched again"
        );
    }
    Ok(())
}

/// Tokens of the ledger's last lines, by host.
fn tail(ledger: &Path) -> std::io::Result<BTreeMap<String, Vec<Token>>> {
    let mut tokens: BTreeMap<String, Vec<Token>> = BTreeMap::new();
    let mut lines = match LedgerReader::open_tail(ledger, TAIL_BYTES) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(tokens),
        opened => opened?,
    };
    loop {
        match lines.next_entry() {
            Ok(None) => return Ok(tokens),
            Ok(Some(line)) => {
                if let (Some(host), Some(token)) = (line.host, line.token) {
                    tokens.entry(host).or_default().push(Token(token));
                }
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {}
            Err(error) => return Err(error),
        }
    }
}
