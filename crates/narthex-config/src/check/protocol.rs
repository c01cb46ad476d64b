//! `upstreams.*.protocol`.

use super::Check;
use crate::grammar::{self, Revision};
use crate::model::{LegacyRevision, Protocol};
use crate::yaml::{Field, Span};

impl Check<'_> {
    pub(super) fn protocol(&self, field: &Field<grammar::Protocol>) -> Protocol {
        let (Some(at), Some(given)) = (field.span(), field.get()) else {
            return Protocol::Auto;
        };
        match given {
            grammar::Protocol::Auto => Protocol::Auto,
            grammar::Protocol::Revision(revision) => spoken(&[*revision]),
            grammar::Protocol::List(revisions) => self.revisions(revisions, at),
        }
    }

    fn revisions(&self, given: &[Field<Revision>], at: Span) -> Protocol {
        if given.is_empty() {
            self.report.error_with_help(at, "a server that speaks nothing", "leave it out to find out");
        }
        let mut listed = Vec::new();
        for (at, revision) in given.iter().filter_map(|item| Some((item.span()?, *item.get()?))) {
            if listed.contains(&revision) {
                self.report.error(at, "this revision is listed twice");
            }
            if revision == Revision::HttpSse && given.len() > 1 {
                let help = "a server with both transports needs the newer one only: leave `2024-11-05` out";
                self.report.error_with_help(at, "`2024-11-05` (HTTP+SSE) stands alone", help);
            }
            listed.push(revision);
        }
        spoken(&listed)
    }
}

/// What a server speaks that speaks these.
fn spoken(revisions: &[Revision]) -> Protocol {
    let modern = revisions.contains(&Revision::Modern);
    match (modern, newest_legacy(revisions)) {
        (true, Some(legacy)) => Protocol::Both(legacy),
        (true, None) => Protocol::Modern,
        (false, Some(legacy)) => Protocol::Legacy(legacy),
        (false, None) if revisions.contains(&Revision::HttpSse) => Protocol::HttpSse,
        (false, None) => Protocol::Auto,
    }
}

fn newest_legacy(revisions: &[Revision]) -> Option<LegacyRevision> {
    let legacy = revisions.iter().filter_map(|revision| match revision {
        Revision::Legacy(revision) => Some(*revision),
        Revision::Modern | Revision::HttpSse => None,
    });
    legacy.max()
}
