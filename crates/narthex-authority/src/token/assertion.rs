//! Assertions of identity providers for access tokens: ID-JAG (RFC 7523 §3,
//! draft-ietf-oauth-identity-assertion-authz-grant, MCP enterprise-managed authorization).

use super::access::AccessToken;
use super::{Asking, Issue};
use crate::Response;
use crate::authority::Authority;
use crate::client::auth::{SKEW, lifetime};
use crate::error::{Code, OAuthError, invalid_grant, invalid_request};
use crate::login::User;
use crate::replay;
use crate::resources::{Resource, parse_scopes};
use crate::secret::seconds;
use narthex_config::model::{AssertionIssuer, ScopeName, TenantId, TenantRule};
use narthex_identity::{JwtKind, Signer, claimed_issuer};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Longest subject and tenant, bytes.
const LONGEST: usize = 200;
/// Most groups that are read.
const MOST_GROUPS: usize = 256;

/// An identity provider whose assertions are taken.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its name in the configuration: `sub` begins with it.
    pub(crate) name: String,
    pub(crate) rules: AssertionIssuer,
    pub(crate) signer: Arc<Signer>,
}

impl Authority {
    pub(super) async fn by_assertion(&self, asking: &Asking<'_>) -> Result<Response, OAuthError> {
        let Asking { client, params, binding, now } = asking;
        let jwt = params.get("assertion").ok_or_else(|| invalid_request("The assertion is missing."))?;
        let name = claimed_issuer(jwt, JwtKind::IdJag).ok_or_else(|| invalid_grant("no ID-JAG"))?;
        let provider =
            self.providers.get(&name).ok_or_else(|| invalid_grant("an assertion of somebody unknown"))?;
        let listed = provider.rules.clients.as_ref().is_some_and(|clients| clients.contains(&client.id));
        let may = listed || (client.assertions && provider.rules.clients.is_none());
        if !may || !client.is_confidential() {
            let text = "This client may not exchange assertions of this issuer.";
            return Err(OAuthError::new(Code::UnauthorizedClient, text));
        }
        let claims = provider.signer.verify(jwt, JwtKind::IdJag, *now).await;
        let claims =
            claims.map_err(|error| invalid_grant("an assertion that does not verify").detail(error))?;
        let resource = self.check_claims(provider, &client.id, &claims)?;
        let ends = lifetime(&claims, *now).map_err(invalid_grant)?;
        self.check_resource(params, &resource.id)?;
        let user = user(provider, &claims, *now)?;
        if !self.resources.may_use(&user.tenant, &resource) {
            return Err(invalid_grant("the user may not use the resource"));
        }
        let wanted = scopes(params.get("scope"), &claims, &resource)?;
        let scopes = client.limit(self.granted(&wanted, &user));
        if scopes.is_empty() && !wanted.is_empty() {
            return Err(OAuthError::new(Code::InvalidScope, "The user may be granted none of the scopes."));
        }
        self.check_demands(&resource.id, binding.as_ref(), *now)?;
        // The last of all checks: an assertion that was refused for another reason is not used up.
        let id = claims.get("jti").and_then(Value::as_str).filter(|id| !id.is_empty() && id.len() <= 512);
        let id = id.ok_or_else(|| invalid_grant("an assertion without an id"))?;
        let remember = Duration::from_secs(ends + SKEW - seconds(*now).min(ends));
        if !replay::first_use(&self.lasting.vault, &name, id, remember).await? {
            return Err(invalid_grant("an assertion for the second time"));
        }
        let scopes: Vec<String> = scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        let issue = Issue { user: &user, client: &client.id, resource: &resource.id, scopes: &scopes };
        let token = self.sign(&issue, binding.as_ref(), AccessToken::new_id()?, *now)?;
        // No refresh token: the next assertion shows whether the user still may.
        Ok(self.tokens(&token, None, &scopes, asking))
    }

    /// Whom it is by, for and about; the resource that it names.
    fn check_claims(
        &self,
        provider: &Provider,
        client: &str,
        claims: &Map<String, Value>,
    ) -> Result<Resource, OAuthError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(&provider.rules.issuer) {
            return Err(invalid_grant("an assertion of somebody else"));
        }
        let is_ours = match claims.get("aud") {
            Some(Value::Array(all)) => {
                all.len() == 1 && all.iter().all(|one| one.as_str() == Some(&self.issuer))
            }
            Some(one) => one.as_str() == Some(&self.issuer),
            None => false,
        };
        if !is_ours {
            return Err(invalid_grant("an assertion for somebody else"));
        }
        if text("client_id") != Some(client) {
            return Err(invalid_grant("another client's assertion"));
        }
        let resource = text("resource").and_then(|name| self.resources.find(name));
        resource.cloned().ok_or_else(|| invalid_grant("an assertion for another resource"))
    }
}

/// The user that an assertion is about, by the rules for its issuer.
fn user(provider: &Provider, claims: &Map<String, Value>, now: SystemTime) -> Result<User, OAuthError> {
    let text = |name: &str| {
        let text = claims.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control))
    };
    let subject = text("sub").ok_or_else(|| invalid_grant("an assertion about nobody"))?;
    let tenant = match &provider.rules.tenant {
        TenantRule::Value(tenant) => tenant.clone(),
        TenantRule::Claim(claim) => {
            TenantId::from(text(claim).ok_or_else(|| invalid_grant("an assertion that says no tenant"))?)
        }
    };
    let groups = provider.rules.groups.as_ref().and_then(|claim| claims.get(claim));
    let groups = match groups {
        Some(Value::Array(groups)) => {
            groups.iter().filter_map(Value::as_str).take(MOST_GROUPS).map(str::to_owned).collect()
        }
        Some(Value::String(group)) => vec![group.clone()],
        _ => Vec::new(),
    };
    Ok(User {
        tenant,
        subject: User::subject_of(&provider.name, subject),
        provider: provider.name.clone(),
        provider_issuer: provider.rules.issuer.clone(),
        provider_subject: subject.to_owned(),
        name: text("name").unwrap_or(subject).to_owned(),
        groups,
        authenticated_at: claims.get("auth_time").and_then(Value::as_u64).map_or(now, crate::secret::time),
    })
}

/// What is asked for and asserted; all that is asserted, or needed, where nothing is asked for.
fn scopes(
    asked: Option<&str>,
    claims: &Map<String, Value>,
    resource: &Resource,
) -> Result<BTreeSet<ScopeName>, OAuthError> {
    let bad = || OAuthError::new(Code::InvalidScope, "The scope cannot be read.");
    let asserted = match claims.get("scope") {
        None => None,
        Some(scope) => {
            Some(scope.as_str().and_then(parse_scopes).ok_or_else(|| invalid_grant("a scope that is none"))?)
        }
    };
    let asked = asked.map(parse_scopes).map(|asked| asked.ok_or_else(bad)).transpose()?;
    Ok(match (asked, asserted) {
        (Some(asked), Some(asserted)) => {
            let both: BTreeSet<_> = asked.intersection(&asserted).cloned().collect();
            if both.is_empty() && !asked.is_empty() {
                return Err(OAuthError::new(Code::InvalidScope, "None of the scopes is in the assertion."));
            }
            both
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => resource.scopes.clone(),
    })
}
