//! How this room works; node configuration, every field with its default.

use serde::{Deserialize, Serialize};

/// How a parser reads, and how much of what it finds it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ParserConfig {
    /// Pages queued or in work over all parsers: the slots of the arrow into this room.
    pub slots_max: usize,
    /// Distinct links of one page; more are left out, and the page says so. The default is more than fit into a document
    /// of the default length (`parse-bytes-max`).
    pub links_max: usize,
    /// Links of one part of a page: a page with more goes to the frontier in several parts.
    pub part_links_max: usize,
    /// Bytes of one part's links.
    pub part_bytes_max: usize,
    /// Bytes of one sitemap or feed, decoded.
    pub sitemap_bytes_max: u64,
    /// A page whose reading panics is tried so many times in all.
    pub tries_max: u8,
    /// Attributes, in lower case, whose value a script of the page loads later ("data-src"): a page where the name ends
    /// with "href", an image's candidates where it ends with "srcset", else an image or script.
    pub link_attributes: Vec<String>,
    /// The actions of forms that are sent by GET are links.
    pub follow_forms: bool,
    /// What a page tells other programs of itself (Open Graph, Twitter cards) are links.
    pub follow_metadata: bool,
}

impl Default for ParserConfig {
    fn default() -> Self {
        Self {
            slots_max: 128,
            links_max: 1_000_000,
            part_links_max: 10_000,
            part_bytes_max: 8_000_000,
            sitemap_bytes_max: 50_000_000,
            tries_max: 3,
            link_attributes: Vec::new(),
            follow_forms: false,
            follow_metadata: false,
        }
    }
}

/// Attributes that may be asked for beside the known ones.
const LINK_ATTRIBUTES_MAX: usize = 8;

impl ParserConfig {
    /// Itself, if it can work.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(self) -> Result<Self, String> {
        let lower = |name: &String| {
            !name.is_empty()
                && !name
                    .bytes()
                    .any(|b| b.is_ascii_uppercase() || b.is_ascii_whitespace())
        };
        let checks = [
            (self.slots_max >= 1, "slots-max must be at least 1"),
            (self.links_max >= 1, "links-max must be at least 1"),
            (
                self.part_links_max >= 1,
                "part-links-max must be at least 1",
            ),
            (
                self.part_bytes_max >= 4_096,
                "part-bytes-max must be at least 4096",
            ),
            (
                self.sitemap_bytes_max >= 1,
                "sitemap-bytes-max must be at least 1",
            ),
            (self.tries_max >= 1, "tries-max must be at least 1"),
            (
                self.link_attributes.len() <= LINK_ATTRIBUTES_MAX,
                "link-attributes must name at most 8 attributes",
            ),
            (
                self.link_attributes.iter().all(lower),
                "link-attributes must be attribute names in lower case",
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, sentence)) => Err(sentence.to_owned()),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_cannot_work_is_named() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut ParserConfig), key: &str) {
            let mut config = ParserConfig::default();
            change(&mut config);
            let refused = config.validate();
            assert!(
                refused
                    .as_ref()
                    .is_err_and(|sentence| sentence.starts_with(key)),
                "{refused:?}"
            );
        }
        assert_eq!(
            ParserConfig::default().validate(),
            Ok(ParserConfig::default())
        );
        check(|config| config.slots_max = 0, "slots-max");
        check(|config| config.part_links_max = 0, "part-links-max");
        check(|config| config.part_bytes_max = 1, "part-bytes-max");
        check(
            |config| config.link_attributes = vec!["Data-Src".into()],
            "link-attributes",
        );
        check(
            |config| config.link_attributes = vec!["a".into(); 9],
            "link-attributes",
        );
    }
}
