//! What each upstream of a route contributes, at one time.

use super::catalogue::Catalogue;
use super::content::Content;
use super::route::{Member, Merged};
use super::view::View;
use crate::bridge::enter::Bounds;
use crate::bridge::link::Ways;
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
    /// Those that could not be asked.
    pub(super) degraded: Vec<&'m UpstreamId>,
}

/// One upstream's part.
pub(super) struct Part<'m> {
    pub(super) member: &'m Member,
    /// Its place in the order.
    pub(super) number: usize,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) content: Arc<Content>,
}

impl<'m> Parts<'m> {
    /// Whatever is known; an upstream of which nothing is known yet is waited for, for as long as it may take.
    pub(super) async fn gather(merged: &'m Merged, ways: &Ways, bounds: Bounds) -> Self {
        let mut parts = Self { there: Vec::with_capacity(merged.members.len()), degraded: Vec::new() };
        let begun = Instant::now();
        let mut asked = Vec::with_capacity(merged.members.len());
        for member in &merged.members {
            asked.push((member, catalogue(merged, ways, member, bounds).await));
        }
        for (number, (member, catalogue)) in asked.into_iter().enumerate() {
            let Some(catalogue) = catalogue else {
                parts.degraded.push(&member.id);
                continue;
            };
            let content = catalogue.settled(begun + member.patience()).await;
            if !member.group.is_up() {
                // Calls of it fail: the keeper finds out whether that is over.
                catalogue.poke.notify_one();
            }
            if content.failed.is_some() || !member.group.is_up() {
                parts.degraded.push(&member.id);
            } else {
                parts.there.push(Part { member, number, catalogue, content });
            }
        }
        parts
    }

    /// What the route says of itself.
    pub(super) fn account(&self, merged: &Merged, revision: Revision) -> Account {
        let said = self.there.iter().filter_map(|part| part.account(merged));
        let said: Vec<(&str, Account)> = said.collect();
        let accounts: Vec<(&str, &Account)> = said.iter().map(|(id, account)| (*id, account)).collect();
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
        self.catalogue.views.get(&self.catalogue, &ways.door.id, merged, self.member).await
    }
}

/// One upstream's part; `None` if it cannot be asked at all.
pub(super) async fn one<'m>(
    merged: &'m Merged,
    ways: &Ways,
    member: &'m Member,
    bounds: Bounds,
) -> Option<Part<'m>> {
    let catalogue = catalogue(merged, ways, member, bounds).await?;
    let content = catalogue.settled(Instant::now() + member.patience()).await;
    let number = merged.index_of(member.id.as_str())?;
    content.account.is_some().then_some(Part { member, number, catalogue, content })
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
