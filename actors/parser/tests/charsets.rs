//! What nobody declares: texts of the Debian handbook's translations in the encodings of their countries, cut to many
//! lengths, guessed.

use std::fs;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use parser::charset::decide;

const BOOK: &str = "/usr/share/doc/debian-handbook/html";

/// Translation, its top-level domain, encodings.
const TRANSLATIONS: &[(&str, &str, &[&str])] = &[
    ("ar-MA", "ma", &["windows-1256", "iso-8859-6"]),
    ("cs-CZ", "cz", &["windows-1250", "iso-8859-2"]),
    ("de-DE", "de", &["windows-1252", "macintosh", "utf-16le"]),
    ("el-GR", "gr", &["windows-1253", "iso-8859-7"]),
    ("es-ES", "es", &["windows-1252", "macintosh"]),
    ("fa-IR", "ir", &["windows-1256"]),
    ("fr-FR", "fr", &["windows-1252", "iso-8859-15", "utf-16be"]),
    ("it-IT", "it", &["windows-1252"]),
    (
        "ja-JP",
        "jp",
        &["shift_jis", "euc-jp", "iso-2022-jp", "utf-8", "utf-16le"],
    ),
    ("ko-KR", "kr", &["euc-kr", "utf-16be"]),
    ("nb-NO", "no", &["windows-1252"]),
    ("pl-PL", "pl", &["windows-1250", "iso-8859-2"]),
    ("pt-BR", "br", &["windows-1252"]),
    (
        "ru-RU",
        "ru",
        &[
            "windows-1251",
            "koi8-r",
            "ibm866",
            "iso-8859-5",
            "x-mac-cyrillic",
            "utf-8",
            "utf-16le",
        ],
    ),
    ("sv-SE", "se", &["windows-1252"]),
    ("tr-TR", "tr", &["windows-1254"]),
    ("zh-CN", "cn", &["gbk", "gb18030", "utf-8", "utf-16be"]),
    ("zh-TW", "tw", &["big5"]),
];

/// Bytes of a text.
const LENGTHS: [usize; 6] = [40, 80, 160, 640, 2_500, 10_000];
/// Texts of one length in one encoding.
const TEXTS: usize = 5;
/// Pages read of one translation.
const PAGES: usize = 25;

/// The lines of a translation that are not English, without markup.
fn lines(translation: &str) -> Vec<String> {
    let mut files: Vec<_> = fs::read_dir(format!("{BOOK}/{translation}"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "html"))
        .collect();
    files.sort();
    let step = files.len().div_ceil(PAGES).max(1);
    let mut lines = Vec::new();
    for file in files.iter().step_by(step) {
        let html = fs::read_to_string(file).unwrap_or_default();
        let mut text = String::new();
        let mut rest = html.as_str();
        while let Some((before, after)) = rest.split_once('<') {
            text.push_str(before);
            rest = after.split_once('>').map_or("", |(_, after)| after);
            text.push('\n');
        }
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        lines.extend(text.split('\n').map(words).filter(|line| {
            // Code and English have none; the name at the foot of each page has one.
            line.chars().filter(|c| !c.is_ascii()).count() * 40 >= line.len() && line.len() > 20
        }));
    }
    lines.dedup();
    lines
}

/// The text in an encoding, cut; none where it has characters that the encoding has not.
fn encoded(line: &str, encoding: &'static Encoding) -> Option<Vec<u8>> {
    if encoding == UTF_16LE {
        Some(line.encode_utf16().flat_map(u16::to_le_bytes).collect())
    } else if encoding == UTF_16BE {
        Some(line.encode_utf16().flat_map(u16::to_be_bytes).collect())
    } else {
        let (bytes, _, unmappable) = encoding.encode(line);
        (!unmappable).then(|| bytes.into_owned())
    }
}

/// A text of about `length` bytes that starts at the line number `from`.
fn text(lines: &[String], from: usize, length: usize, encoding: &'static Encoding) -> String {
    let mut text = String::new();
    let mut bytes = 0;
    for line in lines.iter().cycle().skip(from).take(lines.len()) {
        let Some(line_bytes) = encoded(line, encoding) else {
            continue;
        };
        let left = length - bytes;
        if line_bytes.len() >= left {
            // Whole characters: a share of them as the share of the bytes.
            let characters = line.chars().count() * left / line_bytes.len();
            text.extend(line.chars().take(characters));
            break;
        }
        text.push_str(line);
        text.push('\n');
        bytes += line_bytes.len() + 1;
    }
    text
}

#[test]
fn undeclared_texts_of_many_countries_are_told() {
    let (mut all, mut right) = ([0_u32; 2], [0_u32; 2]);
    let mut wrong = Vec::new();
    for (translation, tld, labels) in TRANSLATIONS {
        let lines = lines(translation);
        assert!(
            lines.len() > 30,
            "{translation}: {} lines; is debian-handbook installed?",
            lines.len()
        );
        for label in *labels {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            for length in LENGTHS {
                for n in 0..TEXTS {
                    let text = text(&lines, n * lines.len() / TEXTS, length, encoding);
                    if text.is_ascii() {
                        continue;
                    }
                    let bytes = encoded(&text, encoding).unwrap();
                    for (with_tld, hint) in [None, Some(*tld)].into_iter().enumerate() {
                        let decision = decide(&bytes, None, hint);
                        let (read, _) = decision.encoding.decode_without_bom_handling(&bytes);
                        all[with_tld] += 1;
                        // Encodings that read it alike are as good.
                        if read == text {
                            right[with_tld] += 1;
                        } else {
                            wrong.push(format!(
                                "{translation} {label} {length}: {} with {hint:?}",
                                decision.encoding.name()
                            ));
                        }
                    }
                }
            }
        }
    }
    let share = |n: usize| 100.0 * f64::from(right[n]) / f64::from(all[n]);
    println!(
        "{} texts: {:.1} % without, {:.1} % with the top-level domain; wrong:\n{}",
        all[0],
        share(0),
        share(1),
        wrong.join("\n")
    );
    assert!(all[0] > 800, "{} texts", all[0]);
    assert!(
        share(0) >= 98.0 && share(1) >= 98.5,
        "{:.1} {:.1}",
        share(0),
        share(1)
    );
}
