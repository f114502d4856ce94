//! How this room works; node configuration, every field with its default.

use serde::{Deserialize, Serialize};

/// How storage groups, rolls over and gives up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StorageConfig {
    /// Pages taken and not settled yet: the slots of the arrow into this room.
    pub slots_max: usize,
    /// A group of this many pages is synced at once.
    pub group_pages_max: usize,
    /// A group is synced this long after its first page, in milliseconds.
    pub group_wait_ms: u64,
    /// A WARC file of this length takes no more records, in bytes.
    pub file_bytes_max: u64,
    /// A sync that takes longer is given up: its pages are not settled and come again, in seconds.
    pub store_s_max: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            slots_max: 256,
            group_pages_max: 64,
            group_wait_ms: 20,
            file_bytes_max: 1_000_000_000,
            store_s_max: 20,
        }
    }
}

impl StorageConfig {
    /// Itself, if it can work.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn validate(self) -> Result<Self, String> {
        let checks = [
            (self.slots_max >= 1, "slots-max must be at least 1"),
            (
                self.group_pages_max >= 1,
                "group-pages-max must be at least 1",
            ),
            (
                self.group_wait_ms <= 10_000,
                "group-wait-ms must be at most 10000",
            ),
            (
                self.file_bytes_max >= 1 << 20,
                "file-bytes-max must be at least 1048576",
            ),
            (self.store_s_max >= 1, "store-s-max must be at least 1"),
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
    fn the_defaults_work_and_nonsense_names_its_key() {
        assert!(StorageConfig::default().validate().is_ok());
        let error = StorageConfig {
            slots_max: 0,
            ..StorageConfig::default()
        }
        .validate();
        assert_eq!(error, Err("slots-max must be at least 1".to_owned()));
    }
}
