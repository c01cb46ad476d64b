//! `tools/list` and its like, from what is kept.

use super::find::out_of_reach;
use super::kept::{Page, Wanted};
use super::page;
use super::parts::{Part, Parts};
use super::route::Merged;
use super::view::{ShownItem, View};
use crate::bridge::enter::Bounds;
use crate::bridge::link::Ways;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::reply::Body;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::message::RpcError;
use narthex_mcp::federation::cursor::{self, Kind, Position};
use narthex_mcp::rpc;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter;
use std::sync::Arc;
use std::time::Duration;

/// How long a client may go on with a list that it has begun.
const CURSOR_LIFETIME: Duration = Duration::from_secs(3600);

/// The response with one page. `id` is JSON text.
///
/// # Errors
/// Nobody is there to have anything. The inner error: the cursor is none of this caller's, or what it stands for
/// is gone.
pub(super) async fn answer(
    merged: &Arc<Merged>,
    ways: &Ways,
    (id, kind, params): (&str, Kind, &Object),
    bounds: Bounds,
    visit: &Visit,
) -> Result<Result<Body, RpcError>, Refusal> {
    let invalid = || RpcError::new(rpc::INVALID_PARAMS, "Invalid cursor");
    let from = match params.get("cursor") {
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
    let seen = Seen::of(merged, ways, kind, &parts).await;
    let modern = !visit.speaks_legacy();
    let (pages, wanted) = (&ways.shared.bridge.pages, Wanted::new(merged, ways, kind, modern, from.as_ref()));
    let kept = wanted.as_ref().and_then(|wanted| pages.get(wanted, merged, ways, &seen));
    let page = match kept {
        Some(page) => page,
        None => {
            let Some(page) = page::make(merged, ways, kind, modern, from.as_ref(), &seen) else {
                return Ok(Err(invalid()));
            };
            wanted.into_iter().for_each(|wanted| pages.keep(wanted, merged, ways, &seen, &page));
            page
        }
    };
    Ok(Ok(message(id, kind, page, ways, visit)))
}

/// A response with a page in it.
fn message(id: &str, kind: Kind, page: Page, ways: &Ways, visit: &Visit) -> Body {
    let front = [r#"{"jsonrpc":"2.0","id":"#, id, r#","result":"#].concat();
    let end = page.last.map(|(upstream, after)| {
        let position = Position::new(kind, upstream.as_str(), &after);
        let expires = visit.now + CURSOR_LIFETIME;
        end(cursor::seal(&visit.snapshot.sealer, &ways.binding(), &position, expires).ok().as_deref())
    });
    Body::of(front.into(), iter::once(page.text).chain(end.map(Into::into)))
}

/// What follows the text of a page that is not the last. Without a cursor, there is no way to go on.
fn end(next: Option<&str>) -> String {
    // A sealed handle needs no escaping.
    next.map_or_else(|| page::END.to_owned(), |next| [r#","nextCursor":""#, next, "\"", page::END].concat())
}

/// What is to be seen of the parts.
pub(super) struct Seen<'p, 'm> {
    pub(super) parts: &'p Parts<'m>,
    /// Of those that are there, in their order.
    pub(super) there: Vec<Arc<View>>,
    /// Of those that cannot be asked, in their order; only where they may have names that others have, too.
    pub(super) fallen: Vec<Arc<View>>,
}

impl<'p, 'm> Seen<'p, 'm> {
    pub(super) async fn of(merged: &Arc<Merged>, ways: &Ways, kind: Kind, parts: &'p Parts<'m>) -> Self {
        let mut seen = Self { parts, there: Vec::with_capacity(parts.there.len()), fallen: Vec::new() };
        for part in &parts.there {
            seen.there.push(part.view(merged, ways).await);
        }
        if merged.may_collide(kind) {
            for part in &parts.fallen {
                seen.fallen.push(part.view(merged, ways).await);
            }
        }
        seen
    }

    /// Those that are there, with what is to be seen of them.
    pub(super) fn there(&self) -> impl Iterator<Item = (&'p Part<'m>, &Arc<View>)> {
        self.parts.there.iter().zip(&self.there)
    }
}

/// Who has which name, of upstreams that may have the same: the first in order, also while it cannot be asked, or
/// its callers would be led to another.
pub(super) struct Holders<'m> {
    merged: &'m Merged,
    kind: Kind,
    /// By place, if it matters.
    views: Vec<Option<Arc<View>>>,
}

impl<'m> Holders<'m> {
    pub(super) fn of(merged: &'m Merged, kind: Kind, seen: &Seen<'_, '_>) -> Self {
        let mut views = vec![None; merged.members.len()];
        if merged.may_collide(kind) && merged.members.len() > 1 {
            for (part, view) in seen.there().chain(seen.parts.fallen.iter().zip(&seen.fallen)) {
                views.iter_mut().skip(part.number).take(1).for_each(|place| *place = Some(Arc::clone(view)));
            }
        }
        Self { merged, kind, views }
    }

    /// Whether the name leads to this part.
    pub(super) fn may_show(&self, part: &Part<'_>, name: &str) -> bool {
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
        let seen = Seen::of(merged, ways, kind, &parts).await;
        let holders = Holders::of(merged, kind, &seen);
        let mut hasher = DefaultHasher::new();
        for (part, view) in seen.there() {
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

pub(super) fn may_show(ways: &Ways, kind: Kind, item: &ShownItem) -> bool {
    if item.connects { may_connect(ways, &item.name) } else { may_list(ways, kind, &item.name) }
}

/// Whether the caller may see the tool of that name, which connects an upstream.
pub(super) fn may_connect(ways: &Ways, name: &str) -> bool {
    ways.door.policy.may_connect(&ways.caller.tenant, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_with_and_without_a_cursor() {
        for (next, expected) in
            [(Some("abc"), r#"{"nextCursor":"abc","tools":[]}"#), (None, r#"{"tools":[]}"#)]
        {
            let text = [r#"{"result":{"tools":[]"#, &end(next)].concat();
            let message: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(message["result"].to_string(), expected);
        }
    }
}
