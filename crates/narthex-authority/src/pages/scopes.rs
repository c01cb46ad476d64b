//! What scopes mean, in words.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// What scopes mean: what the operator wrote (`auth.authority.scopes`), and the common ones.
#[derive(Clone, Debug, Default)]
pub struct ScopeWords {
    configured: BTreeMap<String, String>,
}

impl ScopeWords {
    /// Words of the operator's own, which win over the common ones.
    #[must_use]
    pub fn new(configured: BTreeMap<String, String>) -> Self {
        Self { configured }
    }

    /// What `scope` lets somebody do. A scope that nobody explained is shown by its name.
    #[must_use]
    pub fn of<'a>(&'a self, scope: &str) -> Cow<'a, str> {
        if let Some(words) = self.configured.get(scope) {
            return Cow::Borrowed(words);
        }
        match COMMON.iter().find(|(name, _)| *name == scope) {
            Some((_, words)) => Cow::Borrowed(*words),
            None => Cow::Owned(guess(scope)),
        }
    }
}

/// Scopes that mean the same everywhere.
const COMMON: [(&str, &str); 12] = [
    ("mcp", "Use the tools on your behalf"),
    ("mcp:read", "See what the tools offer and read data with them"),
    ("mcp:write", "Change data with the tools"),
    ("mcp:tools", "Run tools on your behalf"),
    ("mcp:resources", "Read the resources that the servers offer"),
    ("mcp:prompts", "Use the prompts that the servers offer"),
    ("mcp:admin", "Administer the servers"),
    ("offline_access", "Stay connected while you are away"),
    ("openid", "Know who you are"),
    ("profile", "See your name"),
    ("email", "See your e-mail address"),
    ("groups", "See which groups you are in"),
];

/// `repo:read` → `Read access: repo`. Only verbs that say plainly what they are.
fn guess(scope: &str) -> String {
    let kinds = [
        ("read", "Read access"),
        ("write", "Read and change"),
        ("admin", "Administer"),
        ("delete", "Delete"),
    ];
    for (verb, words) in kinds {
        for separator in [':', '.'] {
            if let Some(thing) = scope.strip_suffix(verb).and_then(|rest| rest.strip_suffix(separator))
                && !thing.is_empty()
            {
                return format!("{words}: {thing}");
            }
        }
    }
    String::from("A permission that its server has not explained")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_words_win_over_the_common_ones() {
        let own = BTreeMap::from([(String::from("mcp:read"), String::from("Look up orders"))]);
        let words = ScopeWords::new(own);
        assert_eq!(words.of("mcp:read"), "Look up orders");
        assert_eq!(words.of("mcp:write"), "Change data with the tools");
        assert_eq!(words.of("repo:read"), "Read access: repo");
        assert_eq!(words.of("orders.write"), "Read and change: orders");
        for odd in ["x", ":read", "read", "spread"] {
            assert!(words.of(odd).contains("not explained"), "{odd}");
        }
    }
}
