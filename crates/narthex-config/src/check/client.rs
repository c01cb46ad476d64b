//! The gateway as an OAuth client of others.

use super::Check;
use crate::grammar::{self, ClientMethod};
use crate::model::{OAuthClient, OAuthClientAuth};
use crate::yaml::{Field, Span};

impl Check<'_> {
    /// `client:` of the mapping at `owner`.
    pub(super) fn client(&self, field: Field<grammar::OAuthClient>, owner: Span) -> Option<OAuthClient> {
        let example = "{ id: narthex, secret: { file: /run/secrets/narthex } }";
        let (at, client) = self.required(field, owner, "client", example)?;
        let auth = self.client_auth(&client, at);
        self.need(&client.id, at, "id", "narthex");
        let id = self.text(client.id);
        Some(OAuthClient { id: id?, auth: auth? })
    }

    fn client_auth(&self, client: &grammar::OAuthClient, at: Span) -> Option<OAuthClientAuth> {
        if let (Some(_), Some(key)) = (client.secret.span(), client.private_key.span()) {
            let message = "a client has either a `secret` or a `private_key`";
            self.report.error(key, message);
            return None;
        }
        if let Some(at) = client.method.span()
            && client.secret.is_absent()
        {
            self.report.error(at, "`method` says how a `secret` is sent, and there is none");
        }
        if !client.certificate.is_absent() {
            return self.tls_client_auth(client, at);
        }
        if !client.private_key.is_absent() {
            return self.private_key_jwt(client, at);
        }
        for (name, span) in [("algorithm", client.algorithm.span()), ("key_id", client.key_id.span())] {
            if let Some(at) = span {
                self.report.error(at, format!("`{name}` goes with a `private_key`, and there is none"));
            }
        }
        if client.secret.is_absent() {
            return Some(OAuthClientAuth::None);
        }
        let secret = self.secret(&client.secret)?;
        Some(match client.method.get() {
            Some(ClientMethod::Post) => OAuthClientAuth::Post(secret),
            _ => OAuthClientAuth::Basic(secret),
        })
    }

    fn private_key_jwt(&self, client: &grammar::OAuthClient, at: Span) -> Option<OAuthClientAuth> {
        self.need(&client.algorithm, at, "algorithm", "ES256");
        let key = self.secret(&client.private_key);
        let algorithm = client.algorithm.get();
        Some(OAuthClientAuth::PrivateKeyJwt {
            key: key?,
            algorithm: algorithm?.0,
            key_id: client.key_id.get().cloned(),
        })
    }

    /// RFC 8705 §2.1.
    fn tls_client_auth(&self, client: &grammar::OAuthClient, at: Span) -> Option<OAuthClientAuth> {
        if let Some(at) = client.secret.span() {
            self.report.error(at, "a client has either a `secret` or a `certificate`");
        }
        for (name, span) in [("algorithm", client.algorithm.span()), ("key_id", client.key_id.span())] {
            if let Some(at) = span {
                let message = format!("`{name}` is of a key that signs assertions, not of a `certificate`");
                self.report.error_with_help(at, message, "remove it");
            }
        }
        self.need(&client.private_key, at, "private_key", "{ file: /run/secrets/narthex.key }");
        let (certificate, key) = (self.file(&client.certificate), self.secret(&client.private_key));
        Some(OAuthClientAuth::Tls { certificate: certificate?, key: key? })
    }

    /// Reports a public client where a grant needs a confidential one (RFC 6749 §4.4).
    pub(super) fn confidential(&self, client: Option<&OAuthClient>, at: Span) {
        if client.is_some_and(|client| client.auth == OAuthClientAuth::None) {
            let help = "add `secret: { file: … }` or `private_key: { file: … }` to `client`";
            self.report.error_with_help(at, "this grant is for clients that authenticate", help);
        }
    }
}
