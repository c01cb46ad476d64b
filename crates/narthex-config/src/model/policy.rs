//! Tenants, tool rules and limits.

use super::{RouteId, ScopeName, Shown};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

/// One tenant.
#[derive(Clone, Debug, Default)]
pub struct Tenant {
    /// Routes that its callers may use. Default: none.
    pub routes: BTreeSet<RouteId>,
    /// Limits over all of the tenant's routes.
    pub limits: Option<Limits>,
    /// `expose:` what of a route's tools, prompts and resources its callers may use, besides what the route
    /// itself shows.
    pub expose: BTreeMap<RouteId, Shown>,
}

/// `limits:` of a tenant, a route or a tool rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// `requests: 600/1m`.
    pub requests: Option<Rate>,
    /// `burst:` how many may come at once. Default: the count of `requests`.
    pub burst: Option<NonZeroU32>,
    /// `concurrent:` calls in flight at one time.
    pub concurrent: Option<NonZeroU32>,
    /// `per:` whom the numbers are counted for.
    pub per: Per,
}

/// So many in so much time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// Requests per window.
    pub count: NonZeroU32,
    /// The window; never zero.
    pub window: Duration,
}

/// Whom a limit is counted for. Every kind is counted within one tenant.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Per {
    /// All of the tenant's callers together.
    #[default]
    Tenant,
    /// Each subject (`sub`).
    Subject,
    /// Each OAuth client (`client_id` or `azp`).
    Client,
    /// Each tool name.
    Tool,
}

/// An entry of a route's `tools:`.
#[derive(Clone, Debug)]
pub struct ToolRule {
    /// `match:` the tools it is about; never empty.
    pub patterns: Vec<ToolPattern>,
    /// `scopes:` needed in addition to the route's.
    pub scopes: BTreeSet<ScopeName>,
    /// `deny: true`: the tool is hidden from lists and unknown when called.
    pub deny: bool,
    /// `limits:` for calls of these tools.
    pub limits: Option<Limits>,
}

/// A tool name or a pattern in which `*` stands for any run of characters (also none).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ToolPattern(String);

impl ToolPattern {
    /// A pattern; any text is one.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether some name matches that begins with `prefix` and goes on.
    #[must_use]
    pub fn may_match(&self, prefix: &str) -> bool {
        let literal = self.0.split('*').next().unwrap_or_default();
        if literal.len() == self.0.len() {
            return literal.len() > prefix.len() && literal.starts_with(prefix);
        }
        literal.starts_with(prefix) || prefix.starts_with(literal)
    }

    /// Whether every name matches that begins with `prefix`.
    #[must_use]
    pub fn matches_all(&self, prefix: &str) -> bool {
        // What matches the beginning matches all that follows, if anything may follow.
        self.0.ends_with('*') && self.matches(prefix)
    }

    /// Whether `name` matches, case-sensitively.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut text) = (self.0.as_bytes(), name.as_bytes());
        // The last star seen, and the text from which it is to swallow one byte more.
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern.split_first(), text.split_first()) {
                (Some((b'*', rest)), _) => {
                    retry = Some((rest, text));
                    pattern = rest;
                }
                (Some((p, rest)), Some((t, more))) if p == t => (pattern, text) = (rest, more),
                (None, None) => return true,
                _ => {
                    let Some((after_star, [_, more @ ..])) = retry else {
                        return false;
                    };
                    retry = Some((after_star, more));
                    (pattern, text) = (after_star, more);
                }
            }
        }
    }
}
