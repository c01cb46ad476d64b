//! Sources, made from the configuration.

use crate::asserted::Asserted;
use crate::authorization_code::{Consented, Directory, Setup, document_url, redirect_uri};
use crate::client_auth::ClientAuth;
use crate::credential::UpstreamCredential;
use crate::discovery::{self, Discovery};
use crate::endpoint::{CALL_TIMEOUT, Endpoint};
use crate::error::BuildProblem;
use crate::fixed;
use crate::grant::{Actor, Exchange, Grant, IdJag, JwtBearer, Subject, Wanted, WebIdentity};
use crate::obtain::{Obtained, Signs};
use crate::signing::SigningKeys;
use crate::sigv4::{AwsCredentials, SigV4};
use crate::source::{Context, CredentialSource, Definition, Kind};
use crate::token_client::TokenClient;
use narthex_config::model::{
    self, ActorToken, AuthorizationCode, AwsKeys, Credential, IdentityProvider, OAuthClient, OAuthClientAuth,
    SubjectToken, Upstream, UpstreamId,
};
use narthex_store::Vault;
use narthex_telemetry::Events;
use narthex_upstreams::egress::{Egress, EgressError};
use std::sync::Arc;
use url::Url;

/// Makes sources.
pub(crate) struct Builder<'a> {
    events: &'a Events,
    context: &'a Context,
    directory: Arc<Directory>,
    /// One client for each answer to "may it call link-local addresses?", made when first needed.
    egress: [Option<Egress>; 2],
}

/// What is known of the upstream that a source is made for.
#[derive(Clone, Copy)]
struct For<'a> {
    id: &'a UpstreamId,
    definition: &'a Definition,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(events: &'a Events, context: &'a Context) -> Self {
        Self { events, context, directory: Arc::default(), egress: [None, None] }
    }

    /// For users as this directory knows them.
    pub(crate) fn with_directory(self, directory: Directory) -> Self {
        Self { directory: Arc::new(directory), ..self }
    }

    /// Who users are, if they connect this upstream.
    pub(crate) fn directory(&self, upstream: &Upstream) -> Option<Arc<Directory>> {
        let is_connected = matches!(upstream.credential, Credential::AuthorizationCode(_));
        is_connected.then(|| Arc::clone(&self.directory))
    }

    /// Where what they connect is kept.
    pub(crate) fn vault(&self) -> Option<Vault> {
        self.context.vault.clone()
    }

    pub(crate) fn source(
        &mut self,
        id: &UpstreamId,
        definition: Definition,
    ) -> Result<CredentialSource, BuildProblem> {
        let kind = self.kind(For { id, definition: &definition })?;
        Ok(CredentialSource { definition, kind })
    }

    fn kind(&mut self, of: For<'_>) -> Result<Kind, BuildProblem> {
        let (values, origin) = (&of.definition.values, || of.definition.origin.clone());
        let header = match &of.definition.credential {
            Credential::None => None,
            Credential::Header { name, value } => Some(fixed::header(name, values.secret(value)?)?),
            Credential::Basic { username, password } => {
                Some(fixed::basic(username, values.secret(password)?)?)
            }
            Credential::Env(variables) => {
                let read = |(name, secret): (&String, _)| Ok((name.clone(), values.secret(secret)?.clone()));
                let variables = variables.iter().map(read).collect::<Result<_, BuildProblem>>()?;
                return Ok(Kind::Fixed(UpstreamCredential::environment(origin(), variables)));
            }
            Credential::AuthorizationCode(code) => {
                return Ok(Kind::Consented(Arc::new(self.consented(code, of)?)));
            }
            Credential::Assertion(assertion) => {
                let keys = self.signing_keys()?;
                let asserted = Asserted::new(assertion, &of.definition.public_url, origin(), keys)?;
                return Ok(Kind::Asserted(Arc::new(asserted)));
            }
            Credential::AwsSigV4(signed) => return self.aws(signed, of),
            Credential::ClientCredentials(_)
            | Credential::TokenExchange(_)
            | Credential::IdJag(_)
            | Credential::OnBehalfOf(_)
            | Credential::JwtBearer(_) => {
                let grant = self.grant(of)?.ok_or(BuildProblem::Header("not a grant"))?;
                let endpoint = Endpoint::new(of.id.clone(), grant, self.events.clone());
                return Ok(Kind::Obtained(Arc::new(Obtained::new(endpoint, origin())?)));
            }
        };
        Ok(Kind::Fixed(UpstreamCredential::fixed(origin(), header)))
    }

    fn consented(&self, code: &AuthorizationCode, of: For<'_>) -> Result<Consented, BuildProblem> {
        let Definition { values, origin, url, allow_link_local, insecure, public_url, .. } = of.definition;
        let vault = self.context.vault.clone().ok_or(BuildProblem::NoVault)?;
        let setup = Setup {
            upstream: of.id.clone(),
            title: code.title.as_deref().unwrap_or(of.id.as_str()).into(),
            place: url.clone().ok_or(BuildProblem::Header("a child process has no users"))?,
            origin: origin.clone(),
            code: code.clone(),
            values: values.clone(),
            public_url: public_url.clone(),
            redirect_uri: redirect_uri(public_url),
            document: document_url(public_url).filter(|_| code.metadata_document),
            directory: Arc::clone(of.definition.directory.as_ref().unwrap_or(&self.directory)),
            allow_link_local: *allow_link_local,
            insecure: *insecure,
        };
        Consented::new(setup, vault, self.events.clone())
    }

    /// The grant of a credential that is obtained.
    fn grant(&mut self, of: For<'_>) -> Result<Option<Grant>, BuildProblem> {
        let grant = match &of.definition.credential {
            Credential::ClientCredentials(own) => {
                let (issuer, client) = (own.issuer.as_deref(), &own.client);
                let at = match &own.token_url {
                    Some(url) => self.token_client(url, issuer, client, of)?,
                    None => found_client(issuer, own.wanted.resource.first(), client, of)?,
                };
                Grant::ClientCredentials { at, wanted: Wanted::new(&own.wanted) }
            }
            Credential::TokenExchange(exchange) => Grant::TokenExchange(Box::new(Exchange {
                at: self.token_client(&exchange.token_url, None, &exchange.client, of)?,
                wanted: Wanted::new(&exchange.wanted),
                subject_token_type: exchange.subject_token_type.clone(),
                requested_token_type: exchange.requested_token_type.clone(),
                actor: self.actor(exchange, of)?,
            })),
            Credential::IdJag(id_jag) => Grant::IdJag(Box::new(self.id_jag(id_jag, of)?)),
            Credential::OnBehalfOf(flow) => {
                let at = self.token_client(&flow.token_url, None, &flow.client, of)?;
                Grant::OnBehalfOf { at, wanted: Wanted::scopes(&flow.scopes) }
            }
            Credential::JwtBearer(bearer) => Grant::JwtBearer(Box::new(self.jwt_bearer(bearer, of)?)),
            _ => return Ok(None),
        };
        Ok(Some(grant))
    }

    fn actor(&mut self, exchange: &model::TokenExchange, of: For<'_>) -> Result<Option<Actor>, BuildProblem> {
        let Some(model::Actor { token, token_type }) = &exchange.actor else { return Ok(None) };
        let token_type = token_type.clone();
        Ok(Some(match token {
            ActorToken::Token(secret) => {
                Actor::given(of.definition.values.secret(secret)?.clone(), token_type)
            }
            ActorToken::ClientCredentials(wanted) => {
                let at = self.token_client(&exchange.token_url, None, &exchange.client, of)?;
                let grant = Grant::ClientCredentials { at, wanted: Wanted::new(wanted) };
                let endpoint = Endpoint::new(of.id.clone(), grant, self.events.clone());
                Actor::obtained(Obtained::new(endpoint, of.definition.origin.clone())?, token_type)
            }
            ActorToken::Assertion(audience) => {
                let audience = audience.clone().unwrap_or_else(|| exchange.token_url.to_string());
                let issuer = of.definition.public_url.clone();
                Actor::asserted(
                    self.signing_keys()?,
                    issuer,
                    exchange.client.id.clone(),
                    audience,
                    token_type,
                )
            }
        }))
    }

    fn id_jag(&mut self, id_jag: &model::IdJag, of: For<'_>) -> Result<IdJag, BuildProblem> {
        let client = &id_jag.identity_client;
        let identity_provider = match &id_jag.identity_provider {
            IdentityProvider::TokenUrl(url) => self.token_client(url, None, client, of)?,
            IdentityProvider::Issuer(issuer) => found_client(Some(issuer), None, client, of)?,
        };
        let issuer = id_jag.issuer.as_deref();
        let server = match &id_jag.token_url {
            Some(url) => self.token_client(url, issuer, &id_jag.client, of)?,
            None => found_client(issuer, id_jag.resource.as_ref(), &id_jag.client, of)?,
        };
        Ok(IdJag {
            identity_provider,
            subject: match id_jag.subject {
                SubjectToken::AccessToken => Subject::AccessToken,
                SubjectToken::IdToken => Subject::IdToken(self.context.subject_tokens.clone()),
            },
            server,
            audience: id_jag.issuer.clone(),
            resource: id_jag.resource.clone(),
            upstream: of.definition.url.as_ref().map(Url::to_string).unwrap_or_default(),
            scope: Wanted::scopes(&id_jag.scopes).scope(),
        })
    }

    fn jwt_bearer(&mut self, bearer: &model::JwtBearer, of: For<'_>) -> Result<JwtBearer, BuildProblem> {
        let values = &of.definition.values;
        let at = match &bearer.client {
            Some(client) => self.token_client(&bearer.token_url, None, client, of)?,
            None => {
                let egress = self.egress(of.definition.allow_link_local)?;
                TokenClient::at(&bearer.token_url, None, ClientAuth::Nobody, egress)
            }
        };
        let key = values.secret(&bearer.key)?;
        Ok(JwtBearer {
            at,
            signer: crate::assertion::Signer::new(key, bearer.algorithm, bearer.key_id.as_deref())?,
            issuer: bearer.issuer.clone(),
            subject: bearer.subject.clone(),
            audience: bearer.audience.clone().unwrap_or_else(|| bearer.token_url.to_string()),
            scope: Wanted::scopes(&bearer.scopes).scope(),
            scope_in_assertion: bearer.scopes_in_assertion,
            lifetime: bearer.lifetime,
        })
    }

    fn aws(&mut self, signed: &model::AwsSigV4, of: For<'_>) -> Result<Kind, BuildProblem> {
        let (values, origin) = (&of.definition.values, of.definition.origin.clone());
        let (region, service) = (signed.region.as_str(), signed.service.as_str());
        match &signed.keys {
            AwsKeys::Given { id, secret, session_token } => {
                let session_token = session_token.as_ref().map(|token| values.secret(token).cloned());
                let credentials = AwsCredentials {
                    id: values.secret(id)?.clone(),
                    secret: values.secret(secret)?.clone(),
                    session_token: session_token.transpose()?,
                };
                let signer = Arc::new(SigV4::new(credentials, region, service));
                Ok(Kind::Fixed(UpstreamCredential::sigv4(origin, signer, None, None)))
            }
            AwsKeys::WebIdentity { role, token, session, sts_url } => {
                let grant = Grant::WebIdentity(Box::new(WebIdentity {
                    url: sts_url.clone(),
                    egress: self.egress(of.definition.allow_link_local)?,
                    role: role.clone(),
                    session: session.clone(),
                    token: values.secret(token)?.clone(),
                }));
                let endpoint = Endpoint::new(of.id.clone(), grant, self.events.clone());
                let signs = Signs { region: region.into(), service: service.into() };
                Ok(Kind::Obtained(Arc::new(Obtained::signing(endpoint, origin, signs)?)))
            }
        }
    }

    fn token_client(
        &mut self,
        url: &Url,
        issuer: Option<&str>,
        client: &OAuthClient,
        of: For<'_>,
    ) -> Result<TokenClient, BuildProblem> {
        let Definition { values, allow_link_local, .. } = of.definition;
        let egress = match &client.auth {
            OAuthClientAuth::Tls { certificate, .. } => {
                let shown = values.certificate(certificate);
                let shown = shown.ok_or(BuildProblem::Header("a certificate was not read"))?;
                Egress::with_identity(CALL_TIMEOUT, *allow_link_local, shown)?
            }
            _ => self.egress(*allow_link_local)?,
        };
        Ok(TokenClient::at(url, issuer, ClientAuth::new(client, values)?, egress))
    }

    fn signing_keys(&self) -> Result<SigningKeys, BuildProblem> {
        self.context.signing_keys.clone().ok_or(BuildProblem::NoSigningKeys)
    }

    fn egress(&mut self, allow_link_local: bool) -> Result<Egress, EgressError> {
        let made = &mut self.egress[usize::from(allow_link_local)];
        if let Some(egress) = made {
            return Ok(egress.clone());
        }
        Ok(made.insert(Egress::new(CALL_TIMEOUT, allow_link_local)?).clone())
    }
}

/// A client of whatever authorization server is found: of this issuer, or else of the upstream.
fn found_client(
    issuer: Option<&str>,
    resource: Option<&String>,
    client: &OAuthClient,
    of: For<'_>,
) -> Result<TokenClient, BuildProblem> {
    let Definition { values, url, allow_link_local, insecure, .. } = of.definition;
    let wanted = discovery::Wanted {
        upstream: url.clone().ok_or(BuildProblem::Header("a child process has no authorization server"))?,
        issuer: issuer.map(ToOwned::to_owned),
        resource: resource.cloned(),
        allow_link_local: *allow_link_local,
        insecure: *insecure,
    };
    let auth = ClientAuth::new(client, values)?;
    Ok(TokenClient::found(Discovery::new(wanted), auth, ClientAuth::in_the_form(client, values)?))
}
