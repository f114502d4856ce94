//! The Link header (RFC 8288 section 3): `<url>; rel="next", <…>; …`.
//!
//! Parses by the RFC's own lenient algorithm (appendix B.2) and yields what names a resource of this page: a link with an
//! `anchor` speaks of another one, `rev` of the other direction. Invariant: linear; a malformed rest is left out.

use std::borrow::Cow;

use contract::link::LinkKind;

use crate::html::links::Standing;
use crate::html::rel;

/// A link of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLink<'a> {
    /// Not yet resolved.
    pub value: &'a str,
    pub kind: LinkKind,
    pub standing: Standing,
    /// Its link types, as written.
    pub rel: Cow<'a, str>,
}

/// Calls `found` with each link of a header's value.
pub fn each_link<'a>(value: &'a str, mut found: impl FnMut(HeaderLink<'a>)) {
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some(after) = rest.strip_prefix('<') else {
            return;
        };
        let Some((url, parameters)) = after.split_once('>') else {
            return;
        };
        let Parameters {
            rel,
            anchored,
            rest: after,
        } = parameters_of(parameters);
        rest = after;
        let value = url.trim_ascii();
        if let Some((kind, standing)) = rel::kind(&rel)
            && !anchored
            && !value.is_empty()
        {
            found(HeaderLink {
                value,
                kind,
                standing,
                rel,
            });
        }
    }
}

struct Parameters<'a> {
    /// Empty where there is none.
    rel: Cow<'a, str>,
    anchored: bool,
    /// What follows the comma after this link.
    rest: &'a str,
}

fn parameters_of(text: &str) -> Parameters<'_> {
    let mut found = Parameters {
        rel: Cow::Borrowed(""),
        anchored: false,
        rest: text,
    };
    let mut rel_seen = false;
    loop {
        let rest = found.rest.trim_start_matches([' ', '\t']);
        let Some(parameter) = rest.strip_prefix(';') else {
            found.rest = past_comma(rest);
            return found;
        };
        let parameter = parameter.trim_start_matches([' ', '\t']);
        let end = parameter
            .find([' ', '\t', '=', ';', ','])
            .unwrap_or(parameter.len());
        let (name, after) = parameter.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        let (value, rest) = match after.strip_prefix('=') {
            Some(value) => value_of(value.trim_start_matches([' ', '\t'])),
            None => (Cow::Borrowed(""), after),
        };
        found.rest = rest;
        if name.eq_ignore_ascii_case("anchor") {
            found.anchored = true;
        } else if name.eq_ignore_ascii_case("rel") && !rel_seen {
            rel_seen = true; // later ones are ignored (3.3)
            found.rel = value;
        }
    }
}

/// A token or quoted string, and what follows it.
fn value_of(text: &str) -> (Cow<'_, str>, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ';', ',']).unwrap_or(text.len());
        return (Cow::Borrowed(&text[..end]), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            other => value.push(other),
        }
    }
    (Cow::Owned(value), chars.as_str())
}

fn past_comma(text: &str) -> &str {
    text.find(',').map_or("", |comma| &text[comma + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn links(value: &str) -> Vec<String> {
        let mut links = Vec::new();
        each_link(value, |link| {
            if link.standing == Standing::Followed {
                links.push(format!("{} {}", link.kind.as_str(), link.value));
            }
        });
        links
    }

    #[test]
    fn links_are_read_as_the_rfc_says() {
        #[track_caller]
        fn check(value: &str, want: &[&str]) {
            assert_eq!(links(value), want, "{value:?}");
        }
        check("<a>; rel=next", &["page a"]);
        check(
            "<a>;rel=\"next\" , <b,c;d>; title=\"x, <y>; \\\"z\"; REL = stylesheet",
            &["page a", "embed b,c;d"],
        );
        check(
            "<a>; rel=preconnect, <b>; rel=preload; as=style",
            &["embed b"],
        );
        check("<a>; rel=next; anchor=\"#x\"", &[]);
        check("<a>; rel=preconnect; rel=next", &[]);
        check("<a>; rev=next", &[]);
        check("<a>", &[]);
        check("<>; rel=next", &[]);
        check("<a>; rel=next junk, <b>; rel=next", &["page a", "page b"]);
        check("<a>; rel", &[]);
        check("<a>;;; rel=next;", &["page a"]);
        check(",, <a>; rel=next", &["page a"]);
        check("<a; rel=next", &[]);
        check("a; rel=next", &[]);
        check("<a>; rel=\"next", &["page a"]);
        check("", &[]);
    }

    proptest! {
        #[test]
        fn any_value_is_read(value in "([<>;,=\" \\\\a-zé]|rel=next)*") {
            links(&value);
        }
    }
}
