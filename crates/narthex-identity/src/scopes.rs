//! The scope hierarchy: holding one scope may include others.

use narthex_config::model::ScopeName;
use std::collections::BTreeMap;

/// `auth.scope_hierarchy`, followed to its ends.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Hierarchy {
    /// All that a scope includes, directly or not.
    includes: BTreeMap<ScopeName, Vec<ScopeName>>,
}

impl Hierarchy {
    pub(crate) fn new(direct: &BTreeMap<ScopeName, Vec<ScopeName>>) -> Self {
        let includes = direct.keys().map(|scope| (scope.clone(), reachable(direct, scope))).collect();
        Self { includes }
    }

    /// The scopes and all that they include, sorted, each once.
    pub(crate) fn expand(&self, mut scopes: Vec<ScopeName>) -> Vec<ScopeName> {
        for at in 0..scopes.len() {
            if let Some(included) = self.includes.get(&scopes[at]) {
                scopes.extend_from_slice(included);
            }
        }
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }
}

fn reachable(direct: &BTreeMap<ScopeName, Vec<ScopeName>>, from: &ScopeName) -> Vec<ScopeName> {
    let mut found: Vec<ScopeName> = direct.get(from).cloned().unwrap_or_default();
    let mut next = 0;
    // The configuration has no cycles; if it had, a scope already found would end them.
    while let Some(scope) = found.get(next).cloned() {
        for included in direct.get(&scope).into_iter().flatten() {
            if !found.contains(included) {
                found.push(included.clone());
            }
        }
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(scopes: &[&str]) -> Vec<ScopeName> {
        scopes.iter().map(|scope| ScopeName::from(*scope)).collect()
    }

    fn hierarchy(direct: &[(&str, &[&str])]) -> Hierarchy {
        Hierarchy::new(&direct.iter().map(|(scope, of)| (ScopeName::from(*scope), names(of))).collect())
    }

    #[test]
    fn a_scope_includes_what_its_parts_include() {
        let hierarchy = hierarchy(&[("admin", &["write", "audit"]), ("write", &["read"])]);
        assert_eq!(hierarchy.expand(names(&["admin"])), names(&["admin", "audit", "read", "write"]));
        assert_eq!(hierarchy.expand(names(&["write", "x", "write"])), names(&["read", "write", "x"]));
        assert_eq!(hierarchy.expand(names(&["read"])), names(&["read"]));
    }

    #[test]
    fn a_cycle_ends() {
        let hierarchy = hierarchy(&[("a", &["b"]), ("b", &["a"])]);
        assert_eq!(hierarchy.expand(names(&["a"])), names(&["a", "b"]));
    }
}
