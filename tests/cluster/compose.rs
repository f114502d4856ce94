//! The compose file brought up under a project name of its own, and Docker's words about its containers.
//!
//! Owns the project: dropping it takes down containers, networks and volumes. It knows docker-compose and docker, and
//! no code of the crawler. Start at [`Cluster::up`].

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kit::process::{Ended, run};
use serde_json::Value;

/// One command of Docker's; a slow machine builds networks slowly.
const COMMAND_WITHIN: Duration = Duration::from_secs(120);

/// A running project.
pub(crate) struct Cluster {
    project: String,
    /// `docker compose` or `docker-compose`.
    compose: Vec<&'static str>,
    site: PathBuf,
}

/// A container of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: String,
    /// Its host name, which is its node's name.
    pub(crate) name: String,
    /// Its address where the site sees it.
    pub(crate) address: String,
    /// When it was started, since 1970.
    pub(crate) started: Duration,
    /// When it ended last, since 1970; zero if never.
    pub(crate) ended: Duration,
    pub(crate) is_running: bool,
    pub(crate) exit_code: i64,
}

impl Cluster {
    /// All services, with the site that this folder describes.
    pub(crate) fn up(site: &Path) -> Self {
        let project = std::env::var("ARGIOPE_TEST_PROJECT");
        let project = project.expect("tests/cluster/run sets the project's name, and starts this");
        let is_plugin = Command::new("docker").args(["compose", "version"]).output();
        let is_plugin = is_plugin.is_ok_and(|said| said.status.success());
        let cluster = Self {
            project,
            compose: match is_plugin {
                true => vec!["docker", "compose"],
                false => vec!["docker-compose"],
            },
            site: site.to_owned(),
        };
        cluster.compose(&["up", "-d", "--no-build"]);
        cluster
    }

    /// Runs a verb of compose to its end, which must be a good one.
    #[track_caller]
    pub(crate) fn compose(&self, words: &[&str]) -> String {
        let ended = self.try_compose(words);
        assert_eq!(
            ended.code,
            Some(0),
            "compose {words:?}: {}{}",
            ended.out,
            ended.err
        );
        ended.out
    }

    fn try_compose(&self, words: &[&str]) -> Ended {
        let mut command = Command::new(self.compose[0]);
        command.args(&self.compose[1..]).args(["-p", &self.project]);
        command.args(["-f", "docker-compose.yml", "-f", "tests/cluster/site.yml"]);
        command.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("ARGIOPE_TEST_SITE", &self.site);
        run(&mut command, COMMAND_WITHIN).unwrap()
    }

    /// The containers of a service, the ended ones too.
    pub(crate) fn containers(&self, service: &str) -> Vec<Container> {
        let mine = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={service}");
        let ids = docker(&[
            "ps",
            "-aq",
            "--no-trunc",
            "--filter",
            &mine,
            "--filter",
            &service,
        ]);
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return Vec::new();
        }
        let told = docker(&[&["inspect"], &ids[..]].concat());
        let told: Vec<Value> = serde_json::from_str(&told).unwrap();
        told.iter().map(|told| self.container(told)).collect()
    }

    fn container(&self, told: &Value) -> Container {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let state = &told["State"];
        let network = &told["NetworkSettings"]["Networks"][self.network("web")];
        Container {
            id: text(&told["Id"]),
            name: text(&told["Config"]["Hostname"]),
            address: text(&network["IPAddress"]),
            started: since_1970(&text(&state["StartedAt"])),
            ended: since_1970(&text(&state["FinishedAt"])),
            is_running: state["Running"].as_bool().unwrap_or_default(),
            exit_code: state["ExitCode"].as_i64().unwrap_or(-1),
        }
    }

    /// A network's full name.
    pub(crate) fn network(&self, name: &str) -> String {
        format!("{}_{name}", self.project)
    }

    /// `argiope status` as a node tells it.
    pub(crate) fn status(&self, by: &Container) -> Value {
        let told = docker(&["exec", &by.id, "argiope", "status", "--json"]);
        serde_json::from_str(&told).unwrap()
    }

    /// The last lines of every container, for who reads a failure.
    fn tell(&self) {
        let logs = self.try_compose(&["logs", "--no-color", "--tail", "30"]);
        eprintln!("{}{}", logs.out, logs.err);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        let down = self.try_compose(&["down", "--volumes", "--remove-orphans", "--timeout", "1"]);
        if down.code != Some(0) {
            eprintln!("compose down: {}{}", down.out, down.err);
        }
    }
}

/// Runs docker to its end, which must be a good one.
#[track_caller]
pub(crate) fn docker(words: &[&str]) -> String {
    let ended = run(Command::new("docker").args(words), COMMAND_WITHIN).unwrap();
    assert_eq!(
        ended.code,
        Some(0),
        "docker {words:?}: {}{}",
        ended.out,
        ended.err
    );
    ended.out
}

/// Of RFC 3339 in UTC, as Docker writes it: "2026-11-24T18:16:00.123456789Z".
fn since_1970(text: &str) -> Duration {
    let ended = run(
        Command::new("date").args(["-u", "-d", text, "+%s.%N"]),
        COMMAND_WITHIN,
    );
    let seconds = ended.unwrap().out.trim().parse();
    // What has never been is in the year 1.
    Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default()
}
