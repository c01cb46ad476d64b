//! Names of values.

use aws_lc_rs::digest::{SHA256, digest};
use std::fmt::{self, Write};
use std::sync::Arc;

/// Longest key, in bytes, unless its namespace alone is longer.
pub const LONGEST_KEY: usize = 200;

/// The name of a value: a namespace, which says what kind it is of, and parts that say which.
///
/// No two lists of parts make the same key, whatever is in them. Where the parts are long, the key has
/// their SHA-256 digest instead. Cheap to clone. Debug shows the namespace only: parts may name people.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(Arc<str>);

impl Key {
    /// `namespace:part:part`, with `%`, `:` and `#` written as `%25`, `%3A` and `%23`.
    #[must_use]
    pub fn new(namespace: &'static str, parts: &[&str]) -> Self {
        let mut key = String::with_capacity(64);
        escape(namespace, &mut key);
        let namespace = key.len();
        for part in parts {
            key.push(':');
            escape(part, &mut key);
        }
        if key.len() > LONGEST_KEY && key.len() > namespace {
            shorten(&mut key, namespace);
        }
        Self(key.into())
    }

    /// As it is written in a store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its namespace, as it was given but for escapes.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.split([':', '#']).next().unwrap_or_default()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}:***)", self.namespace())
    }
}

fn escape(text: &str, key: &mut String) {
    for char in text.chars() {
        match char {
            '%' => key.push_str("%25"),
            ':' => key.push_str("%3A"),
            '#' => key.push_str("%23"),
            other => key.push(other),
        }
    }
}

/// `namespace:parts` → `namespace#digest`.
fn shorten(key: &mut String, namespace: usize) {
    let parts = digest(&SHA256, &key.as_bytes()[namespace..]);
    key.truncate(namespace);
    key.push('#');
    for byte in parts.as_ref() {
        // Writing to a string does not fail.
        let _ = write!(key, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_reads_as_its_parts() {
        assert_eq!(Key::new("session", &["acme", "u-1"]).as_str(), "session:acme:u-1");
        assert_eq!(Key::new("jti", &["https://idp", "50%#"]).as_str(), "jti:https%3A//idp:50%25%23");
        assert_eq!(Key::new("all", &[]).as_str(), "all");
        assert_ne!(Key::new("all", &[]), Key::new("all", &[""]));
    }

    #[test]
    fn a_long_key_is_short_and_still_its_own() {
        let part = "x".repeat(10_000);
        let key = Key::new("session", &["acme", &part]);
        assert_eq!(key.as_str().len(), "session#".len() + 64);
        assert_eq!(key.namespace(), "session");
        assert_eq!(key, Key::new("session", &["acme", &part]));
        assert_ne!(key, Key::new("session", &["acme", &part[1..]]));
        assert_ne!(key, Key::new("grant", &["acme", &part]));
        let written = key.as_str().to_owned();
        assert_ne!(Key::new("session", &[&written["session#".len()..]]), key);
    }

    #[test]
    fn a_key_shows_nobody() {
        assert_eq!(format!("{:?}", Key::new("session", &["ann@example.com"])), "Key(session:***)");
        let long = "ann".repeat(100);
        assert_eq!(format!("{:?}", Key::new("session", &[&long])), "Key(session:***)");
    }

    proptest! {
        #[test]
        fn no_two_lists_of_parts_make_one_key(
            one in prop::collection::vec("[ab:%#]{0,3}|.{0,120}", 0..4),
            other in prop::collection::vec("[ab:%#]{0,3}|.{0,120}", 0..4),
        ) {
            fn key(parts: &[String]) -> Key {
                Key::new("n", &parts.iter().map(String::as_str).collect::<Vec<_>>())
            }
            prop_assert_eq!(one == other, key(&one) == key(&other));
            prop_assert!(key(&one).as_str().len() <= LONGEST_KEY);
        }
    }
}
