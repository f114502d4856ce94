//! The links of a document against those of the tree that a browser's parser builds (html5ever, scripting off): page by
//! page over the HTML of Debian's documentation packages, and over documents put together by chance.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use html5ever::tendril::TendrilSink as _;
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use parser::html::tokens::{Syntax, Tokens};
use parser::html::{HtmlOptions, read};
use parser::watch::Watch;
use proptest::prelude::*;
use url::Url;

/// Attributes that hold one URL, by element; in SVG and MathML by other rules.
const WHOLE: &[(&str, &[&str])] = &[
    ("a", &["href"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["src", "longdesc"]),
    ("iframe", &["src", "longdesc"]),
    ("img", &["src", "lowsrc", "longdesc"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["data"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("table", &["background"]),
    ("td", &["background"]),
    ("track", &["src"]),
    ("video", &["src", "poster"]),
];

/// Links of this test: element, attribute, URL.
type Links = BTreeSet<(String, String, String)>;

fn of_the_tree(html: &str, page: &Url) -> Links {
    let options = ParseOpts {
        tree_builder: TreeBuilderOpts {
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let tree = parse_document(RcDom::default(), options).one(html);
    let (mut links, mut base) = (Vec::new(), None);
    let mut open: Vec<(Handle, bool)> = vec![(tree.document.clone(), false)];
    while let Some((node, in_template)) = open.pop() {
        // Last in, first out: put in backwards, they come in the order of the document.
        let children: Vec<_> = node.children.borrow().iter().rev().cloned().collect();
        open.extend(children.into_iter().map(|child| (child, in_template)));
        let NodeData::Element {
            name,
            attrs,
            template_contents,
            ..
        } = &node.data
        else {
            continue;
        };
        if let Some(contents) = &*template_contents.borrow() {
            open.push((contents.clone(), true));
        }
        let attrs = attrs.borrow();
        let attr = |wanted: &str, prefix: Option<&str>| {
            let same = |attr: &&html5ever::Attribute| {
                &*attr.name.local == wanted && attr.name.prefix.as_deref() == prefix
            };
            attrs.iter().find(same).map(|attr| attr.value.to_string())
        };
        let element = &*name.local;
        if &*name.ns == "http://www.w3.org/1999/xhtml" {
            if element == "base" && !in_template && base.is_none() {
                base = attr("href", None);
            }
            let rel = attr("rel", None).unwrap_or_default();
            if element == "link" && rel.trim().is_empty() {
                continue;
            }
            let known = WHOLE.iter().find(|(known, _)| *known == element);
            for attribute in known.map_or(&[][..], |(_, attributes)| attributes) {
                if let Some(value) = attr(attribute, None) {
                    links.push((element.to_owned(), (*attribute).to_owned(), value));
                }
            }
        } else if &*name.ns == "http://www.w3.org/1998/Math/MathML"
            || matches!(element, "a" | "image" | "feImage" | "use" | "script")
        {
            let value = attr("href", None)
                .map(|value| ("href", value))
                .or_else(|| Some(("xlink:href", attr("href", Some("xlink"))?)));
            if let Some((attribute, value)) = value {
                links.push((element.to_owned(), attribute.to_owned(), value));
            }
        }
    }
    let base = base
        .and_then(|base| page.join(&base).ok())
        .filter(|base| !matches!(base.scheme(), "data" | "javascript"))
        .unwrap_or_else(|| page.clone());
    links
        .into_iter()
        .filter(counts)
        .map(|(element, attribute, value)| (element, attribute, resolved(&base, &value)))
        .collect()
}

fn of_ours(html: &str, page: &Url) -> Links {
    let options = HtmlOptions::default();
    let mut links = Vec::new();
    let Ok(said) = read(
        html,
        Syntax::Html,
        &options,
        &mut Watch::new(&|| false),
        |link, tokens: &Tokens<'_>| {
            let mut element = tokens.tag().name.to_ascii_lowercase();
            if element == "image" && !tokens.tag().foreign() {
                element = "img".to_owned();
            }
            let whole = WHOLE.iter().any(|(known, attributes)| {
                *known == element && attributes.contains(&link.attribute)
            });
            // The one name that the tree has in another case.
            if element == "feimage" {
                element = "feImage".to_owned();
            }
            if whole || (tokens.tag().foreign() && link.attribute.ends_with("href")) {
                links.push((element, link.attribute.to_owned(), link.value.into_owned()));
            }
        },
    ) else {
        panic!("no watch ends it")
    };
    let base = parser::resolve::base(page, encoding_rs::UTF_8, said.facts.base.as_deref());
    links
        .into_iter()
        .filter(counts)
        .map(|(element, attribute, value)| (element, attribute, resolved(&base, &value)))
        .collect()
}

/// An embed, a form or a `link` of the page itself is none for a crawl, or of no use.
fn counts((element, attribute, value): &(String, String, String)) -> bool {
    let value = value.trim_matches(|c: char| c.is_ascii_whitespace());
    matches!(element.as_str(), "a" | "area")
        || matches!(attribute.as_str(), "cite" | "longdesc")
        || !(value.is_empty() || value.starts_with('#'))
}

fn resolved(base: &Url, value: &str) -> String {
    base.join(value)
        .map_or_else(|_| format!("invalid {}", value.trim()), String::from)
}

/// Where documentation packages keep their pages.
const PACKAGES: &[&str] = &[
    "/usr/share/doc/debian-handbook/html/ja-JP",
    "/usr/share/doc/debian-handbook/html/en-US",
    "/usr/share/doc/git-doc",
    "/usr/share/doc/python3.11/html",
    "/usr/share/doc/nodejs",
    "/usr/share/doc/libxslt1-dev",
    "/usr/share/doc/valgrind",
    "/usr/share/doc/libffi8",
];
/// The packages that other tests of the project cannot do without either.
const NEEDED: &[&str] = &["debian-handbook", "git-doc"];
/// Of one package; evenly spread.
const PAGES_MAX: usize = 25;
const PAGE_BYTES_MAX: u64 = 300_000;

#[test]
fn real_pages_have_the_links_of_a_browsers_tree() {
    let page = Url::parse("http://docs.test/a/b/page.html?q").unwrap();
    let mut read = Vec::new();
    for package in PACKAGES {
        let mut files = Vec::new();
        gather(Path::new(package), &mut files);
        files.sort();
        let step = files.len().div_ceil(PAGES_MAX).max(1);
        let (mut pages, mut links) = (0, 0);
        for file in files.iter().step_by(step) {
            let html = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
            let (want, got) = (of_the_tree(&html, &page), of_ours(&html, &page));
            let missing: Vec<_> = want.difference(&got).take(5).collect();
            let more: Vec<_> = got.difference(&want).take(5).collect();
            assert!(
                missing.is_empty() && more.is_empty(),
                "{}: missing {missing:?}, too many {more:?}",
                file.display()
            );
            pages += 1;
            links += want.len();
        }
        println!("{package}: {pages} of {} pages, {links} links", files.len());
        if links > 0 {
            read.push(*package);
        }
    }
    for needed in NEEDED {
        assert!(
            read.iter().any(|package| package.contains(needed)),
            "package {needed} is not installed: read {read:?}"
        );
    }
}

fn gather(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let small = || {
            entry
                .metadata()
                .is_ok_and(|metadata| metadata.len() <= PAGE_BYTES_MAX)
        };
        if path.is_dir() && !path.is_symlink() {
            gather(&path, files);
        } else if path.extension().is_some_and(|end| end == "html") && small() {
            files.push(path);
        }
    }
}

/// Pieces of which documents are made, each of which starts or ends something. What the tree builder leaves out by where it
/// stands (in `select` and framesets) is not among them, nor are SVG and MathML whose end tags do not match: readers.md names
/// these as known deviations.
const PIECES: &[&str] = &[
    "<a href=x>",
    "<A HREF='y&amp;z&copy=1&notin;'>",
    "<a href=\"q\" href=no>",
    "<a/href=w/>",
    "<a href = v\n id>",
    "<img src=i>",
    "<image src=j>",
    "<a href='",
    "'>",
    "\">",
    ">",
    "</a>",
    "<p>",
    "</p>",
    "<div title='<a href=no>'>",
    "<!-- <a href=no>",
    "-->",
    "--!>",
    "<!-->",
    "<!--->",
    "<!",
    "<?",
    "</",
    "</ >",
    "<![CDATA[<a href=c>]]>",
    "<title>",
    "</title>",
    "<textarea>",
    "</textarea >",
    "<style>",
    "</style>",
    "<script>",
    "</script>",
    "</script/x>",
    "<script src=s>",
    "<!--<script>",
    "<xmp>",
    "</xmp>",
    "<iframe src=f>",
    "</iframe>",
    "<noscript>",
    "</noscript>",
    "<noembed>",
    "</noembed>",
    "<noframes>",
    "</noframes>",
    "<template>",
    "</template>",
    "<base href=/b/>",
    "<link rel=next href=l>",
    "<table background=t>",
    "<tr><td>",
    "</table>",
    "<video poster=o src=u>",
    "<q cite=r>",
    "é",
    "\0",
    "x",
    "&lt;a href=no&gt;",
    "<svg><use xlink:href=k /><a href=k2>x</a></svg>",
    "<svg><desc><a href=d></a></desc><title><b></title></svg>",
    "<svg><style><a href=e></style></svg>",
    "<svg><script><a href=e2></script><![CDATA[<a href=no>]]></svg>",
    "<svg/>",
    "<math><mi href=m>x</mi><mrow xlink:href=m2 /></math>",
    "<svg><foreignObject><textarea><a href=no></textarea></foreignObject></svg>",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn any_document_has_the_links_of_a_browsers_tree(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 1..14),
    ) {
        let html = format!("<!doctype html><body>{}", pieces.concat());
        let page = Url::parse("http://docs.test/a/b").unwrap();
        prop_assert_eq!(of_ours(&html, &page), of_the_tree(&html, &page), "{}", html);
    }
}
