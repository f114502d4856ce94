//! A disk that fails at the n-th write, for every n: nothing that was acknowledged is lost.

use contract::fault::FailPlan;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{TestRng, TestRunner};

use super::acts::Act;
use super::{InFolder, Stage, Subject, rules, story};
use crate::error::StoreError;

/// No space left on device.
const ENOSPC: i32 = 28;

/// A story that is the same every time.
fn fixed_story() -> Vec<Act> {
    let rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Default::default(), rng);
    let mut acts = Vec::new();
    for _ in 0..4 {
        acts.extend(story().new_tree(&mut runner).unwrap().current());
    }
    acts.retain(|act| !matches!(act, Act::Crash));
    acts
}

/// Plays until the store fails, opens it again, and compares it with a model that has seen what was acknowledged.
/// False when nothing failed.
fn fails_at(n: u64, stays: bool, acts: &[Act]) -> bool {
    let mut stage = Stage::<InFolder>::new(&rules());
    let plan = FailPlan::nth(n, ENOSPC, stays);
    stage.subject.open(plan.clone()).unwrap();
    for act in acts {
        if let Act::Pass(time) = act {
            stage.clock.advance(*time);
            continue;
        }
        let told = act.tell(stage.subject.store(), &stage.witness, &stage.clock);
        match told {
            Ok(found) => {
                let wanted = act
                    .tell(&stage.model, &stage.witness, &stage.clock)
                    .unwrap();
                assert_eq!(found, wanted, "{act:?}");
                stage.witness.saw(act, &found, stage.clock.wall().millis());
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Write(_)), "{error:?}");
                let again = act.tell(stage.subject.store(), &stage.witness, &stage.clock);
                assert!(
                    matches!(again, Err(StoreError::Broken)),
                    "it went on: {again:?}"
                );
                break;
            }
        }
    }
    stage.play(&Act::Crash);
    stage.compare();
    stage.finish();
    plan.fired()
}

#[test]
fn a_full_disk_loses_nothing_acknowledged() {
    let mut acts = fixed_story();
    for act in &mut acts {
        if let Act::Settle { twice, .. } = act {
            *twice = false;
        }
    }
    for stays in [false, true] {
        let mut n = 1;
        while fails_at(n, stays, &acts) {
            n += 7;
        }
        assert!(n > 20, "only {n} writes in the whole story");
    }
}
