//! What a user must consent to before there is a credential.

use narthex_config::model::{TenantId, UpstreamId};
use narthex_identity::Caller;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// The consent that is missing, and the link under which the user gives it.
#[derive(Clone, Eq, PartialEq)]
pub struct Consent {
    /// Where the user goes: a page of the gateway. It is good for this one user, and for ten minutes.
    pub url: Url,
    /// Names the link without being it: the id of an elicitation.
    pub id: Arc<str>,
    /// The upstream to be connected.
    pub upstream: UpstreamId,
    /// What users call it.
    pub title: Arc<str>,
    /// The scopes that will be asked for; empty: those that the authorization server chooses.
    pub scopes: Vec<String>,
}

/// Somebody connected an upstream, or ended a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Changed {
    /// The upstream.
    pub upstream: UpstreamId,
    /// Whether it is connected now.
    pub connected: bool,
    pub(crate) tenant: TenantId,
    /// The user, as each issuer calls them whose tokens may come: issuer and subject.
    pub(crate) names: Arc<[(Box<str>, Box<str>)]>,
}

impl Changed {
    /// Whether this is about `caller`'s own connection.
    #[must_use]
    pub fn concerns(&self, caller: &Caller) -> bool {
        let is = |(issuer, subject): &(Box<str>, Box<str>)| {
            **issuer == *caller.issuer && **subject == *caller.subject
        };
        self.tenant == caller.tenant && self.names.iter().any(is)
    }
}

impl fmt::Debug for Consent {
    /// The URL is the link itself, and not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent")
            .field("id", &self.id)
            .field("upstream", &self.upstream)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
