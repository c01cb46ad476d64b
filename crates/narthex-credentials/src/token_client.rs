//! One token endpoint, and the gateway as its client.

use crate::client_auth::ClientAuth;
use crate::discovery::{Discovery, Found, KEPT};
use crate::error::{CredentialError, Reason};
use crate::grant::Form;
use narthex_upstreams::egress::{Answer, Egress};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;
use url::Url;

/// Where tokens are asked for, and as whom.
pub(crate) struct TokenClient {
    place: Place,
    auth: ClientAuth,
    /// The same for servers that want a secret in the form.
    post: Option<ClientAuth>,
}

enum Place {
    /// Where the configuration says.
    Known {
        url: Url,
        /// Whom assertions of the client are for.
        audience: String,
        egress: Egress,
    },
    /// Where the upstream or its authorization server says. The registration is one at the server that was found
    /// first: another one must not be shown it (MCP, basic/authorization: credentials belong to an issuer).
    Found { discovery: Box<Discovery>, first: OnceLock<String> },
}

/// A token endpoint that is known now.
pub(crate) struct Located<'a> {
    client: &'a TokenClient,
    found: Option<Arc<Found>>,
}

impl TokenClient {
    /// At this URL. `issuer` is whom assertions of the client are for, if that is known; else it is the URL.
    pub(crate) fn at(url: &Url, issuer: Option<&str>, auth: ClientAuth, egress: Egress) -> Self {
        let audience = issuer.unwrap_or(url.as_str()).to_owned();
        Self { place: Place::Known { url: url.clone(), audience, egress }, auth, post: None }
    }

    /// Wherever it is found; `post` is the same client with its secret in the form.
    pub(crate) fn found(discovery: Discovery, auth: ClientAuth, post: Option<ClientAuth>) -> Self {
        Self { place: Place::Found { discovery: Box::new(discovery), first: OnceLock::new() }, auth, post }
    }

    /// Finds it, if that is to be done.
    pub(crate) async fn locate(&self, now: SystemTime) -> Result<Located<'_>, CredentialError> {
        let Place::Found { discovery, first } = &self.place else {
            return Ok(Located { client: self, found: None });
        };
        let found = discovery.found(KEPT, now).await?;
        if *first.get_or_init(|| found.server.issuer.clone()) != found.server.issuer {
            let detail = "the server names another authorization server than before";
            return Err(CredentialError::with_detail(Reason::DiscoveryFailed, detail));
        }
        Ok(Located { client: self, found: Some(found) })
    }
}

impl Located<'_> {
    /// What was found, if that was to be done.
    pub(crate) fn found(&self) -> Option<&Found> {
        self.found.as_deref()
    }

    /// Sends a request, with the client's authentication.
    pub(crate) async fn post(&self, mut form: Form, now: SystemTime) -> Result<Answer, CredentialError> {
        let (url, audience, egress) = match (&self.client.place, &self.found) {
            (Place::Known { url, audience, egress }, _) => (url, audience, egress),
            (Place::Found { .. }, Some(found)) => {
                (&found.server.token_endpoint, &found.server.issuer, &found.fetcher.egress)
            }
            (Place::Found { .. }, None) => return Err(Reason::DiscoveryFailed.into()),
        };
        let auth = self.auth();
        auth.add_to(&mut form, audience, now)?;
        let sent = egress.post_form(url, &form.pairs(), auth.authorization()).await;
        sent.map_err(|e| CredentialError::with_detail(Reason::ExchangeUnreachable, &e.to_string()))
    }

    /// `client_secret_post` where the server has it and not `client_secret_basic`.
    fn auth(&self) -> &ClientAuth {
        let methods = self.found.as_ref().and_then(|found| found.server.auth_methods.as_deref());
        let has = |method: &str| methods.is_some_and(|methods| methods.iter().any(|known| known == method));
        match &self.client.post {
            Some(post) if has("client_secret_post") && !has("client_secret_basic") => post,
            _ => &self.client.auth,
        }
    }
}
