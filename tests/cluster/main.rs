//! The compose file as an operator runs it, with the image of the tested binary.
//!
//! Judged from the site's own log, from Docker, from Prometheus and from the folders; `tests/cluster/run` brings the
//! images and starts it. It knows the command line and the documented files, and no code of the crawler.
//! Start reading at `story.rs`.

#[cfg(test)]
mod compose;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod site;
#[cfg(test)]
mod story;
