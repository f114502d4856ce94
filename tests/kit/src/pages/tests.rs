//! Our reading of whole sites: a small one by hand, and Debian's documents against wget's opinion.

use std::collections::BTreeSet;

use super::*;
use crate::nginx::Sites;
use crate::tools::wget_mirror;

#[test]
fn a_small_site_is_read_to_its_ends() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "index.html",
        "<a href=a%20b.html#x> <a href=sub> <a href=gone.html> <a href=//other.test/> <link rel=next href=n.html>",
    );
    write(
        "a b.html",
        "<a href='index.html?v=1'><link rel=stylesheet href=s.css>",
    );
    write("sub/index.html", "<img src=../i.png>");
    write("s.css", "a { background: url(bg.png) }");
    write("n.html", "<a href=further.html><a href=sub/>");
    for file in ["i.png", "bg.png", "further.html", "orphan.html"] {
        write(file, "");
    }
    let reach = reach(folder.path(), "/").unwrap();
    let pages: Vec<_> = reach
        .pages
        .iter()
        .map(|(url, file)| (url.as_str(), file.as_str()))
        .collect();
    assert_eq!(
        pages,
        [
            ("/", "/index.html"),
            ("/a%20b.html", "/a b.html"),
            ("/index.html?v=1", "/index.html"),
            ("/sub/", "/sub/index.html"),
        ]
    );
    assert_eq!(reach.redirects, BTreeSet::from(["/sub".to_owned()]));
    assert_eq!(reach.missing, BTreeSet::from(["/gone.html".to_owned()]));
    assert_eq!(
        reach.embeds.keys().collect::<Vec<_>>(),
        ["/i.png", "/s.css"]
    );
    assert_eq!(
        reach.files_maybe().into_iter().collect::<Vec<_>>(),
        ["/bg.png", "/further.html", "/n.html"]
    );
}

/// wget keeps every file that we say is reachable, and none that we say is not.
#[track_caller]
fn agrees_with_wget(root: &str) {
    let root = Path::new(root);
    assert!(
        root.join("index.html").exists(),
        "no {}: `tests/run` installs it",
        root.display()
    );
    let reach = reach(root, "/").unwrap();
    let nginx = Sites::new().site("docs.test", root).start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kept = wget_mirror(
        &nginx.url("docs.test", "/"),
        &nginx.address().to_string(),
        folder.path(),
    )
    .unwrap();
    // wget names a page with a query after it (`index.html?v=1`); the file is the same.
    let kept: BTreeSet<String> = kept
        .into_keys()
        .map(|file| file.split('?').next().unwrap_or_default().to_owned())
        .collect();
    let ours = reach.files();
    assert!(reach.pages.len() > 100, "{} pages", reach.pages.len());
    assert_eq!(
        ours.difference(&kept).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "wget missed"
    );
    let maybe = reach.files_maybe();
    assert_eq!(
        kept.iter()
            .filter(|file| !ours.contains(*file) && !maybe.contains(*file))
            .collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "we missed"
    );
}

#[test]
fn git_doc_is_read_as_wget_reads_it() {
    agrees_with_wget("/usr/share/doc/git-doc");
}

#[test]
fn the_handbook_is_read_as_wget_reads_it() {
    agrees_with_wget("/usr/share/doc/debian-handbook/html/en-US");
}
