//! A real nginx on loopback that serves folders as sites, one host name each.
//!
//! It is Debian's package with a configuration written here: keep-alive, gzip for text, `index.html` for folders,
//! no listings. Its access log is read back as [`Entry`]s, so that [`crate::audit`] judges it like our origin's.
//! It stops, by its own process id, with the value that owns it. Start reading at [`Sites`].

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde::Deserialize;
use tempfile::TempDir;

use crate::log::Entry;
use crate::loopback;
use crate::process::Running;
use crate::tls::Authority;
use crate::until::until_or_none;

const BINARIES: &[&str] = &["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
const MIME_TYPES: &str = "/etc/nginx/mime.types";
/// How long it may take to answer after its start.
const START_WITHIN: Duration = Duration::from_secs(10);

/// The format of an access log that [`read_log`] reads, for `log_format NAME escape=json '…'`.
pub const LOG_FIELDS: &str = r#"{"msec":$msec,"took":$request_time,"scheme":"$scheme","host":"$host","address":"$server_addr","port":$server_port,"path":"$request_uri","peer":"$remote_addr:$remote_port","agent":"$http_user_agent","status":$status,"completion":"$request_completion"}"#;

/// The sites an nginx is to serve, before it runs.
#[derive(Default)]
pub struct Sites {
    sites: Vec<Site>,
    workers: usize,
    own_addresses: bool,
    for_speed: bool,
    authority: Option<Authority>,
}

struct Site {
    host: String,
    root: PathBuf,
    robots: Option<String>,
}

/// An nginx that answers; dropping it ends it.
pub struct Nginx {
    port: u16,
    scheme: &'static str,
    folder: TempDir,
    _running: Running,
}

impl Sites {
    /// No sites yet.
    pub fn new() -> Self {
        Self {
            workers: 1,
            ..Self::default()
        }
    }

    /// With `root` as the site `host`; its robots.txt is the file of that name, if there is one.
    #[must_use]
    pub fn site(self, host: &str, root: &Path) -> Self {
        self.add(host, root, None)
    }

    /// With `root` as the site `host`, and this text as its robots.txt.
    #[must_use]
    pub fn site_with_robots(self, host: &str, root: &Path, robots: &str) -> Self {
        self.add(host, root, Some(robots.to_owned()))
    }

    /// With so many worker processes.
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Listens on the address of each host's own ([`loopback::address_of`]) beside 127.0.0.1.
    #[must_use]
    pub fn on_own_addresses(self) -> Self {
        Self {
            own_addresses: true,
            ..self
        }
    }

    /// Spends as little as it can on a request, so that a timing beside it is the crawler's: no access log
    /// ([`Nginx::log`] is an error then), nothing coded on the fly, but `FILE.gz` sent for `FILE` to who takes it.
    #[must_use]
    pub fn for_speed(self) -> Self {
        Self {
            for_speed: true,
            ..self
        }
    }

    /// Speaks TLS under the certificate of this authority.
    #[must_use]
    pub fn with_tls(self, authority: Authority) -> Self {
        Self {
            authority: Some(authority),
            ..self
        }
    }

    /// Starts nginx on a free port and waits until it answers. The first site also answers unknown host names.
    ///
    /// # Errors
    /// When nginx is not installed, or does not start; with its own words.
    pub fn start(self) -> Result<Nginx> {
        const PORTS_TRIED_MAX: usize = 5;
        let binary = BINARIES.iter().find(|path| Path::new(path).exists());
        let binary = binary.context("nginx is not installed (Debian: apt-get install nginx)")?;
        let mut last = None;
        for _ in 0..PORTS_TRIED_MAX {
            match self.start_on(binary, free_port()?) {
                Ok(nginx) => return Ok(nginx),
                // Somebody may have taken the port between our look and nginx'.
                Err(error) if error.to_string().contains("Address already in use") => {
                    last = Some(error)
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no free port")))
    }

    fn add(mut self, host: &str, root: &Path, robots: Option<String>) -> Self {
        self.sites.push(Site {
            host: host.to_owned(),
            root: root.to_owned(),
            robots,
        });
        self
    }

    fn start_on(&self, binary: &str, port: u16) -> Result<Nginx> {
        let folder = tempfile::Builder::new().prefix("nginx-").tempdir()?;
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, self.config(folder.path(), port)?)?;
        let mut command = Command::new(binary);
        command
            .arg("-e")
            .arg("stderr")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config);
        let running = Running::start(&mut command)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let answers = until_or_none(START_WITHIN, || {
            (running.has_ended() || TcpStream::connect(address).is_ok())
                .then(|| !running.has_ended())
        });
        if answers != Some(true) {
            running.signal(Signal::SIGTERM)?;
            let ended = running.wait(START_WITHIN)?;
            bail!("nginx did not start: {}", ended.err);
        }
        let scheme = if self.authority.is_some() {
            "https"
        } else {
            "http"
        };
        Ok(Nginx {
            port,
            scheme,
            folder,
            _running: running,
        })
    }

    fn config(&self, folder: &Path, port: u16) -> Result<String> {
        let at = folder.display();
        let mut text = String::new();
        // One master in the foreground, so that its id is the child's; workers end with it.
        writeln!(
            text,
            "daemon off;\nworker_processes {};\npid {at}/nginx.pid;",
            self.workers
        )?;
        // Workers give up root otherwise, and may not read a folder that only we may; for others it means nothing.
        writeln!(text, "user root;")?;
        writeln!(text, "events {{ worker_connections 4096; }}\nhttp {{")?;
        writeln!(
            text,
            "include {MIME_TYPES};\ndefault_type application/octet-stream;"
        )?;
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(text, "{kind}_temp_path {at}/{kind};")?;
        }
        if self.for_speed {
            writeln!(
                text,
                "access_log off;\ntcp_nodelay on;\ngzip_static on;\ngzip_vary on;"
            )?;
        } else {
            writeln!(
                text,
                "log_format entry escape=json '{LOG_FIELDS}';\naccess_log {at}/access.log entry;"
            )?;
            writeln!(
                text,
                "gzip on;\ngzip_comp_level 1;\ngzip_min_length 256;\ngzip_proxied any;\ngzip_vary on;"
            )?;
            writeln!(
                text,
                "gzip_types text/plain text/css text/javascript application/javascript application/xml image/svg+xml;"
            )?;
        }
        writeln!(
            text,
            "sendfile on;\ntcp_nopush on;\nkeepalive_requests 100000;\nserver_names_hash_bucket_size 128;"
        )?;
        writeln!(
            text,
            "autoindex off;\nindex index.html;\nport_in_redirect on;\nserver_names_hash_max_size 8192;"
        )?;
        let tls = match &self.authority {
            None => "",
            Some(authority) => {
                let files = authority.write(folder)?;
                writeln!(text, "ssl_certificate {};", files.server.display())?;
                writeln!(text, "ssl_certificate_key {};", files.key.display())?;
                " ssl"
            }
        };
        for (n, site) in self.sites.iter().enumerate() {
            ensure!(
                !site.root.to_string_lossy().contains(['"', '$']),
                "{} has odd signs",
                site.root.display()
            );
            let default = if n == 0 { " default_server" } else { "" };
            writeln!(text, "server {{\nlisten 127.0.0.1:{port}{tls}{default};")?;
            if self.own_addresses {
                writeln!(
                    text,
                    "listen {}:{port}{tls};",
                    loopback::address_of(&site.host)
                )?;
            }
            writeln!(
                text,
                "server_name {};\nroot \"{}\";\ncharset utf-8;",
                site.host,
                site.root.display()
            )?;
            if let Some(robots) = &site.robots {
                let own = folder.join(format!("robots-{n}.txt"));
                std::fs::write(&own, robots)?;
                writeln!(
                    text,
                    "location = /robots.txt {{ alias {}; }}",
                    own.display()
                )?;
            }
            writeln!(text, "}}")?;
        }
        writeln!(text, "}}")?;
        Ok(text)
    }
}

/// A line of the access log, as the configuration above writes it.
#[derive(Deserialize)]
struct Line {
    msec: f64,
    took: f64,
    scheme: String,
    host: String,
    port: u16,
    path: String,
    address: IpAddr,
    peer: SocketAddr,
    agent: String,
    status: u16,
    completion: String,
}

impl Nginx {
    /// The port of every address it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address on 127.0.0.1, which serves every site.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The URL of `path` on `host`.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port)
    }

    /// The authority's certificate, when it speaks TLS.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Every request that has ended so far, in order of their end.
    ///
    /// Its times are civil ones of nginx' own in whole milliseconds, so they compare with each other alone; the
    /// start is when the first byte was read, the end when the last one was handed to the system. An answer is in
    /// the log a moment after its client has it: wait for the number of entries that must be there.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<Vec<Entry>> {
        read_log(&self.folder.path().join("access.log"))
    }
}

/// The entries of an access log in [`LOG_FIELDS`], whichever nginx writes it; see [`Nginx::log`] for their times.
///
/// # Errors
/// When the log cannot be read.
pub fn read_log(path: &Path) -> Result<Vec<Entry>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    // The last line may still be on its way.
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines
        .map(|line| entry(line).with_context(|| format!("nginx logged {line}")))
        .collect()
}

fn entry(line: &str) -> Result<Entry> {
    let line: Line = serde_json::from_str(line)?;
    let end = Duration::from_secs_f64(line.msec);
    Ok(Entry {
        start: end.saturating_sub(Duration::from_secs_f64(line.took)),
        end: Some(end),
        scheme: line.scheme,
        host: line.host,
        port: line.port,
        path: line.path,
        address: line.address,
        peer: line.peer,
        agent: line.agent,
        status: line.status,
        whole: line.completion == "OK",
        head: String::new(),
    })
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A master that is asked to end takes its workers with it; a killed one would leave them behind.
        let _ = self._running.signal(Signal::SIGTERM);
        let _ = until_or_none(START_WITHIN, || self._running.has_ended().then_some(()));
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::until;

    fn get(nginx: &Nginx, address: Ipv4Addr, host: &str, path: &str, more: &str) -> String {
        let mut stream = TcpStream::connect((address, nginx.port())).unwrap();
        let port = nginx.port();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: a \"b\"\r\n{more}Connection: close\r\n\r\n")
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn folder(text: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("index.html"), text.repeat(200)).unwrap();
        std::fs::write(
            folder.path().join("robots.txt"),
            "User-agent: *\nDisallow: /file\n",
        )
        .unwrap();
        folder
    }

    #[test]
    fn sites_are_told_apart_by_name() {
        let (one, two) = (folder("one "), folder("two "));
        let sites = Sites::new().site("one.test", one.path());
        let nginx = sites
            .site_with_robots("two.test", two.path(), "User-agent: *\nDisallow: /own\n")
            .on_own_addresses();
        let nginx = nginx.start().unwrap();
        let local = Ipv4Addr::LOCALHOST;
        assert!(get(&nginx, local, "one.test", "/", "").contains("one one"));
        assert!(
            get(
                &nginx,
                loopback::address_of("two.test"),
                "two.test",
                "/",
                ""
            )
            .contains("two two")
        );
        assert!(get(&nginx, local, "unknown.test", "/", "").contains("one one"));
        assert!(get(&nginx, local, "one.test", "/robots.txt", "").ends_with("Disallow: /file\n"));
        assert!(get(&nginx, local, "two.test", "/robots.txt", "").ends_with("Disallow: /own\n"));
        assert!(get(&nginx, local, "one.test", "/sub/", "").starts_with("HTTP/1.1 403")); // no listing
        let moved = get(&nginx, local, "one.test", "/sub", "");
        assert!(
            moved.contains(&format!("Location: {}\r\n", nginx.url("one.test", "/sub/"))),
            "{moved}"
        );
        assert!(
            get(&nginx, local, "one.test", "/", "Accept-Encoding: gzip\r\n")
                .contains("Content-Encoding: gzip")
        );

        let log = until("the log", START_WITHIN, || {
            nginx.log().ok().filter(|log| log.len() == 8)
        });
        assert_eq!(log[1].url(), nginx.url("two.test", "/"));
        assert_eq!(
            (log[1].agent.as_str(), log[1].status, log[1].whole),
            ("a \"b\"", 200, true)
        );
        assert_eq!(crate::audit::overlaps(&log[..1]), []);
    }

    #[test]
    fn it_speaks_tls_and_ends_with_its_owner() {
        let one = folder("one ");
        let authority = Authority::new().unwrap();
        let nginx = Sites::new()
            .site("one.zoo.test", one.path())
            .with_tls(authority)
            .start()
            .unwrap();
        let mut command = Command::new("wget");
        command
            .args([
                "-qO-",
                "--no-config",
                "--header=Host: one.zoo.test",
                "--ca-certificate",
            ])
            .arg(nginx.authority());
        // The certificate is also for 127.0.0.1, where no name need be resolved.
        let url = nginx.url("127.0.0.1", "/");
        let ended =
            crate::process::run(command.arg(url).env_remove("https_proxy"), START_WITHIN).unwrap();
        assert!(ended.out.starts_with("one one"), "{}", ended.err);

        let address = nginx.address();
        drop(nginx);
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn for_speed_the_coded_file_beside_a_page_is_sent() {
        let one = folder("one ");
        std::fs::write(one.path().join("index.html.gz"), "coded before").unwrap();
        let nginx = Sites::new().site("one.test", one.path()).for_speed();
        let nginx = nginx.start().unwrap();
        let coded = "Accept-Encoding: gzip\r\n";
        let answer = get(&nginx, Ipv4Addr::LOCALHOST, "one.test", "/", coded);
        assert!(answer.ends_with("coded before"), "{answer}");
        assert!(answer.contains("Content-Encoding: gzip"), "{answer}");
        let answer = get(&nginx, Ipv4Addr::LOCALHOST, "one.test", "/", "");
        assert!(answer.contains("one one"), "{answer}");
        assert!(nginx.log().is_err());
    }

    #[test]
    fn what_nginx_says_of_a_bad_start_is_told() {
        let one = folder("one ");
        let error = Sites::new().site("{", one.path()).start().err().unwrap();
        assert!(error.to_string().contains("nginx did not start"), "{error}");
    }
}
