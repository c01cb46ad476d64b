//! `credential:` of an upstream.

use super::Check;
use crate::grammar::{self, Secret, Variable};
use crate::model::{Credential, TokenExchange};
use crate::yaml::{Entry, Field, Span};
use url::Url;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Headers that are the gateway's to set: framing, negotiation, MCP's own, and those that say who is
/// asking. `authorization` is not among them, being what a credential header is for.
const RESERVED: [&str; 32] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "baggage",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "dpop",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "range",
    "referer",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-correlation-id",
    "x-real-ip",
    "x-request-id",
    "www-authenticate",
];

/// Families of headers that are the gateway's, too.
const RESERVED_PREFIXES: [&str; 4] = ["mcp-", "proxy-", "sec-", "x-forwarded-"];

impl Check<'_> {
    pub(super) fn credential(&self, field: Field<grammar::Credential>, insecure: bool) -> Option<Credential> {
        if field.is_absent() {
            return Some(Credential::None);
        }
        let (at, credential) = field.with_span()?;
        match credential {
            grammar::Credential::None => Some(Credential::None),
            grammar::Credential::Header(header) => {
                self.need(&header.value, at, "value", "{ file: /run/secrets/key }");
                let value = self.secret(&header.value);
                let name = self.required(header.name, at, "name", "X-Api-Key");
                let name = name.and_then(|(at, name)| self.header_name(&name, at));
                Some(Credential::Header { name: name?, value: value? })
            }
            grammar::Credential::Basic(basic) => {
                self.need(&basic.password, at, "password", "{ file: /run/secrets/password }");
                let password = self.secret(&basic.password);
                let (at, username) = self.required(basic.username, at, "username", "name")?;
                if username.contains(|c: char| c == ':' || c.is_control()) {
                    let message = "a user name has no colon and no control characters (RFC 7617)";
                    self.report.error(at, message);
                }
                Some(Credential::Basic { username, password: password? })
            }
            grammar::Credential::ClientCredentials(grant) => self.client_credentials(grant, at, insecure),
            grammar::Credential::TokenExchange(grant) => {
                self.token_exchange(grant, at, insecure).map(Credential::TokenExchange)
            }
            grammar::Credential::AuthorizationCode(given) => self.authorization_code(*given, at, insecure),
            grammar::Credential::Env(variables) => self.secret_variables(&variables.0.0, at),
        }
    }

    fn secret_variables(&self, given: &[Entry<Variable, Secret>], at: Span) -> Option<Credential> {
        // Names that cannot be read are not among them, and are reported.
        if given.is_empty() && !self.report.has_errors() {
            let help = "add `API_TOKEN: { file: /run/secrets/token }`, or say `credential: none`";
            self.report.warn(at, "this names no environment variable", help);
        }
        let secrets: Vec<_> = given.iter().map(|entry| (&entry.key.0, self.secret(&entry.value))).collect();
        let secrets = secrets.into_iter().map(|(name, secret)| Some((name.clone(), secret?)));
        secrets.collect::<Option<_>>().map(Credential::Env)
    }

    fn header_name(&self, name: &str, at: Span) -> Option<String> {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || name.len() > 128 || !name.chars().all(token) {
            self.report.error(at, "not a header name");
            return None;
        }
        let name = name.to_ascii_lowercase();
        // Some servers take `_` for `-`, so the one is as reserved as the other.
        let dashed = name.replace('_', "-");
        let reserved = RESERVED.contains(&dashed.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| dashed.starts_with(prefix));
        if reserved {
            let message = format!("header `{name}` is the gateway's own and cannot carry a credential");
            self.report.error_with_help(at, message, "use `authorization` or a name such as `x-api-key`");
            return None;
        }
        Some(name)
    }

    fn client_credentials(
        &self,
        grant: grammar::ClientCredentials,
        at: Span,
        insecure: bool,
    ) -> Option<Credential> {
        let token_url = self.token_url(&grant.token_url, at, insecure);
        let client = self.client(grant.client, at);
        self.confidential(client.as_ref(), at);
        Some(Credential::ClientCredentials {
            token_url: token_url?,
            client: client?,
            scopes: Self::scopes(&grant.scopes),
            resource: self.resource(grant.resource),
            audience: self.text(grant.audience),
        })
    }

    fn token_exchange(
        &self,
        grant: grammar::TokenExchange,
        at: Span,
        insecure: bool,
    ) -> Option<TokenExchange> {
        let token_url = self.token_url(&grant.token_url, at, insecure);
        let client = self.client(grant.client, at);
        Some(TokenExchange {
            token_url: token_url?,
            client: client?,
            audience: self.text(grant.audience),
            resource: self.resource(grant.resource),
            scopes: Self::scopes(&grant.scopes),
            subject_token_type: self
                .token_type(grant.subject_token_type)
                .unwrap_or_else(|| ACCESS_TOKEN.to_owned()),
            requested_token_type: self.token_type(grant.requested_token_type),
        })
    }

    fn token_url(&self, field: &Field<grammar::HttpUrl>, owner: Span, insecure: bool) -> Option<Url> {
        self.need(field, owner, "token_url", "https://idp.example.com/token");
        self.endpoint(field, insecure)
    }

    /// A resource indicator is an absolute URI without fragment (RFC 8707 §2).
    pub(super) fn resource(&self, field: Field<String>) -> Option<String> {
        let at = field.span()?;
        let text = self.text(field)?;
        if Url::parse(&text).is_ok_and(|url| url.fragment().is_none()) && !text.contains(char::is_whitespace)
        {
            return Some(text);
        }
        self.report.error(at, "a resource is an absolute URI without fragment (RFC 8707 section 2)");
        None
    }

    /// A token type identifier is a URI (RFC 8693 §3).
    fn token_type(&self, field: Field<String>) -> Option<String> {
        let at = field.span()?;
        let text = self.text(field)?;
        if Url::parse(&text).is_ok() && !text.contains(char::is_whitespace) {
            return Some(text);
        }
        let help = format!("for example `{ACCESS_TOKEN}`");
        self.report.error_with_help(at, "a token type is a URI (RFC 8693 section 3)", help);
        None
    }
}
