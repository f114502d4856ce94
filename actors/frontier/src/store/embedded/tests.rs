//! Opening: what is refused, what a restart keeps, and what it says.

use std::fs;
use std::path::Path;
use std::time::Duration;

use contract::admit::Admit;
use contract::canonical::Fingerprint;
use contract::clock::{Clock, Wall};
use contract::error::ErrorClass;
use contract::host::Host;
use contract::lease::{Claim, Release, Taker};
use contract::link::{Link, LinkKind};

use super::disk::{Disk, queue_key};
use super::*;
use crate::store::suite;
use crate::store::suite::now;

fn options(clock: &Clock) -> EmbeddedOptions {
    EmbeddedOptions {
        rules: Rules {
            delay: Duration::from_secs(1),
            tries_max: 3,
            domain_leases_max: None,
            address_leases_max: None,
            limit: None,
            lease: Duration::from_secs(90),
        },
        clock: clock.clone(),
        memory_bytes: 16 << 20,
        fingerprint_seed: 42,
        fail: FailPlan::none(),
    }
}

fn clock() -> Clock {
    Clock::manual(Wall(1_000_000_000_000))
}

fn seed(number: u64) -> Link {
    Link {
        host: Host::from_stored("a.test"),
        url: format!("http://a.test/{number}").into(),
        fingerprint: Fingerprint(number),
        kind: LinkKind::Seed,
        depth: 0,
        hops: 0,
    }
}

fn admit(store: &Embedded, numbers: std::ops::Range<u64>) -> Admitted {
    let admit = Admit {
        links: numbers.map(seed).collect(),
        via: "seed".into(),
        force: true,
    };
    now(store.admit(&admit)).unwrap()
}

fn claim(store: &Embedded) -> Claimed {
    now(store.claim(Claim {
        taker: Taker::ALONE,
        hosts: 1,
        urls_per_host: 2,
    }))
    .unwrap()
}

/// The error of an opening that is refused, in full.
#[track_caller]
fn refused(folder: &Path, class: ErrorClass) -> String {
    match Embedded::open(folder, options(&clock())) {
        Ok(_) => panic!("it was opened"),
        Err(error) => {
            assert_eq!(error.class(), class, "{error:?}");
            error.to_string()
        }
    }
}

#[test]
fn a_folder_in_use_is_refused_and_free_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), options(&clock())).unwrap();
    let said = refused(folder.path(), ErrorClass::Permanent);
    assert!(said.contains("in use by another process"), "{said}");
    drop(store);
    Embedded::open(folder.path(), options(&clock())).unwrap();
}

#[test]
fn a_restart_keeps_what_was_answered_and_seeds_are_queued_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = Embedded::open(folder.path(), options(&clock)).unwrap();
    assert_eq!(admit(&store, 0..3), Admitted { new: 3, known: 0 });
    assert_eq!(now(store.set_config(b"one")).unwrap(), 1);
    now(store.add_running_time(Duration::from_secs(5))).unwrap();
    now(store.pause()).unwrap();
    drop(store);
    let other_seed = EmbeddedOptions {
        fingerprint_seed: 43,
        ..options(&clock)
    };
    let store = Embedded::open(folder.path(), other_seed).unwrap();
    assert_eq!(now(store.fingerprint_seed()).unwrap(), 42);
    assert_eq!(admit(&store, 0..4), Admitted { new: 1, known: 3 });
    assert_eq!(now(store.seeds()).unwrap().len(), 4);
    assert_eq!(now(store.set_config(b"one")).unwrap(), 1);
    assert_eq!(now(store.set_config(b"two")).unwrap(), 2);
    let stats = now(store.stats()).unwrap();
    assert_eq!((stats.known, stats.ran.as_secs()), (4, 5));
    assert!(stats.paused);
    let refused = now(store.claim(Claim {
        taker: Taker::ALONE,
        hosts: 1,
        urls_per_host: 1,
    }));
    assert!(matches!(refused, Err(StoreError::Refusing("paused"))));
    now(store.resume()).unwrap();
    assert_eq!(claim(&store).leases.len(), 1);
}

#[test]
fn a_url_that_ends_the_process_is_given_up_after_three_tries() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut seen = Vec::new();
    for start in 0..4 {
        let store = Embedded::open(folder.path(), options(&clock)).unwrap();
        if start == 0 {
            admit(&store, 0..3);
        } else {
            // The last death gave the URL up, so that nobody is left to blame for the host's further rest.
            let rest = Duration::from_secs(2 * start);
            assert_eq!(
                claim(&store).next_due,
                Some(rest),
                "its host rests longer each time"
            );
            clock.advance(rest);
        }
        let lease = claim(&store).leases.remove(0);
        seen.push((
            lease.urls.len(),
            lease.urls[0].url.clone(),
            lease.urls[0].tries,
        ));
        // The process ends here: nothing is released.
    }
    let url = |number: u64| seed(number).url;
    assert_eq!(
        seen,
        [
            (2, url(0), 0),
            (1, url(0), 1),
            (1, url(0), 2),
            (1, url(1), 0)
        ],
        "after a lease that was lost one URL at a time is granted"
    );
    let store = Embedded::open(folder.path(), options(&clock)).unwrap();
    let told = now(store.gave_up(&[])).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].queued.url, told[0].queued.tries), (&url(0), 3));
    assert!(now(store.gave_up(&[told[0].number])).unwrap().is_empty());
    let stats = now(store.stats()).unwrap();
    assert_eq!((stats.known, stats.queued, stats.done), (3, 2, 1));
}

/// A page each on so many hosts.
fn on_hosts_of_their_own(store: &Embedded, hosts: u64) {
    let link = |n: u64| Link {
        host: Host::from_stored(&format!("h{n}.test")),
        url: format!("http://h{n}.test/").into(),
        fingerprint: Fingerprint(n),
        ..seed(n)
    };
    let admit = Admit {
        links: (0..hosts).map(link).collect(),
        via: "seed".into(),
        force: true,
    };
    now(store.admit(&admit)).unwrap();
}

#[test]
fn four_kills_in_a_row_give_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut seen = Vec::new();
    for kill in 0..5 {
        let store = Embedded::open(folder.path(), options(&clock)).unwrap();
        if kill == 0 {
            on_hosts_of_their_own(&store, 8);
        }
        // Long enough for any rest: whoever was blamed last has its turn again.
        clock.advance(Duration::from_secs(60));
        let all = Claim {
            taker: Taker::ALONE,
            hosts: 16,
            urls_per_host: 4,
        };
        let leases = now(store.claim(all)).unwrap().leases;
        let tries = leases.iter().map(|lease| lease.urls[0].tries).max();
        seen.push((leases.len(), tries.unwrap()));
        assert!(now(store.gave_up(&[])).unwrap().is_empty(), "{seen:?}");
    }
    let hosts: Vec<_> = seen.iter().map(|(hosts, _)| *hosts).collect();
    assert_eq!(hosts, [8, 8, 1, 1, 1], "{seen:?}");
}

#[test]
fn of_many_that_a_process_died_with_the_innocent_go_free() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let killer = "http://h3.test/";
    let mut deaths = 0;
    let (mut together, mut alone) = (0, Vec::new());
    loop {
        let store = Embedded::open(folder.path(), options(&clock)).unwrap();
        if deaths == 0 {
            on_hosts_of_their_own(&store, 8);
        }
        let mut died = false;
        // Everything that is leased at once is fetched at once; the killer ends the process, the others settle.
        while !died {
            clock.advance(Duration::from_secs(1));
            let all = Claim {
                taker: Taker::ALONE,
                hosts: 16,
                urls_per_host: 4,
            };
            let leases = now(store.claim(all)).unwrap().leases;
            if leases.is_empty() && now(store.stats()).unwrap().queued == 0 {
                let told = now(store.gave_up(&[])).unwrap();
                assert_eq!(
                    told.iter()
                        .map(|gone| &*gone.queued.url)
                        .collect::<Vec<_>>(),
                    [killer]
                );
                assert_eq!(deaths, 5, "two deaths with company, three alone");
                assert!(
                    alone.iter().all(|n| *n == 1),
                    "a suspect had company: {alone:?}"
                );
                assert_eq!(together, 8, "all go on at once after one death");
                return;
            }
            match deaths {
                1 => together = leases.len(),
                2.. if !leases.is_empty() => alone.push(leases.len()),
                _ => {}
            }
            died = leases.iter().any(|lease| &*lease.urls[0].url == killer);
            for lease in leases.into_iter().filter(|_| !died) {
                let settle = suite::done(&lease, Vec::new());
                now(store.settle(&[settle])).unwrap();
                let (host, token) = (lease.host, lease.token);
                now(store.release(
                    &Release {
                        host,
                        token,
                        handed: 1,
                        last_end: None,
                    },
                    None,
                ))
                .unwrap();
            }
        }
        deaths += 1;
    }
}

#[test]
fn a_released_lease_is_no_lost_one() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = Embedded::open(folder.path(), options(&clock)).unwrap();
    admit(&store, 0..2);
    let lease = claim(&store).leases.remove(0);
    let release = Release {
        host: lease.host,
        token: lease.token,
        handed: 0,
        last_end: None,
    };
    now(store.release(&release, None)).unwrap();
    drop(store);
    let store = Embedded::open(folder.path(), options(&clock)).unwrap();
    let lease = claim(&store).leases.remove(0);
    assert_eq!((lease.urls.len(), lease.urls[0].tries), (2, 0));
}

#[test]
fn what_is_no_frontier_of_ours_is_refused_with_what_and_where() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be.
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let said = refused(&file, ErrorClass::System);
    assert!(said.contains("file"), "{said}");
    // A folder that is something else.
    let foreign = folder.path().join("foreign");
    fs::create_dir_all(foreign.join("store")).unwrap();
    fs::write(foreign.join("store/notes.txt"), "mine").unwrap();
    let said = refused(&foreign, ErrorClass::Permanent);
    assert!(said.contains("not a frontier"), "{said}");
    let kept = fs::read_to_string(foreign.join("store/notes.txt")).unwrap();
    assert_eq!(kept, "mine");
}

/// A store whose single values were changed behind its back.
fn changed(change: impl FnOnce(&Disk, &mut super::disk::Batch)) -> String {
    let folder = tempfile::tempdir().unwrap();
    drop(Embedded::open(folder.path(), options(&clock())).unwrap());
    let disk = Disk::open(&folder.path().join("store"), 16 << 20, FailPlan::none()).unwrap();
    let mut batch = disk.batch();
    change(&disk, &mut batch);
    disk.commit(batch).unwrap();
    drop(disk);
    refused(folder.path(), ErrorClass::Permanent)
}

#[test]
fn other_versions_are_refused_with_both_versions() {
    let said = changed(|disk, batch| disk.put_meta(batch, "schema", &9u16).unwrap());
    assert!(
        said.contains("schema 9") && said.contains("up to 3"),
        "{said}"
    );
    let said = changed(|disk, batch| disk.put_meta(batch, "schema", &1u16).unwrap());
    assert!(said.contains("schema 1"), "{said}");
    let facts = |canonical: u16, psl: &str| (canonical, psl.to_owned(), 42u64);
    let psl = contract::host::PSL_VERSION;
    let said = changed(|disk, batch| disk.put_meta(batch, "facts", &facts(77, psl)).unwrap());
    assert!(said.contains("URL comparison version 77"), "{said}");
    let ours = contract::canonical::CANONICAL_VERSION;
    let said = changed(|disk, batch| {
        disk.put_meta(batch, "facts", &facts(ours, "psl-0"))
            .unwrap()
    });
    assert!(said.contains("psl-0") && said.contains(psl), "{said}");
    let said = changed(|disk, batch| disk.put_meta(batch, "facts", &"nonsense").unwrap());
    assert!(said.contains("damaged"), "{said}");
}

/// Folders of schema 2 have a row for each URL.
#[test]
fn an_older_folder_is_gone_on_with_and_is_the_newer_programs_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), options(&clock())).unwrap();
    admit(&store, 0..300);
    let wanted = now(store.queued_after(None, usize::MAX)).unwrap();
    drop(store);
    let path = folder.path().join("store");
    let disk = Disk::open(&path, 16 << 20, FailPlan::none()).unwrap();
    let mut batch = disk.batch();
    let mut rows = 0;
    for row in disk.queue_from([0; 13]) {
        let (host, class, row) = row.unwrap();
        rows += 1;
        for element in row.elements() {
            let (place, element) = element.unwrap();
            disk.put_row(&mut batch, queue_key(host, class, place), element.to_vec());
        }
    }
    assert!(rows < 300, "URLs that come together share rows");
    disk.put_meta(&mut batch, "schema", &2u16).unwrap();
    disk.commit(batch).unwrap();
    drop(disk);
    let store = Embedded::open(folder.path(), options(&clock())).unwrap();
    assert_eq!(now(store.queued_after(None, usize::MAX)).unwrap(), wanted);
    admit(&store, 0..400);
    let mut after = None;
    let mut found = Vec::new();
    while let Some(last) = {
        let some = now(store.queued_after(after, 7)).unwrap();
        found.extend(some.iter().cloned());
        some.last().map(|last| last.at.clone())
    } {
        after = Some(last);
    }
    assert_eq!(found.len(), 400);
    drop(store);
    let disk = Disk::open(&path, 16 << 20, FailPlan::none()).unwrap();
    assert_eq!(disk.meta::<u16>("schema").unwrap(), Some(3));
}

#[test]
fn damaged_files_are_an_error_or_a_torn_tail_but_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path(), options(&clock())).unwrap();
    admit(&store, 0..500);
    now(store.flush()).unwrap();
    drop(store);
    let mut files = Vec::new();
    let mut folders = vec![folder.path().join("store")];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::metadata(&path).unwrap().len() > 0 {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 5, "{files:?}");
    for path in files {
        let whole = fs::read(&path).unwrap();
        for bytes in [
            whole[..whole.len() / 2].to_vec(),
            whole.iter().map(|byte| !byte).collect(),
            b"<html>".to_vec(),
        ] {
            fs::write(&path, &bytes).unwrap();
            match Embedded::open(folder.path(), options(&clock())) {
                // A torn journal: what was written before the tear is there.
                Ok(store) => assert!(now(store.stats()).unwrap().known <= 500),
                Err(error) => assert!(
                    error
                        .to_string()
                        .contains(&*folder.path().to_string_lossy()),
                    "{error:?} says where"
                ),
            }
            fs::write(&path, &whole).unwrap();
        }
    }
}

#[test]
fn a_crash_while_a_store_is_made_leaves_no_half_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("store.new");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("0.jnl"), "half").unwrap();
    let store = Embedded::open(folder.path(), options(&clock())).unwrap();
    assert_eq!(admit(&store, 0..1).new, 1);
    assert!(!half.exists());
}
