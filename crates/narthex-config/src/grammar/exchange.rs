//! Credentials that are made for the caller: exchanged, asserted or signed.

use super::OAuthClient;
use super::reference::{FileRef, Secret};
use super::scalar::{Alg, HttpUrl, HumanDuration, Scope};
use crate::yaml::{Field, HELP};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// One text, or a list of them.
#[derive(Debug)]
pub(crate) enum Texts {
    One(String),
    List(Vec<Field<String>>),
}

/// The client credentials grant.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["client"]))]
pub(crate) struct ClientCredentials {
    /// Token endpoint. Default: found by the metadata of `issuer`, or by asking the server (RFC 9728, RFC 8414).
    pub(crate) token_url: Field<HttpUrl>,
    /// The authorization server. Without it or `token_url`, the server may name any; the registration is shown to
    /// the one that it names first, and to no other.
    pub(crate) issuer: Field<String>,
    /// The gateway's registration there.
    pub(crate) client: Field<OAuthClient>,
    /// Scopes of the wanted token.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// Resource of the wanted token (RFC 8707). Without `token_url`: what the server says it is.
    pub(crate) resource: Field<String>,
    /// Audience of the wanted token, for servers that want it.
    pub(crate) audience: Field<String>,
}

/// Token exchange (RFC 8693).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["token_url", "client"]))]
pub(crate) struct TokenExchange {
    /// Token endpoint.
    pub(crate) token_url: Field<HttpUrl>,
    /// The gateway's registration there.
    pub(crate) client: Field<OAuthClient>,
    /// Audience of the wanted token, or several.
    pub(crate) audience: Field<Texts>,
    /// Resource of the wanted token (RFC 8707), or several.
    pub(crate) resource: Field<Texts>,
    /// Scopes of the wanted token.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// What the caller's token is. Default `urn:ietf:params:oauth:token-type:access_token`.
    pub(crate) subject_token_type: Field<String>,
    /// What the wanted token is to be.
    pub(crate) requested_token_type: Field<String>,
    /// The gateway's own token, for delegation: the wanted token says who acts for the caller.
    pub(crate) actor: Field<Actor>,
    /// What the gateway's own token is. Default: of an access token for `client_credentials`, else of a JWT.
    pub(crate) actor_token_type: Field<String>,
}

/// Where the gateway's own token comes from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Actor {
    /// The same token endpoint gives it to the same client (RFC 6749 section 4.4).
    ClientCredentials(ActorWanted),
    /// The gateway signs it with its own key, published at `/.well-known/jwks.json`.
    Assertion(ActorAssertion),
    /// It is kept somewhere, such as a Kubernetes service account token.
    Token(Secret),
}

/// What the gateway's own token is to be good for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ActorWanted {
    /// Scopes of it.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// Resource of it (RFC 8707).
    pub(crate) resource: Field<String>,
    /// Audience of it.
    pub(crate) audience: Field<String>,
}

/// What the gateway signs about itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ActorAssertion {
    /// `aud`. Default: the token endpoint.
    pub(crate) audience: Field<String>,
}

/// An identity assertion of the caller's identity provider (ID-JAG), for an access token of the server's
/// authorization server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["identity_provider", "authorization_server"]))]
pub(crate) struct IdJag {
    /// Who asserts the caller's identity.
    pub(crate) identity_provider: Field<IdentityProvider>,
    /// Who takes the assertion for an access token.
    pub(crate) authorization_server: Field<AuthorizationServer>,
    /// What is exchanged for the assertion. Default `id_token`.
    pub(crate) subject: Field<Subject>,
    /// Resource of the wanted token (RFC 8707). Default: the upstream's URL.
    pub(crate) resource: Field<String>,
    /// Scopes of the wanted token.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
}

/// What stands for the caller at the identity provider.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// The ID token of the caller's login at the gateway.
    IdToken,
    /// The token that the caller came with, where the identity provider accepts it.
    AccessToken,
}

/// An identity provider that issues identity assertions.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["client"]))]
pub(crate) struct IdentityProvider {
    /// Its token endpoint. Exactly one of `token_url` and `issuer`.
    pub(crate) token_url: Field<HttpUrl>,
    /// Its issuer, to find the token endpoint by (RFC 8414).
    pub(crate) issuer: Field<String>,
    /// The gateway's registration there.
    pub(crate) client: Field<OAuthClient>,
}

/// The authorization server of an upstream.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["client"]))]
pub(crate) struct AuthorizationServer {
    /// Its issuer, whom the assertion is for. Default: what the server says (RFC 9728).
    pub(crate) issuer: Field<String>,
    /// Its token endpoint. Default: what the issuer's metadata says (RFC 8414).
    pub(crate) token_url: Field<HttpUrl>,
    /// The gateway's registration there.
    pub(crate) client: Field<OAuthClient>,
}

/// The on-behalf-of flow of Microsoft Entra ID.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["token_url", "client", "scopes"]))]
pub(crate) struct OnBehalfOf {
    /// Token endpoint: `https://login.microsoftonline.com/TENANT/oauth2/v2.0/token`.
    pub(crate) token_url: Field<HttpUrl>,
    /// The gateway's registration there. The caller's token has to be for it.
    pub(crate) client: Field<OAuthClient>,
    /// Scopes of the wanted token: `api://APPLICATION/.default`.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
}

/// A JWT that the gateway signs, for an access token (RFC 7523 section 2.1).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["token_url", "issuer", "private_key", "algorithm"]))]
pub(crate) struct JwtBearer {
    /// Token endpoint.
    pub(crate) token_url: Field<HttpUrl>,
    /// `iss`: how the gateway is called there, such as a service account's address.
    pub(crate) issuer: Field<String>,
    /// PEM private key (PKCS#8) that signs it.
    pub(crate) private_key: Field<Secret>,
    /// Signature algorithm.
    pub(crate) algorithm: Field<Alg>,
    /// `kid` of the key.
    pub(crate) key_id: Field<String>,
    /// `sub`: for whom the token is. Default `{ claim: sub }`.
    pub(crate) subject: Field<AssertedSubject>,
    /// `aud`. Default: the token endpoint.
    pub(crate) audience: Field<String>,
    /// Scopes of the wanted token.
    pub(crate) scopes: Field<Vec<Field<Scope>>>,
    /// Where the scopes are said. Default `request`; Google wants `assertion`.
    pub(crate) scopes_in: Field<ScopesIn>,
    /// How long the JWT is good for, at most `1h`. Default `60s`.
    pub(crate) lifetime: Field<HumanDuration>,
    /// The gateway's registration, for servers that want one beside the JWT.
    pub(crate) client: Field<OAuthClient>,
}

/// Whom a JWT is about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AssertedSubject {
    /// This claim of the caller's token, such as `email`.
    Claim(String),
    /// This, for all callers.
    Value(String),
}

/// Where scopes are said.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScopesIn {
    /// As a parameter of the request.
    Request,
    /// As a claim of the JWT.
    Assertion,
}

/// A short-lived JWT that the gateway signs for the server itself, saying who calls. Its keys are at
/// `/.well-known/jwks.json`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Assertion {
    /// `aud`. Default: the upstream's URL.
    pub(crate) audience: Field<String>,
    /// How long it is good for, at most `5m`. Default `60s`.
    pub(crate) lifetime: Field<HumanDuration>,
    /// The header that carries it. Default: `Authorization: Bearer`.
    pub(crate) header: Field<String>,
    /// Signature algorithm. Default `ES256`.
    pub(crate) algorithm: Field<AssertionAlgorithm>,
    /// Whether each request gets one of its own, with the request's id. Default `request`.
    pub(crate) per: Field<AssertionPer>,
}

/// What the gateway's own keys sign with.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(crate) enum AssertionAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// What shares an assertion.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AssertionPer {
    /// Nothing: it names the request.
    Request,
    /// All requests of a caller, until shortly before it ends.
    Caller,
}

/// AWS Signature Version 4 over each request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend(
    "required" = ["region", "service"],
    "oneOf" = [{ "required": ["access_key_id", "secret_access_key"] }, { "required": ["web_identity"] }]
))]
pub(crate) struct AwsSigV4 {
    /// Region, such as `eu-central-1`.
    pub(crate) region: Field<String>,
    /// Service as signatures name it: `execute-api`, `bedrock-agentcore`, `lambda`.
    pub(crate) service: Field<String>,
    /// Access key id.
    pub(crate) access_key_id: Field<Secret>,
    /// Its secret.
    pub(crate) secret_access_key: Field<Secret>,
    /// Session token, of temporary keys.
    pub(crate) session_token: Field<Secret>,
    /// Temporary keys for a token of this workload, instead of keys.
    pub(crate) web_identity: Field<WebIdentity>,
}

/// `AssumeRoleWithWebIdentity` of AWS STS.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["role", "token"]))]
pub(crate) struct WebIdentity {
    /// ARN of the role.
    pub(crate) role: Field<String>,
    /// The workload's token, such as `{ file: /var/run/secrets/eks.amazonaws.com/serviceaccount/token }`.
    pub(crate) token: Field<Secret>,
    /// How the session is called in AWS's logs. Default `narthex`.
    pub(crate) session: Field<String>,
    /// Endpoint of STS. Default: that of the region.
    pub(crate) sts_url: Field<HttpUrl>,
}

/// The certificate that the gateway shows to a server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["certificate", "key"]))]
pub(crate) struct ClientTls {
    /// PEM file of the certificate, and those between it and the authority.
    pub(crate) certificate: Field<FileRef>,
    /// PEM file of its private key.
    pub(crate) key: Field<FileRef>,
}

// === impl Texts ===

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a list of text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts::One(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Texts, E> {
        Err(E::custom(format_args!("expected text, found a number{HELP}put it in quotes")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = items.next_element()? {
            texts.push(text);
        }
        Ok(Texts::List(texts))
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1, "uniqueItems": true }
            ]
        })
    }
}
