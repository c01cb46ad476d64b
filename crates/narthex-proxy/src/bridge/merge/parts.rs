//! What each upstream of a route contributes, at one time.

use super::catalogue::Catalogue;
use super::content::Content;
use super::route::{Member, Merged};
use super::view::View;
use crate::bridge::enter::Bounds;
use crate::bridge::link::Ways;
use futures_util::future::join_all;
use narthex_config::model::UpstreamId;
use narthex_mcp::Revision;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::discover::Account;
use narthex_mcp::bridge::meta;
use narthex_mcp::federation::account::{Merge, merge};
use std::sync::Arc;
use tokio::time::Instant;

/// The key in `_meta` of a list under which the upstreams are named that have no part in it.
pub(super) const DEGRADED: &str = "dev.narthex/degraded";

/// The upstreams' parts, in order.
pub(super) struct Parts<'m> {
    pub(super) there: Vec<Part<'m>>,
    /// What was last known of those that cannot be asked now.
    pub(super) fallen: Vec<Part<'m>>,
    /// Those that could not be asked.
    pub(super) degraded: Vec<&'m UpstreamId>,
}

/// One upstream's part.
pub(super) struct Part<'m> {
    pub(super) member: &'m Arc<Member>,
    /// Its place in the order.
    pub(super) number: usize,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) content: Arc<Content>,
    /// When whoever wants it began to ask.
    now: std::time::Instant,
}

impl<'m> Parts<'m> {
    /// Whatever is known; an upstream of which nothing is known yet is waited for, for as long as it may take.
    pub(super) async fn gather(merged: &'m Merged, ways: &Ways, bounds: Bounds) -> Self {
        let mut parts = Self {
            there: Vec::with_capacity(merged.members.len()),
            fallen: Vec::new(),
            degraded: Vec::new(),
        };
        for begun in begin(merged, ways, 0..merged.members.len(), bounds).await {
            let member = begun.member;
            let Some(part) = begun.settled(true).await else {
                parts.degraded.push(&member.id);
                continue;
            };
            if !member.group.is_up() || part.content.failed.is_some() {
                // Calls of it, or reading its lists, failed: the keeper finds out whether that is over.
                part.catalogue.poke.notify_one();
            }
            let is_there = part.content.failed.is_none() && member.group.is_up();
            // What is not connected is no outage: there is a tool to connect it with.
            if is_there || part.content.unconnected.is_some() {
                parts.there.push(part);
                continue;
            }
            parts.degraded.push(&member.id);
            if part.content.account.is_some() {
                parts.fallen.push(part);
            }
        }
        parts
    }

    /// What is known of all, whether they can be asked now or not, in order.
    pub(super) fn known(&self) -> Vec<&Part<'m>> {
        let mut known: Vec<_> = self.there.iter().chain(&self.fallen).collect();
        known.sort_unstable_by_key(|part| part.number);
        known
    }

    /// What the route says of itself.
    pub(super) fn account(&self, merged: &Merged, revision: Revision) -> Account {
        let known = self.known();
        let said = known.iter().filter_map(|part| part.account(merged));
        let said: Vec<(&str, Account)> = said.collect();
        let mut accounts: Vec<(&str, &Account)> = said.iter().map(|(id, account)| (*id, account)).collect();
        // What nobody knows yet may have any of them, and a client that is told of none never looks again.
        let anything = Account {
            capabilities: Object::parse(br#"{"prompts":{},"resources":{},"tools":{}}"#).unwrap_or_default(),
            ..Account::default()
        };
        let unconnected = self.there.iter().any(|part| part.content.unconnected.is_some());
        if unconnected || self.fallen.len() < self.degraded.len() {
            accounts.push(("", &anything));
        }
        if !merged.is_federation {
            return single(&accounts, merged);
        }
        let options = Merge {
            tasks: revision.is_modern(),
            instructions: merged.instructions.as_deref(),
            ..Merge::new("narthex", env!("CARGO_PKG_VERSION"))
        };
        merge(&accounts, &options)
    }
}

/// The one upstream's own account.
fn single(accounts: &[(&str, &Account)], merged: &Merged) -> Account {
    let mut account = accounts.first().map(|(_, account)| (*account).clone()).unwrap_or_default();
    super::tell_of_changes(&mut account);
    if let Some(text) = &merged.instructions {
        let mut holder = Object::default();
        holder.set_string("instructions", text);
        account.instructions = holder.get("instructions").map(str::to_owned);
    }
    account
}

async fn catalogue(merged: &Merged, ways: &Ways, member: &Member, bounds: Bounds) -> Option<Arc<Catalogue>> {
    let catalogues = &ways.shared.bridge.catalogues;
    let found = catalogues.get(ways, merged, member, bounds).await;
    found
        .inspect_err(|refusal| {
            tracing::debug!(upstream = %member.id, reason = refusal.reason(), "no way to its catalogue");
        })
        .ok()
}

impl<'m> Part<'m> {
    /// What the upstream says of itself. Instructions that look like an attack are left out.
    fn account(&self, merged: &Merged) -> Option<(&'m str, Account)> {
        let mut account = Account::clone(self.content.account.as_deref()?);
        if let Some(text) = account.instructions.take() {
            account.instructions = merged.guard.instructions(text, self.member);
        }
        Some((self.member.id.as_str(), account))
    }

    pub(super) async fn view(&self, merged: &Arc<Merged>, ways: &Ways) -> Arc<View> {
        self.catalogue.views.get(&self.catalogue, &ways.door.id, merged, self.member, self.now).await
    }
}

/// An upstream whose part is on its way.
pub(super) struct Begun<'m> {
    pub(super) member: &'m Arc<Member>,
    number: usize,
    catalogue: Option<Arc<Catalogue>>,
    now: Instant,
}

/// Begins to find out about these members, all at once, so that those that are slow are waited for together.
pub(super) async fn begin<'m>(
    merged: &'m Merged,
    ways: &Ways,
    numbers: impl IntoIterator<Item = usize>,
    bounds: Bounds,
) -> Vec<Begun<'m>> {
    let now = Instant::now();
    let (mut begun, mut others) = (Vec::new(), Vec::new());
    for number in numbers {
        let Some(member) = merged.members.get(number) else { continue };
        match ways.shared.bridge.catalogues.ready(ways, member, now.into_std()) {
            Some(known) => begun.push(Begun { member, number, catalogue: Some(known), now }),
            // The caller's own credentials may have to be obtained first: of all at the same time.
            None => others.push(async move {
                let catalogue = catalogue(merged, ways, member, bounds).await;
                Begun { member, number, catalogue, now }
            }),
        }
    }
    if !others.is_empty() {
        begun.extend(join_all(others).await);
        begun.sort_unstable_by_key(|begun| begun.number);
    }
    begun
}

impl<'m> Begun<'m> {
    /// What is known of it, once anything is; `None` if it cannot be asked at all. `fresh`: nothing that is long
    /// out of date.
    pub(super) async fn settled(self, fresh: bool) -> Option<Part<'m>> {
        let catalogue = self.catalogue?;
        let (now, until) = (self.now.into_std(), self.now + self.member.patience());
        let content = catalogue.settled(now, until, fresh).await;
        Some(Part { member: self.member, number: self.number, catalogue, content, now })
    }

    /// The same, if it has ever said anything.
    pub(super) async fn known(self) -> Option<Part<'m>> {
        self.settled(false).await.filter(|part| part.content.is_known())
    }
}

/// Who the route is to clients, for `_meta` of results; `None`: its one upstream says so itself.
pub(super) fn server_info(merged: &Merged) -> Option<Object> {
    if !merged.is_federation {
        return None;
    }
    let mut info = Object::default();
    info.set_string("name", "narthex");
    info.set_string("version", env!("CARGO_PKG_VERSION"));
    Some(info)
}

/// `_meta` with the server's name in it.
pub(super) fn signed(info: Option<&Object>) -> Object {
    let mut inner = Object::default();
    if let Some(info) = info {
        inner.set_object(meta::SERVER_INFO, info);
    }
    inner
}
