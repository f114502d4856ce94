//! The parser room: bytes to links and facts.
//!
//! Owns how a document is read: content coding, kind, charset, HTML, CSS, sitemaps and feeds, Link headers, and how
//! a link becomes a URL that the crawl may want. It knows no socket, no queue and no file.
//! Invariant: nothing that a page holds makes it panic the node, hang or grow without bound.

pub mod charset;
pub mod css;
pub mod distinct;
pub mod html;
pub mod linkheader;
pub mod resolve;
pub mod sitemap;
pub mod sniff;
pub mod watch;
