//! Lines out of a byte stream, bounded, each seen where it lies in the buffer.

use std::io::Read;

/// Bytes asked of the input at once.
const READ_BYTES: usize = 1 << 20;

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'l> {
    Whole(&'l [u8]),
    /// More than the bound; it was skipped.
    TooLong,
}

#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    line_bytes_max: usize,
    buffer: Vec<u8>,
    /// What of the buffer is not given out yet.
    start: usize,
    end: usize,
    /// Bytes after `start` in which there is no line end.
    looked: usize,
    is_over: bool,
}

impl<R: Read> Lines<R> {
    pub fn new(input: R, line_bytes_max: usize) -> Self {
        Self {
            input,
            line_bytes_max,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            looked: 0,
            is_over: false,
        }
    }

    /// True if the next line is here already, so that [`Lines::next`] does not wait for input.
    pub fn is_waiting(&mut self) -> bool {
        self.newline().is_some()
    }

    /// The next line; none at the end of the input. A last line needs no line end.
    ///
    /// # Errors
    /// The input's.
    pub fn next(&mut self) -> std::io::Result<Option<Line<'_>>> {
        let mut is_too_long = false;
        loop {
            let (line_end, next) = match self.newline() {
                Some(at) => (at, at + 1),
                None if self.is_over && self.start == self.end && !is_too_long => return Ok(None),
                None if self.is_over => (self.end, self.end),
                None => {
                    if self.end - self.start > self.line_bytes_max {
                        is_too_long = true;
                        self.start = self.end;
                        self.looked = 0;
                    }
                    self.fill()?;
                    continue;
                }
            };
            let line = self.start..line_end;
            self.start = next;
            self.looked = 0;
            if is_too_long || line.len() > self.line_bytes_max {
                return Ok(Some(Line::TooLong));
            }
            return Ok(Some(Line::Whole(&self.buffer[line])));
        }
    }

    /// Where the first line end is, looking at no byte twice.
    fn newline(&mut self) -> Option<usize> {
        let from = self.start + self.looked;
        let found = self.buffer[from..self.end]
            .iter()
            .position(|&byte| byte == b'\n');
        match found {
            Some(at) => {
                self.looked += at;
                Some(from + at)
            }
            None => {
                self.looked = self.end - self.start;
                None
            }
        }
    }

    fn fill(&mut self) -> std::io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.end + READ_BYTES / 2 {
            // Twice as much as there is, so that a long line is not copied once for each piece of it.
            self.buffer.resize(2 * self.end + READ_BYTES, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.is_over = true,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}
