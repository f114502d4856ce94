//! Who asks: this machine's name for its node, and the person's for the history of a configuration.

use contract::fleet::{NAME_BYTES_MAX, NodeName};

use crate::exit::Failure;

/// The machine's host name, as a node's name: in lower case, other characters as `-`.
///
/// # Errors
/// A machine without a name that could be one.
pub fn node() -> Result<NodeName, Failure> {
    let name = tame(&host());
    name.parse().map_err(|_| {
        Failure::input("this machine's name cannot be a node's; give one with --node-name")
    })
}

/// "user@host", as far as they are known.
pub fn person() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    let plain: String = format!("{user}@{}", host())
        .chars()
        .filter(|c| !c.is_control() && !c.is_whitespace())
        .take(100)
        .collect();
    plain
}

/// proc(5), `/proc/sys/kernel/hostname`; in a container its own.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

fn tame(name: &str) -> String {
    let safe = name.chars().take(NAME_BYTES_MAX);
    let safe: String = safe
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9' | '.' | '_' | '-') => c,
            _ => '-',
        })
        .collect();
    safe.trim_start_matches(['.', '_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_machines_names_are_nodes_names() {
        assert_eq!(tame("Web-03.Example"), "web-03.example");
        assert_eq!(tame("_a b"), "a-b");
        assert_eq!(tame(&"x".repeat(99)).len(), NAME_BYTES_MAX);
        assert!(tame("...").parse::<NodeName>().is_err());
        assert!(person().contains('@'));
    }
}
