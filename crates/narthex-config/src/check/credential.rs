//! `credential:` of an upstream.

use super::Check;
use crate::grammar::{self, Secret, Variable};
use crate::model::{Credential, Transport};
use crate::yaml::{Entry, Field, Span};

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
    /// `transport` is that of the upstream, unless that has mistakes.
    pub(super) fn credential(
        &self,
        field: Field<grammar::Credential>,
        insecure: bool,
        transport: Option<&Transport>,
    ) -> Option<Credential> {
        if field.is_absent() {
            return Some(Credential::None);
        }
        let (at, credential) = field.with_span()?;
        match credential {
            grammar::Credential::None => Some(Credential::None),
            grammar::Credential::Header(header) => self.fixed_header(header, at),
            grammar::Credential::Basic(basic) => self.basic(basic, at),
            grammar::Credential::ClientCredentials(grant) => {
                self.client_credentials(grant, at, insecure).map(Credential::ClientCredentials)
            }
            grammar::Credential::TokenExchange(grant) => {
                self.token_exchange(*grant, at, insecure).map(Credential::TokenExchange)
            }
            grammar::Credential::AuthorizationCode(given) => self.authorization_code(*given, at, insecure),
            grammar::Credential::IdJag(grant) => self.id_jag(*grant, at, insecure).map(Credential::IdJag),
            grammar::Credential::OnBehalfOf(grant) => {
                self.on_behalf_of(grant, at, insecure).map(Credential::OnBehalfOf)
            }
            grammar::Credential::JwtBearer(grant) => {
                self.jwt_bearer(*grant, at, insecure).map(Credential::JwtBearer)
            }
            grammar::Credential::Assertion(given) => {
                self.assertion(given, transport).map(Credential::Assertion)
            }
            grammar::Credential::AwsSigV4(given) => {
                self.aws_sigv4(*given, at, insecure).map(Credential::AwsSigV4)
            }
            grammar::Credential::Env(variables) => self.secret_variables(&variables.0.0, at),
        }
    }

    fn fixed_header(&self, header: grammar::Header, at: Span) -> Option<Credential> {
        self.need(&header.value, at, "value", "{ file: /run/secrets/key }");
        let value = self.secret(&header.value);
        let name = self.required(header.name, at, "name", "X-Api-Key");
        let name = name.and_then(|(at, name)| self.header_name(&name, at));
        Some(Credential::Header { name: name?, value: value? })
    }

    fn basic(&self, basic: grammar::Basic, at: Span) -> Option<Credential> {
        self.need(&basic.password, at, "password", "{ file: /run/secrets/password }");
        let password = self.secret(&basic.password);
        let (at, username) = self.required(basic.username, at, "username", "name")?;
        if username.contains(|c: char| c == ':' || c.is_control()) {
            let message = "a user name has no colon and no control characters (RFC 7617)";
            self.report.error(at, message);
        }
        Some(Credential::Basic { username, password: password? })
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

    pub(super) fn header_name(&self, name: &str, at: Span) -> Option<String> {
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
}
