//! What a person sees while a crawl runs: one line, renewed in place on a terminal, repeated elsewhere.

use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

use coordinator::{State, Status};
use tokio::sync::watch;

use crate::units::bytes_words;

/// Between two lines where stdout is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Between two renewals on a terminal.
const RENEW_EVERY: Duration = Duration::from_millis(250);

/// Shows `status` until the future is dropped.
pub async fn show(status: watch::Receiver<Status>) {
    let is_terminal = stdout().is_terminal();
    let mut ticks = tokio::time::interval(if is_terminal { RENEW_EVERY } else { LINE_EVERY });
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let line = words(&status.borrow());
        let mut out = stdout().lock();
        // A closed stdout must not end a crawl.
        let _shown = if is_terminal {
            write!(out, "\r\x1b[K{line}")
        } else {
            writeln!(out, "{line}")
        };
        let _flushed = out.flush();
    }
}

/// Ends the renewed line, so that what follows starts on its own.
pub fn end_line() {
    if stdout().is_terminal() {
        println!();
    }
}

fn words(status: &Status) -> String {
    let state = match status.state {
        State::Starting => "starting",
        State::Running => "crawling",
        State::Paused => "paused",
        State::Draining => "draining",
    };
    let frontier = &status.frontier;
    let mut line = format!(
        "{state}: {} done of {} known, {} queued; {:.1} pages/s, {}/s; {} hosts active, {} waiting; {} in flight",
        frontier.done,
        frontier.known,
        frontier.queued,
        status.pages_per_s,
        bytes_words(status.bytes_per_s),
        frontier.hosts_active,
        frontier.hosts_waiting,
        status.in_flight,
    );
    if status.errors.total() > 0 {
        line.push_str(&format!("; errors: {}", status.errors));
    }
    if let Some(what) = &status.waiting_for {
        line.push_str(&format!("; waiting for {what}"));
    }
    if let Some(eta) = &status.eta {
        line.push_str(&format!("; ETA {eta}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_it_waits_for_and_until_when() {
        let mut status = Status {
            state: State::Running,
            ..Status::default()
        };
        status.frontier.queued = 3;
        status.waiting_for = Some("the delay of docs.example.org, 0.7 s".into());
        status.eta = Some("3 s (3 queued at 1.0 pages/s)".into());
        status.errors.transient = 2;
        let line = words(&status);
        assert!(
            line.starts_with("crawling: 0 done of 0 known, 3 queued;"),
            "{line}"
        );
        assert!(line.contains("errors: 2 transient"), "{line}");
        assert!(line.ends_with(
            "waiting for the delay of docs.example.org, 0.7 s; ETA 3 s (3 queued at 1.0 pages/s)"
        ));
    }
}
