//! Names and patterns that nothing on a route can have: on a merged route all names begin with a prefix, and a
//! renamed tool has its old name no longer.

use super::Check;
use crate::diagnostic::Finding;
use crate::grammar::{self, Name};
use crate::model::{Route, RouteId, Target, ToolPattern};
use crate::yaml::{Field, Named, one_of};
use std::collections::{BTreeMap, BTreeSet};

/// Which names there can be on a route.
struct Reach<'r> {
    /// What each upstream's names begin with; `None`: with anything.
    starts: Option<Vec<(&'r str, String)>>,
    separator: &'r str,
    /// Tools that have another name, and which.
    renamed: &'r BTreeMap<String, String>,
    /// The names that they have.
    new: BTreeSet<&'r str>,
}

/// Whose names are meant.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Tools,
    Prompts,
}

impl Check<'_> {
    /// Warns of what the grammar's form of `route` says about things that cannot be there.
    pub(super) fn reach(&self, given: &grammar::Route, route: &Route) {
        let reach = Reach::of(route);
        for rule in given.tools.get().into_iter().flatten().filter_map(Field::get) {
            self.reaches(&rule.r#match, &reach, Of::Tools);
        }
        let Some(expose) = given.expose.get() else { return };
        self.reaches(&expose.include, &reach, Of::Tools);
        self.reaches(&expose.exclude, &reach, Of::Tools);
        self.prompts_reach(&expose.prompts, &reach);
        for entry in expose.rename.get().into_iter().flat_map(|renames| &renames.0) {
            match reach.upstream_of(&entry.key) {
                Ok(upstream) => self.foreign(&entry.value, &reach, upstream),
                Err(help) => self.report.warn(entry.at, no_tool(&entry.key), help),
            }
        }
        for entry in expose.describe.get().into_iter().flat_map(|described| &described.0) {
            if let Some(help) = reach.missed(&entry.key, Of::Tools) {
                self.report.warn(entry.at, no_tool(&entry.key), help);
            }
        }
    }

    /// The same of what tenants are shown.
    pub(super) fn tenants_reach(
        &self,
        field: &Field<Named<Name, grammar::Tenant>>,
        routes: &BTreeMap<RouteId, Route>,
    ) {
        let tenants = field.get().into_iter().flat_map(|tenants| &tenants.0);
        let exposing = tenants.filter_map(|entry| entry.value.get()?.expose.get());
        for entry in exposing.flat_map(|exposed| &exposed.0) {
            let Some(route) = routes.get(entry.key.0.as_str()) else { continue };
            let Some(shown) = entry.value.get() else { continue };
            let reach = Reach::of(route);
            self.reaches(&shown.include, &reach, Of::Tools);
            self.reaches(&shown.exclude, &reach, Of::Tools);
            self.prompts_reach(&shown.prompts, &reach);
        }
    }

    fn prompts_reach(&self, field: &Field<grammar::Selection>, reach: &Reach<'_>) {
        if let Some(prompts) = field.get() {
            self.reaches(&prompts.include, reach, Of::Prompts);
            self.reaches(&prompts.exclude, reach, Of::Prompts);
        }
    }

    fn reaches(&self, patterns: &Field<Vec<Field<String>>>, reach: &Reach<'_>, of: Of) {
        let patterns = patterns.get().into_iter().flatten();
        for (at, pattern) in patterns.filter_map(|item| Some((item.span()?, item.get()?))) {
            // An empty one is an error.
            if let Some(help) = reach.missed(pattern, of).filter(|_| !pattern.is_empty()) {
                self.report.warn(at, format!("nothing on this route matches `{pattern}`"), help);
            }
        }
    }

    /// Reports a new name that a tool of another upstream may have as it is.
    fn foreign(&self, new: &Field<String>, reach: &Reach<'_>, upstream: Option<&str>) {
        let (Some(at), Some(name)) = (new.span(), new.get()) else { return };
        let mut others = reach.starts.iter().flatten().filter(|(id, _)| Some(*id) != upstream);
        if let Some((id, start)) = others.find(|(_, start)| name.starts_with(start)) {
            let message = format!("`{name}` is the name of a tool of another upstream, `{id}`");
            let finding = Finding::error(at, message);
            self.report.add(finding.help(format!("take one that does not begin with `{start}`")));
        }
    }
}

fn no_tool(name: &str) -> String {
    format!("no tool on this route has the name `{name}`")
}

impl<'r> Reach<'r> {
    fn of(route: &'r Route) -> Self {
        let names = match &route.target {
            Target::Merged(merged) if merged.names.prefixing => Some(&merged.names),
            _ => None,
        };
        let start = |id| names.map(|names| (names.prefix(id), &names.separator));
        let starts = route
            .target
            .upstreams()
            .iter()
            .map(|id| start(id).map(|(prefix, separator)| (id.as_str(), format!("{prefix}{separator}"))));
        let renamed = &route.expose.rename;
        Self {
            starts: starts.collect(),
            separator: names.map_or("", |names| &names.separator),
            renamed,
            new: renamed.values().map(String::as_str).collect(),
        }
    }

    /// How to put right a name or pattern that nothing can match.
    fn missed(&self, pattern: &str, of: Of) -> Option<String> {
        if of == Of::Tools {
            let glob = ToolPattern::new(pattern);
            let names_new = || pattern.contains('*') && self.new.iter().any(|name| glob.matches(name));
            if self.new.contains(pattern) || names_new() {
                return None;
            }
            if let Some(new) = self.renamed.get(pattern) {
                return Some(format!("did you mean `{new}`, to which it is renamed?"));
            }
        }
        let starts = self.starts.as_ref()?;
        let misses = !starts.iter().any(|(_, start)| may_begin_with(pattern, start));
        misses.then(|| format!("did you mean `*{}{pattern}`?", self.separator))
    }

    /// The upstream whose tool would be called `name`, where names tell; else what they begin with.
    fn upstream_of(&self, name: &str) -> Result<Option<&'r str>, String> {
        let Some(starts) = &self.starts else { return Ok(None) };
        let found = starts.iter().find(|(_, start)| name.starts_with(start));
        found.map(|(id, _)| Some(*id)).ok_or_else(|| {
            let starts: Vec<&str> = starts.iter().map(|(_, start)| start.as_str()).take(20).collect();
            format!("names begin with {}", one_of(&starts))
        })
    }
}

/// Whether something that begins with `start` can match `pattern`.
fn may_begin_with(pattern: &str, start: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, _)) => head.starts_with(start) || start.starts_with(head),
        None => pattern.starts_with(start),
    }
}

#[cfg(test)]
mod tests {
    use super::may_begin_with;

    #[test]
    fn a_pattern_may_match_a_name_with_a_prefix_or_cannot() {
        for pattern in ["*", "g*", "gh__*", "gh__create_*", "gh__x", "*create", "gh*x", "gh_*"] {
            assert!(may_begin_with(pattern, "gh__"), "{pattern}");
        }
        for pattern in ["create_*", "x", "gh", "gh_", "ghx*", "h*", "GH__*", ""] {
            assert!(!may_begin_with(pattern, "gh__"), "{pattern}");
        }
    }
}
