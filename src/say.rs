//! What the commands say on stdout: `print!` and `println!` as the whole program has them.
//!
//! Whoever reads may leave early (`argiope shards | head`). std's macros panic on that; these say nothing more, and the
//! command goes on to its end and its exit code: what it is doing must not stop half done because nobody looks. Any
//! other failure (a full disk behind `>`) is told on stderr. [`crate::progress`] writes its renewed line by itself.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

macro_rules! print {
    ($($words:tt)*) => { $crate::say::say(format_args!($($words)*)) };
}

macro_rules! println {
    () => { print!("\n") };
    ($($words:tt)*) => { print!("{}\n", format_args!($($words)*)) };
}

/// Says these words.
pub fn say(words: Arguments<'_>) {
    match stdout().lock().write_fmt(words) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("argiope: cannot write to stdout: {error}");
        }
        _ => {}
    }
}
