//! The seen set against a plain set: what is remembered is found, before and after an opening, whatever was at work.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use contract::clock::Chance;
use contract::fault::FailPlan;

use super::*;

/// Room for tables of twelve fingerprints.
fn small(fail: FailPlan) -> SeenOptions {
    SeenOptions {
        memory_bytes: 16 * 26 * 2,
        fail,
    }
}

/// A seen set, and what the store would have of it: the list of runs and the log.
struct Stand {
    seen: Seen,
    listing: Vec<(u64, u64)>,
    log: Vec<(u64, Vec<u64>)>,
}

impl Stand {
    fn new(folder: &Path, fail: FailPlan) -> Self {
        Self {
            seen: Seen::open(folder, &[], small(fail)).expect("a new folder"),
            listing: Vec::new(),
            log: Vec::new(),
        }
    }

    /// What the store does at a commit.
    fn commit(&mut self, fingerprints: &[u64]) -> Result<(), StoreError> {
        self.log.push((self.seen.entry(), fingerprints.to_vec()));
        self.seen.remember(fingerprints.iter().copied());
        while let Some(made) = self.seen.made()? {
            self.listing.clone_from(&made.listing);
            if let Some(until) = made.log_until {
                self.log.retain(|&(entry, _)| entry > until);
            }
            self.seen.take(made)?;
        }
        Ok(())
    }

    /// The process ends, whatever is at work, and another opens what is there.
    fn again(self, folder: &Path) -> Self {
        let Self {
            seen, listing, log, ..
        } = self;
        drop(seen);
        let mut seen = Seen::open(folder, &listing, small(FailPlan::none())).expect("all is there");
        for (entry, fingerprints) in &log {
            seen.replay(*entry, fingerprints.iter().copied());
        }
        Self { seen, listing, log }
    }

    #[track_caller]
    fn holds_just(&self, model: &BTreeSet<u64>) {
        for &one in model {
            assert!(self.seen.contains(one).unwrap(), "{one} is lost");
        }
        let mut chance = Chance::seeded(99);
        let foreign = (0..200)
            .map(|_| chance.draw())
            .filter(|one| !model.contains(one));
        for one in foreign {
            assert!(!self.seen.contains(one).unwrap(), "{one} is invented");
        }
        for from in [0, 1 << 40, u64::MAX / 2, u64::MAX] {
            let listed: Vec<u64> = self.seen.from(from).map(Result::unwrap).collect();
            let wanted: Vec<u64> = model.range(from..).copied().collect();
            assert_eq!(listed, wanted, "from {from}");
        }
    }
}

#[test]
fn what_is_remembered_is_found_through_runs_merges_and_openings() {
    let folder = tempfile::tempdir().unwrap();
    let (mut chance, mut model) = (Chance::seeded(7), BTreeSet::new());
    let mut stand = Stand::new(folder.path(), FailPlan::none());
    for round in 0..400 {
        // Some of one domain, whose fingerprints share their upper bits; now and then one that is known.
        let mut some: Vec<u64> = (0..chance.draw() % 9 + 1)
            .map(|n| {
                if n % 2 == 0 {
                    chance.draw()
                } else {
                    chance.draw() >> 20
                }
            })
            .collect();
        some.extend(model.iter().next_back());
        stand.commit(&some).unwrap();
        model.extend(some);
        if round % 57 == 0 {
            stand = stand.again(folder.path());
            stand.holds_just(&model);
        }
    }
    stand.holds_just(&model);
    let most = MERGED_TOGETHER * 5;
    assert!(
        stand.seen.runs.len() < most,
        "{} runs",
        stand.seen.runs.len()
    );
    assert!(
        stand.listing.iter().any(|&(_, count)| count > 500),
        "a merge"
    );
    // Nothing is left of runs that were merged, but for those at work.
    let stand = stand.again(folder.path());
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, stand.listing.len());
}

#[test]
fn a_disk_that_fails_at_any_step_loses_nothing_that_was_committed() {
    let mut failed = 0;
    for n in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let (mut chance, mut model) = (Chance::seeded(n), BTreeSet::new());
        let fail = FailPlan::nth(n, 28, true);
        let mut stand = Stand::new(folder.path(), fail.clone());
        let mut ended = Ok(());
        for _ in 0..60 {
            let some: Vec<u64> = (0..5).map(|_| chance.draw()).collect();
            model.extend(some.iter().copied());
            ended = stand.commit(&some);
            if ended.is_err() {
                break;
            }
        }
        if let Err(error) = ended {
            assert!(matches!(error, StoreError::Write(_)), "{error}");
            failed += 1;
        }
        let fired = fail.fired();
        stand.again(folder.path()).holds_just(&model);
        if !fired {
            break;
        }
    }
    assert!(failed > 10, "{failed} steps failed");
}

/// A set with one run of 40 fingerprints, closed; and the run's file.
fn one_run(folder: &Path) -> (Vec<(u64, u64)>, PathBuf) {
    let order = Order {
        folder: folder.to_path_buf(),
        number: 3,
        sieve_bytes: 0,
        fail: FailPlan::none(),
    };
    let young: Young = (0..2_000).map(|n| n * 1_000).collect();
    let job = Job::start(order, Of::Young(Arc::new(young))).unwrap();
    let run = job.join().unwrap();
    (vec![run.listed()], run::path(folder, 3))
}

#[test]
fn a_run_that_is_missing_short_or_spoilt_is_said_with_its_file() {
    #[track_caller]
    fn check(spoil: fn(&Path), want: &str) {
        let folder = tempfile::tempdir().unwrap();
        let (listing, file) = one_run(folder.path());
        spoil(&file);
        let Err(error) = Seen::open(folder.path(), &listing, small(FailPlan::none())) else {
            panic!("opened");
        };
        let text = error.to_string();
        assert!(
            text.contains(want) && text.contains("00000003.run"),
            "{text}"
        );
    }
    check(|file| fs::remove_file(file).unwrap(), "the file is missing");
    check(
        |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() - 1]).unwrap();
        },
        "block 3 is missing",
    );
    check(
        |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[5_000] ^= 4;
            fs::write(file, bytes).unwrap();
        },
        "block 1 does not match",
    );
    check(
        |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes.copy_within(4_096..8_192, 0);
            fs::write(file, bytes).unwrap();
        },
        "block 0 does not match",
    );
}

#[test]
fn a_byte_that_spoils_while_the_set_is_open_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (listing, file) = one_run(folder.path());
    let seen = Seen::open(folder.path(), &listing, small(FailPlan::none())).unwrap();
    assert!(seen.contains(1_000).unwrap());
    assert!(!seen.contains(1_001).unwrap());
    let mut bytes = fs::read(&file).unwrap();
    bytes[8] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert!(seen.contains(1_000).is_err());
    assert!(seen.contains(1_999_000).unwrap(), "another block");
}
