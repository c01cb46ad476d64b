//! An identity provider: OpenID Connect, the authorization code flow with PKCE.
//!
//! Written on the keys and the client authentication that `narthex-identity` has anyway. The library for it,
//! `openidconnect`, brings a second set of cryptography (the `rsa` crate of RUSTSEC-2023-0071 among it, which
//! is banned here), and knows neither `iss` in the answer nor issuers that are templates.

pub(super) mod claims;
mod discovery;
mod id_token;
mod token;

#[cfg(test)]
mod tests;

use super::browser::random;
use super::{Anew, Browser, Form, Parts, Problem, User};
use crate::pages::ProviderChoice;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use discovery::Discovery;
use id_token::{Expected, IdToken};
use narthex_config::model::{self, PublicUrl};
use narthex_store::{Key, Vault};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};
use url::Url;
use zeroize::Zeroizing;

/// How long a login may take at the provider.
const STATE_LIFE: Duration = Duration::from_secs(600);
/// Longest parameter of a callback, bytes.
const PARAMETER_CAP: usize = 8 * 1024;

/// One identity provider.
pub(super) struct Provider {
    config: model::Provider,
    tenants: BTreeSet<model::TenantId>,
    redirect_uri: String,
    parts: Parts,
    discovery: Discovery,
}

/// What a login must come back to.
#[derive(Deserialize, Serialize)]
pub(super) struct Pending {
    /// The provider that was asked; each has a callback of its own, so that one's answer is not taken for
    /// another's.
    provider: String,
    /// The browser that was sent there.
    browser: String,
    nonce: String,
    /// PKCE (RFC 7636).
    verifier: String,
    /// When the browser was sent there, and with what it must come back.
    begun: SystemTime,
    pub(super) anew: Anew,
    pub(super) return_to: String,
}

impl Provider {
    pub(super) fn new(
        config: &model::Provider,
        tenants: &BTreeSet<model::TenantId>,
        public_url: &PublicUrl,
        parts: &Parts,
    ) -> Self {
        Self {
            config: config.clone(),
            tenants: tenants.clone(),
            redirect_uri: format!("{}/login/callback/{}", public_url.url, config.id),
            parts: parts.clone(),
            discovery: Discovery::new(config, parts),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.config.id
    }

    pub(super) fn choice(&self) -> ProviderChoice<'_> {
        let host = self.config.url.host_str().unwrap_or_default();
        ProviderChoice { id: &self.config.id, title: &self.config.title, host }
    }

    /// The URL to send `browser` to, so that it comes back to `return_to` with somebody logged in, who did `anew`.
    pub(super) async fn authorize(
        &self,
        browser: &Browser,
        return_to: &str,
        anew: Anew,
        vault: &Vault,
        now: SystemTime,
    ) -> Result<Url, Problem> {
        let known = self.discovery.known(now).await?;
        let (state, nonce, verifier) = (random()?, random()?, random()?);
        let mut url = known.metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client.id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &self.config.scopes.join(" "))
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge(&verifier))
            .append_pair("code_challenge_method", "S256");
        let preset = self.config.preset;
        for (name, value) in [("prompt", anew.prompt(preset)), ("max_age", anew.max_age(preset))] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let pending = Pending {
            provider: self.config.id.clone(),
            browser: browser.id(),
            nonce: nonce.to_string(),
            verifier: verifier.to_string(),
            begun: now,
            anew,
            return_to: return_to.to_owned(),
        };
        // Only a clock before 1970 cannot be written.
        let record = serde_json::to_vec(&pending);
        let record = record.map_err(|_| Problem::Malformed("the clock stands before 1970"))?;
        let record = Zeroizing::new(record);
        vault.put(&key(&state), &record, STATE_LIFE).await?;
        Ok(url)
    }

    /// Takes the provider's answer: who it is, and what was begun with this.
    pub(super) async fn finish(
        &self,
        answer: &Form,
        browser: &Browser,
        vault: &Vault,
        now: SystemTime,
    ) -> Result<(User, Pending), Problem> {
        let parameter = |name| answer.get(name).filter(|value| value.len() <= PARAMETER_CAP);
        let state = parameter("state").ok_or(Problem::Malformed("there is no state"))?;
        // Taken before anything else: whatever comes of it, it is used.
        let record = vault.take(&key(state)).await?.ok_or(Problem::State)?;
        let pending: Pending = serde_json::from_slice(&record).map_err(|_| Problem::State)?;
        if verify_slices_are_equal(pending.browser.as_bytes(), browser.id().as_bytes()).is_err() {
            return Err(Problem::OtherBrowser);
        }
        if pending.provider != self.config.id {
            return Err(Problem::MixUp);
        }
        let known = self.discovery.known(now).await?;
        known.metadata.check_iss(parameter("iss"))?;
        if let Some(error) = parameter("error") {
            return Err(Problem::Refused(error_code(error)));
        }
        let code = parameter("code").ok_or(Problem::Malformed("there is no code"))?;
        let tokens = token::exchange(self, &known.metadata, code, &pending.verifier, now).await?;
        let expected = Expected {
            issuer: &known.metadata.issuer,
            client: &self.config.client.id,
            nonce: &pending.nonce,
            access_token: tokens.access_token.as_deref().map(String::as_str),
        };
        let id_token = IdToken::verify(&tokens.id_token, &known.signer, &expected, now).await?;
        if pending.anew == Anew::Login {
            let says_when = Anew::Login.max_age(self.config.preset).is_some();
            id_token.check_fresh(pending.begun, says_when)?;
        }
        let mut claims = id_token.claims;
        if self.config.userinfo {
            token::add_userinfo(self, &known.metadata, &tokens, &mut claims).await?;
        }
        let user = claims::identify(&self.config, &self.tenants, &id_token.issuer, &claims, now)?;
        if let Some(kept) = &self.parts.id_tokens {
            kept.keep(&user, &tokens.id_token, id_token.expires, now).await?;
        }
        Ok((user, pending))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("id", &self.config.id).finish_non_exhaustive()
    }
}

fn key(state: &str) -> Key {
    Key::new("login-state", &[state])
}

fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// An error code of somebody else's, fit for the log.
fn error_code(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')).take(64).collect()
}
