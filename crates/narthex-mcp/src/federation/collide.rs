//! Names that two things of a merged route would share.
//!
//! 2026-07-28, server/tools#tool-names, leaves it to whoever merges to keep names apart. What a configuration
//! alone shows to collide is found by [`conflicts`] before the route exists; what only the upstreams' lists
//! show, by [`losses`]: then whoever comes first in the configured order has the name, so that no upstream
//! takes another's by adding a tool.

use super::Naming;
use std::collections::HashMap;

/// A thing that is not shown, because its name is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Loss<'a> {
    /// Where in the list it stood.
    pub at: usize,
    /// The name.
    pub name: &'a str,
    /// The upstream that has it: the loser itself where it lists a name twice.
    pub winner: &'a str,
    /// The upstream that does not.
    pub loser: &'a str,
}

/// Which of `shown`, upstream and shown name in order, cannot be had, as one before has the same name. In the
/// order of the list.
pub fn losses<'a>(shown: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Loss<'a>> {
    let mut holders: HashMap<&str, &str> = HashMap::new();
    let mut losses = Vec::new();
    for (at, (loser, name)) in shown.into_iter().enumerate() {
        match holders.get(name) {
            Some(winner) => losses.push(Loss { at, name, winner, loser }),
            None => drop(holders.insert(name, loser)),
        }
    }
    losses
}

/// A name of the operator's choosing for one tool or prompt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Alias<'a> {
    /// The upstream.
    pub upstream: &'a str,
    /// What the upstream calls it.
    pub original: &'a str,
    /// What is shown in the place of the name that it would have.
    pub shown: &'a str,
}

/// Why a configuration's names could not be kept apart, or shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conflict<'a> {
    /// Not a name that can be shown.
    Unfit(Alias<'a>),
    /// One thing has two names.
    Twice(Alias<'a>, Alias<'a>),
    /// Two things have one name.
    Shared(Alias<'a>, Alias<'a>),
    /// The name is one that something of this other upstream would have.
    Foreign(Alias<'a>, &'a str),
    /// What the names of one upstream start with, those of the other may start with too: `a` with `b__c` and
    /// `a__b` with `c` would both be `a__b__c`.
    Prefixes(&'a str, &'a str),
}

/// What of a configuration collides, or may. `upstreams` are ids and prefixes, in order.
#[must_use]
pub fn conflicts<'a>(
    naming: &Naming,
    upstreams: &[(&'a str, &str)],
    aliases: &[Alias<'a>],
) -> Vec<Conflict<'a>> {
    let mut found = Vec::new();
    let prefixes: Vec<_> = upstreams.iter().map(|(id, prefix)| (*id, naming.prefix(prefix))).collect();
    if naming.is_prefixing() {
        for (at, (one, start)) in prefixes.iter().enumerate() {
            let others = prefixes.iter().skip(at + 1);
            let alike = others.filter(|(_, other)| other.starts_with(start) || start.starts_with(other));
            found.extend(alike.map(|(other, _)| Conflict::Prefixes(one, other)));
        }
    }
    let (mut sources, mut names) = (HashMap::new(), HashMap::new());
    for alias in aliases.iter().copied() {
        if !naming.is_fit(alias.shown) {
            found.push(Conflict::Unfit(alias));
        }
        let twice = sources.insert((alias.upstream, alias.original), alias);
        found.extend(twice.map(|first| Conflict::Twice(first, alias)));
        let shared = names.insert(alias.shown, alias);
        found.extend(shared.map(|first| Conflict::Shared(first, alias)));
        if naming.is_prefixing() {
            let others = prefixes.iter().filter(|(id, _)| *id != alias.upstream);
            let foreign = others.filter(|(_, prefix)| alias.shown.starts_with(prefix));
            found.extend(foreign.map(|(id, _)| Conflict::Foreign(alias, id)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naming() -> Naming {
        Naming::new("__", true, false).unwrap()
    }

    fn alias<'a>(upstream: &'a str, original: &'a str, shown: &'a str) -> Alias<'a> {
        Alias { upstream, original, shown }
    }

    #[test]
    fn whoever_comes_first_has_the_name() {
        let shown = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "y"), ("c", "x"), ("c", "z")];
        assert_eq!(
            losses(shown),
            [
                Loss { at: 2, name: "x", winner: "a", loser: "b" },
                Loss { at: 3, name: "y", winner: "a", loser: "a" },
                Loss { at: 4, name: "x", winner: "a", loser: "c" },
            ]
        );
        assert!(losses([]).is_empty());
    }

    #[test]
    fn prefixes_that_start_alike_are_reported_by_the_ids_of_their_upstreams() {
        for (one, other, collide) in [
            ("a", "a__b", true),
            ("a__b", "a", true),
            ("a", "a_", true),
            ("a", "a", true),
            ("a b", "a_b", true),
            ("a", "ab", false),
            ("a", "b", false),
            ("a_b", "a", false),
            (&"p".repeat(60), &format!("{}q", "p".repeat(60)), true),
        ] {
            let found = conflicts(&naming(), &[("one", one), ("other", other)], &[]);
            let expected = if collide { vec![Conflict::Prefixes("one", "other")] } else { Vec::new() };
            assert_eq!(found, expected, "{one} {other}");
        }
        let passing = Naming::new("__", false, false).unwrap();
        assert!(conflicts(&passing, &[("one", "a"), ("other", "a__b")], &[]).is_empty());
    }

    #[test]
    fn aliases_that_cannot_be_kept_apart_are_reported() {
        let upstreams = [("gh", "gh"), ("jira", "jira")];
        let fine =
            [alias("gh", "new", "create"), alias("gh", "old", "gh__older"), alias("jira", "new", "open")];
        assert!(conflicts(&naming(), &upstreams, &fine).is_empty());
        let (one, other) = (alias("gh", "new", "create"), alias("jira", "open", "create"));
        assert_eq!(conflicts(&naming(), &upstreams, &[one, other]), [Conflict::Shared(one, other)]);
        let again = alias("gh", "new", "make");
        assert_eq!(conflicts(&naming(), &upstreams, &[one, again]), [Conflict::Twice(one, again)]);
        let foreign = alias("gh", "new", "jira__new");
        assert_eq!(conflicts(&naming(), &upstreams, &[foreign]), [Conflict::Foreign(foreign, "jira")]);
        let long = "x".repeat(65);
        for shown in ["", "a b", "a/b", &long] {
            let unfit = alias("gh", "new", shown);
            assert_eq!(conflicts(&naming(), &upstreams, &[unfit]), [Conflict::Unfit(unfit)]);
        }
    }

    proptest! {
        #[test]
        fn what_is_left_has_each_name_once(
            shown in prop::collection::vec(("[ab]", "[a-d]{1,2}"), 0..20),
        ) {
            let list: Vec<_> = shown.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
            let lost = losses(list.iter().copied());
            let is_lost = |at: usize| lost.iter().any(|loss| loss.at == at);
            let left: Vec<_> = (0..list.len()).filter(|at| !is_lost(*at)).map(|at| list[at].1).collect();
            let distinct: std::collections::BTreeSet<_> = list.iter().map(|(_, name)| name).collect();
            prop_assert_eq!(left.len(), distinct.len());
            for loss in lost {
                let first = list.iter().find(|(_, name)| *name == loss.name).unwrap();
                prop_assert_eq!((loss.winner, loss.loser), (first.0, list[loss.at].0));
            }
        }

        /// Whatever the upstreams call their tools.
        #[test]
        fn upstreams_that_are_not_reported_never_share_a_name(
            one in "[a_]{1,4}", other in "[a_]{1,4}", names in prop::array::uniform2("[a_]{0,6}"),
        ) {
            let naming = naming();
            let found = conflicts(&naming, &[("1", &one), ("2", &other)], &[]);
            let shown = [naming.shown(&one, &names[0]), naming.shown(&other, &names[1])];
            prop_assert!(!found.is_empty() || shown[0] != shown[1], "{:?}", shown);
        }
    }
}
