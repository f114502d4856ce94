//! The lifecycle wrapper: `OnStart → work → OnFinish`, and on a panic `OnStart → work ✗ → OnPanic → OnFinish`.
//!
//! Owns the promise that `on_finish` runs exactly once, whatever ends the work: its result, a panic, or being
//! dropped (cancelled). Anything that holds a resource for a page, a lease or an actor releases it there.
//! It knows neither actix nor tokio. Invariant (I7): every task ends and says why. Start at [`guarded`].

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

/// How guarded work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The work gave its result (which may be an error value).
    Finished,
    /// The work panicked; `on_panic` has run.
    Panicked,
    /// The work was dropped before its end.
    Cancelled,
}

/// What happens around a piece of work. Each hook must be idempotent and must not panic.
pub trait Hooks {
    fn on_start(&mut self) {}
    fn on_panic(&mut self, _panic: &Panicked) {}
    fn on_finish(&mut self, ended: Ended);
}

/// A caught panic: its message, as far as it is text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked: {0}")]
pub struct Panicked(pub String);

impl Panicked {
    /// From what `catch_unwind` caught.
    pub fn caught(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&'static str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "not a text".to_owned());
        Self(text)
    }
}

/// Hooks that have been started and not yet finished; dropping it finishes them as cancelled.
struct Life<H: Hooks>(Option<H>);

impl<H: Hooks> Life<H> {
    fn end(mut self, ended: Ended) {
        if let Some(mut hooks) = self.0.take() {
            hooks.on_finish(ended);
        }
    }

    /// Ends the life by what became of the work.
    fn conclude<T>(mut self, done: Result<T, Box<dyn Any + Send>>) -> Result<T, Panicked> {
        match done {
            Ok(value) => {
                self.end(Ended::Finished);
                Ok(value)
            }
            Err(payload) => {
                let panic = Panicked::caught(payload.as_ref());
                if let Some(hooks) = self.0.as_mut() {
                    hooks.on_panic(&panic);
                }
                self.end(Ended::Panicked);
                Err(panic)
            }
        }
    }
}

impl<H: Hooks> Drop for Life<H> {
    fn drop(&mut self) {
        if let Some(mut hooks) = self.0.take() {
            hooks.on_finish(Ended::Cancelled);
        }
    }
}

/// Runs `work` between its hooks.
///
/// # Errors
/// The panic, if there was one. The caller settles the page, or lets the supervisor know; it never swallows it.
pub async fn guarded<H: Hooks, T>(
    mut hooks: H,
    work: impl Future<Output = T>,
) -> Result<T, Panicked> {
    hooks.on_start();
    let life = Life(Some(hooks));
    life.conclude(AssertUnwindSafe(work).catch_unwind().await)
}

/// The same for work that is plain code.
///
/// # Errors
/// The panic, if there was one.
pub fn guarded_sync<H: Hooks, T>(mut hooks: H, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    hooks.on_start();
    let life = Life(Some(hooks));
    life.conclude(std::panic::catch_unwind(AssertUnwindSafe(work)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Diary(Arc<Mutex<Vec<String>>>);
    impl Diary {
        fn note(&self, what: impl Into<String>) {
            self.0.lock().unwrap().push(what.into());
        }
        fn read(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }
    impl Hooks for Diary {
        fn on_start(&mut self) {
            self.note("start");
        }
        fn on_panic(&mut self, panic: &Panicked) {
            self.note(panic.to_string());
        }
        fn on_finish(&mut self, ended: Ended) {
            self.note(format!("{ended:?}"));
        }
    }

    #[tokio::test]
    async fn every_end_is_told_once_and_in_order() {
        let diary = Diary::default();
        assert_eq!(guarded(diary.clone(), async { 5 }).await, Ok(5));
        assert_eq!(diary.read(), ["start", "Finished"]);

        let diary = Diary::default();
        let ended = guarded(diary.clone(), async { panic!("no {}", "luck") }).await;
        assert_eq!(ended, Err::<(), _>(Panicked("no luck".into())));
        assert_eq!(diary.read(), ["start", "panicked: no luck", "Panicked"]);

        let diary = Diary::default();
        let never = guarded(diary.clone(), std::future::pending::<()>());
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, never)
                .await
                .is_err()
        );
        assert_eq!(diary.read(), ["start", "Cancelled"]);
    }

    #[test]
    fn plain_work_is_guarded_alike() {
        let diary = Diary::default();
        let ended = guarded_sync(diary.clone(), || -> u8 { panic!("boom") });
        assert_eq!(ended, Err(Panicked("boom".into())));
        assert_eq!(diary.read(), ["start", "panicked: boom", "Panicked"]);
    }
}
