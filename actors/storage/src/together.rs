//! The folders of the nodes that worked on one crawl, taken as one: a whole index, reports over all.
//!
//! Reads the nodes' folders and writes nothing there. URLs that two nodes fetched are in the index twice, and count once.
//! Start at [`merge_indexes`].

use std::path::{Path, PathBuf};

use crate::cdx::line_of;
use crate::cdx::merge::{Input, merge_within};
use crate::cdx::pieces::{self, Pieces};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::figures::{Figures, count_all};
use crate::layout::Layout;
use crate::reports;
use crate::warc::reader::Reader;
use crate::warc::writer::OPEN_SUFFIX;

/// A node's folder, by its name beside the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub layout: Layout,
}

/// Merges the indexes of all parts into `target`, a file in the folder that they are all in: WARC files are named as they
/// are found from there. What a node that died has not sealed is indexed as far as it is whole.
///
/// # Errors
/// The disk's; also where a node that works there merges its own index at this moment.
pub fn merge_indexes(disk: &Disk, parts: &[Part], target: &Path) -> Result<(), StoreError> {
    let (mut inputs, mut between) = (Vec::new(), Vec::new());
    let beside = target.parent().unwrap_or(Path::new(""));
    for Part { name, layout } in parts {
        let mut files = match layout.pieces().is_dir() {
            true => pieces::all(&layout.pieces())?,
            false => Vec::new(),
        };
        files.extend(Some(layout.index()).filter(|index| index.exists()));
        for open in open_files(layout)? {
            let pieces = index_of(disk, beside, &open)?;
            between.extend(pieces.iter().cloned());
            files.extend(pieces);
        }
        inputs.extend(files.into_iter().map(|path| Input {
            path,
            within: format!("{name}/archive/"),
        }));
    }
    let merged = merge_within(disk, inputs, target);
    between.iter().try_for_each(|piece| disk.remove(piece))?;
    merged
}

/// WARC files that are not sealed.
fn open_files(layout: &Layout) -> Result<Vec<PathBuf>, StoreError> {
    let folder = layout.archive();
    let failed = |error| StoreError::disk("list", &folder, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.to_string_lossy().ends_with(OPEN_SUFFIX) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Sorted pieces of the index of this file, made beside the target.
fn index_of(disk: &Disk, beside: &Path, open: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let file = open.file_name().unwrap_or_default().to_string_lossy();
    let mut pieces = Pieces::begin(disk, beside, &file)?;
    let mut reader = Reader::open(open)?;
    // Up to where it is torn.
    while let Ok(Some(record)) = reader.next(&mut |_| {}) {
        if let Some(line) = line_of(&record, &file) {
            pieces.add(&line)?;
        }
    }
    pieces.finish()
}

/// Writes the reports of all parts together into the reports of the folder that they are in.
///
/// # Errors
/// The disk's.
pub fn report(disk: &Disk, parts: &[Part], folder: &Layout) -> Result<Figures, StoreError> {
    let layouts: Vec<Layout> = parts.iter().map(|part| part.layout.clone()).collect();
    let figures = count_all(&layouts)?;
    reports::write(folder, disk, &figures)?;
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::{PageBuilder, scratch, store_pages};

    #[test]
    fn two_nodes_folders_are_one_index_and_one_report() {
        let dir = scratch();
        let page = |url: &str| PageBuilder::new(url).html("page").build();
        let both = "http://a.test/both";
        let parts: Vec<Part> = [("n1", "http://a.test/1"), ("n2", "http://a.test/2")]
            .into_iter()
            .map(|(name, url)| Part {
                name: name.to_owned(),
                layout: store_pages(&dir.path().join(name), [page(url), page(both)]),
            })
            .collect();
        let (disk, target) = (Disk::default(), dir.path().join("index.cdxj"));
        // The second one died before it sealed anything.
        let archive = parts[1].layout.archive();
        let sealed = fs::read_dir(&archive)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        fs::rename(&sealed, format!("{}{OPEN_SUFFIX}", sealed.display())).unwrap();
        fs::remove_dir_all(parts[1].layout.pieces()).unwrap();
        merge_indexes(&disk, &parts, &target).unwrap();
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            3,
            "nothing is left over"
        );
        let text = fs::read_to_string(&target).unwrap();
        let mut found = Vec::new();
        for line in text.lines() {
            let (_, fields) = line.split_once('{').unwrap();
            let fields: serde_json::Value = serde_json::from_str(&format!("{{{fields}")).unwrap();
            let file = fields["filename"].as_str().unwrap();
            assert!(dir.path().join(file).is_file(), "{file}");
            let node = file.split('/').next().unwrap().to_owned();
            found.push((fields["url"].as_str().unwrap().to_owned(), node));
        }
        found.sort();
        let want = [("1", "n1"), ("2", "n2"), ("both", "n1"), ("both", "n2")];
        let want = want.map(|(path, node)| (format!("http://a.test/{path}"), node.to_owned()));
        assert_eq!(found, want);
        assert!(text.lines().is_sorted(), "{text}");

        let figures = report(&disk, &parts, &Layout::new(dir.path())).unwrap();
        assert_eq!((figures.lines, figures.urls, figures.repeats), (4, 3, 1));
        assert!(dir.path().join("reports/crawl.json").is_file());
    }
}
