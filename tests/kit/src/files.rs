//! The files of a folder as the URL paths a web server gives them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Every file below `folder` by its path (`/a/b.html`, plain text, not percent-encoded) with its size in bytes.
/// Links are followed, as a web server does; a link to a folder above it is not.
///
/// # Errors
/// When a folder cannot be listed.
pub fn below(folder: &Path) -> Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, path)) = folders.pop() {
        let inside = folder
            .canonicalize()
            .with_context(|| format!("no folder {}", folder.display()))?;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            // A dangling link is a file that the server does not find either.
            let Ok(metadata) = std::fs::metadata(entry.path()) else {
                continue;
            };
            if !metadata.is_dir() {
                found.insert(path, metadata.len());
            } else if entry
                .path()
                .canonicalize()
                .is_ok_and(|target| !inside.starts_with(target))
            {
                folders.push((entry.path(), path));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_but_not_in_circles() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir(at("a")).unwrap();
        std::fs::write(at("index.html"), "12345").unwrap();
        std::fs::write(at("a/b c.html"), "1").unwrap();
        symlink(at("a"), at("again")).unwrap();
        symlink(folder.path(), at("a/up")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        let found: Vec<_> = below(folder.path()).unwrap().into_iter().collect();
        let want = [
            ("/a/b c.html", 1),
            ("/again/b c.html", 1),
            ("/index.html", 5),
        ];
        assert_eq!(found, want.map(|(path, size)| (path.to_owned(), size)));
    }
}
