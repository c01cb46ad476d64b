//! What is asked of a token endpoint.

use crate::error::{CredentialError, Reason};
use narthex_config::model::{Credential, ScopeName, TokenExchange};
use zeroize::Zeroizing;

/// `urn:ietf:params:oauth:token-type:access_token` (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// `urn:ietf:params:oauth:token-type:jwt` (RFC 8693 §3).
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// One kind of token request, with the parameters that are the same every time.
#[derive(Debug)]
pub(crate) enum Grant {
    /// RFC 6749 §4.4: a token for the gateway itself.
    ClientCredentials(Wanted),
    /// RFC 8693: a token for the caller, in exchange for the caller's own.
    TokenExchange { wanted: Wanted, subject_token_type: String, requested_token_type: Option<String> },
}

/// What the token is to be good for.
#[derive(Debug)]
pub(crate) struct Wanted {
    scope: Option<String>,
    resource: Option<String>,
    audience: Option<String>,
}

/// Parameters of a form. The values are zeroed when it is dropped.
#[derive(Default)]
pub(crate) struct Form(Vec<(&'static str, Zeroizing<String>)>);

// === impl Grant ===

impl Grant {
    /// The grant of a credential that is obtained; `None` for a fixed one.
    pub(crate) fn of(credential: &Credential) -> Option<Self> {
        match credential {
            Credential::None
            | Credential::Header { .. }
            | Credential::Basic { .. }
            | Credential::Env(_)
            | Credential::AuthorizationCode(_) => None,
            Credential::ClientCredentials { scopes, resource, audience, .. } => {
                Some(Self::ClientCredentials(Wanted::new(scopes, resource.as_ref(), audience.as_ref())))
            }
            Credential::TokenExchange(exchange) => Some(Self::exchange(exchange)),
        }
    }

    fn exchange(exchange: &TokenExchange) -> Self {
        let TokenExchange { scopes, resource, audience, .. } = exchange;
        Self::TokenExchange {
            wanted: Wanted::new(scopes, resource.as_ref(), audience.as_ref()),
            subject_token_type: exchange.subject_token_type.clone(),
            requested_token_type: exchange.requested_token_type.clone(),
        }
    }

    /// Whether each caller gets a token of its own.
    pub(crate) fn is_per_caller(&self) -> bool {
        matches!(self, Self::TokenExchange { .. })
    }

    /// The request's parameters, without the client's authentication.
    pub(crate) fn form(&self, subject_token: Option<&str>) -> Result<Form, CredentialError> {
        let mut form = Form::default();
        match self {
            Self::ClientCredentials(wanted) => {
                form.add("grant_type", "client_credentials");
                wanted.add_to(&mut form);
            }
            Self::TokenExchange { wanted, subject_token_type, requested_token_type } => {
                form.add("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
                form.add("subject_token", subject_token.ok_or(Reason::NoSubjectToken)?);
                form.add("subject_token_type", subject_token_type);
                form.add_if("requested_token_type", requested_token_type.as_deref());
                wanted.add_to(&mut form);
            }
        }
        Ok(form)
    }

    /// Whether a token of this `issued_token_type` was asked for. RFC 8693 §2.2.1 requires the member;
    /// an access token may also be called by its format.
    pub(crate) fn accepts(&self, issued_token_type: Option<&str>) -> bool {
        match self {
            Self::ClientCredentials(_) => true,
            Self::TokenExchange { requested_token_type, .. } => issued_token_type.is_some_and(|issued| {
                issued == ACCESS_TOKEN || issued == JWT || Some(issued) == requested_token_type.as_deref()
            }),
        }
    }
}

// === impl Wanted ===

impl Wanted {
    fn new(scopes: &[ScopeName], resource: Option<&String>, audience: Option<&String>) -> Self {
        let scope = scopes.iter().map(ScopeName::as_str).collect::<Vec<_>>().join(" ");
        Self {
            scope: Some(scope).filter(|scope| !scope.is_empty()),
            resource: resource.cloned(),
            audience: audience.cloned(),
        }
    }

    fn add_to(&self, form: &mut Form) {
        form.add_if("audience", self.audience.as_deref());
        form.add_if("resource", self.resource.as_deref());
        form.add_if("scope", self.scope.as_deref());
    }
}

// === impl Form ===

impl Form {
    pub(crate) fn add(&mut self, name: &'static str, value: &str) {
        self.0.push((name, Zeroizing::new(value.to_owned())));
    }

    fn add_if(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// As pairs, in the order in which they were added.
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
}
