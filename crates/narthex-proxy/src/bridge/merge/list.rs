//! `tools/list` and its like, from what is kept.

use super::find::out_of_reach;
use super::parts::{DEGRADED, Part, Parts, server_info, signed};
use super::route::Merged;
use super::view::{ShownItem, View};
use crate::bridge::enter::Bounds;
use crate::bridge::link::Ways;
use crate::record::Visit;
use crate::refusal::Refusal;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::message::RpcError;
use narthex_mcp::federation::cursor::{self, Kind, Position};
use narthex_mcp::rpc;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// How long a client may go on with a list that it has begun.
const CURSOR_LIFETIME: Duration = Duration::from_secs(3600);
/// Bytes from which on a page is full.
const FULL: usize = 4 << 20;
/// Longest time for which clients of 2026-07-28 may keep a list.
const LONGEST_TTL: Duration = Duration::from_secs(300);

/// A response with a page in it. `id` is JSON text.
pub(crate) fn message(id: &str, result: &str) -> String {
    [r#"{"jsonrpc":"2.0","id":"#, id, r#","result":"#, result, "}"].concat()
}

/// One page, as the JSON text of the result.
///
/// # Errors
/// Nobody is there to have anything. The inner error: the cursor is none of this caller's, or what it stands for
/// is gone.
pub(super) async fn page(
    merged: &Arc<Merged>,
    ways: &Ways,
    kind: Kind,
    params: &Object,
    bounds: Bounds,
    visit: &Visit,
) -> Result<Result<String, RpcError>, Refusal> {
    let invalid = || RpcError::new(rpc::INVALID_PARAMS, "Invalid cursor");
    let modern = !visit.speaks_legacy();
    let position = match params.get("cursor") {
        None | Some("null") => None,
        Some(_) => match opened(ways, kind, params, visit) {
            None => return Ok(Err(invalid())),
            opened => opened,
        },
    };
    let parts = Parts::gather(merged, ways, bounds).await;
    if parts.there.is_empty() && !merged.is_federation {
        return Err(out_of_reach());
    }
    let from = position.as_ref().map_or(Some(0), |position| merged.index_of(position.upstream()));
    let Some(from) = from else { return Ok(Err(invalid())) };
    let mut page = Page { text: String::new(), items: 0, last: None, ttl: LONGEST_TTL, public: true };
    let holders = Holders::of(merged, ways, kind, &parts).await;
    let mut full = false;
    for part in &parts.there {
        let view = part.view(merged, ways).await;
        page.public &= view.public;
        page.ttl = view.ttl.map_or(page.ttl, |ttl| page.ttl.min(ttl));
        if part.number < from || full {
            continue;
        }
        let list = view.list(kind);
        let start = match &position {
            // If its upstream is gone for now, what comes after it is not.
            Some(position) if part.number == from => match list.position(|key| position.is_after(key)) {
                Some(last) => last + 1,
                None => return Ok(Err(invalid())),
            },
            _ => 0,
        };
        let items = list.items.iter().skip(start).filter(|item| may_show(ways, kind, item));
        let items = items.filter(|item| holders.may_show(part, &item.name));
        let items = items.filter_map(|item| Some((&item.key, item.text(modern)?)));
        full = page.fill(part.member.id.as_str(), items, merged.page_size);
    }
    let next = page.last.take().filter(|_| full).and_then(|(upstream, after)| {
        let position = Position::new(kind, upstream, &after);
        let expires = visit.now + CURSOR_LIFETIME;
        cursor::seal(&visit.snapshot.sealer, &ways.binding(), &position, expires).ok()
    });
    Ok(Ok(page.finish(kind, next.as_deref(), &parts, merged, ways, modern)))
}

/// Who has which name, of upstreams that may have the same: the first in order, also while it cannot be asked, or
/// its callers would be led to another.
struct Holders<'m> {
    merged: &'m Merged,
    kind: Kind,
    /// By place, if it matters.
    views: Vec<Option<Arc<View>>>,
}

impl<'m> Holders<'m> {
    async fn of(merged: &'m Arc<Merged>, ways: &Ways, kind: Kind, parts: &Parts<'_>) -> Self {
        let mut views = vec![None; merged.members.len()];
        if merged.may_collide(kind) && merged.members.len() > 1 {
            for part in parts.known() {
                let view = part.view(merged, ways).await;
                views.iter_mut().skip(part.number).take(1).for_each(|place| *place = Some(Arc::clone(&view)));
            }
        }
        Self { merged, kind, views }
    }

    /// Whether the name leads to this part.
    fn may_show(&self, part: &Part<'_>, name: &str) -> bool {
        if self.views.iter().all(Option::is_none) {
            return true;
        }
        let view = |number: &usize| self.views.get(*number).and_then(Option::as_ref);
        let has = |number: &usize| view(number).is_some_and(|view| view.list(self.kind).has(name));
        // What a server has goes before what only connects one.
        let connects = |number: &usize| view(number).is_some_and(|view| view.list(self.kind).connects(name));
        let holder = match self.kind {
            Kind::Tools | Kind::Prompts => {
                let mut candidates = self.merged.candidates(self.kind, name);
                candidates.find(has).or_else(|| self.merged.candidates(self.kind, name).find(connects))
            }
            Kind::Resources | Kind::Templates => (0..part.number).find(has).or(Some(part.number)),
        };
        let shows = holder == Some(part.number);
        if !shows {
            self.merged.tell_of_loss(self.kind, name, &part.member.id);
        }
        shows
    }
}

fn opened(ways: &Ways, kind: Kind, params: &Object, visit: &Visit) -> Option<Position> {
    let cursor = params.string("cursor")?;
    cursor::open(&visit.snapshot.sealer, &ways.binding(), kind, &cursor, visit.now).ok()
}

/// Sums of what the caller is shown of each list, for telling whether it is still the same.
pub(super) async fn sums(merged: &Arc<Merged>, ways: &Ways, bounds: Bounds) -> [u64; 4] {
    let parts = Parts::gather(merged, ways, bounds).await;
    let mut sums = [0; 4];
    for (sum, kind) in sums.iter_mut().zip(Kind::ALL) {
        let holders = Holders::of(merged, ways, kind, &parts).await;
        let mut hasher = DefaultHasher::new();
        for part in &parts.there {
            let view = part.view(merged, ways).await;
            let items = view.list(kind).items.iter().filter(|item| may_show(ways, kind, item));
            for item in items.filter(|item| holders.may_show(part, &item.name)) {
                (&item.name, item.text(true), item.text(false)).hash(&mut hasher);
            }
        }
        *sum = hasher.finish();
    }
    sums
}

/// Whether the caller may see the item: whoever may not use it does not.
pub(super) fn may_list(ways: &Ways, kind: Kind, name: &str) -> bool {
    let (policy, tenant) = (&ways.door.policy, &ways.caller.tenant);
    match kind {
        Kind::Tools => policy.may_list(tenant, name),
        Kind::Prompts => policy.may_list_prompt(tenant, name),
        Kind::Resources | Kind::Templates => policy.may_list_resource(tenant, name),
    }
}

fn may_show(ways: &Ways, kind: Kind, item: &ShownItem) -> bool {
    if item.connects { may_connect(ways, &item.name) } else { may_list(ways, kind, &item.name) }
}

/// Whether the caller may see the tool of that name, which connects an upstream.
pub(super) fn may_connect(ways: &Ways, name: &str) -> bool {
    ways.door.policy.may_connect(&ways.caller.tenant, name)
}

struct Page<'m> {
    /// The items' texts, with commas between.
    text: String,
    items: usize,
    /// Upstream and key of the last item.
    last: Option<(&'m str, Arc<str>)>,
    ttl: Duration,
    public: bool,
}

impl<'m> Page<'m> {
    /// Takes items of one upstream in. Whether there was not room for all of them.
    fn fill<'i>(
        &mut self,
        upstream: &'m str,
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

    /// The result's JSON text. What is kept for all is only what all may see, all of it (2026-07-28,
    /// server/utilities/caching).
    fn finish(
        self,
        kind: Kind,
        next: Option<&str>,
        parts: &Parts<'_>,
        merged: &Merged,
        ways: &Ways,
        modern: bool,
    ) -> String {
        let mut rest = Object::default();
        if let Some(next) = next {
            rest.set_string("nextCursor", next);
        }
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
        let rest = rest.to_json();
        let comma = if rest.len() > 2 { "," } else { "" };
        let mut result = String::with_capacity(self.text.len() + rest.len() + 32);
        result.push_str("{\"");
        result.push_str(kind.member());
        result.push_str("\":[");
        result.push_str(&self.text);
        result.push(']');
        result.push_str(comma);
        result.push_str(rest.get(1..).unwrap_or("}"));
        result
    }
}
