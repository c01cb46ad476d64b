//! Sending a browser to the upstream's authorization server.

use super::Consented;
use super::offer::{OFFLINE, random};
use super::record::{self, Pending, TICKET, Ticket};
use super::visit::ConnectError;
use crate::discovery::Found;
use crate::error::{CredentialError, Reason};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use narthex_config::model::ResourceParameter;
use std::time::{Duration, SystemTime};
use url::Url;

/// Before users are sent anywhere, what is known of the server is not older than this.
pub(super) const FRESH: Duration = Duration::from_secs(1);

impl Consented {
    /// The authorization URL for `ticket`, which is at `link`; the answer is taken
    /// from `browser` only.
    pub(super) async fn begin(
        &self,
        ticket: Ticket,
        link: &str,
        browser: &str,
        now: SystemTime,
    ) -> Result<Url, ConnectError> {
        let found = self.discovery.found(FRESH, now).await?;
        let endpoint = self.endpoint(&found)?;
        let client = self.client(&found, now).await?;
        let (state, verifier) = (random()?, random()?);
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let mut url = endpoint;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code");
            query.append_pair("client_id", &client.id);
            query.append_pair("redirect_uri", &self.setup.redirect_uri);
            query.append_pair("state", &state);
            query.append_pair("code_challenge", &challenge);
            query.append_pair("code_challenge_method", "S256");
            if !ticket.scopes.is_empty() {
                query.append_pair("scope", &ticket.scopes.join(" "));
            }
            match self.setup.code.resource_parameter {
                ResourceParameter::Resource => drop(query.append_pair("resource", &found.resource)),
                ResourceParameter::Audience => drop(query.append_pair("audience", &found.resource)),
                ResourceParameter::None => {}
            }
            // OpenID Connect Core §11 has servers ignore the scope without it.
            if ticket.scopes.iter().any(|scope| scope == OFFLINE) {
                query.append_pair("prompt", "consent");
            }
        }
        let pending = Pending {
            ticket,
            link: link.to_owned().into(),
            browser: browser.to_owned(),
            server: found.server.issuer.clone(),
            names_itself: found.server.names_itself,
            client: client.id,
            verifier,
        };
        record::put(&self.vault, &Pending::key(&state), &pending, TICKET).await?;
        Ok(url)
    }

    /// Where browsers are sent, if the server can be used at all.
    fn endpoint(&self, found: &Found) -> Result<Url, CredentialError> {
        let unfit = |why| CredentialError::with_detail(Reason::DiscoveryFailed, why);
        if !found.server.pkce {
            return Err(unfit("the authorization server does not say that it supports PKCE with S256"));
        }
        let endpoint = found.server.authorization_endpoint.clone();
        endpoint.ok_or_else(|| unfit("the authorization server has no authorization_endpoint"))
    }

    /// Whether `ticket` is for this upstream as it is configured now.
    pub(super) fn fits(&self, ticket: &Ticket) -> bool {
        ticket.upstream == self.setup.upstream.as_str() && ticket.place == self.setup.place.as_str()
    }
}
