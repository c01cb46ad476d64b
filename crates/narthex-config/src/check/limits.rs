//! `limits:` of tenants, routes and tool rules.

use super::Check;
use crate::grammar;
use crate::model::Limits;
use crate::yaml::Field;

impl Check<'_> {
    pub(super) fn limits(&self, field: &Field<grammar::Limits>) -> Option<Limits> {
        let (at, limits) = (field.span()?, field.get()?);
        if limits.requests.is_absent() && limits.concurrent.is_absent() {
            let help = "give `requests: 600/1m`, `concurrent: 64`, or both";
            self.report.error_with_help(at, "these limits limit nothing", help);
        }
        if let Some(at) = limits.burst.span()
            && limits.requests.is_absent()
        {
            self.report.error_with_help(at, "`burst` needs `requests`", "add `requests: 600/1m`");
        }
        Some(Limits {
            requests: limits.requests.get().map(|requests| requests.0),
            burst: limits.burst.get().map(|burst| burst.0),
            concurrent: limits.concurrent.get().map(|concurrent| concurrent.0),
            per: limits.per.get().map(|per| per.0).unwrap_or_default(),
        })
    }
}
