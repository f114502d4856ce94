//! The stories that the program must be able to tell, each with its real binary, real sockets and real signals.
//!
//! One module a story. They know the command line, the documented files and the exit codes, and no code of the
//! crawler; what is true they learn from `kit` (the origin's log, nginx, other people's readers).
//! Start reading at [`crawl::Crawl`], how a story runs the program, then at any story.

#[cfg(test)]
mod archive;
#[cfg(test)]
mod crawl;
#[cfg(test)]
mod stand;

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod cluster_output;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod dead_host;
#[cfg(test)]
mod deaths;
#[cfg(test)]
mod disk_full;
#[cfg(test)]
mod display;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod drills;
#[cfg(test)]
mod duplicates;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod many_links;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod polite;
#[cfg(test)]
mod rate;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod real_sites;
#[cfg(test)]
mod recrawl;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod robots;
#[cfg(test)]
mod scope;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod traps;
