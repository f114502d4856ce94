//! The readers as commands: what the crawl reads on its way, asked by hand or by the thousand.
//!
//! One file a command. Each has a function from a case to an answer that is plain data; [`jsonl`] puts it to every line
//! of the input, a call with arguments puts it to one. No reader's rule is written here: the rooms have them.
//! Start at [`jsonl`].

pub mod charset;
pub mod jsonl;
pub mod links;
pub mod robots;
pub mod sitemap;
pub mod source;
pub mod url;
