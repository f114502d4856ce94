//! What reading a page costs, in microseconds of CPU, over the HTML documents of this machine.
//!
//! `cargo bench -p parser [-- DIR…]`; without directories it takes Debian's python3-doc, git-doc and debian-handbook where
//! they are installed. Prints; asserts nothing.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use parser::charset;
use parser::distinct::{Bounds, Distinct};
use parser::html::{HtmlOptions, read};
use parser::resolve::Resolver;
use parser::watch::Watch;
use url::Url;

const DIRECTORIES: &[&str] = &[
    "/usr/share/doc/python3.11/html",
    "/usr/share/doc/git-doc",
    "/usr/share/doc/debian-handbook/html",
];
const FILES_MAX: usize = 600;
const ROUNDS: u32 = 20;
const BOUNDS: Bounds = Bounds {
    links_max: 100_000,
    bytes_max: 16 << 20,
};

fn main() {
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let directories = if given.is_empty() {
        DIRECTORIES.iter().map(|d| (*d).to_owned()).collect()
    } else {
        given
    };
    for directory in directories {
        let mut files = Vec::new();
        gather(Path::new(&directory), &mut files);
        if files.is_empty() {
            println!("{directory}: no HTML files");
            continue;
        }
        measure(
            &directory,
            &files
                .iter()
                .filter_map(|file| fs::read(file).ok())
                .collect::<Vec<_>>(),
        );
    }
}

fn gather(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if files.len() >= FILES_MAX {
            return;
        } else if path.is_dir() {
            gather(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            files.push(path);
        }
    }
}

fn measure(directory: &str, pages: &[Vec<u8>]) {
    let options = HtmlOptions {
        token: "argiope".to_owned(),
        link_attributes: Vec::new(),
    };
    let base =
        Url::parse("https://docs.example.org/guide/library/index.html").expect("a constant URL");
    let (mut all, mut distinct) = (0, 0);
    let time = |what: &mut dyn FnMut(&[u8])| {
        let began = Instant::now();
        for _ in 0..ROUNDS {
            pages.iter().for_each(|page| what(page));
        }
        began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS) / pages.len() as f64
    };
    let decode = time(&mut |page| {
        black_box(charset::decode(page, Some("utf-8"), None));
    });
    let tokens = time(&mut |page| {
        let decoded = charset::decode(page, Some("utf-8"), None);
        let mut tokens = parser::html::tokens::Tokens::new(&decoded.text);
        while tokens.next().is_some() {}
    });
    let links = time(&mut |page| {
        let decoded = charset::decode(page, Some("utf-8"), None);
        black_box(
            read(&decoded.text, &options, &mut Watch::new(&|| false), |_| {
                all += 1
            })
            .ok(),
        );
    });
    let mut gathered = |page: &[u8], resolve: bool| {
        let decoded = charset::decode(page, Some("utf-8"), None);
        let mut raw = Distinct::new(7, BOUNDS);
        black_box(
            read(
                &decoded.text,
                &options,
                &mut Watch::new(&|| false),
                |link| raw.add(link),
            )
            .ok(),
        );
        let mut resolver = Resolver::new(&base, encoding_rs::UTF_8);
        let (links, _) = raw.finish();
        distinct += links.len();
        if resolve {
            for link in &links {
                black_box(resolver.resolve(&link.value).ok());
            }
        }
    };
    let gather = time(&mut |page| gathered(page, false));
    let resolve = time(&mut |page| gathered(page, true));
    let count = pages.len() as f64;
    let kb = pages.iter().map(Vec::len).sum::<usize>() as f64 / 1e3 / count;
    println!(
        "{directory}: {} pages of {kb:.1} kB, {:.0} links, {:.0} distinct\n  \
         µs a page: charset {decode:.1}, tokens {:.1}, links and facts {:.1}, dedupe {:.1}, resolve {:.1}; all {resolve:.1}",
        pages.len(),
        all as f64 / f64::from(ROUNDS) / count,
        distinct as f64 / f64::from(2 * ROUNDS) / count,
        tokens - decode,
        links - tokens,
        gather - links,
        resolve - gather,
    );
}
