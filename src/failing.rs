//! Deaths on purpose, so that a story can watch a generation being rebuilt. Debug builds only.
//!
//! `ARGIOPE_FAIL=parser:17,40` lets the parsers of the first generation die at the 17th page they are given, those of the
//! second at the 40th, and those of later ones live. The panic is the actor's own, outside the guard around a page.
//! A release build does not look at the variable. Start at [`Failing::read`].

use std::cell::RefCell;
use std::collections::VecDeque;

use contract::fault::FailPlan;

use crate::exit::Failure;

/// At which page each generation dies, the next one's first.
#[derive(Debug, Default)]
pub struct Failing(RefCell<VecDeque<u64>>);

impl Failing {
    /// What the environment plans; nothing in a release build.
    ///
    /// # Errors
    /// A plan that cannot be read.
    pub fn read() -> Result<Self, Failure> {
        match std::env::var("ARGIOPE_FAIL") {
            Ok(plan) if cfg!(debug_assertions) => parse(&plan).ok_or_else(|| {
                Failure::input(format!("ARGIOPE_FAIL: {plan:?} is not like parser:17,40"))
            }),
            _ => Ok(Self::default()),
        }
    }

    /// The plan of the generation that is built now.
    pub fn next_generation(&self) -> FailPlan {
        /// EIO; any would do.
        const ERRNO: i32 = 5;
        let at = self.0.borrow_mut().pop_front();
        at.map_or_else(FailPlan::none, |page| FailPlan::nth(page, ERRNO, false))
    }
}

fn parse(plan: &str) -> Option<Failing> {
    let pages = plan.strip_prefix("parser:")?.split(',');
    let pages: Result<_, _> = pages.map(str::parse).collect();
    pages.ok().map(|pages| Failing(RefCell::new(pages)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_has_its_own_plan_and_the_last_ones_none() {
        let failing = parse("parser:1,2").unwrap();
        let [first, second, third] = [(); 3].map(|()| failing.next_generation());
        assert!(first.step().is_err());
        assert!(second.step().is_ok() && second.step().is_err());
        assert!((0..9).all(|_| third.step().is_ok()));
        for wrong in ["", "parser", "parser:", "parser:x", "storage:1"] {
            assert!(parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
