//! The language of real pages: the Debian handbook's translations, of which many chapters are still English.

use std::fs;

use parser::html::tokens::Syntax;
use parser::html::{HtmlOptions, read};
use parser::watch::Watch;

const BOOK: &str = "/usr/share/doc/debian-handbook/html";
/// Pages that something is said of, of all; the others are lists of names, and chapters half in English.
const TOLD_MIN: f64 = 0.9;

#[test]
fn a_page_of_the_handbook_is_in_its_translations_language_or_in_english() {
    let mut pages = 0;
    let (mut told, mut ours, mut wrong) = (0, 0, Vec::new());
    for folder in fs::read_dir(BOOK).unwrap().flatten() {
        let name = folder.file_name().into_string().unwrap();
        let (language, _) = name.split_once('-').unwrap();
        let options = HtmlOptions::default();
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let path = file.path();
            if path.extension().is_none_or(|extension| extension != "html") {
                continue;
            }
            let html = String::from_utf8(fs::read(&path).unwrap()).unwrap();
            let mut watch = Watch::new(&|| false);
            let read = read(&html, Syntax::Html, &options, &mut watch, |_, _| ()).unwrap();
            pages += 1;
            let Some(found) = read.text.language() else {
                continue;
            };
            told += 1;
            ours += u32::from(found == language);
            if found != language && found != "en" {
                wrong.push((path, found));
            }
        }
    }
    println!("{pages} pages, {told} told, {ours} in the translation's language, {wrong:?} wrong");
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(ours > 1_000, "{ours}: the translations are not there");
    assert!(
        f64::from(told) > TOLD_MIN * f64::from(pages),
        "{told} of {pages}"
    );
}
