//! Which files of a folder of HTML are reachable from its first page: the truth about a site nobody here wrote.
//!
//! An own, plain reading of HTML, so that no test checks the crawler's parser by itself; wget is a second opinion
//! ([`crate::tools::wget_mirror`]). What readers may honestly differ about, such as `<link rel=next>` or what a
//! style sheet names, is kept apart as [`Reach::maybe`]: neither must be fetched nor is it wrong to.
//! Start reading at [`reach`]; the tags are in `html.rs`.

mod html;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use url::Url;

use html::{Role, links, style_links};

/// What can be reached. Keys are URL paths with their query, percent-encoded as the URL standard does; values are
/// the files, as paths below the root (`/a/b.html`).
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// What links (`a`, `area`, frames) lead to, the first page included.
    pub pages: BTreeMap<String, String>,
    /// Images, styles and scripts of those pages.
    pub embeds: BTreeMap<String, String>,
    /// What only some readers take for links, and all that only these lead to.
    pub maybe: BTreeMap<String, String>,
    /// URLs that links or embeds name and no file answers.
    pub missing: BTreeSet<String>,
    /// URLs of folders that lack their final slash: a server redirects them.
    pub redirects: BTreeSet<String>,
}

/// How sure a URL is to be fetched, the surest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sure {
    Page,
    Embed,
    Maybe,
}

/// A file of the root that answers a URL, or why there is none.
enum Found {
    File(PathBuf),
    Redirect(Url),
    Nothing,
}

impl Reach {
    /// The files behind pages and embeds.
    pub fn files(&self) -> BTreeSet<String> {
        self.pages
            .values()
            .chain(self.embeds.values())
            .cloned()
            .collect()
    }

    /// The files behind what may be fetched too, if not behind a page or embed already.
    pub fn files_maybe(&self) -> BTreeSet<String> {
        let sure = self.files();
        self.maybe
            .values()
            .filter(|file| !sure.contains(*file))
            .cloned()
            .collect()
    }
}

/// Follows links through the HTML files below `root` from the page at `first` (`/` or `/dir/page.html`), as a
/// server with `index.html` for folders would serve them. Links to other sites are left alone.
///
/// # Errors
/// When a file cannot be read, or the first page is none.
pub fn reach(root: &Path, first: &str) -> Result<Reach> {
    let site = Url::parse("http://site.test/")?;
    let mut reach = Reach::default();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    // One queue for each degree of sureness: what is sure is known before the rest is looked at.
    let mut queues = [
        VecDeque::from([site.join(first)?]),
        VecDeque::new(),
        VecDeque::new(),
    ];
    while let Some(sure) = [Sure::Page, Sure::Embed, Sure::Maybe]
        .into_iter()
        .find(|&s| !queues[s as usize].is_empty())
    {
        let Some(mut url) = queues[sure as usize].pop_front() else {
            break;
        };
        url.set_fragment(None);
        if url.origin() != site.origin() || !seen.insert(url.to_string()) {
            continue;
        }
        let name = key(&url);
        let path = match file(root, &url) {
            Found::File(path) => path,
            Found::Redirect(target) => {
                reach.redirects.insert(name);
                queues[sure as usize].push_front(target);
                continue;
            }
            Found::Nothing => {
                if sure != Sure::Maybe {
                    reach.missing.insert(name);
                }
                continue;
            }
        };
        let below = format!("/{}", path.strip_prefix(root)?.display());
        let kept = match sure {
            Sure::Page => &mut reach.pages,
            Sure::Embed => &mut reach.embeds,
            Sure::Maybe => &mut reach.maybe,
        };
        kept.insert(name, below);
        let read = || std::fs::read(&path).with_context(|| path.display().to_string());
        match path.extension().and_then(|extension| extension.to_str()) {
            // An embedded page is not read on: a crawler that fetches one hop out stops there.
            Some("html" | "htm") if sure != Sure::Embed => {
                let text = String::from_utf8_lossy(&read()?).into_owned();
                for (target, role) in links(&text, &url) {
                    let how = match role {
                        Role::Page => Sure::Page,
                        Role::Embed => Sure::Embed,
                        Role::Related => Sure::Maybe,
                    };
                    queues[how.max(if sure == Sure::Page {
                        Sure::Page
                    } else {
                        Sure::Maybe
                    }) as usize]
                        .push_back(target);
                }
            }
            Some("css") => {
                let text = String::from_utf8_lossy(&read()?).into_owned();
                queues[Sure::Maybe as usize].extend(style_links(&text, &url));
            }
            _ => {}
        }
    }
    anyhow::ensure!(
        !reach.pages.is_empty(),
        "no page at {first} below {}",
        root.display()
    );
    Ok(reach)
}

/// The path and query of a URL.
fn key(url: &Url) -> String {
    url.query().map_or_else(
        || url.path().to_owned(),
        |query| format!("{}?{query}", url.path()),
    )
}

/// What a server finds for a URL.
fn file(root: &Path, url: &Url) -> Found {
    let path = root.join(decoded(url.path()).trim_start_matches('/'));
    match std::fs::metadata(&path) {
        // Built of its parts again: a server takes `a//b` for `a/b`.
        Ok(metadata) if !metadata.is_dir() => Found::File(path.components().collect()),
        Ok(_) if !url.path().ends_with('/') => {
            let mut target = url.clone();
            target.set_path(&format!("{}/", url.path()));
            Found::Redirect(target)
        }
        Ok(_) if path.join("index.html").is_file() => Found::File(path.join("index.html")),
        _ => Found::Nothing,
    }
}

/// Percent-encoding undone.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let coded = if first == b'%' { after.get(..2) } else { None };
        let coded =
            coded.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(coded.unwrap_or(first));
        rest = if coded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
