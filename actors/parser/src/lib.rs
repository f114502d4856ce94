//! The parser room: bytes to links and facts.
//!
//! Owns how a document is read: content coding, kind, charset, HTML, CSS, sitemaps and feeds, Link headers, and how
//! a link becomes a URL that the crawl may want. It knows no socket, no queue and no file.
//! Invariant: nothing that a page holds makes it panic the node, hang or grow without bound.
//! Start reading at [`reader`], which goes through all of it in order; [`html`] is the largest part.

pub mod actor;
pub mod body;
pub mod charset;
pub mod config;
pub mod css;
pub mod distinct;
pub mod error;
pub mod events;
pub mod html;
pub mod judge;
pub mod linkheader;
pub mod listing;
pub mod reader;
pub mod resolve;
pub mod rights;
pub mod sitemap;
pub mod sniff;
#[cfg(test)]
mod testing;
pub mod watch;
