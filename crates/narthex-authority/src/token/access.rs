//! Access tokens: JWTs (RFC 9068).

use crate::error::{Code, OAuthError};
use crate::login::User;
use crate::secret::{random, seconds};
use crate::signing::SigningKey;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// What a token is bound to (RFC 7800 §3.1): whoever presents it must prove that it is theirs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Binding {
    /// A DPoP key, by its thumbprint (RFC 9449 §6.1).
    #[serde(rename = "jkt")]
    Key(String),
    /// A client certificate, by its thumbprint (RFC 8705 §3.1).
    #[serde(rename = "x5t#S256")]
    Certificate(String),
}

/// What a token says beside what all of one server say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Says<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) user: &'a User,
    pub(crate) client: &'a str,
    pub(crate) resource: &'a str,
    /// `scope`, as it is written.
    pub(crate) scope: &'a str,
    pub(crate) binding: Option<&'a Binding>,
    pub(crate) lifetime: Duration,
}

/// A token that has been made.
pub(crate) struct AccessToken {
    pub(crate) text: String,
    /// Its `jti`.
    pub(crate) id: String,
    /// Its `exp`, seconds since 1970.
    pub(crate) expires: u64,
}

/// Groups beyond this many are left out of tokens, which go with every request.
const MOST_GROUPS: usize = 64;

/// RFC 9068 §2.2.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
    iat: u64,
    jti: &'a str,
    client_id: &'a str,
    auth_time: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    tenant: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<&'a Binding>,
}

impl AccessToken {
    /// `id` of a token to be.
    pub(crate) fn new_id() -> Result<String, OAuthError> {
        random::<16>()
    }

    /// Signs a token that is called `id`.
    pub(crate) fn sign(
        key: &SigningKey,
        says: &Says<'_>,
        id: String,
        now: SystemTime,
    ) -> Result<Self, OAuthError> {
        let issued = seconds(now);
        let expires = issued + says.lifetime.as_secs();
        let claims = Claims {
            iss: says.issuer,
            sub: &says.user.subject,
            aud: says.resource,
            exp: expires,
            iat: issued,
            jti: &id,
            client_id: says.client,
            auth_time: seconds(says.user.authenticated_at),
            scope: says.scope,
            tenant: says.user.tenant.as_str(),
            groups: says.user.groups.get(..MOST_GROUPS).unwrap_or(&says.user.groups),
            cnf: says.binding,
        };
        let text = key.sign("at+jwt", &claims);
        let text = text
            .ok_or_else(|| OAuthError::new(Code::ServerError, "The server failed.").detail("cannot sign"))?;
        Ok(Self { text, id, expires })
    }
}
