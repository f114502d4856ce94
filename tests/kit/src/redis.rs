//! Real Redis servers on loopback: one, a cluster, or a master under sentinels, to be killed, frozen and cut short.
//!
//! They are Debian's package with a configuration written here, a folder and a port that stay the same through
//! every end and start. It owns processes and files and judges nothing; it does not know what the crawler keeps.
//! Invariant: none outlives its owner. Start reading at [`Redis`], then [`RedisCluster`] and [`Sentinel`].

mod aof;
mod client;
mod cluster;
mod sentinel;
mod server;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use url::Url;

use crate::tls::Authority;
pub use client::{Client, Value};
pub use cluster::RedisCluster;
pub use sentinel::Sentinel;
use server::Server;

/// A line for who has replicas. By default it waits five seconds for others to join before it sends its data, and sends
/// no write before the replica's next word, up to a second later, though the replica says that the link is up.
const FOLLOW_AT_ONCE: &str = "repl-diskless-sync no";

/// When a server with a journal hands it to the disk (`appendfsync`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before every answer.
    Always,
    /// Once a second.
    #[default]
    Everysec,
    /// When the system likes to.
    No,
}

/// What a server is to be. By default it keeps nothing on disk and admits everybody.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// Whether it keeps a journal (`appendonly`).
    pub appendonly: bool,
    /// When the journal reaches the disk.
    pub appendfsync: Fsync,
    /// The most memory in bytes, and the policy when it is used up, such as `noeviction`.
    pub maxmemory: Option<(u64, String)>,
    /// The password of the user `default`, which [`Redis::url`] then holds.
    pub password: Option<String>,
    /// Further users, as access lists say it: `NAME on >PASSWORD ~* +@all`. `kit` is the kit's own.
    pub users: Vec<String>,
    /// Speaks TLS alone, under a certificate for 127.0.0.1 of an authority of its own ([`Redis::authority`]).
    pub tls: bool,
    /// Further lines of its configuration; they come last, so they win.
    pub lines: Vec<String>,
}

/// A server that has been started; dropping it ends it and removes its folder.
pub struct Redis {
    server: Server,
    url: Url,
}

impl Redis {
    /// Starts a server on a free port and waits until it answers.
    ///
    /// # Errors
    /// When redis-server is not installed, or does not start; with its own words.
    pub fn start(options: RedisOptions) -> Result<Self> {
        let server = Server::start(false, |folder, port| options.config(folder, port))?;
        let scheme = if options.tls { "rediss" } else { "redis" };
        let url = Url::parse(&format!("{scheme}://{}", server.port().address()))?;
        let url = match &options.password {
            Some(password) => with_login(url, "default", password)?,
            None => url,
        };
        Ok(Self { server, url })
    }

    /// Where and how to connect, as Redis clients take it: `redis://127.0.0.1:PORT`, with the password if there is one.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// The same for one of [`RedisOptions::users`].
    ///
    /// # Errors
    /// Never for the addresses that servers have here.
    pub fn url_of(&self, user: &str, password: &str) -> Result<String> {
        Ok(with_login(self.url.clone(), user, password)?.to_string())
    }

    /// Its address, such as for a [`crate::proxy::Proxy`].
    pub fn address(&self) -> SocketAddr {
        self.server.port().address()
    }

    /// Its port; the same through every restart.
    pub fn port(&self) -> u16 {
        self.server.port().number()
    }

    /// Its process id; `None` when it does not run.
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// Whether it runs; a frozen one does.
    pub fn is_running(&self) -> bool {
        self.server.is_running()
    }

    /// The certificate of its authority, a file, when it speaks TLS.
    pub fn authority(&self) -> PathBuf {
        self.server.folder().join("authority.pem")
    }

    /// Kills it (SIGKILL) and waits for its end. What it has answered for is in its journal, however fast the end.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// Starts one that has ended on the same port and folder, and waits until it has loaded what it kept and answers.
    ///
    /// # Errors
    /// When it still runs, or does not start; with its own words.
    pub fn restart(&mut self) -> Result<()> {
        self.server.launch()
    }

    /// Lets it end in order (`SHUTDOWN NOSAVE`): the journal is complete, no snapshot is written.
    ///
    /// # Errors
    /// When it does not run, or not end.
    pub fn shutdown_nosave(&mut self) -> Result<()> {
        // The connection ends without an answer; a refusal shows by the process, which goes on.
        let _ = self.server.client()?.call(&["SHUTDOWN", "NOSAVE"]);
        self.server.ended()
    }

    /// Stops it in its tracks (SIGSTOP): connections stay open, and are taken, and nothing is answered.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.server.freeze(true)
    }

    /// Lets a frozen one go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.server.freeze(false)
    }

    /// Takes so many bytes from the end of the journal, as a power cut does, and returns how many bytes are left.
    /// The server drops what is then torn when it starts (`aof-load-truncated`, on by default).
    ///
    /// # Errors
    /// When it runs, keeps no journal, or the journal's newest file is not as long.
    pub fn aof_cut(&self, bytes_from_end: u64) -> Result<u64> {
        ensure!(!self.is_running(), "it runs: kill it first");
        aof::cut_bytes(self.server.folder(), bytes_from_end)
    }

    /// The same by whole commands, of which it returns how many are left. A transaction or script of several writes
    /// has two more than its writes (`MULTI`, `EXEC`); a cut within undoes the whole.
    ///
    /// # Errors
    /// As [`Self::aof_cut`].
    pub fn aof_cut_commands(&self, commands_from_end: usize) -> Result<usize> {
        ensure!(!self.is_running(), "it runs: kill it first");
        aof::cut_commands(self.server.folder(), commands_from_end)
    }

    /// A connection for several commands in order, as a user who may do everything. No fault of a [`crate::proxy::Proxy`]
    /// lies between.
    ///
    /// # Errors
    /// When it does not run, or does not answer within 10 seconds.
    pub fn client(&self) -> Result<Client> {
        self.server.client()
    }

    /// Gives one command over a connection of its own, as a user who may do everything.
    ///
    /// # Errors
    /// With the server's words when it refuses; when it does not answer within 10 seconds.
    pub fn call<W: AsRef<[u8]>>(&self, words: &[W]) -> Result<Value> {
        self.server.call(words)
    }

    /// Changes its configuration until its end.
    ///
    /// # Errors
    /// With the server's words when it refuses.
    pub fn config_set(&self, key: &str, value: &str) -> Result<()> {
        self.call(&["CONFIG", "SET", key, value]).map(drop)
    }

    /// A field of what it says of itself (`INFO all`).
    ///
    /// # Errors
    /// When it does not answer, or says nothing of it.
    pub fn info(&self, field: &str) -> Result<String> {
        let text = self.call(&["INFO", "all"])?.text();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value
            .map(str::to_owned)
            .with_context(|| format!("INFO has no {field}"))
    }

    /// Processor time it has used since its start, in its own code and the system's, in microseconds.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn used_cpu_us(&self) -> Result<u64> {
        let text = self.call(&["INFO", "cpu"])?.text();
        ["used_cpu_sys:", "used_cpu_user:"]
            .iter()
            .try_fold(0, |sum, field| {
                let value = text.lines().find_map(|line| line.strip_prefix(field));
                let value = value.with_context(|| format!("INFO has no {field}"))?;
                Ok(sum + micros(value).with_context(|| format!("{field}{value}"))?)
            })
    }

    /// Memory it holds for data and its own needs, in bytes.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn used_memory(&self) -> Result<u64> {
        let value = self.info("used_memory")?;
        value
            .parse()
            .with_context(|| format!("used_memory:{value}"))
    }
}

/// Seconds with six decimals as microseconds.
fn micros(seconds: &str) -> Option<u64> {
    let (whole, part) = seconds.split_once('.')?;
    let part = (part.len() == 6).then(|| part.parse::<u64>().ok())??;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(part)
}

fn with_login(mut url: Url, user: &str, password: &str) -> Result<Url> {
    let taken = url.set_username(user).is_ok() && url.set_password(Some(password)).is_ok();
    ensure!(taken, "{url} takes no login");
    Ok(url)
}

impl RedisOptions {
    fn config(&self, folder: &Path, port: u16) -> Result<String> {
        let mut text = String::new();
        if self.tls {
            let files = Authority::new()?.write(folder)?;
            writeln!(text, "port 0\ntls-port {port}\ntls-auth-clients no")?;
            writeln!(text, "tls-cert-file {}", files.server.display())?;
            writeln!(text, "tls-key-file {}", files.key.display())?;
            writeln!(text, "tls-ca-cert-file {}", files.authority.display())?;
        } else {
            writeln!(text, "port {port}")?;
        }
        let fsync = match self.appendfsync {
            Fsync::Always => "always",
            Fsync::Everysec => "everysec",
            Fsync::No => "no",
        };
        let appendonly = if self.appendonly { "yes" } else { "no" };
        writeln!(
            text,
            "save \"\"\nappendonly {appendonly}\nappendfsync {fsync}"
        )?;
        if let Some((bytes, policy)) = &self.maxmemory {
            writeln!(text, "maxmemory {bytes}\nmaxmemory-policy {policy}")?;
        }
        if let Some(password) = &self.password {
            writeln!(text, "requirepass {password}")?;
        }
        for user in &self.users {
            writeln!(text, "user {user}")?;
        }
        for line in &self.lines {
            writeln!(text, "{line}")?;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
