//! A JWT that the gateway signs for the upstream itself: who calls, for which tenant, with which scopes.

use crate::credential::{Origin, UpstreamCredential, bearer_value, sensitive};
use crate::error::{BuildProblem, CredentialError, Reason};
use crate::key::Keys;
use crate::lifetime;
use crate::obtain::Need;
use crate::signing::SigningKeys;
use crate::store::{CAPACITY, Outcome, Store};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use narthex_config::model::{Assertion, ScopeName};
use narthex_identity::Caller;
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// What the gateway asserts to one upstream.
pub(crate) struct Asserted {
    template: Arc<Template>,
    origin: Origin,
    lifetime: Duration,
    /// Those that all requests of a caller share, if they do.
    kept: Option<(Keys, Store)>,
}

/// What is the same in all of them.
struct Template {
    keys: SigningKeys,
    assertion: Assertion,
    header: Option<HeaderName>,
    issuer: Box<str>,
}

/// What is asserted of one caller.
pub(crate) struct Statement {
    template: Arc<Template>,
    caller: Caller,
}

/// RFC 7519 §4.1, RFC 9068 §2.2. `idp` says who knows the caller by `sub`: without it, two issuers' callers
/// could have one name.
#[derive(serde::Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: &'a str,
    tenant: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    idp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    scope: Joined<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// Scopes with spaces between.
struct Joined<'a>(&'a [ScopeName]);

impl Serialize for Joined<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { " " } else { "" })?;
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl Asserted {
    pub(crate) fn new(
        assertion: &Assertion,
        issuer: &str,
        origin: Origin,
        keys: SigningKeys,
    ) -> Result<Self, BuildProblem> {
        let header = assertion.header.as_ref().map(|name| HeaderName::from_bytes(name.as_bytes()));
        let header = header
            .transpose()
            .map_err(|_| BuildProblem::Header("the header's name is not an HTTP field name"))?;
        let kept = match assertion.per_request {
            true => None,
            false => Some((Keys::random()?, Store::many(CAPACITY))),
        };
        let (assertion, lifetime) = (assertion.clone(), assertion.lifetime);
        let template = Arc::new(Template { keys, assertion, header, issuer: issuer.into() });
        Ok(Self { template, origin, lifetime, kept })
    }

    /// It is always there, but for a failure to sign.
    pub(crate) fn ready(&self, need: Need<'_>) -> Outcome {
        let statement = || Statement { template: Arc::clone(&self.template), caller: need.caller.clone() };
        let Some((keys, store)) = &self.kept else {
            return Ok(UpstreamCredential::statement(self.origin.clone(), statement(), None));
        };
        let key = keys.of(need.caller, need.subject_token.unwrap_or_default());
        if let Some(kept) = store.credential(key, need.now) {
            return Ok(kept);
        }
        let (name, value) = statement().header(None, need.now)?;
        let until = lifetime::usable_until(need.now, Some(self.lifetime), need.caller.expires);
        let credential = UpstreamCredential::header(self.origin.clone(), name, value, until);
        store.keep(key, Ok(credential.clone()), need.now);
        Ok(credential)
    }
}

impl Statement {
    /// A new JWT, in the header that carries it. It ends with the caller's token at the latest.
    pub(crate) fn header(
        &self,
        request_id: Option<&str>,
        now: SystemTime,
    ) -> Result<(HeaderName, HeaderValue), CredentialError> {
        let template = &*self.template;
        let token = self.token(request_id, now)?;
        let value = match &template.header {
            None => bearer_value(&token),
            Some(_) => sensitive(Zeroizing::new(token.as_bytes().to_vec())),
        };
        let name = template.header.clone().unwrap_or(AUTHORIZATION);
        Ok((name, value.ok_or(Reason::AssertionFailed)?))
    }

    fn token(&self, request_id: Option<&str>, now: SystemTime) -> Result<Zeroizing<String>, CredentialError> {
        let (template, caller) = (&*self.template, &self.caller);
        let end = now + template.assertion.lifetime;
        let end = caller.expires.map_or(end, |expires| expires.min(end));
        if end <= now {
            return Err(Reason::CallerExpired.into());
        }
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let claims = Claims {
            iss: &template.issuer,
            sub: &caller.subject,
            aud: &template.assertion.audience,
            iat: seconds(now),
            // A whole second more than nothing, should the caller's token end within this one.
            exp: seconds(end).max(seconds(now) + 1),
            jti: &crate::assertion::unguessable()?,
            tenant: caller.tenant.as_str(),
            idp: &caller.issuer,
            client_id: caller.client.as_deref(),
            scope: Joined(&caller.scopes),
            request_id,
        };
        let mut json = Vec::with_capacity(512);
        serde_json::to_writer(&mut json, &claims).map_err(|_| Reason::AssertionFailed)?;
        let key = template.keys.key(template.assertion.algorithm, now)?;
        key.sign(&json).ok_or_else(|| Reason::AssertionFailed.into())
    }
}
