//! What the claims of a login mean: whose it is, for which tenant, in which groups.

use crate::login::User;
use crate::secret::time;
use http::StatusCode;
use narthex_config::model::{LoginTenant, Preset, Provider, TenantId};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::SystemTime;

/// Longest subject, group and tenant value, bytes (OpenID Connect Core §2 for `sub`).
const TEXT_CAP: usize = 255;
/// Most groups of one user.
const GROUP_CAP: usize = 1000;

/// Why a good login makes no user.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsError {
    /// A claim that says who it is is missing or no usable text.
    #[error("the claim `{0}` says no subject")]
    Subject(String),
    /// The claim that says the tenant is missing, or says none of ours.
    #[error("the claim `{claim}` says no tenant of ours: {said}")]
    Tenant {
        /// The claim.
        claim: String,
        /// What it says, shortened.
        said: String,
    },
    /// The claim says several tenants.
    #[error("the claim `{0}` says several tenants")]
    Tenants(String),
    /// The provider left the groups out because they are too many (Entra: over 200).
    #[error(
        "the user is in too many groups for the provider to list; have it list application roles, or the groups \
         assigned to the application"
    )]
    GroupsOverage,
    /// Over a thousand groups.
    #[error("over 1000 groups")]
    TooManyGroups,
}

impl ClaimsError {
    /// What the person is shown.
    pub(crate) fn face(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Subject(_) => (
                StatusCode::FORBIDDEN,
                "Your account cannot be used here",
                "Your identity provider does not say enough about it. Tell whoever runs this gateway.",
            ),
            Self::Tenant { .. } | Self::Tenants(_) => (
                StatusCode::FORBIDDEN,
                "Your organisation has no access here",
                "You signed in, but your account belongs to no organisation that uses this gateway. If you \
                 have several accounts, sign out at your identity provider and use another.",
            ),
            Self::GroupsOverage | Self::TooManyGroups => (
                StatusCode::FORBIDDEN,
                "You are in too many groups",
                "Your identity provider does not list them all, so it cannot be said what you may do. Whoever \
                 runs this gateway can have it list only the groups or roles of this application.",
            ),
        }
    }
}

/// The user that `claims`, which `provider`'s `issuer` vouches for, are about. `tenants` are those that exist.
///
/// # Errors
/// See [`ClaimsError`].
pub fn identify(
    provider: &Provider,
    tenants: &BTreeSet<TenantId>,
    issuer: &str,
    claims: &Map<String, Value>,
    now: SystemTime,
) -> Result<User, ClaimsError> {
    let subject = subject(&provider.claims.subject, claims)?;
    let name = provider.claims.name.iter().find_map(|path| text(claims, path));
    Ok(User {
        tenant: tenant(&provider.claims.tenant, tenants, claims)?,
        subject: User::subject_of(&provider.id, &subject),
        provider: provider.id.clone(),
        provider_issuer: issuer.to_owned(),
        name: name.unwrap_or(&subject).chars().take(TEXT_CAP).collect(),
        provider_subject: subject,
        groups: groups(provider, claims)?,
        authenticated_at: authenticated_at(claims, now),
    })
}

/// When the user logged in there, which may have been long before they came here; never in the future.
fn authenticated_at(claims: &Map<String, Value>, now: SystemTime) -> SystemTime {
    claims.get("auth_time").and_then(Value::as_u64).map_or(now, |seconds| time(seconds).min(now))
}

/// One claim as it is; several joined with `|`, which then is in none of them, so that no two lists of values
/// are one subject.
fn subject(paths: &[String], claims: &Map<String, Value>) -> Result<String, ClaimsError> {
    let mut parts = Vec::with_capacity(paths.len());
    for path in paths {
        let part = text(claims, path).filter(|part| paths.len() == 1 || !part.contains('|'));
        parts.push(part.ok_or_else(|| ClaimsError::Subject(path.clone()))?);
    }
    let subject = parts.join("|");
    if is_fit(&subject) { Ok(subject) } else { Err(ClaimsError::Subject(paths.join(", "))) }
}

fn tenant(
    rule: &LoginTenant,
    tenants: &BTreeSet<TenantId>,
    claims: &Map<String, Value>,
) -> Result<TenantId, ClaimsError> {
    let (claim, values) = match rule {
        LoginTenant::Value(tenant) => return Ok(tenant.clone()),
        LoginTenant::Claim { claim, values } => (claim, values),
    };
    let said: Vec<&str> = find(claims, claim).map(texts).unwrap_or_default();
    let known = |said: &&str| match values {
        Some(values) => values.get(*said),
        None => tenants.get(*said),
    };
    let found: BTreeSet<&TenantId> = said.iter().filter_map(known).collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(_)) => Err(ClaimsError::Tenants(claim.clone())),
        (None, _) => {
            let said: String = said.join(", ").chars().filter(|c| !c.is_control()).take(100).collect();
            Err(ClaimsError::Tenant { claim: claim.clone(), said })
        }
    }
}

fn groups(provider: &Provider, claims: &Map<String, Value>) -> Result<Vec<String>, ClaimsError> {
    let paths = &provider.claims.groups;
    if provider.preset == Preset::Entra && paths.iter().any(|path| path == "groups") && is_overage(claims) {
        return Err(ClaimsError::GroupsOverage);
    }
    let listed = paths.iter().filter_map(|path| find(claims, path)).flat_map(texts);
    let groups: BTreeSet<&str> = listed.filter(|group| is_fit(group)).collect();
    if groups.len() > GROUP_CAP {
        return Err(ClaimsError::TooManyGroups);
    }
    Ok(groups.into_iter().map(str::to_owned).collect())
}

/// Entra says that it left the groups out by naming another source for them, or by `hasgroups`.
fn is_overage(claims: &Map<String, Value>) -> bool {
    let elsewhere = claims.get("_claim_names").and_then(|names| names.get("groups")).is_some();
    elsewhere || claims.get("hasgroups").is_some_and(|has| has == &Value::Bool(true) || has == "true")
}

/// The text at `path`, if it is fit to be a name.
fn text<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c str> {
    find(claims, path).and_then(Value::as_str).filter(|text| is_fit(text))
}

/// The claim of this very name (some have dots or slashes in it), or the one within others.
fn find<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut steps = path.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.as_object()?.get(step))
}

/// A text, those of a list, or, as Keycloak lists organisations, the names in an object.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        Value::Object(named) => named.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_fit(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_CAP && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
