//! The stories that the program must be able to tell, each with its real binary, real sockets and real signals.
//!
//! One module a story. They know the command line, the documented files and the exit codes, and no code of the
//! crawler; what is true they learn from `kit` (the origin's log, nginx, other people's readers).
//! Start reading at [`crawl::Crawl`], how a story runs the program, then at any story.

mod archive;
mod crawl;
mod stand;

mod bad_input;
mod crash;
mod memory;
mod polite;
mod real_sites;
mod restart;
mod scope;
