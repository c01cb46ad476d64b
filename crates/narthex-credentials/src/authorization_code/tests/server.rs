//! An upstream with its authorization server, which does what the RFCs say, and what it is told to do badly.

use crate::tests::server::{Asked, Server, answer, json};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json as value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use url::Url;

/// One on 127.0.0.1.
pub(super) struct Site {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// What it knows, and how it is to behave.
pub(super) struct State {
    /// Path of its issuer.
    pub(super) issuer: String,
    /// Of the authorization server's metadata, over what is good.
    pub(super) metadata: Map<String, Value>,
    /// Of the resource's metadata, over what is good.
    pub(super) resource: Map<String, Value>,
    /// `scope` of the challenge.
    pub(super) challenge: Option<String>,
    /// Seconds that access tokens last; `None`: it does not say.
    pub(super) lifetime: Option<u64>,
    /// Whether it issues refresh tokens.
    pub(super) refresh: bool,
    /// Whether each refresh token is good once.
    pub(super) rotates: bool,
    /// Answers instead of those of the token endpoint.
    pub(super) instead: Option<String>,
    /// Whether registrations come with a secret.
    pub(super) secrets: bool,
    /// Scopes that are granted whatever is asked for.
    pub(super) grants: Option<String>,
    clients: BTreeMap<String, Option<String>>,
    codes: BTreeMap<String, Code>,
    /// Refresh tokens that are good, and whose they are.
    pub(super) alive: BTreeMap<String, Code>,
    pub(super) revoked: Vec<String>,
    count: usize,
}

/// What a code, or a refresh token, is good for.
#[derive(Clone)]
pub(super) struct Code {
    client: String,
    redirect_uri: String,
    challenge: String,
    scope: Option<String>,
}

// === impl Site ===

impl Site {
    pub(super) async fn new() -> Self {
        let state = Arc::new(Mutex::new(State {
            issuer: "/as".into(),
            metadata: Map::new(),
            resource: Map::new(),
            challenge: None,
            lifetime: Some(3600),
            refresh: true,
            rotates: true,
            instead: None,
            secrets: true,
            grants: None,
            clients: BTreeMap::from([("https://gw.example.com/oauth/client.json".to_owned(), None)]),
            codes: BTreeMap::new(),
            alive: BTreeMap::new(),
            revoked: Vec::new(),
            count: 0,
        }));
        let server = Server::answering(|_, _| String::new()).await;
        let (origin, shared) = (server.origin(), Arc::clone(&state));
        server.answer(move |_, asked| shared.lock().unwrap().answer(&origin, asked));
        Self { server, state }
    }

    pub(super) fn mcp(&self) -> Url {
        format!("{}/mcp", self.server.origin()).parse().unwrap()
    }

    pub(super) fn issuer(&self) -> String {
        format!("{}{}", self.server.origin(), self.state.lock().unwrap().issuer)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    pub(super) fn say(&self, key: &str, said: Value) {
        self.change(|state| drop(state.metadata.insert(key.into(), said)));
    }

    /// The requests of the token endpoint.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked_at("POST /as/token")
    }

    pub(super) fn asked_at(&self, line: &str) -> Vec<Asked> {
        self.server.asked().into_iter().filter(|asked| asked.line() == line).collect()
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// A browser comes with `url`, and its user says yes: the parameters of the answer.
    pub(super) async fn approve(&self, url: &Url) -> Vec<(String, String)> {
        let asked = super::query(url);
        let mut state = self.state.lock().unwrap();
        assert_eq!(url.path(), format!("{}/authorize", state.issuer));
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(state.clients.contains_key(&asked["client_id"]), "an unknown client");
        let code = state.next("code");
        let what = Code {
            client: asked["client_id"].clone(),
            redirect_uri: asked["redirect_uri"].clone(),
            challenge: asked["code_challenge"].clone(),
            scope: asked.get("scope").cloned(),
        };
        state.codes.insert(code.clone(), what);
        vec![("code".into(), code), ("state".into(), asked["state"].clone())]
    }
}

// === impl State ===

impl State {
    fn next(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}", self.count)
    }

    fn answer(&mut self, origin: &str, asked: &Asked) -> String {
        let issuer = format!("{origin}{}", self.issuer);
        let path = |line: &str| asked.line() == line;
        if path("POST /mcp") {
            let scope =
                self.challenge.as_ref().map_or_else(String::new, |scope| format!(", scope=\"{scope}\""));
            let metadata = format!("{origin}/prm");
            let challenge = format!("WWW-Authenticate: Bearer resource_metadata=\"{metadata}\"{scope}\r\n");
            return answer(401, "text/plain", &challenge, "");
        }
        if path("GET /prm") {
            let mut said = value!({ "resource": format!("{origin}/mcp"), "authorization_servers": [issuer] });
            said.as_object_mut().unwrap().extend(self.resource.clone());
            return json(200, &said.to_string());
        }
        if asked.line() == format!("GET /.well-known/oauth-authorization-server{}", self.issuer) {
            return json(200, &self.said(&issuer).to_string());
        }
        match asked.line().strip_prefix(&format!("POST {}", self.issuer)) {
            Some("/register") => self.register(asked),
            Some("/token") => match self.instead.clone() {
                Some(instead) => instead,
                None => self.token(asked),
            },
            Some("/revoke") => {
                let token = asked.parameters()["token"].to_owned();
                self.alive.remove(&token);
                self.revoked.push(token);
                json(200, "{}")
            }
            _ => answer(404, "text/plain", "", ""),
        }
    }

    fn said(&self, issuer: &str) -> Value {
        let mut said = value!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "registration_endpoint": format!("{issuer}/register"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "code_challenge_methods_supported": ["S256"],
        });
        let members = said.as_object_mut().unwrap();
        for (name, value) in &self.metadata {
            match value {
                Value::Null => drop(members.remove(name)),
                value => drop(members.insert(name.clone(), value.clone())),
            }
        }
        said
    }

    fn register(&mut self, asked: &Asked) -> String {
        let wanted = asked.json();
        let id = self.next("client");
        let secret = self.secrets.then(|| format!("secret of {id}"));
        let method = if self.secrets { wanted["token_endpoint_auth_method"].clone() } else { "none".into() };
        self.clients.insert(id.clone(), secret.clone());
        json(
            201,
            &value!({ "client_id": id, "client_secret": secret, "token_endpoint_auth_method": method })
                .to_string(),
        )
    }

    fn token(&mut self, asked: &Asked) -> String {
        let form = asked.parameters();
        let refused =
            |code: &str| json(400, &value!({ "error": code, "error_description": "canary" }).to_string());
        let Some(client) = self.client(asked) else {
            return json(401, r#"{"error":"invalid_client"}"#);
        };
        let held = match form["grant_type"] {
            "authorization_code" => self.codes.remove(form["code"]).filter(|code| {
                let challenge = digest(&SHA256, form["code_verifier"].as_bytes());
                code.redirect_uri == form["redirect_uri"]
                    && code.challenge == BASE64_URL_SAFE_NO_PAD.encode(challenge)
            }),
            "refresh_token" if self.rotates => self.alive.remove(form["refresh_token"]),
            "refresh_token" => self.alive.get(form["refresh_token"]).cloned(),
            _ => return refused("unsupported_grant_type"),
        };
        let Some(held) = held.filter(|held| held.client == client) else { return refused("invalid_grant") };
        let mut said = value!({ "access_token": self.next("token"), "token_type": "bearer" });
        let scope = self.grants.clone().or_else(|| held.scope.clone());
        let is_first = form["grant_type"] == "authorization_code";
        if self.refresh && (self.rotates || is_first) {
            let token = self.next("refresh");
            self.alive.insert(token.clone(), held);
            said["refresh_token"] = token.into();
        }
        if let Some(lifetime) = self.lifetime {
            said["expires_in"] = lifetime.into();
        }
        if let Some(scope) = scope {
            said["scope"] = scope.into();
        }
        json(200, &said.to_string())
    }

    /// Which client it is, if it shows what it has to.
    fn client(&self, asked: &Asked) -> Option<String> {
        let form = asked.parameters();
        let (id, secret) = match asked.header("authorization") {
            Some(basic) => {
                let pair = base64::prelude::BASE64_STANDARD.decode(basic.strip_prefix("Basic ")?).ok()?;
                let pair = String::from_utf8(pair).ok()?.replace('+', " ");
                let (id, secret) = pair.split_once(':')?;
                (id.to_owned(), Some(secret.to_owned()))
            }
            None => (form.get("client_id")?.to_string(), form.get("client_secret").map(ToString::to_string)),
        };
        (self.clients.get(&id)? == &secret).then_some(id)
    }

    pub(super) fn forget_clients(&mut self) {
        self.clients.clear();
    }

    pub(super) fn know(&mut self, client: &str, secret: Option<&str>) {
        self.clients.insert(client.into(), secret.map(ToOwned::to_owned));
    }
}
