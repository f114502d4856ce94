//! A light that an actor carries: its `Drop` tells the supervisor that the actor is gone, and whether it
//! panicked. Owns one bounded, never-blocking notice per actor; knows nothing of what the actor did.

use tokio::sync::mpsc;

/// An actor is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Died {
    pub actor: String,
    /// True while its thread was unwinding: the generation has to be rebuilt.
    pub panicking: bool,
}

/// Held by an actor as a field.
#[derive(Debug)]
pub struct Beacon {
    actor: String,
    to: mpsc::Sender<Died>,
}

impl Beacon {
    /// A beacon of `actor`, reporting to `to`, whose capacity must be the number of beacons made for it.
    pub fn new(actor: impl Into<String>, to: mpsc::Sender<Died>) -> Self {
        Self {
            actor: actor.into(),
            to,
        }
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        let died = Died {
            actor: std::mem::take(&mut self.actor),
            panicking: std::thread::panicking(),
        };
        // A full or closed channel means that the generation is already being ended for another death.
        let _already_ending = self.to.try_send(died);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_a_panic_from_a_quiet_end() {
        let (to, mut died) = mpsc::channel(2);
        drop(Beacon::new("quiet", to.clone()));
        let thread = std::thread::spawn(move || {
            let _held = Beacon::new("loud", to);
            panic!("on purpose");
        });
        assert!(thread.join().is_err());
        assert_eq!(
            died.try_recv().unwrap(),
            Died {
                actor: "quiet".into(),
                panicking: false
            }
        );
        assert_eq!(
            died.try_recv().unwrap(),
            Died {
                actor: "loud".into(),
                panicking: true
            }
        );
    }
}
