//! House rules that no compiler holds.
//!
//! Every Rust file opens with a head that says what it is for; no file grows past a sitting; a room knows the
//! contract and no other room; decisions are numbered. Each rule is a pure function from a file to complaints.
//! Start reading at [`complaints`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::run::{no_words, root};

/// More lines than this in one file is more than one idea.
const LINES_MAX: usize = 600;
/// A table of tests may be longer: its rows are read one at a time.
const TEST_LINES_MAX: usize = 800;
/// Folders whose Rust files are held to the rules.
const SOURCES: &[&str] = &["actors", "src", "tests", "xtask", "benches", "examples"];
/// The ground under the rooms; every room may stand on it.
const GROUND: &str = "contract";

/// Prints every complaint and fails when there is one.
pub(crate) fn tidy(words: &[String]) -> Result<()> {
    no_words(words)?;
    let complaints = complaints(root())?;
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    ensure!(complaints.is_empty(), "{} complaint(s)", complaints.len());
    Ok(())
}

/// All complaints about the checkout at `root`, each naming its file.
fn complaints(root: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut about = |path: &Path, found: Vec<String>| {
        let shown = path
            .strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string();
        all.extend(found.into_iter().map(|text| format!("{shown}: {text}")));
    };
    for folder in SOURCES {
        for path in files(&root.join(folder))?
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        {
            let most = if path.ends_with("tests.rs") {
                TEST_LINES_MAX
            } else {
                LINES_MAX
            };
            about(path, source(&read(path)?, most));
        }
    }
    let rooms = rooms(&root.join("actors"))?;
    for (room, manifest) in &rooms {
        let others: Vec<&str> = rooms
            .keys()
            .map(String::as_str)
            .filter(|&other| other != room && other != GROUND)
            .collect();
        about(manifest, neighbours(&read(manifest)?, &others));
    }
    let adr = root.join("docs/adr");
    let names: Vec<String> = files(&adr)?.iter().map(|path| name(path)).collect();
    about(&adr, decisions(&names));
    Ok(all)
}

/// A Rust file opens with its head and is not too long.
fn source(text: &str, lines_max: usize) -> Vec<String> {
    let mut found = Vec::new();
    let head = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//!"))
        .is_some_and(|rest| rest.trim().len() > 1);
    if !head {
        found.push("opens without a `//!` head that says what it is for".to_owned());
    }
    let lines = text.lines().count();
    if lines > lines_max {
        found.push(format!("has {lines} lines, more than {lines_max}"));
    }
    found
}

/// A room's manifest names none of the other rooms, not even for its tests.
fn neighbours(manifest: &str, others: &[&str]) -> Vec<String> {
    let mut in_dependencies = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        let key = if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            in_dependencies = section.ends_with("dependencies");
            // `[dependencies.frontier]` names its crate in the section itself.
            section.rsplit_once("dependencies.").map(|(_, krate)| krate)
        } else if in_dependencies {
            line.split(['.', '=', ' ']).next()
        } else {
            None
        };
        if let Some(key) = key.filter(|key| others.contains(key)) {
            found.push(format!(
                "depends on the room `{key}`; rooms meet in `{GROUND}` alone"
            ));
        }
    }
    found
}

/// Decisions are `NNNN-title.md`, each number once.
fn decisions(names: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for name in names.iter().filter(|name| *name != "README.md") {
        let number = name.split('-').next().unwrap_or_default();
        let numbered = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
        if !numbered || !name.ends_with(".md") || name.len() <= "0000-.md".len() {
            found.push(format!("`{name}` is not named NNNN-title.md"));
        } else if let Some(other) = taken.insert(number, name) {
            found.push(format!("`{name}` and `{other}` have one number"));
        }
    }
    found
}

/// The manifest of each crate under `actors`, by the folder's name.
fn rooms(actors: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let manifests = files(actors)?
        .into_iter()
        .filter(|path| name(path) == "Cargo.toml");
    Ok(manifests
        .filter_map(|path| Some((name(path.parent()?), path.clone())))
        .collect())
}

/// All files below `folder`, sorted; none when there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?
        {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path())
            } else {
                found.push(entry.path())
            }
        }
    }
    found.sort();
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_a_head_and_an_end() {
        #[track_caller]
        fn check(text: &str, complaints: usize) {
            assert_eq!(
                source(text, LINES_MAX).len(),
                complaints,
                "{:?}",
                source(text, LINES_MAX)
            );
        }
        check("//! Says what it is for.\nfn a() {}\n", 0);
        check("//! .\n", 1); // a head that says nothing
        check("fn a() {}\n//! Too late.\n", 1);
        check("", 1);
        check(&format!("//! Long.\n{}", "\n".repeat(LINES_MAX)), 1);
    }

    #[test]
    fn a_room_knows_no_other_room() {
        #[track_caller]
        fn check(manifest: &str, complaints: usize) {
            let found = neighbours(manifest, &["frontier", "storage"]);
            assert_eq!(found.len(), complaints, "{found:?}");
        }
        check(
            "[package]\nname = \"frontier\"\n[dependencies]\ncontract.workspace = true\n",
            0,
        );
        check("[dependencies]\nfrontier.workspace = true\n", 1);
        check(
            "[dev-dependencies]\nstorage = { path = \"../storage\" }\n",
            1,
        );
        check("[dependencies.frontier]\npath = \"../frontier\"\n", 1);
        check(
            "[target.'cfg(unix)'.dependencies]\nstorage.workspace = true\n",
            1,
        );
        check(
            "[dependencies]\nfrontier-like = \"1\"\n[features]\nfrontier = []\n",
            0,
        );
    }

    #[test]
    fn decisions_are_numbered_once() {
        #[track_caller]
        fn check(names: &[&str], complaints: usize) {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(
                decisions(&names).len(),
                complaints,
                "{:?}",
                decisions(&names)
            );
        }
        check(&["0001-actors.md", "0002-codec.md", "README.md"], 0);
        check(&["0001-actors.md", "0001-codec.md"], 1);
        check(&["actors.md", "12-short.md", "0003-.md"], 3);
    }
}
