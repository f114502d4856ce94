//! A crawl as a user runs it: the program, its flags, a folder of its own, and what it left there.
//!
//! Owns the folder. It reads the documented files as anybody could and knows no code of the crawler.
//! Start reading at [`Crawl::ends`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kit::process::{Ended, Running};
use kit::warc::{self, Record};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub(crate) const ARGIOPE: &str = env!("CARGO_BIN_EXE_argiope");
/// A run that takes longer hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Who runs the crawls of the stories.
pub(crate) const CONTACT: &str = "mailto:spider@zoo.test";

/// A command line and its folder; starting it again is the same command.
pub(crate) struct Crawl {
    folder: TempDir,
    output: PathBuf,
    words: Vec<String>,
}

/// A line of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Line {
    pub(crate) url: String,
    pub(crate) outcome: String,
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
    pub(crate) status: Option<u16>,
    pub(crate) kind: String,
    pub(crate) via: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) token: Option<u64>,
    pub(crate) warc: Option<String>,
    pub(crate) offset: Option<u64>,
    pub(crate) length: Option<u64>,
}

impl Line {
    /// Whether it is about a URL of the crawl, not about robots.txt or what is fetched beside the queue.
    pub(crate) fn is_url(&self) -> bool {
        !matches!(self.kind.as_str(), "robots" | "beside")
    }
}

impl Crawl {
    /// A crawl of nothing yet, into a fresh folder.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("argiope-it-")
            .tempdir()
            .unwrap();
        let output = folder.path().join("out");
        let words = Vec::new();
        Self {
            folder,
            output,
            words,
        }
        .flags(&["--contact", CONTACT])
    }

    /// With these words more.
    #[must_use]
    pub(crate) fn flags(mut self, words: &[&str]) -> Self {
        self.words.extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    /// With this seed more.
    #[must_use]
    pub(crate) fn seed(self, url: &str) -> Self {
        self.flags(&[url])
    }

    /// With this configuration file.
    #[must_use]
    pub(crate) fn config(self, text: &str) -> Self {
        let path = self.scratch("crawl.toml");
        std::fs::write(&path, text).unwrap();
        self.flags(&["--config", path.to_str().unwrap()])
    }

    /// A file beside the crawl's folder.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The crawl's folder.
    pub(crate) fn output(&self) -> &Path {
        &self.output
    }

    /// A file or folder in the crawl's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.output.join(name)
    }

    /// Starts the command, with these words more for this once.
    pub(crate) fn start(&self, more: &[&str]) -> Running {
        Running::start(self.command().args(more)).unwrap()
    }

    /// Starts the command with this environment variable for this once.
    pub(crate) fn start_with_env(&self, name: &str, value: &str) -> Running {
        Running::start(self.command().env(name, value)).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = clean(ARGIOPE);
        command.current_dir(self.folder.path()).arg("crawl");
        command.arg("--output").arg(&self.output).args(&self.words);
        command
    }

    /// Runs the command to its end, which must be of this exit code.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32) -> Ended {
        self.ends_with(&[], code)
    }

    /// Runs the command, with these words more for this once, to its end, which must be of this exit code.
    #[track_caller]
    pub(crate) fn ends_with(&self, more: &[&str], code: i32) -> Ended {
        ended(self.start(more), code)
    }

    /// The whole ledger.
    pub(crate) fn ledger(&self) -> Vec<Line> {
        json_lines(&self.path("logs/crawl.jsonl"))
    }

    /// The last word on each URL; a URL has one, or several when a crash made it come again.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, Line> {
        let finals = self
            .ledger()
            .into_iter()
            .filter(|line| line.is_final && line.is_url());
        finals.map(|line| (line.url.clone(), line)).collect()
    }

    /// The pages of the page list, without its head line.
    pub(crate) fn pages(&self) -> Vec<Value> {
        json_lines(&self.path("pages/pages.jsonl"))
            .into_iter()
            .skip(1)
            .collect()
    }

    /// The sealed archives.
    pub(crate) fn archives(&self) -> Vec<PathBuf> {
        warc::archives(&self.path("archive")).unwrap()
    }

    /// All records of all sealed archives; answers whose payload was there already have it again.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = warc::read_all(&self.path("archive")).unwrap();
        warc::resolve(&mut records).unwrap();
        records
    }

    /// How the running crawl stands, as `argiope status` says; none while it cannot be asked.
    pub(crate) fn status(&self) -> Option<Value> {
        let said = kit::process::run(
            clean(ARGIOPE).arg("status").arg(&self.output),
            Duration::from_secs(20),
        )
        .unwrap();
        serde_json::from_str(&said.out)
            .ok()
            .filter(|_| said.code == Some(0))
    }
}

/// Waits for the end of the program, which must be of this exit code and no panic.
#[track_caller]
pub(crate) fn ended(running: Running, code: i32) -> Ended {
    let ended = running.wait(PATIENCE).unwrap();
    let said = format!("{}{}", ended.out, ended.err);
    assert!(
        !said.contains("panicked at") && !said.contains(" a panic: "),
        "{said}"
    );
    assert_eq!(
        (ended.code, ended.signal),
        (Some(code), None),
        "it said:\n{said}"
    );
    ended
}

/// Runs the program with these words to its end, which must be of this exit code.
#[track_caller]
pub(crate) fn argiope(words: &[&str], code: i32) -> Ended {
    ended(Running::start(clean(ARGIOPE).args(words)).unwrap(), code)
}

/// A command that no setting of the user's environment changes.
pub(crate) fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// The one sentence that the program ended with.
#[track_caller]
pub(crate) fn sentence(ended: &Ended) -> String {
    let said: Vec<&str> = ended
        .err
        .lines()
        .filter_map(|line| line.strip_prefix("argiope: "))
        .collect();
    assert_eq!(said.len(), 1, "not one sentence but:\n{}", ended.err);
    said[0].to_owned()
}

/// The lines of a file of JSON, each of which must be whole.
pub(crate) fn json_lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Vec<T> {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "{} ends in the middle of a line",
        path.display()
    );
    let read = |line| {
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()))
    };
    text.lines().map(read).collect()
}
