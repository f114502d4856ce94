//! `argiope doctor`: a machine and a running crawl are judged, and the exit code says it.

use std::fs;
use std::net::UdpSocket;

use kit::dns::{Dns, Zone};
use kit::until;
use kit::web::Web;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::crawl::{ARGIOPE, PATIENCE, argiope, clean, ended};
use crate::stand::Stand;

/// Exit code and answer.
fn doctor(words: &[&str]) -> (Option<i32>, Value) {
    let told = clean(ARGIOPE)
        .args(["doctor", "--json"])
        .args(words)
        .output()
        .unwrap();
    let answer = serde_json::from_slice(&told.stdout);
    let err = String::from_utf8_lossy(&told.stderr);
    (
        told.status.code(),
        answer.unwrap_or_else(|_| panic!("{err}")),
    )
}

/// What it says of this check or gauge.
fn verdict(answer: &Value, rows: &str, name: &str) -> bool {
    let rows = answer[rows].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name);
    row.unwrap_or_else(|| panic!("no {name} in {answer:#}"))["ok"]
        .as_bool()
        .unwrap()
}

#[test]
fn a_machine_without_a_resolver_is_not_fit() {
    let dns = Dns::start(Zone::default()).unwrap();
    let (code, answer) = doctor(&["--dns", &dns.address().to_string()]);
    assert!(verdict(&answer, "checks", "resolver"), "{answer:#}");
    // Whatever else this machine is.
    let is_fit = answer["ok"].as_bool().unwrap();
    assert_eq!(code, Some(i32::from(!is_fit)), "{answer:#}");

    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = silent.local_addr().unwrap().to_string();
    let (code, answer) = doctor(&["--dns", &nobody]);
    assert!(!verdict(&answer, "checks", "resolver"), "{answer:#}");
    assert_eq!((code, &answer["ok"]), (Some(1), &Value::Bool(false)));
}

#[test]
fn a_crawl_short_of_descriptors_is_not_well() {
    let stand = Stand::of(Web::default());
    let crawl = stand.crawl().seed(&stand.origin.home());
    let running = crawl.start(&["--delay", "200ms", "--max-memory", "4GB"]);
    until("requests", PATIENCE, || {
        (stand.origin.requests() > 3).then_some(())
    });
    let folder = crawl.output().to_str().unwrap();
    // It opens nothing more, so that the limit below ends nothing.
    argiope(&["pause", folder], 0);
    let (_, answer) = doctor(&[folder]);
    let descriptors = "argiope_process_open_descriptors";
    for name in [
        descriptors,
        "argiope_process_resident_bytes",
        "argiope_tasks",
    ] {
        assert!(verdict(&answer, "gauges", name), "{answer:#}");
    }
    let open = fs::read_dir(format!("/proc/{}/fd", running.pid()))
        .unwrap()
        .count();
    let limit = format!("--nofile={}:", open + 6);
    let pid = running.pid().to_string();
    let set = clean("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(set.unwrap().success());
    let (code, answer) = doctor(&[folder]);
    assert!(!verdict(&answer, "gauges", descriptors), "{answer:#}");
    assert_eq!((code, &answer["ok"]), (Some(1), &Value::Bool(false)));
    running.signal(Signal::SIGINT).unwrap();
    ended(running, 11);
}

#[test]
fn without_a_crawl_there_it_says_so() {
    let told = clean(ARGIOPE).args(["doctor", "nowhere"]).output().unwrap();
    assert_eq!(told.status.code(), Some(4));
    let err = String::from_utf8_lossy(&told.stderr);
    assert!(err.contains("no crawl is running in nowhere"), "{err}");
}
