//! A list of robots directives: `noindex, max-snippet: 50, otherbot: noarchive, unavailable_after: 25 Jun 2010 15:00 PST`.
//!
//! A name before a colon is a directive's where that takes a value, and else an agent's: what follows up to the next
//! agent is for it alone. Commas separate, but for those of a date. Invariant: linear; what is no directive is kept as it
//! is written, for the record. Start at [`read`].

use contract::clock::Wall;

use super::date;

/// Commas that a date may have within it: `Friday, June 25, 2010`.
const DATE_COMMAS_MAX: usize = 2;

/// One directive for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    pub(super) key: &'a str,
    pub(super) value: String,
    /// The time of an `unavailable_after`.
    pub(super) after: Option<Wall>,
}

/// The directives of a list that are for everybody or for `token`.
pub(super) fn read<'a>(list: &'a str, token: &str) -> Vec<Directive<'a>> {
    let mut found = Vec::new();
    let mut ours = true;
    let mut parts = list.split([',', ';']).map(str::trim).peekable();
    while let Some(mut part) = parts.next() {
        while let Some((name, rest)) = part.split_once(':')
            && !is_directive(name.trim())
        {
            let name = name.trim();
            ours = name.eq_ignore_ascii_case(token)
                || name.eq_ignore_ascii_case("robots")
                || name == "*";
            part = rest.trim();
        }
        let (key, value) = match part.split_once(':') {
            Some((key, value)) => (key.trim(), value.trim()),
            None => match part.split_once(char::is_whitespace) {
                Some((key, value)) if takes_value(key) => (key, value.trim()),
                _ => (part, ""),
            },
        };
        let mut directive = Directive {
            key,
            value: value.to_owned(),
            after: None,
        };
        if key.eq_ignore_ascii_case("unavailable_after") {
            directive.after = date::read(value);
            let mut long = directive.value.clone();
            for _ in 0..DATE_COMMAS_MAX {
                let Some(next) = parts.peek().filter(|next| starts_like_a_date(next)) else {
                    break;
                };
                long = format!("{long}, {next}");
                parts.next();
                directive.after = date::read(&long).or(directive.after);
                directive.value.clone_from(&long);
            }
        }
        if !ours || key.is_empty() {
            continue;
        }
        match value.is_empty() {
            // Some lists have blanks between their words.
            true => found.extend(key.split_ascii_whitespace().map(|key| Directive {
                key,
                ..directive.clone()
            })),
            false => found.push(directive),
        }
    }
    found
}

fn takes_value(name: &str) -> bool {
    const NAMES: [&str; 4] = [
        "max-snippet",
        "max-image-preview",
        "max-video-preview",
        "unavailable_after",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Names before a colon that are no agent's: those that take a value, and those that some people give one.
fn is_directive(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "all",
        "follow",
        "index",
        "noai",
        "noarchive",
        "nocache",
        "nofollow",
        "noimageai",
        "noimageindex",
        "noindex",
        "none",
        "nosnippet",
    ];
    takes_value(name) || NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// A part of a date begins with a number or a month; directives do not.
fn starts_like_a_date(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_digit()) || date::month(part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(list: &str, want: &[(&str, &str)]) {
        let found = read(list, "argiope");
        let found: Vec<(&str, &str)> = found.iter().map(|one| (one.key, &*one.value)).collect();
        assert_eq!(found, want, "{list:?}");
    }

    #[test]
    fn lists_are_read_as_google_documents_and_people_write() {
        check("noindex", &[("noindex", "")]);
        check(
            " noindex ,nofollow,, ",
            &[("noindex", ""), ("nofollow", "")],
        );
        check("noindex nofollow", &[("noindex", ""), ("nofollow", "")]);
        check("noindex; noarchive", &[("noindex", ""), ("noarchive", "")]);
        check(
            "max-snippet:-1, max-image-preview:large",
            &[("max-snippet", "-1"), ("max-image-preview", "large")],
        );
        check("max-snippet : 20", &[("max-snippet", "20")]);
        check("otherbot: noindex, nofollow", &[]);
        check(
            "googlebot: nofollow, argiope: noindex, none",
            &[("noindex", ""), ("none", "")],
        );
        check("noai, otherbot: noindex", &[("noai", "")]);
        check("argiope: max-snippet: 5", &[("max-snippet", "5")]);
        check("*: noindex", &[("noindex", "")]);
        check("noindex: true, noai", &[("noindex", "true"), ("noai", "")]);
        check("something-new", &[("something-new", "")]);
        check("", &[]);
        check(":", &[]);
    }

    #[test]
    fn dates_keep_their_commas_and_colons() {
        #[track_caller]
        fn after(list: &str, value: &str, rest: &[&str]) {
            let found = read(list, "argiope");
            assert_eq!(
                (found[0].key, &*found[0].value),
                ("unavailable_after", value),
                "{list:?}"
            );
            assert!(found[0].after.is_some(), "{list:?}");
            let keys: Vec<&str> = found[1..].iter().map(|one| one.key).collect();
            assert_eq!(keys, rest, "{list:?}");
        }
        after(
            "unavailable_after: 25 Jun 2010 15:00:00 PST",
            "25 Jun 2010 15:00:00 PST",
            &[],
        );
        after(
            "unavailable_after: Friday, 25-Jun-10 15:00:00 GMT, noindex",
            "Friday, 25-Jun-10 15:00:00 GMT",
            &["noindex"],
        );
        after(
            "unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, noarchive",
            "Fri, 25 Jun 2010 15:00:00 GMT",
            &["noarchive"],
        );
        after(
            "unavailable_after: Friday, June 25, 2010",
            "Friday, June 25, 2010",
            &[],
        );
        after(
            "unavailable_after: 2010-06-25T15:00:00Z, max-snippet:1",
            "2010-06-25T15:00:00Z",
            &["max-snippet"],
        );
        after("unavailable_after 2010-06-25", "2010-06-25", &[]);
    }

    proptest! {
        #[test]
        fn any_list_is_read(list in "([a-z:,; 0-9é]|argiope|unavailable_after|June){0,60}") {
            read(&list, "argiope");
        }
    }
}
