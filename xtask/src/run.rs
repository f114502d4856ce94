//! Verbs that run other programs: `bench`, `check` and `docs`.
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
