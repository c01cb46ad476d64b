//! What a client wants to be told of: `subscriptions/listen` in 2026-07-28 (basic/patterns/subscriptions);
//! the GET stream and `resources/subscribe` before.

use super::discover::Account;
use super::{Object, meta, strip_meta};
use std::collections::BTreeSet;

/// The first message of a stream of `subscriptions/listen`.
pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

/// Which notifications are wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// `toolsListChanged`
    pub tools: bool,
    /// `promptsListChanged`
    pub prompts: bool,
    /// `resourcesListChanged`
    pub resources: bool,
    /// `resourceSubscriptions`: the URIs whose changes are of interest.
    pub uris: BTreeSet<String>,
}

/// A filter that cannot be read: -32602.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("params.notifications must say what to listen for")]
pub struct BadFilter;

impl Filter {
    /// From `params` of `subscriptions/listen`, or of its acknowledgement.
    ///
    /// # Errors
    /// See [`BadFilter`].
    pub fn parse(params: &Object) -> Result<Self, BadFilter> {
        let wanted = params.object("notifications").ok_or(BadFilter)?;
        let flag = |name: &str| match wanted.get(name) {
            None | Some("null" | "false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(BadFilter),
        };
        let uris = match wanted.get("resourceSubscriptions") {
            None | Some("null") => BTreeSet::new(),
            Some(text) => serde_json::from_str(text).map_err(|_| BadFilter)?,
        };
        Ok(Self {
            tools: flag("toolsListChanged")?,
            prompts: flag("promptsListChanged")?,
            resources: flag("resourcesListChanged")?,
            uris,
        })
    }

    /// What of it a server with that account of itself can tell of.
    #[must_use]
    pub fn within(&self, account: &Account) -> Self {
        let uris = if account.offers("resources", "subscribe") { self.uris.clone() } else { BTreeSet::new() };
        Self {
            tools: self.tools && account.offers("tools", "listChanged"),
            prompts: self.prompts && account.offers("prompts", "listChanged"),
            resources: self.resources && account.offers("resources", "listChanged"),
            uris,
        }
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As `params` of `subscriptions/listen`, or of its acknowledgement.
    #[must_use]
    pub fn to_params(&self) -> Object {
        let mut wanted = Object::default();
        let flags = [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ];
        flags.iter().filter(|(_, on)| *on).for_each(|(name, _)| wanted.set_json(name, "true"));
        if !self.uris.is_empty() {
            wanted.set_json("resourceSubscriptions", serde_json::json!(self.uris).to_string());
        }
        let mut params = Object::default();
        params.set_object("notifications", &wanted);
        params
    }

    /// Whether a notification is among those that are wanted.
    #[must_use]
    pub fn wants(&self, method: &str, params: &Object) -> bool {
        match method {
            "notifications/tools/list_changed" => self.tools,
            "notifications/prompts/list_changed" => self.prompts,
            "notifications/resources/list_changed" => self.resources,
            "notifications/resources/updated" => {
                params.string("uri").is_some_and(|uri| self.uris.contains(&uri))
            }
            _ => false,
        }
    }

    /// The notifications that say that anything may have changed: for after a gap.
    #[must_use]
    pub fn everything(&self) -> Vec<(&'static str, Object)> {
        let lists = [
            (self.tools, "notifications/tools/list_changed"),
            (self.prompts, "notifications/prompts/list_changed"),
            (self.resources, "notifications/resources/list_changed"),
        ];
        let lists = lists.iter().filter(|(on, _)| *on).map(|(_, method)| (*method, Object::default()));
        let updates = self.uris.iter().map(|uri| {
            let mut params = Object::default();
            params.set_string("uri", uri);
            ("notifications/resources/updated", params)
        });
        lists.chain(updates).collect()
    }
}

/// `params` of a notification for a modern client's `subscriptions/listen`. `id` is that request's, as
/// JSON text.
#[must_use]
pub fn stamp(params: &Object, id: &str) -> Object {
    let mut params = params.clone();
    strip_meta(&mut params);
    let mut inner = params.object("_meta").unwrap_or_default();
    inner.set_json(meta::SUBSCRIPTION_ID, id);
    params.set_object("_meta", &inner);
    params
}
