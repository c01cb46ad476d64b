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
    /// Those of which anything is known, also if it is from before they could not be asked any more.
    pub(super) known: Vec<Part<'m>>,
    /// Those that cannot be asked now.
    pub(super) degraded: Vec<&'m UpstreamId>,
    /// Nothing is known of some.
    pub(super) is_partial: bool,
}

/// One upstream's part.
pub(super) struct Part<'m> {
    pub(super) member: &'m Arc<Member>,
    /// Its place in the order.
    pub(super) number: usize,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) content: Arc<Content>,
    /// It can be asked.
    pub(super) is_there: bool,
}

impl<'m> Parts<'m> {
    /// Whatever is known; an upstream of which nothing is known yet is waited for, for as long as it may take.
    pub(super) async fn gather(merged: &'m Merged, ways: &Ways, bounds: Bounds) -> Self {
        let mut parts =
            Self { known: Vec::with_capacity(merged.members.len()), degraded: Vec::new(), is_partial: false };
        let begun = Instant::now();
        let mut asked = Vec::with_capacity(merged.members.len());
        for member in &merged.members {
            asked.push((member, catalogue(merged, ways, member, bounds).await));
        }
        for (number, (member, catalogue)) in asked.into_iter().enumerate() {
            let part = match catalogue {
                Some(catalogue) => Some(Part::of(member, number, catalogue, begun).await),
                None => None,
            };
            if !part.as_ref().is_some_and(|part| part.is_there) {
                parts.degraded.push(&member.id);
            }
            match part.filter(|part| part.content.account.is_some()) {
                Some(part) => parts.known.push(part),
                None => parts.is_partial = true,
            }
        }
        parts
    }

    /// Those that can be asked.
    pub(super) fn there(&self) -> impl Iterator<Item = &Part<'m>> {
        self.known.iter().filter(|part| part.is_there)
    }

    /// What the route says of itself.
    pub(super) fn account(&self, merged: &Merged, revision: Revision) -> Account {
        let said = self.there().filter_map(|part| part.account(merged));
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
    async fn of(member: &'m Arc<Member>, number: usize, catalogue: Arc<Catalogue>, asked: Instant) -> Self {
        let content = catalogue.settled(asked + member.patience()).await;
        let is_up = member.group.is_up();
        if !is_up || content.failed.is_some() {
            // Calls of it, or reading its lists, failed: the keeper finds out whether that is over.
            catalogue.poke.notify_one();
        }
        let is_there = content.failed.is_none() && content.account.is_some() && is_up;
        Self { member, number, catalogue, content, is_there }
    }

    /// What the upstream says of itself. Instructions that look like an attack are left out.
    fn account(&self, merged: &Merged) -> Option<(&'m str, Account)> {
        let mut account = Account::clone(self.content.account.as_deref()?);
        if let Some(text) = account.instructions.take() {
            let inspected = merged.guard.definition(&text, self.member);
            let fit = !inspected.suspicious && !inspected.refused;
            account.instructions = fit.then(|| inspected.text.unwrap_or(text));
        }
        Some((self.member.id.as_str(), account))
    }

    pub(super) async fn view(&self, merged: &Arc<Merged>, ways: &Ways) -> Arc<View> {
        self.catalogue.views.get(&self.catalogue, &ways.door.id, merged, self.member).await
    }
}

/// One upstream's part; `None` if nothing is known of it.
pub(super) async fn one<'m>(
    merged: &'m Merged,
    ways: &Ways,
    member: &'m Arc<Member>,
    bounds: Bounds,
) -> Option<Part<'m>> {
    let catalogue = catalogue(merged, ways, member, bounds).await?;
    let number = merged.index_of(member.id.as_str())?;
    let part = Part::of(member, number, catalogue, Instant::now()).await;
    Some(part).filter(|part| part.content.account.is_some())
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
