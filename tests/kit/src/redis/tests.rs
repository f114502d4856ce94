//! The servers of the kit, tried: what is kept through which end, and who takes over.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::*;
use crate::process::{Running, run};
use crate::{until, until::until_or_none};

const SOON: Duration = Duration::from_secs(20);

fn journalled() -> RedisOptions {
    RedisOptions {
        appendonly: true,
        ..RedisOptions::default()
    }
}

/// What Debian's own client gets for a command.
fn cli(url: &str, words: &[&str]) -> String {
    let mut command = Command::new("/usr/bin/redis-cli");
    let ended = run(
        command.args(["--no-auth-warning", "-u", url]).args(words),
        SOON,
    )
    .unwrap();
    (ended.out + &ended.err).trim_end().to_owned()
}

fn keys(redis: &Redis) -> i64 {
    match redis.call(&["DBSIZE"]).unwrap() {
        Value::Int(keys) => keys,
        other => panic!("DBSIZE is {other:?}"),
    }
}

#[test]
fn every_end_keeps_what_it_should() {
    let mut redis = Redis::start(journalled()).unwrap();
    let port = redis.port();
    let fill = |redis: &Redis, keys: std::ops::Range<u32>| {
        for n in keys {
            redis.call(&["SET", &format!("k{n}"), "v"]).unwrap();
        }
    };
    fill(&redis, 0..10);
    assert!(
        redis
            .aof_cut(1)
            .unwrap_err()
            .to_string()
            .contains("it runs")
    );
    assert!(redis.restart().is_err());

    redis.kill().unwrap();
    assert_eq!((redis.pid(), redis.is_running()), (None, false));
    assert!(Client::tcp(redis.address(), SOON).is_err());
    redis.restart().unwrap();
    assert_eq!((keys(&redis), redis.port()), (10, port), "after a kill");

    redis.kill().unwrap();
    assert!(redis.aof_cut_commands(1).unwrap() >= 9);
    redis.restart().unwrap();
    assert_eq!(keys(&redis), 9, "one command cut");

    redis.kill().unwrap();
    assert!(redis.aof_cut(3).unwrap() > 0);
    redis.restart().unwrap();
    assert_eq!(keys(&redis), 8, "one command torn");

    fill(&redis, 20..25);
    redis.shutdown_nosave().unwrap();
    assert!(!redis.is_running());
    redis.restart().unwrap();
    assert_eq!(keys(&redis), 13, "after an end in order");

    let mut forgets = Redis::start(RedisOptions::default()).unwrap();
    fill(&forgets, 0..10);
    forgets.kill().unwrap();
    assert!(forgets.aof_cut(1).is_err());
    forgets.restart().unwrap();
    assert_eq!(keys(&forgets), 0, "nothing is kept without a journal");
}

#[test]
fn a_frozen_server_takes_connections_and_answers_later() {
    let redis = Redis::start(RedisOptions::default()).unwrap();
    redis.freeze().unwrap();
    assert!(redis.is_running());
    let patience = Duration::from_millis(100);
    let mut client = Client::tcp(redis.address(), patience).unwrap();
    assert!(client.call(&["PING"]).is_err());
    redis.thaw().unwrap();
    assert_eq!(redis.call(&["PING"]).unwrap().text(), "PONG");
}

#[test]
fn what_it_costs_is_told() {
    let redis = Redis::start(RedisOptions {
        appendfsync: Fsync::No,
        ..journalled()
    })
    .unwrap();
    assert_eq!(redis.info("tcp_port").unwrap(), redis.port().to_string());
    assert_eq!(
        redis.info("process_id").unwrap(),
        redis.pid().unwrap().to_string()
    );
    assert!(redis.info("no_such_field").is_err());
    let (cpu, memory) = (redis.used_cpu_us().unwrap(), redis.used_memory().unwrap());
    redis
        .call(&[
            "EVAL",
            "for n = 1, 20000 do redis.call('SET', 'k' .. n, n) end",
            "0",
        ])
        .unwrap();
    assert!(redis.used_cpu_us().unwrap() > cpu + 1_000);
    assert!(redis.used_memory().unwrap() > memory + 500_000);
    assert_eq!(micros("3.000042"), Some(3_000_042));
    assert_eq!(micros("3.04"), None);
}

#[test]
fn a_full_server_refuses() {
    let redis = Redis::start(RedisOptions {
        maxmemory: Some((3_000_000, "noeviction".to_owned())),
        ..RedisOptions::default()
    })
    .unwrap();
    let fill = || redis.call(&["SETRANGE", "k", "3000000", "x"]);
    fill().unwrap();
    assert!(fill().unwrap_err().to_string().starts_with("OOM "));
    redis.config_set("maxmemory", "100000000").unwrap();
    fill().unwrap();
    assert!(redis.config_set("maxmemory", "much").is_err());
}

#[test]
fn a_login_is_asked_for() {
    let redis = Redis::start(RedisOptions {
        password: Some("open/sesame".to_owned()),
        users: vec!["reader on >see ~a* +get".to_owned()],
        ..RedisOptions::default()
    })
    .unwrap();
    assert_eq!(cli(&redis.url(), &["SET", "a", "1"]), "OK");
    let open = format!("redis://{}", redis.address());
    assert!(cli(&open, &["GET", "a"]).starts_with("NOAUTH "));
    let reader = redis.url_of("reader", "see").unwrap();
    assert_eq!(cli(&reader, &["GET", "a"]), "1");
    assert!(cli(&reader, &["SET", "a", "2"]).starts_with("NOPERM "));
    assert!(cli(&reader, &["GET", "b"]).starts_with("NOPERM "));
}

#[test]
fn it_speaks_tls_alone() {
    let mut redis = Redis::start(RedisOptions {
        tls: true,
        password: Some("sesame".to_owned()),
        ..RedisOptions::default()
    })
    .unwrap();
    let tls = |redis: &Redis| {
        let mut command = Command::new("/usr/bin/redis-cli");
        command.args(["--no-auth-warning", "-u", &redis.url(), "--cacert"]);
        let ended = run(command.arg(redis.authority()).arg("PING"), SOON).unwrap();
        ended.out.trim_end().to_owned()
    };
    assert!(redis.url().starts_with("rediss://"));
    assert_eq!(tls(&redis), "PONG");
    redis.kill().unwrap();
    redis.restart().unwrap();
    assert_eq!(tls(&redis), "PONG", "the same authority after a restart");
    let mut plain = Client::tcp(redis.address(), SOON).unwrap();
    assert!(plain.call(&["PING"]).is_err());
}

#[test]
fn it_ends_with_its_owner_and_outlives_the_thread_that_started_it() {
    let redis = std::thread::spawn(|| Redis::start(RedisOptions::default()).unwrap())
        .join()
        .unwrap();
    assert_eq!(redis.call(&["PING"]).unwrap().text(), "PONG");
    redis.freeze().unwrap();
    let (address, folder) = (redis.address(), redis.server.folder().to_owned());
    drop(redis);
    assert!(Client::tcp(address, SOON).is_err());
    assert!(!folder.exists());
}

#[test]
#[ignore = "the process that the next test kills"]
fn holds_a_server() {
    let redis = Redis::start(RedisOptions::default()).unwrap();
    println!("\nserver {}", redis.pid().unwrap());
    until_or_none(SOON, || (!redis.is_running()).then_some(()));
}

#[test]
fn it_ends_with_a_process_that_is_killed() {
    // A killed process leaves its folders behind: in one of ours.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("TMPDIR", folder.path());
    command.args(["--exact", "redis::tests::holds_a_server"]);
    let holder = Running::start(command.args(["--ignored", "--nocapture"])).unwrap();
    let line = holder.wait_line(SOON, |line| line.starts_with("server "));
    let pid: i32 = line.unwrap()["server ".len()..].parse().unwrap();
    let is_there = || {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|words| words.contains("redis-server"))
    };
    assert!(is_there());
    holder.signal(Signal::SIGKILL).unwrap();
    until("the server's end", SOON, || (!is_there()).then_some(()));
}

#[test]
fn what_it_says_of_a_bad_start_is_told() {
    let error = Redis::start(RedisOptions {
        lines: vec!["no-such-directive 1".to_owned()],
        ..RedisOptions::default()
    });
    let error = error.err().unwrap().to_string();
    assert!(error.contains("no-such-directive"), "{error}");
}

/// The slot of the keys `{a}…`.
const SLOT_A: u16 = 15_495;

#[test]
fn a_cluster_moves_slots_and_replaces_a_dead_master() {
    let mut cluster = RedisCluster::start(3, 1).unwrap();
    let urls = cluster.urls();
    assert_eq!(urls.len(), 6);
    assert_eq!(cluster.node_of_slot(0).unwrap(), Some(0));
    assert_eq!(cluster.node_of_slot(SLOT_A).unwrap(), Some(2));
    for n in 0..250 {
        let set = ["SET", &format!("{{a}}{n}"), "v"];
        cluster.node(2).call(&set).unwrap();
    }
    let moved = cluster
        .node(0)
        .call(&["GET", "{a}0"])
        .unwrap_err()
        .to_string();
    assert_eq!(
        moved,
        format!("MOVED {SLOT_A} {}", cluster.node(2).address())
    );

    cluster.move_slots([SLOT_A, 16_000], 2, 1).unwrap();
    assert_eq!(cluster.node_of_slot(SLOT_A).unwrap(), Some(1));
    let count = ["CLUSTER", "COUNTKEYSINSLOT", &SLOT_A.to_string()];
    assert_eq!(cluster.node(1).call(&count).unwrap(), Value::Int(250));
    assert_eq!(cluster.node(2).call(&count).unwrap(), Value::Int(0));
    assert!(cluster.move_slots([0], 1, 2).is_err());

    // The replica must have all of it before its master dies.
    assert_eq!(
        cluster
            .node(1)
            .call(&["SET", "{a}last", "v"])
            .unwrap()
            .text(),
        "OK"
    );
    until("the replica", SOON, || {
        (cluster.node(4).call(&count).unwrap() == Value::Int(251)).then_some(())
    });
    cluster.kill(1).unwrap();
    let owner = until("another owner", SOON, || {
        cluster.node_of_slot(SLOT_A).unwrap()
    });
    assert_eq!(owner, 4);
    cluster.restart(1).unwrap();
    cluster.wait_ok().unwrap();
    until("the former master's submission", SOON, || {
        cluster
            .node(1)
            .info("role")
            .is_ok_and(|role| role == "slave")
            .then_some(())
    });
    assert_eq!(cli(&urls[4], &["GET", "{a}last"]), "v");
}

#[test]
fn sentinels_put_the_replica_in_the_master_s_place() {
    let mut sentinel = Sentinel::start("ring").unwrap();
    assert_eq!((sentinel.master_name(), sentinel.urls().len()), ("ring", 3));
    assert_eq!(sentinel.master().unwrap(), Some(0));
    let told = cli(
        &sentinel.urls()[2],
        &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "ring"],
    );
    assert!(
        told.ends_with(&sentinel.node(0).port().to_string()),
        "{told}"
    );
    let mut master = sentinel.node(0).client().unwrap();
    master.call(&["SET", "k", "v"]).unwrap();
    let has = master.call(&["WAIT", "1", "5000"]).unwrap();
    assert_eq!(has, Value::Int(1), "the replica has it");

    assert_eq!(sentinel.failover().unwrap(), 1);
    assert_eq!(sentinel.node(1).info("role").unwrap(), "master");
    assert_eq!(sentinel.node(1).call(&["GET", "k"]).unwrap().text(), "v");

    sentinel.kill(1).unwrap();
    let back = until_or_none(SOON, || {
        (sentinel.master().unwrap() == Some(0)).then_some(())
    });
    assert_eq!(back, Some(()), "the sentinels notice a dead master");
    sentinel.restart(1).unwrap();
    let turned = until_or_none(SOON, || {
        // Whoever turns it round closes its connections, this one too.
        let role = sentinel.node(1).info("role");
        role.is_ok_and(|role| role == "slave").then_some(())
    });
    assert_eq!(
        turned,
        Some(()),
        "the former master does not submit:\n{}",
        sentinel.told()
    );
}
