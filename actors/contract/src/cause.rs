//! Why a piece of work ended: finished, failed, deadline or cancelled, kept apart to the end.
//!
//! Owns [`Deadline`] (a layer's limit that never outlives its parent's) and [`Cancel`] (a tree of tokens that
//! remembers who cancelled and from which span). Invariant (I7): a deadline is never reported as a cancel, nor
//! a cancel as a deadline. Start at [`within`].

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Boot, Clock};

/// A layer of time (DESIGN.md, Layers of time), the inner ones bounded by the outer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    Page,
    Connect,
    Head,
    Stall,
    Answer,
    Parse,
    Store,
    Drain,
}

impl Layer {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Connect => "connect",
            Self::Head => "head",
            Self::Stall => "stall",
            Self::Answer => "answer",
            Self::Parse => "parse",
            Self::Store => "store",
            Self::Drain => "drain",
        }
    }
}

/// Why work ended before its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The limit of this layer was reached.
    Deadline(Layer),
    /// Somebody ended it: who, and the span they did it from.
    Cancelled { by: &'static str, span: String },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline(layer) => write!(f, "deadline({})", layer.as_str()),
            Self::Cancelled { by, span } if span.is_empty() => write!(f, "cancelled(by {by})"),
            Self::Cancelled { by, span } => write!(f, "cancelled(by {by}, in {span})"),
        }
    }
}

/// The end of a layer's time on the boot clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    pub at: Boot,
    pub layer: Layer,
}

impl Deadline {
    /// A deadline `limit` from now.
    pub fn new(clock: &Clock, layer: Layer, limit: Duration) -> Self {
        Self {
            at: clock.boot().after(limit),
            layer,
        }
    }

    /// A child's deadline: `limit` from now, but never later than this one, whose layer it then names.
    pub fn child(self, clock: &Clock, layer: Layer, limit: Duration) -> Self {
        let own = Self::new(clock, layer, limit);
        if own.at < self.at { own } else { self }
    }

    /// What is left; zero when it is over.
    pub fn left(self, clock: &Clock) -> Duration {
        self.at.since(clock.boot())
    }

    /// The cause, once the time is over.
    pub fn over(self, clock: &Clock) -> Option<Cause> {
        self.left(clock)
            .is_zero()
            .then_some(Cause::Deadline(self.layer))
    }
}

/// A token that a parent hands to its children; cancelling it cancels them all.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    token: CancellationToken,
    why: Arc<OnceLock<(&'static str, String)>>,
    parent: Option<Arc<Cancel>>,
}

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    /// A child: cancelled with its parent, or alone.
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            why: Arc::default(),
            parent: Some(Arc::new(self.clone())),
        }
    }

    /// Cancels this token and all its children. The first caller is the one remembered.
    pub fn cancel(&self, by: &'static str) {
        let span = tracing::Span::current()
            .metadata()
            .map_or_else(String::new, |m| m.name().to_owned());
        let _first_wins = self.why.set((by, span));
        self.token.cancel();
    }

    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it is cancelled, and says by whom.
    pub async fn cancelled(&self) -> Cause {
        self.token.cancelled().await;
        self.cause()
    }

    /// Who cancelled: this token's own canceller, else the nearest ancestor's.
    fn cause(&self) -> Cause {
        match (self.why.get(), &self.parent) {
            (Some((by, span)), _) => Cause::Cancelled {
                by,
                span: span.clone(),
            },
            (None, Some(parent)) => parent.cause(),
            (None, None) => Cause::Cancelled {
                by: "unknown",
                span: String::new(),
            },
        }
    }
}

/// Runs `work` until it ends, the deadline is over or it is cancelled, and says which.
///
/// # Errors
/// The cause why there is no result. The work is dropped then; what it holds must be released by `Drop`.
pub async fn within<T>(
    clock: &Clock,
    deadline: Deadline,
    cancel: &Cancel,
    work: impl Future<Output = T>,
) -> Result<T, Cause> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        cause = cancel.cancelled() => Err(cause),
        () = tokio::time::sleep(deadline.left(clock)) => Err(Cause::Deadline(deadline.layer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_and_a_cancel_are_told_apart() {
        let clock = Clock::machine();
        let cancel = Cancel::new();
        let short = Deadline::new(&clock, Layer::Head, Duration::from_millis(5));
        let late = within(&clock, short, &cancel, pending::<()>()).await;
        assert_eq!(late, Err(Cause::Deadline(Layer::Head)));

        let child = cancel.child();
        let long = Deadline::new(&clock, Layer::Page, Duration::from_secs(60));
        cancel.cancel("operator");
        let ended = within(&clock, long, &child, pending::<()>()).await;
        assert_eq!(
            ended,
            Err(Cause::Cancelled {
                by: "operator",
                span: String::new()
            })
        );
    }

    #[test]
    fn a_child_never_outlives_its_parent() {
        let clock = Clock::manual(crate::clock::Wall(0));
        let page = Deadline::new(&clock, Layer::Page, Duration::from_secs(10));
        let head = page.child(&clock, Layer::Head, Duration::from_secs(5));
        assert_eq!(
            (head.layer, head.left(&clock)),
            (Layer::Head, Duration::from_secs(5))
        );
        clock.advance(Duration::from_secs(7));
        let answer = page.child(&clock, Layer::Answer, Duration::from_secs(30));
        assert_eq!(
            (answer.layer, answer.left(&clock)),
            (Layer::Page, Duration::from_secs(3))
        );
        assert_eq!(head.over(&clock), Some(Cause::Deadline(Layer::Head)));
    }

    #[test]
    fn cancelling_a_child_leaves_the_parent() {
        let parent = Cancel::new();
        let child = parent.child();
        child.cancel("lease lost");
        assert!(child.is_cancelled() && !parent.is_cancelled());
    }
}
