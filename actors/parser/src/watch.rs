//! The parse deadline, looked at while parsing.
//!
//! Parsing is plain code that nothing can interrupt, so it looks at the clock itself, once in [`STEP`] bytes: often
//! enough to end in time, seldom enough to cost nothing. It knows no clock: whoever starts the work says what "over" is.

/// Bytes between two looks.
const STEP: usize = 64 * 1_024;

/// The time for this document is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parse deadline is over")]
pub struct Late;

/// A deadline and how far the document had been read at the last look.
pub struct Watch<'a> {
    over: &'a dyn Fn() -> bool,
    next: usize,
}

impl<'a> Watch<'a> {
    /// `over` says whether time is over.
    pub fn new(over: &'a dyn Fn() -> bool) -> Self {
        Self { over, next: STEP }
    }

    /// The document has been read up to `position`.
    ///
    /// # Errors
    /// [`Late`] when time is over.
    #[inline]
    pub fn look(&mut self, position: usize) -> Result<(), Late> {
        if position < self.next {
            return Ok(());
        }
        self.next = position.saturating_add(STEP);
        if (self.over)() { Err(Late) } else { Ok(()) }
    }

    /// A new document (or the next stage of the same) begins at position 0.
    ///
    /// # Errors
    /// [`Late`] when time is over.
    pub fn restart(&mut self) -> Result<(), Late> {
        self.next = STEP;
        if (self.over)() { Err(Late) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn it_looks_once_a_step() {
        let looks = Cell::new(0);
        let over = || {
            looks.set(looks.get() + 1);
            looks.get() == 3
        };
        let mut watch = Watch::new(&over);
        for position in 0..3 * STEP {
            assert_eq!(watch.look(position), Ok(()));
        }
        assert_eq!(looks.get(), 2);
        assert_eq!(watch.look(3 * STEP), Err(Late));
    }
}
