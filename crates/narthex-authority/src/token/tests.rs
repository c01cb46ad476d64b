//! The token endpoint and those beside it.

mod assertions;
mod client_keys;
mod codes;
mod introspection;
mod refresh;
mod reload;
mod requests;
mod revocation;
mod speed;

use super::JWT_BEARER;
use super::code::{self, Code};
use crate::fixtures::{self, DOCS, ISSUER, SECRET, authority, now, pkce, post, result, text, user};
use crate::signing::SigningKey;
use crate::{Authority, Request, Response};
use ::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use ::http::{HeaderValue, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use narthex_config::Config;
use narthex_config::model::Algorithm;
use narthex_store::Vault;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

const TOOLS: &str = "https://gw.example/tools";

fn after(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

/// A code of ann's for `web`, as if she had just approved.
async fn code(authority: &Authority) -> String {
    code_of(authority, &super::new_family().unwrap()).await
}

/// A code whose refresh tokens are to be of this family.
async fn code_of(authority: &Authority, family: &str) -> String {
    let code = Code {
        client: "web".to_owned(),
        redirect_uri: "https://app.example/cb".to_owned(),
        challenge: pkce().1,
        resource: DOCS.to_owned(),
        scopes: vec!["mcp:read".to_owned(), "mcp:write".to_owned()],
        user: user(),
        key: None,
        refresh: true,
        made: crate::secret::seconds(now()),
        family: family.to_owned(),
    };
    code::give(&authority.lasting.vault, &code).await.unwrap()
}

async fn tokens(authority: &Authority) -> Value {
    let answer = redeem(authority, &code(authority).await).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
    fixtures::json(&answer)
}

async fn redeem(authority: &Authority, code: &str) -> Response {
    let (verifier, _) = pkce();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", "https://app.example/cb"),
        ("client_id", "web"),
        ("code_verifier", &verifier),
    ];
    authority.answer(post("/oauth/token", &form), now()).await
}

async fn refresh(authority: &Authority, token: &Value, changes: &[(&str, &str)], at: SystemTime) -> Response {
    let token = token.as_str().unwrap();
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "web")];
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        form.push((name, value));
    }
    authority.answer(post("/oauth/token", &form), at).await
}

fn error(response: &Response) -> String {
    fixtures::json(response)["error"].as_str().unwrap_or_default().to_owned()
}

fn basic(mut request: Request, id: &str, secret: &str) -> Request {
    let value = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
    request.headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
    request
}

/// An identity provider that signs ID-JAGs, and what the configuration says of it.
struct Idp(SigningKey);

impl Idp {
    fn new() -> Self {
        let pkcs8 = SigningKey::generate(Algorithm::ES256).unwrap();
        Self(SigningKey::from_pkcs8(Algorithm::ES256, &pkcs8).unwrap())
    }

    async fn authority(&self) -> Authority {
        self.authority_with(fixtures::vault(), |_| {}).await
    }

    async fn authority_with(&self, vault: Vault, change: impl FnOnce(&mut Config)) -> Authority {
        let config = fixtures::config(
            "    assertions: { corp: { issuer: https://idp.example, jwks_uri: https://idp.example/keys, \
             tenant: { claim: org }, groups: groups } }",
        );
        let mut config = config;
        let settings = config.auth.authority.as_mut().unwrap();
        let jwks = json!({"keys": [self.0.jwk()]}).to_string();
        settings.assertions.get_mut("corp").unwrap().keys = narthex_config::model::KeySource::Inline(jwks);
        change(&mut config);
        let authority = fixtures::build(&config, vault);
        authority.refresh(now()).await;
        authority
    }

    /// A good one, with `changes`; `null` leaves a claim out.
    fn assertion(&self, typ: &str, changes: &Value) -> String {
        let at = crate::secret::seconds(now());
        let mut claims = json!({
            "iss": "https://idp.example", "sub": "ann", "aud": ISSUER, "resource": DOCS, "client_id": "agent",
            "jti": crate::secret::random::<16>().unwrap(), "iat": at, "exp": at + 300, "org": "acme",
            "groups": ["staff"], "scope": "mcp:read mcp:write",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.0.sign(typ, &claims).unwrap()
    }
}

async fn exchange(authority: &Authority, assertion: &str, extra: &[(&str, &str)]) -> Response {
    let mut form = vec![("grant_type", JWT_BEARER), ("assertion", assertion)];
    form.extend(extra);
    authority.answer(basic(post("/oauth/token", &form), "agent", SECRET), now()).await
}

const ID_JAG: &str = "oauth-id-jag+jwt";
