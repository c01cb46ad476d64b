//! What the claims of a token must be, and the caller that they make. The same rules for the payload
//! of a JWT (RFC 7519 §4.1, RFC 9068 §2.2) and the answer of an introspection (RFC 7662 §2.2).

use crate::object::{Object, OneOrMany, WrongType};
use crate::scopes::Hierarchy;
use crate::{Binding, Caller, Presented, TokenError};
use narthex_config::model::{ScopeName, TenantId, TenantRule};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest subject, client id and tenant name, bytes (OpenID Connect Core §2 for `sub`).
const NAME_CAP: usize = 255;
/// Most scopes and audiences of one token.
const LIST_CAP: usize = 256;
/// How far ahead of our clock `iat` may be, beside the leeway.
const ISSUED_AHEAD: Duration = Duration::from_secs(300);
/// Last second of the year 9999: a date after it is no date.
const LAST_DATE: u64 = 253_402_300_799;

/// How the claims of one issuer are read.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct ClaimRules {
    /// `iss`.
    pub(crate) issuer: Arc<str>,
    pub(crate) tenant: TenantRule,
    pub(crate) leeway: Duration,
    pub(crate) hierarchy: Arc<Hierarchy>,
}

/// A token that is good, for those audiences.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    pub(crate) caller: Arc<Caller>,
    /// `cnf`.
    pub(crate) binding: Option<Arc<Binding>>,
    /// `aud`.
    pub(crate) audience: Box<[Box<str>]>,
    /// When it stops being good: `exp` and the leeway.
    pub(crate) until: SystemTime,
}

impl Verified {
    /// The token, if it is for `resource`: compared as strings, not as URLs (RFC 8707 §2).
    pub(crate) fn for_resource(&self, resource: &str) -> Result<Presented, TokenError> {
        check_audience(&self.audience, resource)
            .map(|()| Presented::new(Arc::clone(&self.caller), self.binding.clone()))
    }
}

/// `aud` contains `resource`, byte for byte.
pub(crate) fn check_audience(audience: &[Box<str>], resource: &str) -> Result<(), TokenError> {
    let named = audience.iter().any(|name| &**name == resource);
    if named { Ok(()) } else { Err(TokenError::WrongAudience) }
}

impl ClaimRules {
    /// Reads and checks all claims but `iss` and whether `aud` is the one wanted. `expires` stands in
    /// for a missing `exp`; with `None`, there must be one.
    pub(crate) fn read(
        &self,
        claims: &Object<'_>,
        expires: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<Verified, TokenError> {
        let expires = date(claims, "exp")?.or(expires).ok_or(TokenError::NoExpiry)?;
        let until = expires + self.leeway;
        if now >= until {
            return Err(TokenError::Expired);
        }
        self.check_start(claims, now)?;
        let binding = Binding::read(claims)?;
        let caller = Caller {
            subject: subject(claims)?,
            tenant: self.tenant(claims)?,
            client: client(claims)?,
            scopes: self.hierarchy.expand(scopes(claims)?),
            issuer: Arc::clone(&self.issuer),
            expires: Some(expires),
        };
        Ok(Verified { caller: Arc::new(caller), binding, audience: audience(claims)?, until })
    }

    fn check_start(&self, claims: &Object<'_>, now: SystemTime) -> Result<(), TokenError> {
        let begun = |start: Option<SystemTime>, ahead| start.is_none_or(|start| start <= now + ahead);
        if begun(date(claims, "nbf")?, self.leeway) && begun(date(claims, "iat")?, self.leeway + ISSUED_AHEAD)
        {
            Ok(())
        } else {
            Err(TokenError::NotYetValid)
        }
    }

    fn tenant(&self, claims: &Object<'_>) -> Result<TenantId, TokenError> {
        match &self.tenant {
            TenantRule::Value(tenant) => Ok(tenant.clone()),
            TenantRule::Claim(name) => match claims.get::<String>(name) {
                Ok(Some(tenant)) if is_name(&tenant) => Ok(TenantId::from(tenant.as_str())),
                _ => Err(TokenError::NoTenant),
            },
        }
    }
}

fn subject(claims: &Object<'_>) -> Result<Arc<str>, TokenError> {
    match claims.get::<String>("sub") {
        Ok(Some(subject)) if is_name(&subject) => Ok(subject.into()),
        _ => Err(TokenError::NoSubject),
    }
}

fn client(claims: &Object<'_>) -> Result<Option<Arc<str>>, TokenError> {
    let client = match claims.get::<String>("client_id").map_err(bad)? {
        Some(client) => Some(client),
        None => claims.get::<String>("azp").map_err(bad)?,
    };
    match client {
        Some(client) if !is_name(&client) => Err(TokenError::BadClaims),
        client => Ok(client.map(Into::into)),
    }
}

/// `scope` (RFC 8693 §4.2), or `scp` as some issuers have it, a string or an array.
fn scopes(claims: &Object<'_>) -> Result<Vec<ScopeName>, TokenError> {
    let lists = match claims.get::<String>("scope").map_err(bad)? {
        Some(list) => vec![list],
        None => claims.get::<OneOrMany>("scp").map_err(bad)?.map_or_else(Vec::new, OneOrMany::into_vec),
    };
    let words: Vec<&str> =
        lists.iter().flat_map(|list| list.split(' ')).filter(|word| !word.is_empty()).collect();
    if words.len() > LIST_CAP || !words.iter().all(|word| is_scope(word)) {
        return Err(TokenError::BadClaims);
    }
    Ok(words.into_iter().map(ScopeName::from).collect())
}

fn audience(claims: &Object<'_>) -> Result<Box<[Box<str>]>, TokenError> {
    let audience = claims.get::<OneOrMany>("aud").map_err(bad)?;
    let audience = audience.ok_or(TokenError::WrongAudience)?.into_vec();
    if audience.len() > LIST_CAP {
        return Err(TokenError::BadClaims);
    }
    Ok(audience.into_iter().map(String::into_boxed_str).collect())
}

/// A `NumericDate` that is a whole number: JSON floats read differently in different readers.
fn date(claims: &Object<'_>, name: &str) -> Result<Option<SystemTime>, TokenError> {
    match claims.get::<u64>(name).map_err(bad)? {
        Some(seconds) if seconds > LAST_DATE => Err(TokenError::BadClaims),
        seconds => Ok(seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds))),
    }
}

/// Names go to logs, labels and headers.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_CAP && !text.chars().any(char::is_control)
}

/// `scope-token` (RFC 6749 §3.3).
fn is_scope(word: &str) -> bool {
    word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

fn bad(_: WrongType) -> TokenError {
    TokenError::BadClaims
}
