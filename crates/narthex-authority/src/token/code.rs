//! Authorization codes: used once, for a minute, by whoever began (RFC 6749 §4.1.2, RFC 7636).

use super::access::Binding;
use crate::error::{OAuthError, invalid_grant};
use crate::login::User;
use crate::secret::{random, same, seconds, sha256};
use narthex_store::{Key, Vault};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// How long a code is good.
pub(crate) const LIFE: Duration = Duration::from_secs(60);

/// What a code was given for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Code {
    pub(crate) client: String,
    pub(crate) redirect_uri: String,
    /// `code_challenge`, S256.
    pub(crate) challenge: String,
    pub(crate) resource: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) user: User,
    /// `dpop_jkt`: the key that its tokens must be bound to (RFC 9449 §10).
    #[serde(default)]
    pub(crate) key: Option<String>,
    /// Whether a refresh token goes with it.
    pub(crate) refresh: bool,
    /// When it was given, seconds since 1970.
    pub(crate) made: u64,
    /// The family of refresh tokens that begins with it.
    pub(crate) family: String,
}

/// What was made of a code that has been used.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Used {
    pub(crate) family: String,
    /// `jti` and `exp` of the access token.
    pub(crate) token: (String, u64),
}

#[derive(Deserialize, Serialize)]
enum State {
    Fresh(Box<Code>),
    Used(Used),
}

/// What a code turned out to be.
#[derive(Debug)]
pub(crate) enum Shown {
    /// This, which nobody else is told.
    Fresh(Box<Code>),
    /// Used before: what was made of it has to go.
    Again(Used),
}

/// Keeps `code` and gives its text.
pub(crate) async fn give(vault: &Vault, code: &Code) -> Result<String, OAuthError> {
    let text = random::<32>()?;
    vault.put(&key(&text), &to_json(&State::Fresh(Box::new(code.clone())))?, LIFE).await?;
    Ok(text)
}

/// Looks at the code `text`, which is used with this, whatever comes of it: a token called `token`, of which
/// is remembered for `remember`.
pub(crate) async fn show(
    vault: &Vault,
    text: &str,
    token: (String, u64),
    remember: Duration,
) -> Result<Shown, OAuthError> {
    let key = key(text);
    // Whoever comes second finds it used, be it that they came at the same moment.
    for _ in 0..2 {
        let Some(seen) = vault.get(&key).await? else { return Err(invalid_grant("no such code")) };
        match serde_json::from_slice(&seen).map_err(|_| invalid_grant("a code that cannot be read"))? {
            State::Used(used) => return Ok(Shown::Again(used)),
            State::Fresh(code) => {
                let used = State::Used(Used { family: code.family.clone(), token: token.clone() });
                if vault.replace(&key, Some(&seen), &to_json(&used)?, remember).await? {
                    return Ok(Shown::Fresh(code));
                }
            }
        }
    }
    Err(invalid_grant("a code that others use"))
}

impl Code {
    /// Whether it is `client`'s, for that redirect URI, still good, and shown by whoever asked for it.
    pub(crate) fn check(
        &self,
        client: &str,
        redirect_uri: &str,
        verifier: &str,
        now: SystemTime,
    ) -> Result<(), OAuthError> {
        let problem = if self.client != client {
            "another client's code"
        } else if seconds(now) >= self.made + LIFE.as_secs() {
            "an old code"
        } else if self.redirect_uri != redirect_uri {
            "another redirect_uri"
        } else if !is_verifier(verifier)
            || !same(sha256(verifier.as_bytes()).as_bytes(), self.challenge.as_bytes())
        {
            "a wrong code_verifier"
        } else {
            return Ok(());
        };
        Err(invalid_grant(problem))
    }
}

impl Code {
    /// Whether the tokens will be bound to the key that the code was asked for with, if it was.
    pub(crate) fn check_key(&self, binding: Option<&Binding>) -> Result<(), OAuthError> {
        match (&self.key, binding) {
            (None, _) => Ok(()),
            (Some(wanted), Some(Binding::Key(key))) if wanted == key => Ok(()),
            _ => Err(invalid_grant("another key than that of dpop_jkt")),
        }
    }
}

/// `code-verifier = 43*128unreserved` (RFC 7636 §4.1).
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

fn key(text: &str) -> Key {
    Key::new("authority.code", &[text])
}

fn to_json(state: &State) -> Result<Vec<u8>, OAuthError> {
    serde_json::to_vec(state).map_err(|_| invalid_grant("a code that cannot be written"))
}
