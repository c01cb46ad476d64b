//! What a route shows of its upstreams, under which names.

use super::{ToolPattern, UpstreamId};
use std::collections::BTreeMap;

/// The tool with which a user connects an upstream.
const CONNECT: &str = "connect";

/// Where calls on a route go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// `upstream:` one server; its names are shown as they are.
    One(UpstreamId),
    /// `upstreams:` several, merged.
    Merged(Merged),
}

impl Target {
    /// The upstreams, in the order of the configuration; at least one.
    #[must_use]
    pub fn upstreams(&self) -> &[UpstreamId] {
        match self {
            Self::One(upstream) => std::slice::from_ref(upstream),
            Self::Merged(merged) => &merged.upstreams,
        }
    }
}

impl Target {
    /// What the names of an upstream's tools and prompts begin with, where there are prefixes.
    #[must_use]
    pub fn prefix_of<'t>(&'t self, upstream: &'t UpstreamId) -> &'t str {
        match self {
            Self::One(_) => "",
            Self::Merged(merged) => merged.names.prefix(upstream),
        }
    }
}

impl Target {
    /// The name of the tool with which a user connects an upstream that wants each user's consent, unless it is
    /// renamed; and what the names of all its tools begin with.
    #[must_use]
    pub fn connecting(&self, upstream: &UpstreamId) -> (String, String) {
        match self {
            Self::One(_) => (CONNECT.to_owned(), String::new()),
            Self::Merged(Merged { names, .. }) if names.prefixing => {
                let prefix = format!("{}{}", names.prefix(upstream), names.separator);
                (format!("{prefix}{CONNECT}"), prefix)
            }
            // It has a prefix nevertheless: several may want to be connected.
            Self::Merged(Merged { names, .. }) => {
                (format!("{}__{CONNECT}", names.prefix(upstream)), String::new())
            }
        }
    }
}

/// Several upstreams on one route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Merged {
    /// In order; at least one, none twice. Where a name or URI is ambiguous, the first has it.
    pub upstreams: Vec<UpstreamId>,
    /// `names:` how their tools and prompts are named.
    pub names: Names,
}

/// `names:` of a merged route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    /// `prefix: upstream` (default): names begin with the upstream's. `prefix: none`: they stay as they are.
    pub prefixing: bool,
    /// `separator:` between prefix and name. Default `__`.
    pub separator: String,
    /// `aliases:` prefixes other than the upstream's own name.
    pub aliases: BTreeMap<UpstreamId, String>,
}

impl Names {
    /// What the names of this upstream's tools and prompts begin with, before the separator.
    #[must_use]
    pub fn prefix<'a>(&'a self, upstream: &'a UpstreamId) -> &'a str {
        self.aliases.get(upstream).map_or(upstream.as_str(), String::as_str)
    }
}

/// `expose:` of a route.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Expose {
    /// Which tools, prompts and resources there are.
    pub shown: Shown,
    /// `rename:` other names, by the name that a tool would have without it.
    pub rename: BTreeMap<String, String>,
    /// `describe:` other descriptions, by the name that the tool has in the end.
    pub describe: BTreeMap<String, String>,
}

/// `expose:` of a tenant for a route, or the part of a route's that is of the same kind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Shown {
    /// `include:`, `exclude:` by the name that a tool has in the end.
    pub tools: Selection,
    /// `prompts:` by the name that a prompt has in the end.
    pub prompts: Selection,
    /// `resources:` by URI (or URI template).
    pub resources: Selection,
}

/// Some of many, by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// Only what matches one of these. `None`: everything.
    pub include: Option<Vec<ToolPattern>>,
    /// But nothing that matches one of these.
    pub exclude: Vec<ToolPattern>,
}

impl Selection {
    /// Whether `name` is among them.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let matches = |patterns: &[ToolPattern]| patterns.iter().any(|pattern| pattern.matches(name));
        self.include.as_ref().is_none_or(|include| matches(include)) && !matches(&self.exclude)
    }

    /// Whether any name may be among them that begins with `prefix`, so that `one`, which stands for all of these, may
    /// be: unless it is excluded itself.
    #[must_use]
    pub fn has_any(&self, prefix: &str, one: &str) -> bool {
        let includes = |pattern: &ToolPattern| pattern.may_match(prefix) || pattern.matches(one);
        let excludes = |pattern: &ToolPattern| pattern.matches_all(prefix) || pattern.as_str() == one;
        self.include.as_ref().is_none_or(|include| include.iter().any(includes))
            && !self.exclude.iter().any(excludes)
    }

    /// Whether it is everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.include.is_none() && self.exclude.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(patterns: &[&str]) -> Vec<ToolPattern> {
        patterns.iter().map(|pattern| ToolPattern::new(pattern)).collect()
    }

    #[test]
    fn what_stands_for_all_is_there_if_any_may_be() {
        for (include, exclude, there) in [
            (None, &[][..], true),
            (None, &["docs__*"], true),
            (None, &["gh__*"], false),
            (None, &["gh*"], false),
            (None, &["*"], false),
            (None, &["gh__create_*"], true),
            (None, &["*__connect"], true),
            (None, &["gh__connect"], false),
            (Some(&["docs__*"][..]), &[], false),
            (Some(&["gh__create_issue"]), &[], true),
            (Some(&["gh__"]), &[], false),
            (Some(&["gh"]), &[], false),
            (Some(&["g*"]), &[], true),
            (Some(&["*_issue"]), &[], true),
            (Some(&["gh__*"]), &["gh__*"], false),
            (Some(&[]), &[], false),
        ] {
            let selection = Selection { include: include.map(patterns), exclude: patterns(exclude) };
            assert_eq!(selection.has_any("gh__", "gh__connect"), there, "{include:?} {exclude:?}");
        }
    }

    #[test]
    fn without_prefixes_anything_may_be_the_upstreams() {
        for (include, there) in [(&["read_*"][..], true), (&["echo"], true), (&[], false)] {
            let selection = Selection { include: Some(patterns(include)), exclude: Vec::new() };
            assert_eq!(selection.has_any("", "connect"), there, "{include:?}");
        }
    }
}
