//! Who may ask for tokens: clients of the configuration, clients with a document, clients that registered.

pub(crate) mod auth;
pub(crate) mod document;
mod documents;
mod dynamic;
mod redirect;
pub(crate) mod register;

#[cfg(test)]
mod tests;

pub(crate) use documents::{ALGORITHMS, Documents, Fetcher};
pub(crate) use dynamic::{Dynamic, Registration};
pub(crate) use redirect::{RedirectUri, Source};

use crate::error::OAuthError;
use crate::pages::ClientKind;
use narthex_config::model::{HostPattern, ScopeName};
use narthex_identity::Signer;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use url::Url;

/// Longest client id that is looked at, bytes.
const LONGEST_ID: usize = 512;

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    /// `client_id`.
    pub(crate) id: String,
    /// What it calls itself.
    pub(crate) name: String,
    /// How we know it.
    pub(crate) kind: ClientKind,
    pub(crate) redirect_uris: Vec<RedirectUri>,
    pub(crate) auth: ClientAuth,
    /// Whether it can do with refresh tokens.
    pub(crate) refresh: bool,
    /// Whether all its tokens have to be bound to a key (RFC 9449 §5.2).
    pub(crate) dpop: bool,
    /// Whether it may exchange assertions.
    pub(crate) assertions: bool,
    /// Whether it may ask about tokens.
    pub(crate) introspection: bool,
    /// Most that it may be granted.
    pub(crate) scopes: Option<BTreeSet<ScopeName>>,
}

/// How a client authenticates.
#[derive(Clone, Debug)]
pub(crate) enum ClientAuth {
    /// It cannot: it is public.
    None,
    /// By a secret, of which this is the SHA-256 in base64url.
    Secret(String),
    /// By assertions (RFC 7523 §2.2) that this one signs.
    Keys(Arc<Signer>),
}

/// All clients that there may be.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) registered: HashMap<String, Arc<Client>>,
    pub(crate) documents: Option<Documents>,
    pub(crate) dynamic: Option<Dynamic>,
}

impl Client {
    /// The URL of a redirect URI that a request asks for, if it is one of the client's.
    pub(crate) fn redirect(&self, asked: &str) -> Option<Url> {
        let known = self.redirect_uris.iter().any(|registered| registered.matches(asked));
        known.then(|| Url::parse(asked).ok()).flatten()
    }

    /// Whether it proves who it is.
    pub(crate) fn is_confidential(&self) -> bool {
        !matches!(self.auth, ClientAuth::None)
    }

    /// What of `scopes` it may be granted.
    pub(crate) fn limit(&self, scopes: BTreeSet<ScopeName>) -> BTreeSet<ScopeName> {
        match &self.scopes {
            None => scopes,
            Some(most) => scopes.intersection(most).cloned().collect(),
        }
    }
}

impl Clients {
    /// Whether somebody else than `client` itself says that users may be sent to `url`, one of its redirect URIs:
    /// the operator, by its name or by that of the host. Where it is the user's own machine, nobody has to.
    pub(crate) fn vouches(&self, client: &Client, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let named = |patterns: &[HostPattern]| {
            patterns.iter().any(|pattern| *pattern != HostPattern::Any && pattern.matches(host))
        };
        match client.kind {
            _ if url.scheme() != "https" => true,
            ClientKind::Registered => true,
            ClientKind::MetadataDocument => self.documents.as_ref().is_some_and(|known| named(known.hosts())),
            ClientKind::Dynamic => {
                self.dynamic.as_ref().is_some_and(|known| named(&known.rules.redirect_hosts))
            }
        }
    }

    /// The client called `id`. `None`: there is none.
    pub(crate) async fn find(
        &self,
        id: &str,
        peer: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Option<Arc<Client>>, OAuthError> {
        if id.len() > LONGEST_ID {
            return Ok(None);
        }
        if let Some(client) = self.registered.get(id) {
            return Ok(Some(Arc::clone(client)));
        }
        if id.starts_with("https://") || id.starts_with("http://") {
            return match &self.documents {
                Some(documents) => documents.find(id, peer, now).await,
                None => Ok(None),
            };
        }
        match &self.dynamic {
            Some(dynamic) => dynamic.find(id, now).await,
            None => Ok(None),
        }
    }
}
