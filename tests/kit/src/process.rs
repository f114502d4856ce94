//! A program under test: started, listened to line by line, signalled by its own id, measured, ended.
//!
//! Output is read by threads while the program runs, so that a full pipe never stops it. A signal is sent only
//! while the process is known not to have been reaped, so it can never reach another one that took its number.
//! Start reading at [`Running::start`].

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// How often memory is looked at while a program is waited for.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// Which stream a line came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A program that runs; dropping it kills it.
pub struct Running {
    pid: Pid,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// How a program ended, and all it said.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// All of standard output.
    pub out: String,
    /// All of standard error.
    pub err: String,
    /// The most resident memory that was seen while it was waited for, in bytes.
    pub peak: u64,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<(Stream, String)>,
    streams_open: usize,
    status: Option<ExitStatus>,
    peak: u64,
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or still runs after `within`; then it is killed.
pub fn run(command: &mut Command, within: Duration) -> Result<Ended> {
    Running::start(command)?.wait(within)
}

impl Running {
    /// Starts a command with no input and both outputs captured.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut threads = Vec::new();
        let out = child
            .stdout
            .take()
            .map(|pipe| (Stream::Out, Box::new(pipe) as Box<dyn Read + Send>));
        let err = child
            .stderr
            .take()
            .map(|pipe| (Stream::Err, Box::new(pipe) as Box<dyn Read + Send>));
        for (stream, pipe) in out.into_iter().chain(err) {
            shared.lock().streams_open += 1;
            let shared = shared.clone();
            threads.push(std::thread::spawn(move || shared.listen(stream, pipe)));
        }
        threads.push(std::thread::spawn({
            let shared = shared.clone();
            move || shared.reap(pid, child)
        }));
        Ok(Self {
            pid,
            shared,
            threads,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// All lines so far, in the order in which they were read.
    pub fn lines(&self) -> Vec<(Stream, String)> {
        self.shared.lock().lines.clone()
    }

    /// Waits for a line, old or new, and returns it.
    ///
    /// # Errors
    /// When the program ends without it or the time is up; the message has all that was said.
    pub fn wait_line(
        &self,
        within: Duration,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> Result<String> {
        let end = Instant::now() + within;
        let mut seen = 0;
        let mut state = self.shared.lock();
        loop {
            if let Some((_, line)) = state.lines[seen..].iter().find(|(_, line)| wanted(line)) {
                return Ok(line.clone());
            }
            seen = state.lines.len();
            let over = state.status.is_some() && state.streams_open == 0;
            let left = end.saturating_duration_since(Instant::now());
            if over || left.is_zero() {
                let what = if over { "ended" } else { "waited in vain" };
                bail!("{what} without the line; it said:\n{}", said(&state, None));
            }
            state = self.shared.wait(state, left);
        }
    }

    /// Sends a signal; nothing happens when the program has ended.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let state = self.shared.lock();
        // Under the lock that the reaper takes: while there is no status the number is still ours.
        if state.status.is_none() {
            kill(self.pid, signal)
                .with_context(|| format!("cannot send {signal} to {}", self.pid))?;
        }
        Ok(())
    }

    /// Resident memory now, in bytes; `None` when the program has ended.
    pub fn resident(&self) -> Option<u64> {
        memory(self.pid, "VmRSS:")
    }

    /// The most resident memory so far, in bytes; `None` when the program has ended.
    pub fn resident_peak(&self) -> Option<u64> {
        memory(self.pid, "VmHWM:")
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> bool {
        self.shared.lock().status.is_some()
    }

    /// Waits for the program's end.
    ///
    /// # Errors
    /// When it still runs after `within`; then it is killed, and the message has all that it said.
    pub fn wait(mut self, within: Duration) -> Result<Ended> {
        let end = Instant::now() + within;
        let mut state = self.shared.lock();
        let status = loop {
            if let Some(status) = state.status.filter(|_| state.streams_open == 0) {
                break status;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!(
                    "still runs after {within:?}; it said:\n{}",
                    said(&state, None)
                );
            }
            state.peak = state.peak.max(memory(self.pid, "VmHWM:").unwrap_or(0));
            state = self.shared.wait(state, left.min(SAMPLE_EVERY));
        };
        let ended = Ended {
            code: status.code(),
            signal: status.signal(),
            out: said(&state, Some(Stream::Out)),
            err: said(&state, Some(Stream::Err)),
            peak: state.peak,
        };
        drop(state);
        self.join();
        Ok(ended)
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A listener ends with its pipe; it cannot panic but by a bug that its own message shows.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either it has ended, or nobody wants it any more. Grandchildren may hold the pipes: do not wait for them.
        let _ = self.signal(Signal::SIGKILL);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, within: Duration) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(state, within)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn listen(&self, stream: Stream, pipe: impl Read) {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while pipe
            .read_until(b'\n', &mut bytes)
            .is_ok_and(|read| read > 0)
        {
            let line = String::from_utf8_lossy(&bytes);
            self.lock()
                .lines
                .push((stream, line.trim_end_matches('\n').to_owned()));
            bytes.clear();
            self.changed.notify_all();
        }
        self.lock().streams_open -= 1;
        self.changed.notify_all();
    }

    fn reap(&self, pid: Pid, mut child: Child) {
        // First learn that it has ended and leave it unreaped, so that its number stays taken until the lock is held.
        while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
            == Err(nix::errno::Errno::EINTR)
        {}
        let mut state = self.lock();
        state.status = child.wait().ok();
        self.changed.notify_all();
    }
}

fn said(state: &State, only: Option<Stream>) -> String {
    let lines = state
        .lines
        .iter()
        .filter(|(stream, _)| only.is_none_or(|only| only == *stream));
    lines.fold(String::new(), |text, (_, line)| text + line + "\n")
}

/// A value in kB of the process's status, in bytes.
fn memory(pid: Pid, name: &str) -> Option<u64> {
    let status =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kb| kb * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn code_and_both_streams_are_kept() {
        let ended = run(
            &mut shell("echo one; echo two >&2; echo three; exit 7"),
            SOON,
        )
        .unwrap();
        assert_eq!((ended.code, ended.signal), (Some(7), None));
        assert_eq!(
            (ended.out.as_str(), ended.err.as_str()),
            ("one\nthree\n", "two\n")
        );
    }

    #[test]
    fn a_line_is_awaited_and_a_signal_arrives() {
        let script = "trap 'echo caught; exit 11' TERM; echo ready; while :; do sleep 0.01; done";
        let running = Running::start(&mut shell(script)).unwrap();
        assert_eq!(
            running
                .wait_line(SOON, |line| line.starts_with("rea"))
                .unwrap(),
            "ready"
        );
        assert!(running.resident().is_some_and(|bytes| bytes > 100_000));
        running.signal(Signal::SIGTERM).unwrap();
        let ended = running.wait(SOON).unwrap();
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(11), "ready\ncaught\n")
        );
    }

    #[test]
    fn a_killed_program_says_by_what() {
        let running = Running::start(&mut shell("echo up; exec sleep 1000")).unwrap();
        running.wait_line(SOON, |line| line == "up").unwrap();
        running.signal(Signal::SIGKILL).unwrap();
        let ended = running.wait(SOON).unwrap();
        assert_eq!((ended.code, ended.signal), (None, Some(9)));
    }

    #[test]
    fn waiting_in_vain_says_what_was_said() {
        let error = run(
            &mut shell("echo hanging; exec sleep 1000"),
            Duration::from_millis(300),
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("still runs") && error.to_string().contains("hanging"),
            "{error}"
        );
        let running = Running::start(&mut shell("echo bye")).unwrap();
        let error = running.wait_line(SOON, |line| line == "hello").unwrap_err();
        assert!(
            error.to_string().contains("ended without the line")
                && error.to_string().contains("bye"),
            "{error}"
        );
    }

    #[test]
    fn a_full_pipe_stops_nobody() {
        let ended = run(&mut shell("seq 1 200000"), SOON).unwrap();
        assert_eq!((ended.code, ended.out.lines().count()), (Some(0), 200_000));
    }

    #[test]
    fn a_dropped_program_is_gone() {
        let running = Running::start(&mut shell("exec sleep 1000")).unwrap();
        let pid = running.pid;
        drop(running);
        crate::until("its end", SOON, || kill(pid, None).is_err().then_some(()));
    }
}
