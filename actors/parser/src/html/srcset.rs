//! `srcset` and `imagesrcset` to their URLs, by the standard's parser (HTML standard, 4.8.4.3.10).
//!
//! Owns the splitting only: commas belong to a URL unless they end it, descriptors may have parentheses. What
//! the descriptors say does not matter to a crawler: every candidate is a link. Invariant: linear, never fails.

/// Calls `found` with each candidate's URL.
pub(super) fn each_url<'a>(srcset: &'a str, mut found: impl FnMut(&'a str)) {
    let mut rest = srcset;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            return;
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let url = &rest[..end];
        rest = &rest[end..];
        let bare = url.trim_end_matches(',');
        if !bare.is_empty() {
            found(bare);
        }
        if bare.len() == url.len() {
            rest = past_descriptors(rest);
        }
    }
}

/// What follows the comma that ends the descriptors at the start of `text`; a comma within parentheses does not.
fn past_descriptors(text: &str) -> &str {
    let mut in_parentheses = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => in_parentheses = true,
            b')' => in_parentheses = false,
            b',' if !in_parentheses => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_split_as_the_standard_says() {
        #[track_caller]
        fn check(srcset: &str, want: &[&str]) {
            let mut urls = Vec::new();
            each_url(srcset, |url| urls.push(url));
            assert_eq!(urls, want, "{srcset:?}");
        }
        check("a.png 1x, b.png 2x", &["a.png", "b.png"]);
        check("a.png,b.png", &["a.png,b.png"]); // one URL: a comma alone does not end it
        check("a.png, b.png", &["a.png", "b.png"]);
        check(" , a.png 100w ,b.png 200w,", &["a.png", "b.png"]);
        check("a.png,, b.png", &["a.png", "b.png"]);
        check(
            "data:image/png;base64,AAAA 1x, b.png",
            &["data:image/png;base64,AAAA", "b.png"],
        );
        check("a.png (1x, 2x), b.png", &["a.png", "b.png"]);
        check("a.png (1x, b.png", &["a.png"]);
        check("a.png\n\t640w\n,\nb.png", &["a.png", "b.png"]);
        check("", &[]);
        check(" ,, ", &[]);
    }
}
