//! How a page of a merged list is put together.

use super::kept::Page;
use super::list::{Holders, Seen, may_show};
use super::parts::{DEGRADED, Parts, server_info, signed};
use super::route::Merged;
use crate::bridge::link::Ways;
use narthex_config::model::UpstreamId;
use narthex_mcp::bridge::Object;
use narthex_mcp::federation::cursor::{Kind, Position};
use std::sync::Arc;
use std::time::Duration;

/// Bytes from which on a page is full.
const FULL: usize = 4 << 20;
/// Ends a result, and the response with it.
pub(super) const END: &str = "}}";
/// Longest time for which clients of 2026-07-28 may keep a list.
const LONGEST_TTL: Duration = Duration::from_secs(300);

/// The page behind a position; `None`: what it stands for is gone.
pub(super) fn make(
    merged: &Merged,
    ways: &Ways,
    kind: Kind,
    modern: bool,
    position: Option<&Position>,
    seen: &Seen<'_, '_>,
) -> Option<Page> {
    let from = position.map_or(Some(0), |position| merged.index_of(position.upstream()))?;
    let mut draft = Draft { text: front(kind), items: 0, last: None, ttl: LONGEST_TTL, public: true };
    let holders = Holders::of(merged, kind, seen);
    let mut full = false;
    for (part, view) in seen.there() {
        draft.public &= view.public;
        draft.ttl = view.ttl.map_or(draft.ttl, |ttl| draft.ttl.min(ttl));
        if part.number < from || full {
            continue;
        }
        let list = view.list(kind);
        let start = match position {
            // If its upstream is gone for now, what comes after it is not.
            Some(position) if part.number == from => list.position(|key| position.is_after(key))? + 1,
            _ => 0,
        };
        let items = list.items.iter().skip(start).filter(|item| may_show(ways, kind, item));
        let items = items.filter(|item| holders.may_show(part, &item.name));
        let items = items.filter_map(|item| Some((&item.key, item.text(modern)?)));
        full = draft.fill(&part.member.id, items, merged.page_size);
    }
    Some(draft.finish(full, seen.parts, merged, ways, modern))
}

fn front(kind: Kind) -> String {
    ["{\"", kind.member(), "\":["].concat()
}

struct Draft<'m> {
    /// The result so far: up to the last item.
    text: String,
    items: usize,
    /// Upstream and key of the last item.
    last: Option<(&'m UpstreamId, Arc<str>)>,
    ttl: Duration,
    public: bool,
}

impl<'m> Draft<'m> {
    /// Takes items of one upstream in. Whether there was not room for all of them.
    fn fill<'i>(
        &mut self,
        upstream: &'m UpstreamId,
        items: impl Iterator<Item = (&'i Arc<str>, &'i str)>,
        most: usize,
    ) -> bool {
        for (key, text) in items {
            if self.items >= most || self.text.len() > FULL {
                return true;
            }
            if self.items > 0 {
                self.text.push(',');
            }
            self.text.push_str(text);
            self.items += 1;
            self.last = Some((upstream, Arc::clone(key)));
        }
        false
    }

    /// The page. What is kept for all is only what all may see, all of it (2026-07-28, server/utilities/caching).
    fn finish(mut self, full: bool, parts: &Parts<'_>, merged: &Merged, ways: &Ways, modern: bool) -> Page {
        let mut rest = Object::default();
        let info = server_info(merged);
        let mut meta = signed(info.as_ref().filter(|_| modern));
        if modern {
            let whole = parts.degraded.is_empty();
            let public = self.public && whole && !ways.door.policy.hides_anything(&ways.caller.tenant);
            let ttl = if whole { self.ttl } else { Duration::ZERO };
            rest.set_string("resultType", "complete");
            rest.set_number("ttlMs", u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            rest.set_string("cacheScope", if public { "public" } else { "private" });
        }
        if !parts.degraded.is_empty() {
            let names: Vec<&str> = parts.degraded.iter().map(|id| id.as_str()).collect();
            meta.set_json(DEGRADED, serde_json::json!(names).to_string());
        }
        if !meta.is_empty() {
            rest.set_object("_meta", &meta);
        }
        self.text.push(']');
        // Without the braces: there may be one more member.
        let rest = rest.to_json();
        let members = rest.get(1..rest.len() - 1).unwrap_or_default();
        if !members.is_empty() {
            self.text.push(',');
            self.text.push_str(members);
        }
        let last = self.last.filter(|_| full).map(|(upstream, after)| (upstream.clone(), after));
        if last.is_none() {
            self.text.push_str(END);
        }
        self.text.shrink_to_fit();
        Page { text: self.text.into(), last }
    }
}
