//! The answer of an authorization server, brought by the browser that was sent there.

use super::Consented;
use super::record::{self, Connection, Pending, Ticket};
use super::token::{Refused, Tokens};
use super::visit::ConnectError;
use crate::discovery;
use crate::grant::Form;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Most parameters that an answer may have.
const MAX_PARAMETERS: usize = 32;

/// Longest code, bytes.
const MAX_CODE: usize = 4096;

/// The parameters of an answer (RFC 6749 §4.1.2, RFC 9207). Each is there once, or it is no answer.
#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) state: String,
    code: Option<Zeroizing<String>>,
    iss: Option<String>,
    error: Option<String>,
}

// === impl Response ===

impl Response {
    pub(super) fn read(parameters: &[(String, String)]) -> Result<Self, ConnectError> {
        let bad = |why: &str| ConnectError::Refused(why.to_owned());
        if parameters.len() > MAX_PARAMETERS {
            return Err(bad("an answer with too many parameters"));
        }
        let once = |name: &str| {
            let mut values = parameters.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(bad("an answer with a parameter twice")),
                (value, None) => Ok(value.cloned()),
            }
        };
        Ok(Self {
            state: once("state")?.ok_or(ConnectError::Expired)?,
            code: once("code")?.map(Zeroizing::new),
            iss: once("iss")?,
            error: once("error")?,
        })
    }

    /// The code, if it is from the server that the browser was sent to (RFC 9207 §2.4). Of an answer that is
    /// from another, not even the error counts.
    fn code(self, pending: &Pending) -> Result<Zeroizing<String>, ConnectError> {
        let refused = |why: &str| Err(ConnectError::Refused(why.to_owned()));
        match &self.iss {
            None if pending.names_itself => {
                return refused("the answer does not say which server it is from");
            }
            Some(iss) if *iss != pending.server => return refused("the answer is from another server"),
            _ => {}
        }
        if let Some(error) = &self.error {
            let known = error.len() <= 64 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            return refused(if known { error } else { "an error without a code" });
        }
        match self.code {
            Some(code) if is_code(&code) => Ok(code),
            _ => refused("the answer has no code"),
        }
    }
}

/// RFC 6749 appendix A.11.
fn is_code(code: &str) -> bool {
    !code.is_empty() && code.len() <= MAX_CODE && code.bytes().all(|b| matches!(b, 0x20..=0x7e))
}

impl Consented {
    /// Takes the answer to `pending`, and keeps what it is good for.
    pub(super) async fn finish(
        &self,
        pending: Pending,
        response: Response,
        now: SystemTime,
    ) -> Result<(), ConnectError> {
        let code = response.code(&pending)?;
        let found = self.discovery.found(discovery::KEPT, now).await?;
        if found.server.issuer != pending.server {
            return Err(ConnectError::Refused(
                "the upstream has another authorization server now".to_owned(),
            ));
        }
        let client = self.client(&found, now).await?;
        if client.id != pending.client {
            return Err(ConnectError::Refused("the gateway is another client now".to_owned()));
        }
        let mut form = Form::default();
        form.add("grant_type", "authorization_code");
        form.add("code", &code);
        form.add("redirect_uri", &self.setup.redirect_uri);
        form.add("code_verifier", &pending.verifier);
        match self.ask(form, &code, &found, &client, now).await {
            Ok(tokens) => self.keep(pending, tokens, now).await,
            Err(Refused::Grant) => Err(ConnectError::Refused("invalid_grant".to_owned())),
            Err(Refused::Client) => {
                self.forget_client(&found.server.issuer, &client).await;
                Err(ConnectError::Refused("invalid_client".to_owned()))
            }
            Err(Refused::Other(error)) => Err(error.into()),
        }
    }

    async fn keep(&self, pending: Pending, tokens: Tokens, now: SystemTime) -> Result<(), ConnectError> {
        let person = pending.ticket.person.clone();
        let person = person.as_person();
        let (key, at) = (self.key(person), record::seconds(now));
        let before = record::get::<Connection>(&self.vault, &key).await?.map(|seen| seen.record);
        let (step_ups, step_ups_since) = match before {
            Some(before) if pending.ticket.step_up => before.stepped_up(at),
            _ => (0, at),
        };
        let asked = pending.ticket.scopes;
        let connection = Connection {
            server: pending.server,
            client: pending.client,
            access_token: tokens.access_token,
            issued: at,
            expires: tokens.expires_in.map(|left| record::seconds(now + left)),
            refresh_token: tokens.refresh_token,
            // RFC 6749 §5.1: those asked for, unless it says otherwise.
            scopes: tokens.scopes.unwrap_or_else(|| asked.clone()),
            asked,
            connected: at,
            step_ups,
            step_ups_since,
        };
        record::put(&self.vault, &key, &connection, connection.ttl(now)).await?;
        // Used once.
        if let Err(error) = self.vault.remove(&Ticket::key(&pending.link)).await {
            tracing::warn!(reason = error.reason(), "a used link to connect is not forgotten");
        }
        tracing::info!(upstream = %self.setup.upstream, tenant = person.tenant, "a user connected");
        self.tell(person, true);
        Ok(())
    }
}
