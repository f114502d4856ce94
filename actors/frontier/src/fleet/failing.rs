//! A link one of whose questions fails, for tests: it is not asked, or it is and the answer is lost.
//!
//! It counts questions, whatever they are, so that a test can loop over all that a verb asks. Start at [`Failing`].

use std::sync::{Arc, Mutex, PoisonError};

use contract::fault::FailPlan;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};

use super::link::{Breaks, Link};

/// The question is not asked (EPIPE).
pub(crate) const NOT_ASKED: i32 = 32;
/// It is asked, and nobody hears the answer (ECONNRESET).
pub(crate) const UNHEARD: i32 = 104;

/// What fails next; may be set anew at any time.
#[derive(Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<FailPlan>>);

/// See the module.
#[derive(Clone)]
pub(crate) struct Failing {
    pub(super) link: Box<Link>,
    pub(super) failures: Failures,
    /// A failure counts as the end of a connection.
    pub(super) breaks: Breaks,
}

impl Failures {
    pub(crate) fn set(&self, plan: FailPlan) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    fn step(&self) -> std::io::Result<()> {
        let plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plan.step()
    }
}

impl Failing {
    pub(super) fn command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let plan = (self.failures.step(), self.breaks.clone());
        planned(plan, self.link.req_packed_command(cmd))
    }

    /// All of a pipeline is one question.
    pub(super) fn commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let plan = (self.failures.step(), self.breaks.clone());
        planned(plan, self.link.req_packed_commands(pipeline, offset, count))
    }
}

/// The answer, if this question does not fail.
fn planned<'a, T: Send + 'a>(
    (fails, breaks): (std::io::Result<()>, Breaks),
    answer: RedisFuture<'a, T>,
) -> RedisFuture<'a, T> {
    Box::pin(async move {
        let fails = fails.inspect_err(|_| breaks.count());
        match fails {
            Err(error) if error.raw_os_error() == Some(NOT_ASKED) => Err(error.into()),
            fails => {
                let answer = answer.await;
                fails?;
                answer
            }
        }
    })
}
