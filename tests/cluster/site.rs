//! The site of the story: Debian's git-doc under twenty host names of one nginx container, and the log of who asked.
//!
//! Owns a folder that the container sees as /site. Times are civil ones in whole milliseconds, from the kernel's one
//! clock: the log, the containers' starts and the moments of the story compare. Start at [`Site::new`].

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kit::log::Entry;
use kit::nginx;
use kit::pages::{Reach, reach};
use tempfile::TempDir;

/// So many does site.yml name.
pub(crate) const HOSTS: usize = 20;
/// Of the package git-doc; site.yml mounts it in the same place.
pub(crate) const ROOT: &str = "/usr/share/doc/git-doc";

pub(crate) struct Site(TempDir);

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("argiope-cluster-")
            .tempdir();
        let folder = folder.unwrap();
        let config = format!(
            "worker_processes 1;\nuser root;\npid /tmp/nginx.pid;\nevents {{ worker_connections 1024; }}\nhttp {{\n\
             include /etc/nginx/mime.types;\nlog_format entry escape=json '{}';\naccess_log /site/access.log entry;\n\
             keepalive_requests 100000;\nserver {{\nlisten 80 default_server;\nroot {ROOT};\nindex index.html;\n\
             charset utf-8;\n}}\n}}\n",
            nginx::LOG_FIELDS
        );
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        Self(folder)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    fn log_path(&self) -> PathBuf {
        self.folder().join("access.log")
    }

    /// Every request that has ended so far; none before the first.
    pub(crate) fn log(&self) -> Vec<Entry> {
        match self.log_path().exists() {
            true => nginx::read_log(&self.log_path()).unwrap(),
            false => Vec::new(),
        }
    }

    /// As site.yml names them.
    pub(crate) fn host(n: usize) -> String {
        format!("docs-{n}.test")
    }

    /// The first page of each host.
    pub(crate) fn seeds() -> Vec<String> {
        (0..HOSTS)
            .map(|n| format!("http://{}/", Self::host(n)))
            .collect()
    }

    /// What links reach on each host.
    pub(crate) fn truth() -> Reach {
        let truth = reach(Path::new(ROOT), "/").unwrap();
        assert!(
            truth.pages.len() > 100,
            "{} pages in {ROOT}",
            truth.pages.len()
        );
        truth
    }
}

/// Now, as the log tells time.
#[expect(
    clippy::disallowed_methods,
    reason = "nginx and Docker tell civil time of the same clock"
)]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}
