//! What is written once a crawl ends or pauses: the whole index, and its reports.
//!
//! Reports bear Heritrix' names and its plain tables, so that its users' scripts and eyes find their way; all of
//! it once more, for machines, in `crawl.json`. Every file is replaced whole. Start at [`finish`].

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::path::Path;

use contract::outcome::Outcome;

use crate::cdx::{merge, pieces};
use crate::disk::Disk;
use crate::error::StoreError;
use crate::figures::{Figures, count};
use crate::layout::Layout;

/// Merges the index and writes the reports of a folder whose files are sealed. May be repeated.
///
/// # Errors
/// The disk's: what was there before is still there.
pub fn finish(layout: &Layout, disk: &Disk) -> Result<Figures, StoreError> {
    merge_index(layout, disk)?;
    let figures = count(layout)?;
    write(layout, disk, &figures)?;
    Ok(figures)
}

/// Merges the pieces of the index into the whole index, and removes them.
///
/// # Errors
/// The disk's: index and pieces are still there.
pub fn merge_index(layout: &Layout, disk: &Disk) -> Result<(), StoreError> {
    let parts = pieces::all(&layout.pieces())?;
    let index = layout.index();
    if parts.is_empty() && index.exists() {
        return Ok(());
    }
    let mut inputs = parts.clone();
    if index.exists() {
        inputs.push(index.clone());
    }
    merge::merge(disk, &inputs, &index)?;
    for part in parts {
        disk.remove(&part)?;
    }
    Ok(())
}

/// Writes every report.
///
/// # Errors
/// The disk's.
pub fn write(layout: &Layout, disk: &Disk, figures: &Figures) -> Result<(), StoreError> {
    let folder = layout.reports();
    disk.folder(&folder)?;
    let json = serde_json::to_string_pretty(figures)
        .map_err(|error| StoreError::disk("spell", &folder.join("crawl.json"), error.into()))?;
    let files = [
        ("crawl-report.txt", crawl_report(figures)),
        ("hosts-report.txt", hosts_report(figures)),
        ("responsecode-report.txt", code_report(figures)),
        ("mimetype-report.txt", mime_report(figures)),
        ("outcome-report.txt", outcome_report(figures)),
        ("template-report.txt", template_report(figures)),
        ("gone-report.txt", gone_report(figures)),
        ("crawl.json", json + "\n"),
    ];
    files
        .iter()
        .try_for_each(|(name, text)| replace(disk, &folder.join(name), text))
}

fn replace(disk: &Disk, path: &Path, text: &str) -> Result<(), StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    disk.remove(&new)?;
    let mut file = disk.create(&new)?;
    file.buffer().extend_from_slice(text.as_bytes());
    file.flush()?;
    file.to_sync().run()?;
    disk.rename(&new, path)
}

/// A word in a table of words parted by spaces: what is none is shown by its escapes.
fn word(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            shown.extend(c.escape_unicode())
        } else {
            shown.push(c)
        }
    }
    shown
}

/// Rows with most URLs first.
fn ranked<K: Ord, V>(rows: impl Iterator<Item = (K, V)>, urls: impl Fn(&V) -> u64) -> Vec<(K, V)> {
    let mut rows: Vec<(K, V)> = rows.collect();
    // Stable: equal counts stay in order of their names.
    rows.sort_by_key(|(_, row)| Reverse(urls(row)));
    rows
}

/// A table: its columns in brackets, then a line per row.
fn table(columns: &str, rows: impl Iterator<Item = String>) -> String {
    let mut out = format!("{columns}\n");
    for row in rows {
        // Writing to a String does not fail.
        let _infallible = writeln!(out, "{row}");
    }
    out
}

fn hosts_report(figures: &Figures) -> String {
    let rows = ranked(figures.hosts.iter(), |row| row.urls)
        .into_iter()
        .map(|(host, row)| {
            format!(
                "{} {} {} {} {} {}",
                row.urls,
                row.bytes,
                word(host),
                row.robots_denied,
                row.kept,
                row.errors
            )
        });
    table("[#urls] [#bytes] [host] [#robots] [#kept] [#errors]", rows)
}

fn code_report(figures: &Figures) -> String {
    let rows = ranked(figures.statuses.iter(), |row| row.urls);
    table(
        "[#urls] [rescode]",
        rows.into_iter()
            .map(|(status, row)| format!("{} {status}", row.urls)),
    )
}

fn mime_report(figures: &Figures) -> String {
    let rows = ranked(figures.mimes.iter(), |row| row.urls);
    let rows = rows
        .into_iter()
        .map(|(mime, row)| format!("{} {} {}", row.urls, row.bytes, word(mime)));
    table("[#urls] [#bytes] [mime-types]", rows)
}

fn outcome_report(figures: &Figures) -> String {
    let rows = ranked(figures.outcomes.iter(), |row| row.urls)
        .into_iter()
        .map(|(code, row)| {
            let class = Outcome::from_code(code)
                .and_then(Outcome::class)
                .map_or("-", contract::error::ErrorClass::as_str);
            format!("{} {} {} {class}", row.urls, row.bytes, word(code))
        });
    table("[#urls] [#bytes] [outcome] [class]", rows)
}

/// Templates with near duplicates.
fn template_report(figures: &Figures) -> String {
    let rows = ranked(figures.templates.iter(), |row| row.near);
    let rows = rows
        .into_iter()
        .filter(|(_, row)| row.near > 0)
        .map(|(name, row)| format!("{} {} {}", row.near, row.pages, word(name)));
    table("[#near-duplicates] [#pages] [template]", rows)
}

/// URLs that are gone.
fn gone_report(figures: &Figures) -> String {
    table("[url]", figures.gone.iter().map(|url| word(url)))
}

fn crawl_report(figures: &Figures) -> String {
    let time = |stamp: &Option<String>| stamp.as_deref().unwrap_or("-").to_owned();
    let near: u64 = figures.templates.values().map(|row| row.near).sum();
    let lines = [
        ("First Request", time(&figures.first)),
        ("Last Request", time(&figures.last)),
        ("URIs Decided", figures.urls.to_string()),
        ("URIs Kept", figures.kept.to_string()),
        ("Attempts Repeated", figures.attempts_repeated.to_string()),
        ("Repeats After Crashes", figures.repeats.to_string()),
        ("Robots Requests", figures.robots.to_string()),
        ("Answers", figures.answers.to_string()),
        ("Hosts Visited", figures.hosts.len().to_string()),
        ("Bytes Received", figures.bytes_received.to_string()),
        ("Bytes Archived", figures.archived_bytes.to_string()),
        ("Duplicate URIs", figures.duplicates.urls.to_string()),
        ("Duplicate Bytes", figures.duplicates.bytes.to_string()),
        ("Near Duplicates", near.to_string()),
    ];
    let refreshes = figures
        .refreshes
        .iter()
        .map(|(change, lines)| (change.name(), lines.to_string()));
    lines
        .into_iter()
        .chain(refreshes)
        .fold(String::new(), |mut out, (name, value)| {
            let _infallible = writeln!(out, "{name}: {value}");
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{HostRow, Row};
    use crate::similar::TemplateRow;
    use crate::testing::{PageBuilder, scratch, store_pages};
    use contract::fault::FailPlan;
    use std::fs;

    fn figures() -> Figures {
        let mut figures = Figures {
            urls: 3,
            ..Figures::default()
        };
        figures.hosts.insert(
            "a.test".to_owned(),
            HostRow {
                urls: 1,
                bytes: 2,
                ..HostRow::default()
            },
        );
        figures.hosts.insert(
            "b.test".to_owned(),
            HostRow {
                urls: 9,
                bytes: 8,
                kept: 7,
                errors: 6,
                robots_denied: 5,
            },
        );
        figures.statuses.insert(200, Row { urls: 3, bytes: 4 });
        for (near, name) in [(0, "http://a.test/"), (3, "http://a.test/*")] {
            let row = TemplateRow { pages: 4, near };
            figures.templates.insert(name.to_owned(), row);
        }
        figures
            .mimes
            .insert("text/html".to_owned(), Row { urls: 3, bytes: 4 });
        figures
            .mimes
            .insert(String::new(), Row { urls: 1, bytes: 0 });
        figures
            .mimes
            .insert("a b\u{1b}".to_owned(), Row { urls: 1, bytes: 0 });
        figures
            .outcomes
            .insert("server_error".to_owned(), Row { urls: 3, bytes: 4 });
        figures
    }

    #[test]
    fn tables_are_those_that_heritrix_users_know() {
        let figures = figures();
        assert_eq!(
            hosts_report(&figures),
            "[#urls] [#bytes] [host] [#robots] [#kept] [#errors]\n9 8 b.test 5 7 6\n1 2 a.test 0 0 0\n"
        );
        assert_eq!(code_report(&figures), "[#urls] [rescode]\n3 200\n");
        assert_eq!(
            mime_report(&figures),
            "[#urls] [#bytes] [mime-types]\n3 4 text/html\n1 0 -\n1 0 a\\u{20}b\\u{1b}\n"
        );
        assert_eq!(
            outcome_report(&figures),
            "[#urls] [#bytes] [outcome] [class]\n3 4 server_error transient\n"
        );
        assert_eq!(
            template_report(&figures),
            "[#near-duplicates] [#pages] [template]\n3 4 http://a.test/*\n"
        );
        let report = crawl_report(&figures);
        assert!(report.contains("\nURIs Decided: 3\n"), "{report}");
        assert!(report.ends_with("\nNear Duplicates: 3\n"), "{report}");
    }

    #[test]
    fn finishing_merges_the_index_once_and_may_be_repeated() {
        let dir = scratch();
        let page = |n: u32| {
            PageBuilder::new(&format!("http://a.test/{n}"))
                .html("x")
                .build()
        };
        let layout = store_pages(dir.path(), (0..5).map(page));
        let disk = Disk::default();
        let figures = finish(&layout, &disk).unwrap();
        assert_eq!(figures.kept, 5);
        let index = fs::read_to_string(layout.index()).unwrap();
        assert_eq!(index.lines().count(), 5);
        assert!(pieces::all(&layout.pieces()).unwrap().is_empty());
        assert_eq!(finish(&layout, &disk).unwrap(), figures);
        assert_eq!(fs::read_to_string(layout.index()).unwrap(), index);
        store_pages(dir.path(), (5..8).map(page));
        finish(&layout, &disk).unwrap();
        let index = fs::read_to_string(layout.index()).unwrap();
        assert_eq!(index.lines().count(), 8);
        assert!(index.lines().is_sorted());
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(layout.reports().join("crawl.json")).unwrap())
                .unwrap();
        assert_eq!(json["kept"], 8);
        assert_eq!(fs::read_dir(layout.reports()).unwrap().count(), 8);
    }

    #[test]
    fn whichever_step_fails_the_index_can_be_finished_later() {
        for n in 1.. {
            let dir = scratch();
            let page = |n: u32| {
                PageBuilder::new(&format!("http://a.test/{n}"))
                    .html("x")
                    .build()
            };
            let layout = store_pages(dir.path(), (0..3).map(page));
            let faults = FailPlan::nth(n, 5, false);
            let failed = finish(&layout, &Disk::new(faults.clone())).is_err();
            assert_eq!(failed, faults.fired(), "step {n}");
            finish(&layout, &Disk::default()).unwrap();
            assert_eq!(
                fs::read_to_string(layout.index()).unwrap().lines().count(),
                3,
                "step {n}"
            );
            if !failed {
                return;
            }
        }
    }
}
