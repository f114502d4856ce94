//! Verbs that run other programs: `bench`, `check`, `docs` and `drills`.
//!
//! The list of what CI runs is `.ci/run` and stands there alone, so that the two cannot differ.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    // The manifest of xtask lies one level below the root.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// Times the farm (`benches/farm.rs`) with the words given. `--smoke` only shows that it works: a small farm, and
/// the dev profile that the tests have built already, so its figures are not for quoting.
/// `frontier` and `parser`, as the first word, time those rooms alone; `redis` the frontier's store of many nodes.
pub(crate) fn bench(words: &[String]) -> Result<()> {
    let mut command = Command::new("cargo");
    let room = words.first().and_then(|word| match word.as_str() {
        "frontier" | "redis" => Some(["frontier", "frontier"]),
        "parser" => Some(["parser", "pages"]),
        _ => None,
    });
    if let Some([package, bench]) = room {
        command.args(["bench", "--package", package, "--bench", bench, "--"]);
        // The frontier's bench tells its stores apart by the first word.
        let is_whole = words.first().is_some_and(|word| word == "redis");
        return run(command.args(&words[usize::from(!is_whole)..]));
    }
    // Of the whole workspace, so that features unite as in a test run and nothing is built twice.
    command.args(["bench", "--workspace", "--bench", "farm"]);
    if words.iter().any(|word| word == "--smoke") {
        command.args(["--profile", "dev"]);
    }
    run(command.arg("--").args(words))
}

/// Runs what CI runs.
pub(crate) fn check(words: &[String]) -> Result<()> {
    no_words(words)?;
    run(Command::new("bash").arg(".ci/run"))
}

/// Builds the documentation of every crate of the workspace, private items too: it is read by who changes the code.
pub(crate) fn docs(words: &[String]) -> Result<()> {
    no_words(words)?;
    run(Command::new("cargo")
        .args([
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--locked",
        ])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs the drills of the cluster (`tests/it/drills`), or those whose name has the word in it, once for each of the seeds
/// 1 to N (default 5), one drill at a time, and tells at the end which seeds failed.
pub(crate) fn drills(words: &[String]) -> Result<()> {
    let (seeds, name) = match words {
        [flag, seeds, rest @ ..] if flag == "--seeds" => {
            (seeds.parse::<u64>().context("--seeds N")?, rest)
        }
        rest => (5, rest),
    };
    let filter = match name {
        [] => "drills::".to_owned(),
        [name] => name.clone(),
        [_, more, ..] => bail!("does not know `{more}`"),
    };
    let mut failed = Vec::new();
    for seed in 1..=seeds {
        let mut command = Command::new("cargo");
        command.args(["test", "--quiet", "--workspace", "--test", "it", "--"]);
        command.args([&filter, "--nocapture", "--test-threads", "1"]);
        if run(command.env("ARGIOPE_SEED", seed.to_string())).is_err() {
            failed.push(seed);
        }
    }
    ensure!(
        failed.is_empty(),
        "seeds that failed (ARGIOPE_SEED): {failed:?}"
    );
    Ok(())
}

/// Refuses words a verb does not know.
pub(crate) fn no_words(words: &[String]) -> Result<()> {
    match words.first() {
        Some(word) => bail!("does not know `{word}`"),
        None => Ok(()),
    }
}

fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .current_dir(root())
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    ensure!(status.success(), "{shown} ended with {status}");
    Ok(())
}
