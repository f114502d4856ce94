//! The project's verbs: `cargo xtask` lists them, `cargo xtask VERB` runs one.
//!
//! Owns nothing but the table below; each verb is a module. It needs a Rust toolchain and nothing else.
//! Start reading at [`VERBS`].

mod run;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;

/// One verb: its name, what it does in a line, and the function that does it with the words that follow it.
struct Verb {
    name: &'static str,
    about: &'static str,
    act: fn(&[String]) -> Result<()>,
}

const VERBS: &[Verb] = &[
    Verb {
        name: "bench",
        about: "time the whole path: [docs|slow] [--hosts N] [--smoke] [-- CRAWL FLAGS]; or one room: frontier|parser …",
        act: run::bench,
    },
    Verb {
        name: "check",
        about: "what CI runs: format, lints, house rules, every test",
        act: run::check,
    },
    Verb {
        name: "docs",
        about: "build the API documentation, warnings denied",
        act: run::docs,
    },
    Verb {
        name: "drills",
        about: "fault drills of the cluster with many seeds: [--seeds N] [NAME]",
        act: run::drills,
    },
    Verb {
        name: "tidy",
        about: "house rules no compiler holds: module heads, file sizes, rooms apart",
        act: tidy::tidy,
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = words.split_first() else {
        print!("{}", list());
        return ExitCode::SUCCESS;
    };
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        eprint!("no verb `{name}`\n{}", list());
        return ExitCode::from(2);
    };
    match (verb.act)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The verbs, one line each.
fn list() -> String {
    VERBS
        .iter()
        .fold("cargo xtask VERB\n".to_owned(), |text, verb| {
            text + &format!("  {:<8} {}\n", verb.name, verb.about)
        })
}
