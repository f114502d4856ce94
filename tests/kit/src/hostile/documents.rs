//! Documents that are valid bytes and bad company: too deep, too wide, too long, never closed.

use std::fmt::Write as _;

/// Elements within elements.
pub fn nested(depth: usize) -> String {
    format!("{}<a href=/good/1>1</a>", "<div><b>".repeat(depth / 2))
}

/// One tag with so many attributes.
pub fn attributes(count: usize) -> String {
    let mut html = String::from("<a href=/good/1");
    for n in 0..count {
        // Writing to a string does not fail.
        let _ = write!(html, " a{n:x}");
    }
    html + ">1</a>"
}

/// So many links that lead out of every scope.
pub fn links(count: usize) -> String {
    let mut html = String::from("<a href=/good/1>");
    for n in 0..count {
        let _ = write!(html, "<a href=//f/{n:x}>");
    }
    html
}

/// One attribute of so many bytes.
pub fn giant_attribute(bytes: usize) -> String {
    format!(
        "<a href=/good/1>1</a><p title=\"{}\"><a href=/good/2>2</a>",
        "a".repeat(bytes)
    )
}

/// After this opening everything to the end of a long page is something else than links.
pub fn unclosed(opening: &str) -> String {
    format!(
        "<a href=/good/1>1</a>{opening}{}",
        "<a href=/smuggled>s</a> ".repeat(40_000)
    )
}

/// A megabyte of the same few bytes.
pub fn flood(of: &str) -> String {
    of.repeat(1_000_000 / of.len().max(1))
}

/// UTF-16 with a byte order mark and half a character at the end.
pub fn utf_16(text: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    // A high surrogate alone, then half of a unit.
    bytes.extend([0x00, 0xd8, 0x41]);
    bytes
}

/// A sitemap whose entities grow tenfold nine times over.
pub fn billion_laughs() -> String {
    let mut dtd = String::from("<!ENTITY l0 \"http://f.test/\">");
    for n in 1..10 {
        let _ = write!(
            dtd,
            "<!ENTITY l{n} \"{}\">",
            format!("&l{};", n - 1).repeat(10)
        );
    }
    format!(
        "<?xml version=\"1.0\"?><!DOCTYPE urlset [{dtd}]><urlset><url><loc>&l9;</loc></url></urlset>"
    )
}

/// A sitemap that reads a file of the reader's machine.
pub fn external_entity() -> String {
    "<?xml version=\"1.0\"?><!DOCTYPE urlset [<!ENTITY x SYSTEM \"file:///etc/hostname\">]>\
     <urlset><url><loc>http://f.test/&x;</loc></url></urlset>"
        .to_owned()
}
