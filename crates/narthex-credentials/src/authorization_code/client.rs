//! Which client the gateway is at an authorization server: one that was registered by hand, else one named
//! by the gateway's own metadata document, else one that it registers itself (RFC 7591).

use super::Consented;
use super::record::{self, REGISTRATION, Registration};
use crate::answer::is_json;
use crate::client_auth::ClientAuth;
use crate::discovery::{Found, Server};
use crate::error::{CredentialError, Reason};
use crate::secret::{Secret, wipe};
use http::StatusCode;
use narthex_config::model::{OAuthClient, OAuthClientAuth};
use narthex_upstreams::egress::Answer;
use serde::Deserialize;
use serde_json::json;
use std::time::SystemTime;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Longest client id or secret, bytes.
const MAX_ID: usize = 2048;

const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";

/// The gateway as a client.
pub(super) struct Client {
    pub(super) id: String,
    pub(super) auth: ClientAuth,
    /// Whether it registered itself, and can do so again.
    pub(super) dynamic: bool,
}

/// RFC 7591 §3.2.1.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    #[serde(default)]
    client_secret: Option<Zeroizing<String>>,
    #[serde(default)]
    client_secret_expires_at: Option<u64>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
}

impl Consented {
    /// The client to be, registered if need be.
    pub(super) async fn client(&self, found: &Found, now: SystemTime) -> Result<Client, CredentialError> {
        let server = &found.server;
        if let Some(client) = &self.setup.code.client {
            self.check_server_of(client, server).await?;
            return self.by_hand(client, server);
        }
        if let Some(document) = self.setup.document.as_ref().filter(|_| server.metadata_documents) {
            let auth = ClientAuth::Id { id: document.clone() };
            return Ok(Client { id: document.clone(), auth, dynamic: false });
        }
        if !self.setup.code.dynamic {
            let detail = "the authorization server takes no metadata document, and nothing else is allowed";
            return Err(CredentialError::with_detail(Reason::NoRegistration, detail));
        }
        let endpoint = server.registration_endpoint.as_ref().ok_or_else(|| {
            let detail = "the authorization server wants clients to be registered by hand";
            CredentialError::with_detail(Reason::NoRegistration, detail)
        })?;
        self.by_itself(found, endpoint, now).await
    }

    /// Forgets a registration that the server does not know any more.
    pub(super) async fn forget_client(&self, server: &str, client: &Client) {
        if !client.dynamic {
            tracing::error!(upstream = %self.setup.upstream, server, "the authorization server refuses the client");
            return;
        }
        let key = Registration::key(server, &self.setup.redirect_uri);
        if let Err(error) = self.vault.remove(&key).await {
            tracing::warn!(upstream = %self.setup.upstream, reason = error.reason(), "a registration is not forgotten");
        }
    }

    /// A client that was registered by hand is one at the server that the operator names, or else at the first that
    /// the upstream named: no other is shown its secret (MCP, basic/authorization: credentials belong to an
    /// issuer).
    async fn check_server_of(&self, client: &OAuthClient, server: &Server) -> Result<(), CredentialError> {
        if self.setup.code.issuer.is_some() {
            return Ok(());
        }
        let key = record::server_of(&client.id, self.setup.upstream.as_str(), self.setup.place.as_str());
        let mut first = record::get::<String>(&self.vault, &key).await?;
        if first.is_none() {
            let issuer = record::written(&server.issuer)?;
            let kept = self.vault.put_if_absent(&key, &issuer, REGISTRATION).await;
            if kept.map_err(|error| record::failed(&error))? {
                return Ok(());
            }
            first = record::get::<String>(&self.vault, &key).await?;
        }
        let was = first.map(|seen| seen.record).unwrap_or_default();
        if was == server.issuer {
            return Ok(());
        }
        tracing::error!(
            upstream = %self.setup.upstream,
            was,
            is = server.issuer,
            "the upstream names another authorization server than the client was used at: if that is right, name it \
             as `issuer`"
        );
        let detail = "the upstream names another authorization server than the client was used at";
        Err(CredentialError::with_detail(Reason::NoRegistration, detail))
    }

    /// The secret goes the way that is configured, unless the server takes it another way only.
    fn by_hand(&self, client: &OAuthClient, server: &Server) -> Result<Client, CredentialError> {
        let takes =
            |method| server.auth_methods.as_ref().is_none_or(|all| all.iter().any(|one| one == method));
        let auth = match &client.auth {
            OAuthClientAuth::Basic(secret) if !takes(BASIC) && takes(POST) => {
                OAuthClientAuth::Post(secret.clone())
            }
            OAuthClientAuth::Post(secret) if !takes(POST) && takes(BASIC) => {
                OAuthClientAuth::Basic(secret.clone())
            }
            auth => auth.clone(),
        };
        let client = OAuthClient { id: client.id.clone(), auth };
        let auth = ClientAuth::new(&client, &self.setup.values)
            .map_err(|e| CredentialError::with_detail(Reason::NoRegistration, &e.to_string()))?;
        Ok(Client { id: client.id, auth, dynamic: false })
    }

    async fn by_itself(
        &self,
        found: &Found,
        endpoint: &Url,
        now: SystemTime,
    ) -> Result<Client, CredentialError> {
        let key = Registration::key(&found.server.issuer, &self.setup.redirect_uri);
        // Those that need it at the same time register once.
        let _turn = self.registering.lock().await;
        let held = record::get::<Registration>(&self.vault, &key).await?;
        let is_good = |known: &Registration| known.expires.is_none_or(|end| record::seconds(now) < end);
        if let Some(known) = held.as_ref().filter(|held| is_good(&held.record)) {
            return known.record.client();
        }
        let made = self.register(found, endpoint).await?;
        let seen = held.as_ref().map(|held| &held.sealed);
        let kept = self.vault.replace(&key, seen, &record::written(&made)?, REGISTRATION).await;
        if kept.map_err(|error| record::failed(&error))? {
            return made.client();
        }
        // Another replica was faster: there is one registration for all.
        let theirs = record::get::<Registration>(&self.vault, &key).await?;
        theirs.map_or(made, |theirs| theirs.record).client()
    }

    async fn register(&self, found: &Found, endpoint: &Url) -> Result<Registration, CredentialError> {
        let method = method(&found.server)?;
        let metadata = json!({
            "client_name": CLIENT_NAME,
            "client_uri": self.setup.public_url,
            "redirect_uris": [self.setup.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method,
            "application_type": application_type(&self.setup.redirect_uri),
        });
        let answer = found.fetcher.egress.post_json(endpoint, metadata.to_string().into_bytes()).await;
        let answer =
            answer.map_err(|e| CredentialError::with_detail(Reason::ExchangeUnreachable, &e.to_string()))?;
        let registration = read(answer, method)?;
        tracing::info!(upstream = %self.setup.upstream, server = found.server.issuer, "registered as a client");
        Ok(registration)
    }
}

/// Our client metadata document, and its path below `public_url`; `None` where it cannot be one, since it
/// must be at an `https` URL.
#[must_use]
pub fn client_document(public_url: &str) -> Option<(&'static str, String)> {
    let client_id = document_url(public_url)?;
    let redirect_uri = redirect_uri(public_url);
    let document = json!({
        "client_id": client_id,
        "client_name": CLIENT_NAME,
        "client_uri": public_url,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": application_type(&redirect_uri),
    });
    Some((DOCUMENT, document.to_string()))
}

/// Where it is.
pub(crate) fn document_url(public_url: &str) -> Option<String> {
    public_url.starts_with("https://").then(|| format!("{public_url}{DOCUMENT}"))
}

/// Where authorization servers send browsers back to.
pub(crate) fn redirect_uri(public_url: &str) -> String {
    format!("{public_url}/connect/callback")
}

const DOCUMENT: &str = "/oauth/client.json";

/// What users see at authorization servers.
const CLIENT_NAME: &str = "Narthex MCP gateway";

/// OpenID Connect Registration §2: a redirect URI on this machine is that of a native application.
fn application_type(redirect_uri: &str) -> &'static str {
    let url = Url::parse(redirect_uri).ok();
    let here = match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if here { "native" } else { "web" }
}

/// How to authenticate: with a secret where the server gives one, which it does where it does not say
/// (RFC 8414 §2).
fn method(server: &Server) -> Result<&'static str, CredentialError> {
    let Some(all) = &server.auth_methods else { return Ok(BASIC) };
    let known = [BASIC, POST, "none"].into_iter().find(|method| all.iter().any(|one| one == method));
    known.ok_or_else(|| {
        let detail = "the authorization server takes no method of authentication that can be registered";
        CredentialError::with_detail(Reason::NoRegistration, detail)
    })
}

fn read(answer: Answer, asked: &str) -> Result<Registration, CredentialError> {
    let Answer { status, headers, body } = answer;
    let refused = |detail: &str| CredentialError::with_detail(Reason::NoRegistration, detail);
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let detail = format!("registration: {}", status.as_u16());
        return Err(CredentialError::with_detail(Reason::ExchangeUnreachable, &detail));
    }
    if ![StatusCode::OK, StatusCode::CREATED].contains(&status) || !is_json(&headers) {
        return Err(refused(&format!("registration was refused: {}", status.as_u16())));
    }
    let parsed = serde_json::from_slice::<Registered>(&body);
    wipe(body);
    let registered = parsed.map_err(|_| refused("the answer to the registration is none"))?;
    let is_legal = |text: &str| {
        !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(|b| matches!(b, 0x20..=0x7e))
    };
    let secret = registered.client_secret.filter(|secret| !secret.is_empty());
    if !is_legal(&registered.client_id) || secret.as_ref().is_some_and(|secret| !is_legal(secret)) {
        return Err(refused("the answer to the registration has an odd client_id or client_secret"));
    }
    let method = registered.token_endpoint_auth_method.as_deref().unwrap_or(asked);
    let secret = secret.filter(|_| method != "none");
    if secret.is_none() && method != "none" {
        return Err(refused("the answer to the registration has no client_secret"));
    }
    if !["none", BASIC, POST].contains(&method) {
        return Err(refused("the answer to the registration has another method of authentication"));
    }
    // Zero: it does not end.
    let expires = registered.client_secret_expires_at.filter(|end| *end != 0 && secret.is_some());
    Ok(Registration { client_id: registered.client_id, client_secret: secret, post: method == POST, expires })
}

impl Registration {
    fn client(&self) -> Result<Client, CredentialError> {
        let id = self.client_id.clone();
        let secret = self.client_secret.as_ref().map(|secret| Secret::from(secret.as_str()));
        let auth = ClientAuth::of_secret(&id, secret, self.post)
            .map_err(|e| CredentialError::with_detail(Reason::NoRegistration, &e.to_string()))?;
        Ok(Client { id, auth, dynamic: true })
    }
}
