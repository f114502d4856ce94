//! What country or language a document is from, as the detector takes it: a top-level domain.
//!
//! The document's own `lang` is more exact than the domain it lies on. English says nothing: templates have it.
//! Invariant: looks at no more than [`HEAD`] bytes; the label is in lower-case ASCII.

/// Bytes in which `lang="…"` is looked for.
const HEAD: usize = 1_024;

/// Languages whose usual top-level domain has another name.
const DOMAINS: &[(&str, &str)] = &[
    ("ar", "sa"),
    ("be", "by"),
    ("bs", "ba"),
    ("ca", "es"),
    ("cs", "cz"),
    ("da", "dk"),
    ("el", "gr"),
    ("et", "ee"),
    ("eu", "es"),
    ("fa", "ir"),
    ("ga", "ie"),
    ("gl", "es"),
    ("he", "il"),
    ("hy", "am"),
    ("ja", "jp"),
    ("ka", "ge"),
    ("kk", "kz"),
    ("ko", "kr"),
    ("nb", "no"),
    ("nn", "no"),
    ("sl", "si"),
    ("sq", "al"),
    ("sr", "rs"),
    ("sv", "se"),
    ("uk", "ua"),
    ("ur", "pk"),
    ("vi", "vn"),
    ("zh", "cn"),
];

/// Languages that are the name of their top-level domain.
const SAME: &[&str] = &[
    "bg", "de", "es", "fi", "fr", "hr", "hu", "is", "it", "lt", "lv", "mk", "nl", "no", "pl", "pt",
    "ro", "ru", "sk", "th", "tr",
];

/// The hint for a document that starts so and comes from this domain.
pub(super) fn of<'t>(head: &[u8], tld: Option<&'t str>) -> Option<&'t str> {
    language(&head[..head.len().min(HEAD)])
        .and_then(|language| domain(&language))
        // The detector takes lower-case ASCII labels only.
        .or(tld.filter(|tld| {
            !tld.is_empty()
                && tld
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        }))
}

/// The first `lang` attribute's value, in lower case.
fn language(head: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(head, b"lang=")?;
    let value = &head[at + 5..];
    let value = value
        .strip_prefix(b"\"")
        .or(value.strip_prefix(b"'"))
        .unwrap_or(value);
    let end = value
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || *b == b'-'))?;
    Some(
        std::str::from_utf8(&value[..end])
            .ok()?
            .to_ascii_lowercase(),
    )
}

fn domain(language: &str) -> Option<&'static str> {
    let mut parts = language.split('-');
    let primary = parts.next()?;
    if primary == "zh" && parts.any(|part| matches!(part, "tw" | "hant" | "hk" | "mo")) {
        return Some("tw");
    }
    let other = DOMAINS.iter().find(|(known, _)| *known == primary);
    let same = || SAME.iter().find(|known| **known == primary).copied();
    other.map(|(_, domain)| *domain).or_else(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_a_hint_and_wins_over_the_domain() {
        #[track_caller]
        fn check(head: &str, tld: Option<&str>, want: Option<&str>) {
            assert_eq!(of(head.as_bytes(), tld), want, "{head}");
        }
        check("<html lang=ja>", Some("com"), Some("jp"));
        check("<html xml:lang='zh-Hant-HK'>", None, Some("tw"));
        check("<html lang=\"ZH-cn\">", None, Some("cn"));
        check("<html lang=ru-RU>", None, Some("ru"));
        check("<html lang=en>", Some("pl"), Some("pl"));
        check("<html lang=tlh>", None, None);
        check("<html lang=''>", Some("xn--p1ai"), Some("xn--p1ai"));
        check("<html lang=ja", Some("ru"), Some("ru")); // cut off
        check("", Some("RU"), None);
        check("", Some(""), None);
        check("", Some("co.jp"), None);
    }
}
