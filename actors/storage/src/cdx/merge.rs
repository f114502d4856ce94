//! Many sorted files into one, in bounded memory.
//!
//! Holds one line and one buffer of each file, of at most `FAN_IN` files at a time; more go through files
//! between. Lines that are equal come out once, so that a merge may be repeated after a crash.
//! Invariant: the target is the old one or the whole new one, never a part. Start at [`merge`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::StoreError;

/// Files read at once.
const FAN_IN: usize = 64;
const BUFFER: usize = 64 * 1_024;
/// A longer line belongs to no index of ours.
const LINE_MAX: u64 = 256 * 1_024;

/// A sorted file, and the folder that its lines' WARC files are in as the target names them: put before each name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub path: PathBuf,
    /// With its last slash; empty where names stay as they are.
    pub within: String,
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        let within = String::new();
        Self { path, within }
    }
}

/// Merges `inputs`, each sorted, into `target`, which is replaced whole. `target` may be among the inputs.
///
/// # Errors
/// The disk's; the target is then as it was.
pub fn merge(disk: &Disk, inputs: &[PathBuf], target: &Path) -> Result<(), StoreError> {
    merge_within(
        disk,
        inputs.iter().cloned().map(Input::from).collect(),
        target,
    )
}

/// The same, with the WARC files' names as they are found from another folder.
///
/// # Errors
/// As [`merge`].
pub fn merge_within(disk: &Disk, inputs: Vec<Input>, target: &Path) -> Result<(), StoreError> {
    let mut queue = inputs;
    let mut between = Vec::new();
    let beside = |number: usize| {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(format!(".merge.{number}"));
        target.with_file_name(name)
    };
    while queue.len() > FAN_IN {
        let now: Vec<Input> = queue.drain(..FAN_IN).collect();
        let to = beside(between.len() + 1);
        merge_once(disk, &now, &to)?;
        queue.push(to.clone().into());
        between.push(to);
    }
    let whole = beside(0);
    merge_once(disk, &queue, &whole)?;
    disk.sync_file(&whole)?;
    disk.rename(&whole, target)?;
    for path in between {
        disk.remove(&path)?;
    }
    Ok(())
}

fn merge_once(disk: &Disk, inputs: &[Input], target: &Path) -> Result<(), StoreError> {
    let mut sources = Vec::with_capacity(inputs.len());
    let mut next = BinaryHeap::with_capacity(inputs.len());
    for (number, Input { path, within }) in inputs.iter().enumerate() {
        let file = File::open(path).map_err(|error| StoreError::disk("open", path, error))?;
        let mut source = BufReader::with_capacity(BUFFER, file);
        if let Some(line) = read_line(&mut source, path)? {
            next.push(Reverse((named(line, within), number)));
        }
        sources.push(source);
    }
    disk.remove(target)?;
    let mut out = disk.create(target)?;
    let mut last = Vec::new();
    while let Some(Reverse((line, number))) = next.pop() {
        if line != last {
            out.buffer().extend_from_slice(&line);
            out.spill()?;
        }
        let Input { path, within } = &inputs[number];
        if let Some(following) = read_line(&mut sources[number], path)? {
            next.push(Reverse((named(following, within), number)));
        }
        last = line;
    }
    out.flush()
}

/// A line with its file's name as it is found from the target's folder. It is the last field, and in a text before it a
/// quotation mark is escaped: the order of a file's lines stays.
fn named(line: Vec<u8>, within: &str) -> Vec<u8> {
    const FIELD: &[u8] = b", \"filename\": \"";
    let Some(at) = memchr::memmem::rfind(&line, FIELD).filter(|_| !within.is_empty()) else {
        return line;
    };
    let (before, name) = line.split_at(at + FIELD.len());
    [before, within.as_bytes(), name].concat()
}

/// The next line with its line end; one that is torn or too long is left out.
fn read_line(source: &mut BufReader<File>, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let mut line = Vec::new();
    source
        .by_ref()
        .take(LINE_MAX)
        .read_until(b'\n', &mut line)
        .map_err(|error| StoreError::disk("read", path, error))?;
    Ok(line.ends_with(b"\n").then_some(line))
}

#[cfg(test)]
mod tests {
    use super::super::pieces::{PIECE_BYTES, Pieces, all, sync};
    use super::*;
    use contract::fault::FailPlan;
    use proptest::prelude::*;
    use std::fs;

    fn texts(dir: &Path, contents: &[String]) -> Vec<PathBuf> {
        contents
            .iter()
            .enumerate()
            .map(|(number, text)| {
                let path = dir.join(format!("{number:03}.cdxj"));
                fs::write(&path, text).unwrap();
                path
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn it_sorts_and_keeps_each_line_once(
            files in prop::collection::vec(prop::collection::btree_set("[a-c ]{0,6}", 0..12), 0..150)
        ) {
            let dir = crate::testing::scratch();
            let contents: Vec<String> =
                files.iter().map(|lines| {
                    let mut lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
                    lines.sort();
                    lines.concat()
                }).collect();
            let inputs = texts(dir.path(), &contents);
            let target = dir.path().join("index.cdxj");
            merge(&Disk::default(), &inputs, &target).unwrap();
            let mut want: Vec<String> =
                contents.iter().flat_map(|text| text.split_inclusive('\n').map(str::to_owned)).collect();
            want.sort();
            want.dedup();
            prop_assert_eq!(fs::read_to_string(&target).unwrap(), want.concat());
            prop_assert_eq!(fs::read_dir(dir.path()).unwrap().count(), inputs.len() + 1, "files are left over");
        }
    }

    #[test]
    fn whichever_step_fails_the_old_index_stays_or_the_new_one_is_whole() {
        for n in 1.. {
            let dir = crate::testing::scratch();
            let inputs = texts(dir.path(), &["a\nc\n".to_owned(), "b\n".to_owned()]);
            let target = dir.path().join("index.cdxj");
            fs::write(&target, "b\nz\n").unwrap();
            let faults = FailPlan::nth(n, 28, false);
            let with_old = [&inputs[..], std::slice::from_ref(&target)].concat();
            let done = merge(&Disk::new(faults.clone()), &with_old, &target);
            let found = fs::read_to_string(&target).unwrap();
            let fitting = if done.is_ok() {
                found == "a\nb\nc\nz\n"
            } else {
                found == "b\nz\n" || found == "a\nb\nc\nz\n"
            };
            assert!(fitting, "step {n}: {done:?}, {found:?}");
            if !faults.fired() {
                assert!(n > 4, "only {n} steps could fail");
                return;
            }
        }
    }

    #[test]
    fn names_are_those_that_the_target_s_folder_finds() {
        let dir = crate::testing::scratch();
        let line = |key: &str, file: &str| {
            format!(
                "{key} 2026 {{\"url\": \"{key}, \\\"filename\\\": \\\"\", \"filename\": \"{file}\"}}\n"
            )
        };
        let inputs = texts(
            dir.path(),
            &[
                line("a", "x.warc.gz") + &line("b", "x.warc.gz"),
                line("a", "x.warc.gz"),
            ],
        );
        let inputs = inputs.into_iter().zip(["n1/archive/", "n2/archive/"]);
        let inputs = inputs.map(|(path, within)| Input {
            path,
            within: within.to_owned(),
        });
        let target = dir.path().join("index.cdxj");
        merge_within(&Disk::default(), inputs.collect(), &target).unwrap();
        let want = line("a", "n1/archive/x.warc.gz")
            + &line("a", "n2/archive/x.warc.gz")
            + &line("b", "n1/archive/x.warc.gz");
        assert_eq!(fs::read_to_string(&target).unwrap(), want);
    }

    #[test]
    fn pieces_are_sorted_and_begin_anew() {
        let dir = crate::testing::scratch();
        let disk = Disk::default();
        for _ in 0..2 {
            let mut pieces = Pieces::begin(&disk, dir.path(), "x.warc.gz").unwrap();
            let long = "l".repeat(PIECE_BYTES / 4 * 3);
            for line in [
                format!("c{long}\n"),
                "b\n".to_owned(),
                format!("a{long}\n"),
                "d\n".to_owned(),
            ] {
                pieces.add(&line).unwrap();
            }
            let done = pieces.finish().unwrap();
            sync(&disk, &done).unwrap();
            assert_eq!(done, all(dir.path()).unwrap());
            let texts: Vec<String> = done
                .iter()
                .map(|path| fs::read_to_string(path).unwrap())
                .collect();
            assert_eq!(texts, [format!("b\nc{long}\n"), format!("a{long}\nd\n")]);
        }
    }
}
