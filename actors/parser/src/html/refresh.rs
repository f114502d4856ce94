//! The URL of `<meta http-equiv=refresh content="…">` and of the Refresh header.
//!
//! Follows the shared declarative refresh steps (HTML standard, 4.2.5.3). Invariant: none when the content is not
//! well-formed by those steps or names no URL (it then reloads the page itself).

/// The URL that `content` leads to.
pub fn url(content: &str) -> Option<&str> {
    let rest = skip_space(content);
    let after_digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if after_digits.len() == rest.len() && !rest.starts_with('.') {
        return None;
    }
    let rest = after_digits.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !rest.starts_with(|c: char| c == ';' || c == ',' || c.is_ascii_whitespace()) {
        return None;
    }
    let rest = skip_space(rest);
    let rest = skip_space(rest.strip_prefix([';', ',']).unwrap_or(rest));
    let url = after_name(rest).unwrap_or(rest);
    let url = match url.chars().next()? {
        quote @ ('"' | '\'') => url[1..].split(quote).next()?,
        _ => url,
    };
    (!url.is_empty()).then_some(url)
}

/// What follows `url =`, where that is how `text` starts; otherwise all of `text` is the URL.
fn after_name(text: &str) -> Option<&str> {
    let name = text
        .get(..3)
        .filter(|name| name.eq_ignore_ascii_case("url"))?;
    let rest = skip_space(&text[name.len()..]).strip_prefix('=')?;
    Some(skip_space(rest))
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refreshes_are_read_as_the_standard_says() {
        #[track_caller]
        fn check(content: &str, want: Option<&str>) {
            assert_eq!(url(content), want, "{content:?}");
        }
        check("0; url=next.html", Some("next.html"));
        check("5;URL='a b'", Some("a b"));
        check("5;url=\"a\"trailing", Some("a"));
        check("5, url = a", Some("a"));
        check("5 a", Some("a"));
        check("0.5;url=a", Some("a"));
        check(".5;url=a", Some("a"));
        check("1;a", Some("a"));
        check("1;ur", Some("ur"));
        check("1;urlx", Some("urlx"));
        check("1;url", Some("url"));
        check("1; url='unclosed", Some("unclosed"));
        check("5", None);
        check("5;", None);
        check("5;url=", None);
        check("5;url=''", None);
        check("url=a", None);
        check("x;url=a", None);
        check("5x;url=a", None);
        check("", None);
    }
}
