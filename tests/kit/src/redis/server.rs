//! One redis-server process: its folder, its port, its life, and a way in that no fault of a test closes.
//!
//! It writes the configuration once and starts the same files again after any end; the server may rewrite them, as
//! sentinels do. The kit talks to it by a socket file and as a user of its own, so neither TLS nor passwords nor a
//! proxy lie between. It does not know what the server is for.
//! Invariant: the process ends with its owner, and with this process however that ends. Start reading at [`Server::start`].

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::client::{Client, Value};
use crate::port::Port;
use crate::process::Running;
use crate::until::until_or_none;

const BINARY: &str = "/usr/bin/redis-server";
/// Part of every Debian: runs a program that the system kills when the thread that started it ends.
const SETPRIV: &str = "/usr/bin/setpriv";
const CONFIG: &str = "redis.conf";
const SOCKET: &str = "kit.sock";
/// The kit's user; any password will do.
const USER: &str = "kit";
/// How long a start may take, with the loading of what was kept, and an end.
const WITHIN: Duration = Duration::from_secs(20);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that has been started, and runs or not; dropping it ends it.
pub(super) struct Server {
    running: Option<Kept>,
    sentinel: bool,
    port: Port,
    folder: TempDir,
}

/// A process, and the thread that started it.
struct Kept {
    running: Running,
    /// The thread waits until this is dropped, after the process has got its signal.
    _thread: SyncSender<()>,
}

impl Server {
    /// Starts a server with the lines that `config` gives for its folder and port, and waits until it answers.
    pub(super) fn start(
        sentinel: bool,
        config: impl FnOnce(&Path, u16) -> Result<String>,
    ) -> Result<Self> {
        for binary in [BINARY, SETPRIV] {
            ensure!(
                Path::new(binary).exists(),
                "{binary} is not there (Debian: apt-get install redis-server util-linux)"
            );
        }
        let folder = tempfile::Builder::new().prefix("redis-").tempdir()?;
        let port = Port::reserve().context("no free port")?;
        let at = folder.path().display();
        let mut text = format!("bind 127.0.0.1\ndaemonize no\ndir {at}\n");
        writeln!(
            text,
            "unixsocket {at}/{SOCKET}\nuser {USER} on nopass ~* &* +@all"
        )?;
        text += &config(folder.path(), port.number())?;
        std::fs::write(folder.path().join(CONFIG), text)?;
        let mut server = Self {
            running: None,
            sentinel,
            port,
            folder,
        };
        server.launch()?;
        Ok(server)
    }

    /// Starts it again as it was, on the same port and folder, and waits until it answers.
    pub(super) fn launch(&mut self) -> Result<()> {
        ensure!(!self.is_running(), "it still runs");
        let mut command = Command::new(SETPRIV);
        command.args(["--pdeathsig", "KILL", "--", BINARY]);
        command.arg(self.folder.path().join(CONFIG));
        if self.sentinel {
            command.arg("--sentinel");
        }
        let kept = keep(command)?;
        let answers = until_or_none(WITHIN, || match kept.running.has_ended() {
            true => Some(false),
            false => self
                .call(&["PING"])
                .is_ok_and(|pong| pong.text() == "PONG")
                .then_some(true),
        });
        if answers != Some(true) {
            bail!("redis-server did not start: {}", kept.said());
        }
        self.running = Some(kept);
        Ok(())
    }

    pub(super) fn port(&self) -> &Port {
        &self.port
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn is_running(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|kept| !kept.running.has_ended())
    }

    /// All it has logged since it was started last; nothing when its end was awaited.
    pub(super) fn said(&self) -> String {
        self.running.as_ref().map_or_else(String::new, Kept::said)
    }

    pub(super) fn pid(&self) -> Option<i32> {
        let kept = self.running.as_ref()?;
        (!kept.running.has_ended()).then(|| kept.running.pid())
    }

    /// Kills it and waits for its end; one that has ended stays so.
    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(kept) = &self.running {
            kept.running.signal(Signal::SIGKILL)?;
        }
        self.ended()
    }

    /// Waits for its end.
    pub(super) fn ended(&mut self) -> Result<()> {
        until_or_none(WITHIN, || (!self.is_running()).then_some(()))
            .with_context(|| format!("it still runs after {WITHIN:?}"))?;
        self.running = None;
        Ok(())
    }

    /// Stops it in its tracks and waits until it stands still, or lets it go on.
    pub(super) fn freeze(&self, frozen: bool) -> Result<()> {
        let kept = self.running.as_ref().context("it does not run")?;
        let signal = if frozen {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        kept.running.signal(signal)?;
        let pid = kept.running.pid();
        until_or_none(WITHIN, || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The state comes after the name, which is in brackets.
            let (_, rest) = stat.rsplit_once(") ")?;
            (rest.starts_with('T') == frozen).then_some(())
        })
        .with_context(|| format!("{pid} does not heed {signal}"))
    }

    /// A connection by the socket file, as the kit's own user.
    pub(super) fn client(&self) -> Result<Client> {
        let mut client = Client::unix(&self.folder.path().join(SOCKET), PATIENCE)?;
        client.call(&["AUTH", USER, USER])?;
        Ok(client)
    }

    /// One command over a connection of its own.
    pub(super) fn call<W: AsRef<[u8]>>(&self, words: &[W]) -> Result<Value> {
        self.client()?.call(words)
    }
}

impl Kept {
    fn said(&self) -> String {
        let lines = self.running.lines().into_iter();
        lines.fold(String::new(), |text, (_, line)| text + &line + "\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its folder goes next, so it must have ended; what cannot be killed is past our help.
        let _ = self.kill();
    }
}

/// Starts a process from a thread that lives as long: the system ends the process with the thread that started it,
/// and a test's own may be gone long before the test is.
fn keep(mut command: Command) -> Result<Kept> {
    let (tell, told) = sync_channel(1);
    let (thread, dropped) = sync_channel::<()>(1);
    std::thread::Builder::new()
        .name("redis".to_owned())
        .spawn(move || {
            if tell.send(Running::start(&mut command)).is_ok() {
                // Nothing is ever sent: the error is the news that the owner is gone.
                let _ = dropped.recv();
            }
        })?;
    let running = told.recv().context("the thread that starts it ended")??;
    Ok(Kept {
        running,
        _thread: thread,
    })
}
