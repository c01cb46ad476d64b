//! What a client asks of a user: read, and found good or not (RFC 6749 §4.1.1, RFC 7636, RFC 8707).

use crate::authority::Authority;
use crate::client::Client;
use crate::error::{Code, OAuthError, invalid_request};
use crate::login::{Anew, Session};
use crate::params::Params;
use crate::resources::{OFFLINE, Resource, parse_scopes};
use narthex_config::model::ScopeName;
use narthex_identity::Thumbprint;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// Longest query that is read, bytes.
const LONGEST_QUERY: usize = 8 * 1024;
/// Longest `state`, bytes.
const LONGEST_STATE: usize = 1024;

/// A request that was found good.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) client: Arc<Client>,
    /// As the client wrote it.
    pub(crate) redirect_uri: String,
    pub(crate) back: Back,
    /// `code_challenge`, S256.
    pub(crate) challenge: String,
    /// `dpop_jkt`: the key that the tokens will be bound to (RFC 9449 §10).
    pub(crate) key: Option<String>,
    pub(crate) resource: Resource,
    /// What is asked for; never empty by accident: what the route needs, if the client said nothing.
    pub(crate) scopes: BTreeSet<ScopeName>,
    /// Whether a refresh token is wanted.
    pub(crate) refresh: bool,
    pub(crate) prompt: Prompt,
    /// `max_age`: how long ago the user may have logged in at the longest.
    pub(crate) max_age: Option<Duration>,
}

/// Where the answer goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Back {
    redirect: Url,
    state: Option<String>,
    /// Whether somebody else than the client says that users may be sent there unasked.
    is_vouched_for: bool,
}

/// `prompt` (OpenID Connect Core §3.1.2.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Prompt {
    /// Nobody may be asked anything.
    pub(crate) none: bool,
    /// The user has to log in anew.
    pub(crate) login: bool,
    /// The user has to choose the account anew.
    pub(crate) account: bool,
    /// The user has to be asked anew.
    pub(crate) consent: bool,
}

/// A request that was not found good.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nobody knows where to send the user: the words for the page.
    Here(OAuthError),
    /// The client is told.
    Back(Back, OAuthError),
}

impl Back {
    /// The URL that brings an answer back. `iss` says whose it is (RFC 9207).
    pub(crate) fn url(&self, issuer: &str, answer: &[(&str, &str)]) -> Url {
        let mut url = self.redirect.clone();
        let mut query = url.query_pairs_mut();
        query.extend_pairs(answer);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", issuer);
        drop(query);
        url
    }

    /// Whether somebody else than the client says that users may be sent there unasked.
    pub(crate) fn is_vouched_for(&self) -> bool {
        self.is_vouched_for
    }

    /// The URL without an answer.
    pub(crate) fn redirect(&self) -> &Url {
        &self.redirect
    }
}

impl Ask {
    /// What the login has to be like for this, if nobody is logged in who will do.
    pub(crate) fn anew(&self) -> Anew {
        // How long ago somebody logged in at the identity provider is not known before.
        if self.prompt.login || self.max_age.is_some() {
            Anew::Login
        } else if self.prompt.account {
            Anew::Account
        } else {
            Anew::No
        }
    }

    /// Whether the login of `session` will do, without another.
    pub(crate) fn takes(&self, session: &Session, now: SystemTime) -> bool {
        let age = now.duration_since(session.user.authenticated_at).unwrap_or_default();
        !self.prompt.login && !self.prompt.account && self.max_age.is_none_or(|most| age <= most)
    }

    /// What the user is asked for: the scopes, and whether the client may come back without the user.
    pub(crate) fn wanted(&self) -> BTreeSet<ScopeName> {
        self.with_refresh(self.scopes.clone())
    }

    /// `scopes`, and the one for a refresh token if there will be one.
    pub(crate) fn with_refresh(&self, mut scopes: BTreeSet<ScopeName>) -> BTreeSet<ScopeName> {
        if self.refresh {
            scopes.insert(ScopeName::from(OFFLINE));
        }
        scopes
    }
}

impl Authority {
    /// Reads a request. `alias`: it came the way of 2025-03-26, whose clients know no resources: theirs is the
    /// only one, if there is but one.
    pub(crate) async fn ask(
        &self,
        query: &str,
        alias: bool,
        peer: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Ask, Refused> {
        let here = |description| Refused::Here(invalid_request(description));
        if query.len() > LONGEST_QUERY {
            return Err(here("The request is too long."));
        }
        let params = Params::parse(query.as_bytes()).map_err(|_| here("The request is too long."))?;
        let id = params
            .get("client_id")
            .ok_or_else(|| here("The request does not say which application it is from."))?;
        let client = self.clients.find(id, peer, now).await.map_err(Refused::Here)?;
        let client = client.ok_or_else(|| {
            Refused::Here(OAuthError::new(Code::InvalidClient, "This gateway does not know the application."))
        })?;
        let asked = params.get("redirect_uri");
        let redirect = asked.and_then(|asked| Some((asked, client.redirect(asked)?)));
        let (redirect_uri, redirect) = redirect.ok_or_else(|| {
            here("The application has not registered the address that it wants its answer at.")
        })?;
        // Nothing but what the client wrote may come back to it: neither half of a state nor too long a one.
        let state = params.get("state").filter(|state| state.len() <= LONGEST_STATE).map(str::to_owned);
        let is_vouched_for = self.clients.vouches(&client, &redirect);
        let back = Back { redirect, state, is_vouched_for };
        let redirect_uri = redirect_uri.to_owned();
        match self.read(&params, client, alias) {
            Ok(read) => {
                let Read { client, challenge, key, resource, scopes, refresh, prompt, max_age } = read;
                Ok(Ask {
                    client,
                    redirect_uri,
                    back,
                    challenge,
                    key,
                    resource,
                    scopes,
                    refresh,
                    prompt,
                    max_age,
                })
            }
            Err(error) => Err(Refused::Back(back, error)),
        }
    }

    fn read(&self, params: &Params, client: Arc<Client>, alias: bool) -> Result<Read, OAuthError> {
        form(params)?;
        let challenge = challenge(params)?;
        let key = key(params.get("dpop_jkt"))?;
        let prompt = prompt(params.get("prompt"))?;
        let max_age = max_age(params.get("max_age"))?;
        let resource = self.resource(params.get("resource"), alias)?;
        let (scopes, offline) = self.scopes(params.get("scope").unwrap_or_default(), &resource)?;
        let refresh = client.refresh || offline;
        Ok(Read { scopes: client.limit(scopes), client, challenge, key, resource, refresh, prompt, max_age })
    }

    /// What is asked for (RFC 6749 §3.3), and whether that is a refresh token, too.
    fn scopes(&self, text: &str, resource: &Resource) -> Result<(BTreeSet<ScopeName>, bool), OAuthError> {
        let bad = |text| OAuthError::new(Code::InvalidScope, text);
        let mut scopes = parse_scopes(text).ok_or_else(|| bad("The scope cannot be read."))?;
        let offline = scopes.remove(OFFLINE);
        if scopes.is_empty() {
            scopes.clone_from(&resource.scopes);
        } else {
            // What nobody can be granted is not asked for.
            scopes.retain(|scope| self.resources.grantable().contains(scope));
            if scopes.is_empty() {
                return Err(bad("None of the scopes is known here."));
            }
        }
        Ok((scopes, offline))
    }

    /// The resource that a request names (RFC 8707 §2).
    pub(crate) fn resource(&self, named: Option<&str>, alias: bool) -> Result<Resource, OAuthError> {
        let found = match named {
            Some(name) => self.resources.find(name),
            None if alias => self.resources.only(),
            None => return Err(OAuthError::new(Code::InvalidTarget, "The resource is missing (RFC 8707).")),
        };
        found.cloned().ok_or_else(|| OAuthError::new(Code::InvalidTarget, "There is no such resource here."))
    }
}

struct Read {
    client: Arc<Client>,
    challenge: String,
    key: Option<String>,
    resource: Resource,
    scopes: BTreeSet<ScopeName>,
    refresh: bool,
    prompt: Prompt,
    max_age: Option<Duration>,
}

/// Whether it is a request for a code, each parameter once, and nothing that is not offered.
fn form(params: &Params) -> Result<(), OAuthError> {
    if params.has_repeated() {
        let is_resource = params.is_repeated("resource");
        let (code, text) = match is_resource {
            true => (Code::InvalidTarget, "A token is for one resource."),
            false => (Code::InvalidRequest, "A parameter is there twice."),
        };
        return Err(OAuthError::new(code, text));
    }
    if params.get("request").is_some() {
        return Err(OAuthError::new(Code::RequestNotSupported, "Request objects are not supported."));
    }
    if params.get("request_uri").is_some() {
        return Err(OAuthError::new(Code::RequestUriNotSupported, "Request URIs are not supported."));
    }
    match params.get("response_type") {
        Some("code") => {}
        Some(_) => return Err(OAuthError::new(Code::UnsupportedResponseType, "Only codes are given.")),
        None => return Err(invalid_request("The response_type is missing.")),
    }
    if params.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(invalid_request("The only response_mode is query."));
    }
    if params.get("state").is_some_and(|state| state.len() > LONGEST_STATE) {
        return Err(invalid_request("The state is too long."));
    }
    Ok(())
}

/// RFC 7636 §4.3: S256 and nothing else. Who names no method means `plain`.
fn challenge(params: &Params) -> Result<String, OAuthError> {
    let challenge = params
        .get("code_challenge")
        .ok_or_else(|| invalid_request("PKCE is required: the code_challenge is missing."))?;
    if params.get("code_challenge_method") != Some("S256") {
        return Err(invalid_request("The code_challenge_method has to be S256."));
    }
    let ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if challenge.len() != 43 || !challenge.bytes().all(ours) {
        return Err(invalid_request("The code_challenge is no SHA-256 in base64url."));
    }
    Ok(challenge.to_owned())
}

/// RFC 9449 §10.
fn key(text: Option<&str>) -> Result<Option<String>, OAuthError> {
    let Some(text) = text else { return Ok(None) };
    match Thumbprint::parse(text) {
        Some(key) => Ok(Some(key.to_string())),
        None => Err(invalid_request("The dpop_jkt is no thumbprint of a key.")),
    }
}

fn prompt(text: Option<&str>) -> Result<Prompt, OAuthError> {
    let mut prompt = Prompt::default();
    let words: Vec<&str> = text.unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    for word in &words {
        match *word {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "select_account" => prompt.account = true,
            "consent" => prompt.consent = true,
            _ => return Err(invalid_request("The prompt is not known.")),
        }
    }
    if prompt.none && words.len() > 1 {
        return Err(invalid_request("The prompt none goes with no other."));
    }
    Ok(prompt)
}

/// OpenID Connect Core §3.1.2.1: whole seconds.
fn max_age(text: Option<&str>) -> Result<Option<Duration>, OAuthError> {
    let Some(text) = text else { return Ok(None) };
    let is_number = text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| is_number);
    let seconds = seconds.ok_or_else(|| invalid_request("The max_age is no number of seconds."))?;
    Ok(Some(Duration::from_secs(seconds)))
}
