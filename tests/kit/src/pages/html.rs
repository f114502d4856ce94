//! The links of an HTML text, by a plain scan over its tags.
//!
//! It knows comments, raw text (`script`, `style`, …), quoted and unquoted attributes and the common character
//! references; no tree is built. Enough for real pages, not for hostile ones.

use std::collections::HashSet;

use url::Url;

/// What a link means to a crawler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// A page that a reader may go to.
    Page,
    /// A part of this page.
    Embed,
    /// Something about this page: the next one, a search description.
    Related,
}

/// Elements whose text is no markup.
const RAW: &[&str] = &["script", "style", "textarea", "title", "xmp", "noembed"];

/// Every distinct link of `text`, resolved against `page` or its `<base>`, without its fragment.
pub(super) fn links(text: &str, page: &Url) -> Vec<(Url, Role)> {
    let mut base = page.clone();
    let mut found = Vec::new();
    // Navigation repeats the same few links on every page; resolving is what costs.
    let mut known = HashSet::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let (name, attributes, after) = tag(rest);
        rest = after;
        let value = |key: &str| {
            attributes
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.as_str())
        };
        if name == "base"
            && let Some(url) = value("href").and_then(|href| page.join(href).ok())
        {
            base = url;
        }
        let srcset = value("srcset")
            .into_iter()
            .flat_map(|set| set.split(','))
            .filter_map(|c| c.split_whitespace().next());
        let single = role(&name, value("rel")).and_then(|(key, role)| Some((value(key)?, role)));
        for (target, role) in single
            .into_iter()
            .chain(srcset.map(|target| (target, Role::Embed)))
        {
            let target = target.split('#').next().unwrap_or_default().trim();
            if known.insert((target.to_owned(), role)) {
                // A link that is no URL leads nowhere.
                found.extend(base.join(target).ok().map(|url| (url, role)));
            }
        }
        if RAW.contains(&name.as_str()) {
            rest = after_raw(rest, &name);
        }
    }
    found
}

/// The text from the end tag of the raw element `name` on.
fn after_raw<'a>(text: &'a str, name: &str) -> &'a str {
    let mut ends = text.match_indices("</").map(|(at, _)| &text[at..]);
    ends.find(|end| {
        end.get(2..2 + name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
    })
    .unwrap_or("")
}

/// Which attribute of an element is a link, and what it means.
fn role(name: &str, rel: Option<&str>) -> Option<(&'static str, Role)> {
    Some(match name {
        "a" | "area" => ("href", Role::Page),
        "frame" | "iframe" => ("src", Role::Page),
        "img" | "script" | "source" | "embed" | "audio" | "video" | "input" | "track" => {
            ("src", Role::Embed)
        }
        "object" => ("data", Role::Embed),
        "link" => {
            let embedded = ["stylesheet", "icon"];
            let rel = rel.unwrap_or_default().to_ascii_lowercase();
            let is_embed = rel.split_whitespace().any(|word| embedded.contains(&word));
            ("href", if is_embed { Role::Embed } else { Role::Related })
        }
        _ => return None,
    })
}

/// A start tag whose `<` has been taken: its name, its attributes, and the text after it. Names are in lower case.
fn tag(text: &str) -> (String, Vec<(String, String)>, &str) {
    let end = text
        .find(|c: char| c.is_whitespace() || c == '>' || c == '/')
        .unwrap_or(text.len());
    let name = text[..end].to_ascii_lowercase();
    let mut rest = &text[end..];
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return (name, attributes, rest.strip_prefix('>').unwrap_or(rest));
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '>' | '/' | '='))
            .unwrap_or(rest.len());
        let key = rest[..end.max(1)].to_ascii_lowercase();
        rest = rest[end.max(1).min(rest.len())..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            (value, rest) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    after[1..].split_once(quote).unwrap_or((&after[1..], ""))
                }
                _ => after.split_at(
                    after
                        .find(|c: char| c.is_whitespace() || c == '>')
                        .unwrap_or(after.len()),
                ),
            };
        }
        attributes.push((key, unescaped(value)));
    }
}

/// Character references undone, as far as links have them.
fn unescaped(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        whole.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|&end| end < 12);
        let known = end.and_then(|end| Some((reference(&rest[1..end])?, end)));
        let (sign, length) = known.map_or(('&', 1), |(sign, end)| (sign, end + 1));
        whole.push(sign);
        rest = &rest[length..];
    }
    whole + rest
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

/// What a style sheet names: `url(…)` and `@import "…"`.
pub(super) fn style_links(text: &str, sheet: &Url) -> Vec<Url> {
    let urls = text
        .split("url(")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let imports = text
        .split("@import")
        .skip(1)
        .filter_map(|rest| rest.split_once(';'));
    let named = urls
        .chain(imports)
        .map(|(name, _)| name.trim().trim_matches(['"', '\'']));
    named
        .filter(|name| !name.is_empty() && !name.contains('('))
        .filter_map(|name| sheet.join(name).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_as_browsers_find_them() {
        #[track_caller]
        fn check(html: &str, want: &[(&str, Role)]) {
            let page = Url::parse("http://a.test/dir/page.html").unwrap();
            let found = links(html, &page);
            let found: Vec<_> = found
                .iter()
                .map(|(url, role)| (url.as_str(), *role))
                .collect();
            assert_eq!(found, want, "{html}");
        }
        use Role::{Embed, Page, Related};
        check(
            "<a href='b.html'>b</a><A HREF=/c>c</A>",
            &[
                ("http://a.test/dir/b.html", Page),
                ("http://a.test/c", Page),
            ],
        );
        check(
            "<a class=x title=\"a > b\" href = \"?q=1&amp;r=&#50;#f\">",
            &[("http://a.test/dir/page.html?q=1&r=2", Page)],
        );
        check("<a\nhref=\"\n../up \">", &[("http://a.test/up", Page)]);
        check(
            "<!-- <a href=no> --><script>'<a href=no>'</script><title><a href=no></title><a href=yes>",
            &[("http://a.test/dir/yes", Page)],
        );
        check(
            "<base href=\"/other/\"><img src=i.png srcset=\"j.png 1x, k.png 2x\">",
            &[
                ("http://a.test/other/i.png", Embed),
                ("http://a.test/other/j.png", Embed),
                ("http://a.test/other/k.png", Embed),
            ],
        );
        check(
            "<link rel='shortcut icon' href=f.ico><link rel=next href=n.html>",
            &[
                ("http://a.test/dir/f.ico", Embed),
                ("http://a.test/dir/n.html", Related),
            ],
        );
        check("<a name=x>no</a> 1 < 2 </a>", &[]);
        check(
            "<a href>itself</a>",
            &[("http://a.test/dir/page.html", Page)],
        );
        check("<br/><a href=b/>", &[("http://a.test/dir/b/", Page)]);
    }

    #[test]
    fn a_style_sheet_names_files() {
        let sheet = Url::parse("http://a.test/css/x.css").unwrap();
        let found = style_links(
            "@import \"y.css\"; a { background: url('../i.png') } @import url(z.css);",
            &sheet,
        );
        let found: Vec<_> = found.iter().map(Url::as_str).collect();
        assert_eq!(
            found,
            [
                "http://a.test/i.png",
                "http://a.test/css/z.css",
                "http://a.test/css/y.css"
            ]
        );
    }
}
