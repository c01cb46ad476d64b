//! An identity provider that does what it is told, good and bad.

mod endpoints;
mod hostile;
mod jws;
mod keys;
mod login;
mod server;
mod token;

pub use hostile::HostileToken;
pub use jws::Jws;
pub(crate) use keys::s256;
pub(crate) use keys::url64;
pub use keys::{Alg, SigningKeys};
pub use login::LoginScript;
pub use server::{Endpoint, Trouble};
pub use token::TokenCall;
pub(crate) use token::read_basic as basic;

use parking_lot::Mutex;
use serde_json::{Value, json};
use server::Served;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::AbortHandle;

/// An identity provider in this process, on a port of 127.0.0.1: metadata (RFC 8414 and OpenID
/// Connect discovery), keys, a logins (OpenID Connect), a
/// token endpoint (codes, client credentials, and exchange by RFC 8693), userinfo and introspection (RFC 7662). Dropping it stops it.
pub struct MockIdp {
    address: SocketAddr,
    issuer: String,
    state: Arc<State>,
    serving: Mutex<Option<AbortHandle>>,
}

impl MockIdp {
    /// Starts one with keys of its own and the client [`Self::CLIENT`].
    pub async fn start() -> Self {
        let (listener, address) = server::listen(0).await;
        let issuer = format!("http://{address}");
        let state = Arc::new(State::new(issuer.clone()));
        let serving = Mutex::new(Some(server::serve(listener, Arc::clone(&state))));
        Self { address, issuer, state, serving }
    }

    /// Id and secret of the client that may use the token and introspection endpoints.
    pub const CLIENT: (&'static str, &'static str) = ("narthex", "client-secret-canary-1");

    /// Its `iss` value, and where discovery starts.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The URL of one of its endpoints.
    #[must_use]
    pub fn url(&self, endpoint: Endpoint) -> String {
        format!("{}{}", self.issuer, endpoint.path())
    }

    /// The `auth.issuers` entry for it, to be put after `- `, indented by `indent` spaces: all three
    /// algorithms, tenant from `org_id`.
    #[must_use]
    pub fn issuer_yaml(&self, indent: usize) -> String {
        let space = " ".repeat(indent);
        format!(
            "issuer: {}\n{space}algorithms: [RS256, ES256, EdDSA]\n{space}tenant: {{ claim: org_id }}\n",
            self.issuer
        )
    }

    // Tokens.

    /// Good claims for now: `alice` of tenant `acme` with scope `mcp:read`, for ten minutes.
    #[must_use]
    pub fn claims(&self, audience: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        json!({
            "iss": self.issuer, "sub": "alice", "aud": audience, "org_id": "acme", "client_id": "agent-1",
            "scope": "mcp:read", "iat": now, "nbf": now, "exp": now + 600, "jti": self.state.unique("jti"),
        })
    }

    /// A good token (RS256) with [`Self::claims`].
    #[must_use]
    pub fn token(&self, audience: &str) -> String {
        self.mint(Alg::RS256, &self.claims(audience))
    }

    /// A good token with [`Self::claims`], but these claims in the place of the same ones there.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub fn token_with(&self, audience: &str, changed: Value) -> String {
        let mut claims = self.claims(audience);
        for (name, value) in changed.as_object().expect("an object of claims") {
            claims[name] = value.clone();
        }
        self.mint(Alg::RS256, &claims)
    }

    /// Any claims, signed with the current key for `alg`.
    #[must_use]
    pub fn mint(&self, alg: Alg, claims: &Value) -> String {
        self.jws(alg, claims).sign(&self.state.keys.lock())
    }

    /// A token to be bent out of shape before it is signed.
    #[must_use]
    pub fn jws(&self, alg: Alg, claims: &Value) -> Jws {
        Jws::new(alg, &self.keys().kid(alg), claims)
    }

    /// Tokens that a resource server for `audience` must refuse, each with what is wrong with it.
    #[must_use]
    pub fn hostile_tokens(&self, audience: &str) -> Vec<HostileToken> {
        hostile::tokens(self, audience)
    }

    /// An opaque token that introspection says is active, with these claims.
    #[must_use]
    pub fn opaque_token(&self, claims: Value) -> String {
        let token = self.state.unique("opaque-token-canary");
        self.state.opaque.lock().insert(token.clone(), claims);
        token
    }

    /// From now on introspection says that `token` is not active.
    pub fn revoke(&self, token: &str) {
        self.state.opaque.lock().remove(token);
    }

    // Keys.

    /// The keys in use.
    #[must_use]
    pub fn keys(&self) -> Arc<SigningKeys> {
        Arc::clone(&self.state.keys.lock())
    }

    /// Puts new keys, with new ids, in the place of the old.
    pub fn rotate_keys(&self) {
        *self.state.keys.lock() = Arc::new(SigningKeys::generate(&self.state.unique("key")));
    }

    // Records.

    /// How often an endpoint was called.
    #[must_use]
    pub fn hits(&self, endpoint: Endpoint) -> usize {
        self.state.served.hits(endpoint)
    }

    /// The calls of the token endpoint so far, refused ones too.
    #[must_use]
    pub fn token_calls(&self) -> Vec<TokenCall> {
        self.state.calls.lock().clone()
    }

    // Behaviour.

    /// How long the tokens live that the token endpoint hands out from now on, told by `expires_in`.
    /// Default 300 s.
    pub fn set_expires_in(&self, lifetime: Duration) {
        *self.state.expires_in.lock() = lifetime;
    }

    /// From now on `endpoint` is in trouble, or, with [`Trouble::None`], out of it.
    pub fn trouble(&self, endpoint: Endpoint, trouble: Trouble) {
        self.state.served.set_trouble(endpoint, trouble);
    }

    /// Adds members to the metadata documents, or puts others in the place of what is there.
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub fn change_metadata(&self, members: Value) {
        let members = members.as_object().expect("an object of metadata").clone();
        self.state.metadata.lock().extend(members);
    }

    /// Stops listening and drops every connection. Returns when connections are refused.
    pub async fn stop(&self) {
        let Some(serving) = self.serving.lock().take() else { return };
        serving.abort();
        while !serving.is_finished() {
            tokio::task::yield_now().await;
        }
    }

    /// Starts again, where it was.
    pub async fn resume(&self) {
        let (listener, _) = server::listen(self.address.port()).await;
        *self.serving.lock() = Some(server::serve(listener, Arc::clone(&self.state)));
    }
}

impl Drop for MockIdp {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.lock().take() {
            serving.abort();
        }
    }
}

/// What the endpoints work on.
struct State {
    issuer: String,
    keys: Mutex<Arc<SigningKeys>>,
    served: Served,
    calls: Mutex<Vec<TokenCall>>,
    opaque: Mutex<HashMap<String, Value>>,
    script: Mutex<LoginScript>,
    visits: Mutex<HashMap<String, login::Visit>>,
    /// `sub` of the last ID token.
    subject: Mutex<Value>,
    metadata: Mutex<serde_json::Map<String, Value>>,
    expires_in: Mutex<Duration>,
    counter: std::sync::atomic::AtomicU64,
}

impl State {
    fn new(issuer: String) -> Self {
        Self {
            issuer,
            keys: Mutex::new(Arc::new(SigningKeys::generate("key-0"))),
            served: Served::default(),
            calls: Mutex::default(),
            opaque: Mutex::default(),
            script: Mutex::default(),
            visits: Mutex::default(),
            subject: Mutex::default(),
            metadata: Mutex::default(),
            expires_in: Mutex::new(Duration::from_secs(300)),
            counter: std::sync::atomic::AtomicU64::new(1),
        }
    }

    /// A name that no one has had yet.
    fn unique(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
