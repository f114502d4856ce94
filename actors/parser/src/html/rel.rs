//! What a `rel` value makes of a link.
//!
//! Owns the table of link types (HTML standard, 4.6.7, and the registry it names) as far as a crawler cares: is the
//! target part of showing this page, a page of its own, or no resource to fetch? And what the author thinks of it.

use contract::link::LinkKind;

use super::links::Standing;

/// What authors say against a link: recorded, not obeyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rel {
    pub nofollow: bool,
    pub ugc: bool,
    pub sponsored: bool,
}

impl Rel {
    /// The flags of a `rel` attribute of `<a>` or `<area>`.
    pub fn of(rel: &str) -> Self {
        let mut flags = Self::default();
        for word in rel.split_ascii_whitespace() {
            match word.len() {
                8 => flags.nofollow |= word.eq_ignore_ascii_case("nofollow"),
                3 => flags.ugc |= word.eq_ignore_ascii_case("ugc"),
                9 => flags.sponsored |= word.eq_ignore_ascii_case("sponsored"),
                _ => {}
            }
        }
        flags
    }
}

/// Whether a `rel` names the terms of use.
pub fn is_license(rel: &str) -> bool {
    let mut words = rel.split_ascii_whitespace();
    words.any(|word| word.eq_ignore_ascii_case("license"))
}

/// Types whose target a browser loads to show the page.
const EMBEDS: &[&str] = &[
    "stylesheet",
    "icon",
    "apple-touch-icon",
    "apple-touch-icon-precomposed",
    "apple-touch-startup-image",
    "mask-icon",
    "image_src",
    "manifest",
    "modulepreload",
    "preload",
    "prefetch",
];

/// Types whose target is a host to warm up, a service to post to or a name, never a document to read.
const NO_LINKS: &[&str] = &[
    "preconnect",
    "dns-prefetch",
    "pingback",
    "webmention",
    "edituri",
    "wlwmanifest",
    "profile",
    "hub",
    "micropub",
    "authorization_endpoint",
    "token_endpoint",
    "https://api.w.org/",
];

/// What the target of `<link rel=…>` or of a Link header is; none where nothing is said. Of several types the one that
/// needs the target most decides.
pub fn kind(rel: &str) -> Option<(LinkKind, Standing)> {
    let among =
        |word: &str, list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(word));
    let mut kind = None;
    for word in rel.split_ascii_whitespace() {
        if among(word, EMBEDS) {
            return Some((LinkKind::Embed, Standing::Followed));
        }
        if !among(word, NO_LINKS) {
            kind = Some((LinkKind::Page, Standing::Followed));
        } else if kind.is_none() {
            kind = Some((LinkKind::Page, Standing::Hint));
        }
    }
    kind
}

/// True if `canonical` is among the types.
pub fn is_canonical(rel: &str) -> bool {
    rel.split_ascii_whitespace()
        .any(|word| word.eq_ignore_ascii_case("canonical"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rel_makes_a_page_an_embed_or_nothing() {
        #[track_caller]
        fn check(rel: &str, want: Option<LinkKind>) {
            let followed = kind(rel).filter(|(_, standing)| *standing == Standing::Followed);
            assert_eq!(followed.map(|(kind, _)| kind), want, "{rel:?}");
        }
        check("stylesheet", Some(LinkKind::Embed));
        check("alternate StyleSheet", Some(LinkKind::Embed));
        check("shortcut icon", Some(LinkKind::Embed));
        check("canonical", Some(LinkKind::Page));
        check("next nofollow", Some(LinkKind::Page));
        check("preconnect", None);
        check("DNS-prefetch preconnect", None);
        check("preconnect preload", Some(LinkKind::Embed));
        check("", None);
        assert_eq!(kind("pingback"), Some((LinkKind::Page, Standing::Hint)));
        assert_eq!(kind(" \n"), None);
    }

    #[test]
    fn what_the_author_says_is_recorded() {
        let all = Rel::of("noopener NoFollow ugc\tsponsored");
        assert_eq!(
            all,
            Rel {
                nofollow: true,
                ugc: true,
                sponsored: true
            }
        );
        assert_eq!(Rel::of("follow no-follow ug"), Rel::default());
    }
}
