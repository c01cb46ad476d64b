//! `upstream:`, `upstreams:` and `names:` of a route.

use super::{Check, Names};
use crate::diagnostic::Finding;
use crate::grammar::{self, Name, Prefix};
use crate::model::{Merged, Names as Naming, Target, UpstreamId};
use crate::yaml::{Field, Span};
use std::collections::BTreeMap;

/// Between prefix and name, if nothing else is said.
const SEPARATOR: &str = "__";
const MAX_UPSTREAMS: usize = 256;
const MAX_SEPARATOR: usize = 4;
const MAX_PREFIX: usize = 32;

/// An upstream of a merged route, and where it is listed.
type Listed = (UpstreamId, Span);

impl Check<'_> {
    pub(super) fn target(&self, given: &grammar::Route, at: Span, names: &Names) -> Option<Target> {
        if let (Some(one), Some(several)) = (given.upstream.span(), given.upstreams.span()) {
            let message = "a route has either an `upstream` or `upstreams`";
            self.report.add(Finding::error(several, message).related(one, "`upstream` is here"));
            return None;
        }
        if !given.upstreams.is_absent() {
            return self.merged(given, names).map(Target::Merged);
        }
        if let Some(at) = given.names.span() {
            let help = "remove it; `expose: { rename: … }` gives a tool another name";
            self.report.error_with_help(at, "`names` goes with `upstreams`, and there are none", help);
        }
        if given.upstream.is_absent() {
            let help = "add `upstream: name`, or `upstreams: [one, other]`";
            self.report.error_with_help(at, "`upstream` is missing", help);
        }
        let (at, name) = (given.upstream.span()?, given.upstream.get()?);
        let known = self.refers("upstream", name, at, &names.upstreams);
        known.then(|| Target::One(UpstreamId::from(name.0.as_str())))
    }

    fn merged(&self, given: &grammar::Route, names: &Names) -> Option<Merged> {
        let (at, items) = (given.upstreams.span()?, given.upstreams.get()?);
        if items.is_empty() {
            self.report.error_with_help(at, "a route without an upstream", "name one at least");
        }
        if items.len() > MAX_UPSTREAMS {
            self.report.error(at, format!("more than {MAX_UPSTREAMS} upstreams on one route"));
            return None;
        }
        let listed = self.listed(items, names);
        let absent = grammar::Names::default();
        let naming = given.names.get().map_or(&absent, |names| &**names);
        let prefixing = !matches!(naming.prefix.get(), Some(Prefix::None));
        let separator = self.separator(&naming.separator, prefixing);
        let aliases = self.aliases(naming, prefixing, &listed);
        if prefixing {
            self.distinct_prefixes(&listed, &aliases, &separator);
        }
        let aliases = aliases.into_iter().map(|(id, (alias, _))| (id, alias)).collect();
        Some(Merged {
            upstreams: listed.into_iter().map(|(id, _)| id).collect(),
            names: Naming { prefixing, separator, aliases },
        })
    }

    fn listed(&self, items: &[Field<Name>], names: &Names) -> Vec<Listed> {
        let mut listed: Vec<Listed> = Vec::new();
        for (at, name) in items.iter().filter_map(|item| Some((item.span()?, item.get()?))) {
            if let Some((_, first)) = listed.iter().find(|(id, _)| id.as_str() == name.0) {
                let finding = Finding::error(at, format!("upstream `{}` is listed twice", name.0));
                self.report.add(finding.related(*first, "it is first listed here"));
            } else if self.refers("upstream", name, at, &names.upstreams) {
                listed.push((UpstreamId::from(name.0.as_str()), at));
            }
        }
        listed
    }

    fn separator(&self, field: &Field<String>, prefixing: bool) -> String {
        let (Some(at), Some(text)) = (field.span(), field.get()) else {
            return SEPARATOR.to_owned();
        };
        let legal = |c: char| is_plain(c) || c == '.';
        if !(1..=MAX_SEPARATOR).contains(&text.len()) || !text.chars().all(legal) {
            self.report.error(at, "a separator is 1 to 4 letters, digits, `_`, `-` or `.`");
        }
        if !prefixing {
            let message = "`separator` goes with prefixes, and `prefix: none` leaves them out";
            self.report.error_with_help(at, message, "remove one of them");
        }
        text.clone()
    }

    /// The prefixes that are not an upstream's name, and where they are.
    fn aliases(
        &self,
        naming: &grammar::Names,
        prefixing: bool,
        listed: &[Listed],
    ) -> BTreeMap<UpstreamId, (String, Span)> {
        let mut aliases = BTreeMap::new();
        if let (Some(at), false) = (naming.aliases.span(), prefixing) {
            let message = "`aliases` are prefixes, and `prefix: none` leaves them out";
            self.report.error_with_help(at, message, "remove one of them");
            return aliases;
        }
        let known: Vec<String> = listed.iter().map(|(id, _)| id.as_str().to_owned()).collect();
        for entry in naming.aliases.get().into_iter().flat_map(|aliases| &aliases.0) {
            if !known.contains(&entry.key.0) {
                let message = format!("upstream `{}` is not on this route", entry.key.0);
                self.report.error_with_help(entry.at, message, "add it to `upstreams`, or remove its alias");
                continue;
            }
            let (Some(at), Some(alias)) = (entry.value.span(), entry.value.get()) else { continue };
            aliases.insert(UpstreamId::from(entry.key.0.as_str()), (alias.clone(), at));
        }
        aliases
    }

    /// Reports prefixes that no name may begin with, and those by which two tools of two upstreams could have
    /// one name: `a` with `b__c` and `a__b` with `c` would both be `a__b__c`.
    fn distinct_prefixes(
        &self,
        listed: &[Listed],
        aliases: &BTreeMap<UpstreamId, (String, Span)>,
        separator: &str,
    ) {
        let mut before: Vec<(String, &UpstreamId, Span)> = Vec::new();
        for (id, at) in listed {
            let (prefix, at) = aliases.get(id).map_or((id.as_str(), *at), |(alias, at)| (alias, *at));
            if !(1..=MAX_PREFIX).contains(&prefix.len()) || !prefix.chars().all(is_plain) {
                let message =
                    format!("`{prefix}` cannot be a prefix: it is not 1 to 32 letters, digits, `_` and `-`");
                let help = format!("give it another: `names: {{ aliases: {{ {id}: short }} }}`");
                self.report.error_with_help(at, message, help);
                continue;
            }
            let start = format!("{prefix}{separator}");
            let alike =
                before.iter().find(|(other, ..)| other.starts_with(&start) || start.starts_with(other));
            if let Some((_, other, first)) = alike {
                let message =
                    format!("tools of `{id}` and `{other}` could have the same name, by their prefixes");
                let finding =
                    Finding::error(at, message).related(*first, format!("that of `{other}` is here"));
                self.report.add(finding.help("give one of them another, under `names: { aliases: … }`"));
            }
            before.push((start, id, at));
        }
    }
}

/// Whether every client takes it in a name.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}
