//! A configuration → an authority.

use crate::authority::{Authority, AuthorityParts, Settings};
use crate::client::{self, Client, ClientAuth, Clients, Documents, Dynamic, RedirectUri, Source};
use crate::connections::{ConnectProblem, Connection, ConnectionPages, Connections, Ticket};
use crate::lasting::Lasting;
use crate::login::{IdTokens, Login, User};
use crate::pages::{ClientKind, ScopeWords, Site};
use crate::resources::Resources;
use crate::secret::sha256;
use crate::signing::Plan;
use crate::token::Provider;
use async_trait::async_trait;
use narthex_config::Config;
use narthex_config::model::{self, KeySource, RegisteredAuth, RegisteredClient, SecretRef};
use narthex_identity::{Signer, dpop};
use narthex_upstreams::egress::{Egress, EgressError};
use secrecy::ExposeSecret;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// Time for one call to somebody whose keys are configured.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Shortest secret of a client, bytes: shorter ones are guessed.
const SHORTEST_SECRET: usize = 16;

/// An authority that is configured well, but cannot be put to use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A client that is known beforehand.
    #[error("auth.authority.clients.{client}: {problem}")]
    Client {
        /// Its id.
        client: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The token that clients must register with.
    #[error("auth.authority.dynamic_registration.initial_access_token: {0}")]
    InitialAccessToken(String),
    /// An identity provider whose assertions are taken.
    #[error("auth.authority.assertions.{provider}: {problem}")]
    Assertions {
        /// Its name.
        provider: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The token endpoint, as proofs of possession must have it.
    #[error("server.public_url: not a URL that clients could prove anything for")]
    PublicUrl,
    /// The HTTP client.
    #[error("auth.authority: {0}")]
    Egress(#[from] EgressError),
}

pub(crate) fn build(config: &Config, parts: &AuthorityParts<'_>) -> Result<Option<Authority>, BuildError> {
    let Some(settings) = &config.auth.authority else { return Ok(None) };
    let lasting = match parts.previous {
        Some(previous) => Arc::clone(&previous.lasting),
        None => Arc::new(Lasting::new(parts.vault.clone(), parts.events.clone())?),
    };
    let public_url = &config.server.public_url;
    let egress = Egress::new(CALL_TIMEOUT, false)?;
    let login = settings.login.as_ref().map(|login| {
        let parts = crate::login::Parts {
            vault: parts.vault.clone(),
            egress: egress.clone(),
            secrets: Arc::clone(&parts.secrets),
            events: parts.events.clone(),
            id_tokens: config.wants_id_tokens().then(|| IdTokens::new(parts.vault.clone())),
        };
        Login::new(login, public_url, &parts)
    });
    let words = settings.scopes.iter().map(|(scope, words)| (scope.as_str().to_owned(), words.clone()));
    let words = ScopeWords::new(words.collect());
    let connections = parts.connections.clone().unwrap_or_else(|| Arc::new(Nothing));
    let rules = dpop::Rules::new(&config.auth, Arc::clone(&parts.nonces));
    let used = dpop::SeenByAll::new(Arc::clone(&lasting.proofs), parts.vault.clone());
    let token_endpoint = format!("{}/oauth/token", public_url.url);
    let clients = Builder { parts, egress: &egress, lasting: &lasting };
    let mut authority = Authority {
        issuer: public_url.url.clone(),
        origin: public_url.origin.clone(),
        base: public_url.path.clone(),
        settings: Settings {
            access_token_lifetime: settings.access_token_lifetime,
            refresh_token: settings.refresh_token,
            keys: Plan {
                algorithm: settings.algorithm,
                period: settings.key_rotation,
                lifetime: settings.access_token_lifetime,
            },
            certificates: config
                .server
                .tls
                .as_ref()
                .is_some_and(|tls| tls.client_auth != model::ClientAuth::Off),
        },
        site: login.as_ref().map_or_else(|| Site::new(public_url, "Narthex"), |login| login.site().clone()),
        words: words.clone(),
        resources: Resources::new(config, &settings.grants),
        clients: clients.clients(settings)?,
        providers: clients.providers(settings)?,
        login,
        connections: ConnectionPages::new(connections, words),
        proofs: dpop::Verifier::new(rules, Arc::new(used)),
        token_target: dpop::Target::new(&token_endpoint).ok_or(BuildError::PublicUrl)?,
        lasting: Arc::clone(&lasting),
        documents: Default::default(),
    };
    authority.documents = authority.documents();
    Ok(Some(authority))
}

/// A gateway none of whose upstreams wants its users' own consent.
struct Nothing;

#[async_trait]
impl Connections for Nothing {
    async fn list(&self, _: &User, _: SystemTime) -> Result<Vec<Connection>, ConnectProblem> {
        Ok(Vec::new())
    }

    async fn look(&self, _: &User, _: &str, _: SystemTime) -> Result<Ticket, ConnectProblem> {
        Err(ConnectProblem::Expired)
    }

    async fn begin(&self, _: &User, _: &str, _: &str, _: SystemTime) -> Result<Url, ConnectProblem> {
        Err(ConnectProblem::Expired)
    }

    async fn offer(&self, _: &User, _: &str, _: SystemTime) -> Result<String, ConnectProblem> {
        Err(ConnectProblem::Unknown)
    }

    async fn finish(
        &self,
        _: &User,
        _: &str,
        _: &[(String, String)],
        _: SystemTime,
    ) -> Result<Connection, ConnectProblem> {
        Err(ConnectProblem::Expired)
    }

    async fn revoke(&self, _: &User, _: &str, _: SystemTime) -> Result<(), ConnectProblem> {
        Err(ConnectProblem::Unknown)
    }
}

struct Builder<'a> {
    parts: &'a AuthorityParts<'a>,
    egress: &'a Egress,
    lasting: &'a Arc<Lasting>,
}

impl Builder<'_> {
    fn clients(&self, settings: &model::Authority) -> Result<Clients, BuildError> {
        let mut registered = HashMap::new();
        for (id, client) in &settings.clients {
            let built = self.client(id, client);
            let built = built.map_err(|problem| BuildError::Client { client: id.clone(), problem })?;
            registered.insert(id.clone(), Arc::new(built));
        }
        let documents = settings.metadata_documents.clone();
        let documents = documents.map(|allowed| Documents::new(allowed, Arc::clone(&self.lasting.fetcher)));
        let dynamic = settings.dynamic_registration.clone().map(|rules| {
            let token = rules.initial_access_token.as_ref().map(|secret| self.hash(secret)).transpose();
            let token = token.map_err(BuildError::InitialAccessToken)?;
            Ok::<_, BuildError>(Dynamic::new(self.parts.vault.clone(), rules, token))
        });
        Ok(Clients { registered, documents, dynamic: dynamic.transpose()? })
    }

    fn client(&self, id: &str, client: &RegisteredClient) -> Result<Client, String> {
        let redirects = client.redirect_uris.iter().map(|uri| {
            RedirectUri::parse(uri, Source::Operator)
                .map_err(|problem| format!("redirect URI `{uri}`: {problem}"))
        });
        Ok(Client {
            id: id.to_owned(),
            name: client.name.clone(),
            kind: ClientKind::Registered,
            redirect_uris: redirects.collect::<Result<_, _>>()?,
            auth: self.auth(id, &client.auth)?,
            refresh: true,
            dpop: false,
            assertions: client.assertions,
            introspection: client.introspection,
            scopes: client.scopes.clone(),
        })
    }

    fn auth(&self, id: &str, auth: &RegisteredAuth) -> Result<ClientAuth, String> {
        let source = match auth {
            RegisteredAuth::None => return Ok(ClientAuth::None),
            RegisteredAuth::Secret(secret) => return self.hash(secret).map(ClientAuth::Secret),
            RegisteredAuth::KeyFile(path) => KeySource::File(path.clone()),
            RegisteredAuth::KeyUri(url) => KeySource::Uri(url.clone()),
        };
        let algorithms = client::ALGORITHMS.to_vec();
        if let Some(ClientAuth::Keys(kept)) = self.kept(id)
            && kept.is_for(id, &source, &algorithms)
        {
            return Ok(ClientAuth::Keys(kept));
        }
        let signer = Signer::new(id, source, algorithms, self.egress.clone(), self.parts.events.clone());
        signer.map(|signer| ClientAuth::Keys(Arc::new(signer))).map_err(|error| error.to_string())
    }

    /// How the client authenticated under the configuration before.
    fn kept(&self, id: &str) -> Option<ClientAuth> {
        let client = self.parts.previous?.clients.registered.get(id)?;
        Some(client.auth.clone())
    }

    fn hash(&self, secret: &SecretRef) -> Result<String, String> {
        let value = self.parts.secrets.read(secret)?;
        let value = value.expose_secret().as_bytes();
        if value.len() < SHORTEST_SECRET {
            return Err(format!("the secret is shorter than {SHORTEST_SECRET} bytes"));
        }
        Ok(sha256(value))
    }

    fn providers(&self, settings: &model::Authority) -> Result<HashMap<String, Provider>, BuildError> {
        let mut providers = HashMap::new();
        for (name, rules) in &settings.assertions {
            let error = |problem: String| BuildError::Assertions { provider: name.clone(), problem };
            let kept = self.parts.previous.and_then(|previous| previous.providers.get(&rules.issuer));
            let kept = kept.filter(|kept| kept.signer.is_for(&rules.issuer, &rules.keys, &rules.algorithms));
            let signer = match kept {
                Some(kept) => Arc::clone(&kept.signer),
                None => {
                    let (egress, events) = (self.egress.clone(), self.parts.events.clone());
                    let (keys, algorithms) = (rules.keys.clone(), rules.algorithms.clone());
                    let signer = Signer::new(&rules.issuer, keys, algorithms, egress, events);
                    Arc::new(signer.map_err(|problem| error(problem.to_string()))?)
                }
            };
            let provider = Provider { name: name.clone(), rules: rules.clone(), signer };
            providers.insert(rules.issuer.clone(), provider);
        }
        Ok(providers)
    }
}
