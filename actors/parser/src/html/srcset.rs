//! The candidates of `srcset` and `imagesrcset`.
//!
//! Follows "parse a srcset attribute" (HTML standard, 4.8.4.3.10): commas inside a URL belong to it unless they end it,
//! descriptors may have parentheses, and a candidate whose descriptors make no sense is none. Invariant: linear, never fails.

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
        let mut sound = !bare.is_empty();
        if bare.len() == url.len() {
            let descriptors = &rest[..end_of_descriptors(rest)];
            rest = rest[descriptors.len()..].trim_start_matches(',');
            sound &= Descriptors::default().are_sound(descriptors);
        }
        if sound {
            found(bare);
        }
    }
}

/// Where the comma is that ends the descriptors at the start of `text`; a comma within parentheses does not.
fn end_of_descriptors(text: &str) -> usize {
    let mut in_parentheses = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => in_parentheses = true,
            b')' => in_parentheses = false,
            b',' if !in_parentheses => return at,
            _ => {}
        }
    }
    text.len()
}

/// Which descriptors a candidate has had.
#[derive(Default)]
struct Descriptors {
    width: bool,
    density: bool,
    height: bool,
}

impl Descriptors {
    fn are_sound(mut self, text: &str) -> bool {
        // A parenthesis may hold whitespace, but no descriptor with one is known.
        let each = text
            .split_ascii_whitespace()
            .all(|descriptor| self.takes(descriptor));
        each && (self.width || !self.height)
    }

    fn takes(&mut self, descriptor: &str) -> bool {
        let positive = |number: &str| {
            number.bytes().all(|b| b.is_ascii_digit()) && number.bytes().any(|b| b != b'0')
        };
        if let Some(number) = descriptor.strip_suffix('w') {
            !self.density && !std::mem::replace(&mut self.width, true) && positive(number)
        } else if let Some(number) = descriptor.strip_suffix('x') {
            !self.width
                && !self.height
                && !std::mem::replace(&mut self.density, true)
                && is_density(number)
        } else if let Some(number) = descriptor.strip_suffix('h') {
            !self.density && !std::mem::replace(&mut self.height, true) && positive(number)
        } else {
            false
        }
    }
}

/// A valid floating-point number (2.3.4.3) that is not negative.
fn is_density(number: &str) -> bool {
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let starts = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    starts
        && !unsigned.ends_with('.')
        && !unsigned.contains(".e")
        && !unsigned.contains(".E")
        && number.parse::<f64>().is_ok_and(|value| value >= 0.0)
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
        check("a.png\n\t640w\n,\nb.png", &["a.png", "b.png"]);
        check("", &[]);
        check(" ,, ", &[]);
    }

    #[test]
    fn a_candidate_with_senseless_descriptors_is_none() {
        #[track_caller]
        fn check(descriptors: &str, sound: bool) {
            let srcset = format!("a.png {descriptors}, b.png");
            let mut urls = Vec::new();
            each_url(&srcset, |url| urls.push(url));
            let want: &[&str] = if sound {
                &["a.png", "b.png"]
            } else {
                &["b.png"]
            };
            assert_eq!(urls, want, "{descriptors:?}");
        }
        for sound in [
            "", "1x", "1.5x", ".5x", "0x", "-0x", "1e2x", "100w", "100w 50h", "50h 100w",
        ] {
            check(sound, true);
        }
        for senseless in [
            "x", "1", "1X", "+1x", "-1x", "1.x", "infx", "nanx", "0w", "1.5w", "-1w", "w", "50h",
            "1x 2x", "1w 2w", "100w 1x", "1x 50h", "100w 0h", "foo", "(1x, 2x)", "100w y",
        ] {
            check(senseless, false);
        }
        let mut urls = Vec::new();
        each_url("a.png (1x, b.png", |url| urls.push(url));
        assert_eq!(urls, [""; 0]);
    }
}
