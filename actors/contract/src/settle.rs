//! `settle`: outcome and links, back to the frontier; closes the ring.
//!
//! Sent by storage after the group's records are durable. The frontier puts the links in before it settles the
//! URL, in one atomic step of the host's shard. Idempotent under (host, token, position).

use crate::admit::FrontierError;
use crate::host::{Host, Origin};
use crate::keep::{ParsedPage, TextFacts};
use crate::lease::Token;
use crate::link::Link;
use crate::outbox::Ask;
use crate::outcome::Outcome;
use crate::page::{Fate, PageLife, Place};
use crate::robots::RobotsRecord;

/// The settles of one durable group.
#[derive(Debug)]
pub struct SettleBatch {
    pub settles: Vec<Settle>,
}

impl Ask for SettleBatch {
    /// One answer for each settle, in order.
    type Reply = Result<Vec<Settled>, FrontierError>;
}

/// What became of one page.
#[derive(Clone, Debug)]
pub struct Settle {
    pub host: Host,
    pub token: Token,
    pub what: Settles,
    /// The URL, where its links were found.
    pub via: Box<str>,
    pub links: Vec<Link>,
    /// What the page was like, where an answer of it was read for the first time.
    pub read: Option<Read>,
}

/// What tells whether a page brought anything new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The URL where it was found.
    pub found_at: Option<Box<str>>,
    /// Clicks from a seed.
    pub depth: u16,
    /// Its main text; none where it is no document with text.
    pub text: Option<TextFacts>,
}

/// What of the lease is settled.
#[derive(Clone, Debug)]
pub enum Settles {
    /// The URL at this position of the lease.
    Url {
        position: u32,
        outcome: Outcome,
        fate: Fate,
        /// A record of it is in the archive: counts towards `--limit`.
        kept: bool,
        /// Bytes it added to the archive: count towards `--size-limit`.
        bytes: u64,
    },
    /// An origin's robots.txt.
    Robots {
        origin: Origin,
        record: Box<RobotsRecord>,
    },
    /// Nothing but links.
    Beside,
}

/// How a settle was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Applied,
    /// It was settled before; nothing changed.
    Duplicate,
    /// Its lease has ended: the URL will come again.
    Fenced,
}

/// Splits a kept page into its settle and its life, which ends when the frontier has answered. All else of the
/// page (body, heads, facts) is dropped here.
pub fn settle_of(parsed: ParsedPage, kept: bool, bytes: u64) -> (Settle, PageLife) {
    let ParsedPage {
        mut page,
        links,
        facts,
        ..
    } = parsed;
    page.life.judged(page.verdict.outcome);
    // A page that is refreshed brings nothing new by its nature: it says nothing of its family.
    let is_new = page.queued.earlier.is_none();
    let is_read = is_new && page.exchange.is_some() && page.verdict.fate == Fate::Done;
    let read = is_read.then(|| Read {
        found_at: page.queued.via.take(),
        depth: page.queued.depth,
        text: facts.text,
    });
    let what = match page.place {
        Place::Queue(position) => {
            let (outcome, fate) = (page.verdict.outcome, page.verdict.fate);
            Settles::Url {
                position,
                outcome,
                fate,
                kept: kept && fate == Fate::Done,
                bytes,
            }
        }
        Place::Robots { origin, record, .. } => Settles::Robots { origin, record },
        Place::Beside => Settles::Beside,
    };
    let via = String::from(page.url).into_boxed_str();
    (
        Settle {
            host: page.host,
            token: page.token,
            what,
            via,
            links,
            read,
        },
        page.life,
    )
}
