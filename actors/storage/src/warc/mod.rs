//! WARC 1.1 (ISO 28500:2017): records, gzip members, files, and reading them back.
//!
//! Knows no crawl: it is handed heads, bodies and times, and owns only bytes and files.
//! Invariant: what the writer has acknowledged as durable, the reader reads back whole, digests right.
//! Start reading at [`record::Record`], then [`writer::Writer`] and [`reader::Reader`].

pub mod digest;
pub mod http_head;
pub mod member;
pub mod reader;
pub mod record;
pub mod repair;
pub mod writer;
