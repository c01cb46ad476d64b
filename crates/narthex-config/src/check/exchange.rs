//! Credentials that are made for the caller: exchanged, asserted or signed.

use super::Check;
use crate::grammar::{self, AssertionPer, Gateway, ScopesIn, Subject, Texts};
use crate::model::{
    Actor, ActorToken, AssertedSubject, Assertion, AssertionAlgorithm, AwsKeys, AwsSigV4, ClientCredentials,
    ClientTls, IdJag, IdentityProvider, JwtBearer, OAuthClient, OAuthClientAuth, OnBehalfOf, SubjectToken,
    TokenExchange, Transport, Wanted,
};
use crate::yaml::{Field, Span};
use std::time::Duration;
use url::Url;

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const LIFETIME: Duration = Duration::from_secs(60);
const MAX_ASSERTION: Duration = Duration::from_secs(300);
const MAX_BEARER: Duration = Duration::from_secs(3600);
/// Audiences or resources of one token.
const MAX_TARGETS: usize = 16;

impl Check<'_> {
    /// Reports upstreams whose callers need an ID token where nobody gets one.
    pub(super) fn logins_for_id_tokens(&self, gateway: &Gateway) {
        let login = gateway.auth.get().and_then(|auth| auth.authority.get()?.login.get());
        if login.is_some_and(|login| !login.providers.is_absent()) {
            return;
        }
        let upstreams = gateway.upstreams.get().into_iter().flat_map(|named| &named.0);
        for credential in upstreams.filter_map(|entry| Some(&entry.value.get()?.credential)) {
            let (Some(at), Some(grammar::Credential::IdJag(grant))) = (credential.span(), credential.get())
            else {
                continue;
            };
            if grant.subject.is_absent() || matches!(grant.subject.get(), Some(Subject::IdToken)) {
                let message =
                    "the caller's ID token is wanted, and nobody logs in at the gateway to have one";
                let help = "add `auth: { authority: { login: { providers: … } } }`; or `subject: access_token`, if \
                            the identity provider takes the token that the caller came with";
                self.report.error_with_help(grant.subject.span().unwrap_or(at), message, help);
            }
        }
    }

    pub(super) fn client_credentials(
        &self,
        grant: grammar::ClientCredentials,
        at: Span,
        insecure: bool,
    ) -> Option<ClientCredentials> {
        let token_url = self.endpoint(&grant.token_url, insecure);
        let given = !grant.token_url.is_absent();
        let client = self.client(grant.client, at);
        self.confidential(client.as_ref(), at);
        let issuer = grant.issuer.with_span().map(|(at, text)| self.issuer_name(text, at, insecure));
        let wanted = self.wanted(&grant.scopes, grant.resource, grant.audience);
        if given && token_url.is_none() {
            return None;
        }
        self.certificate_for(client.as_ref(), token_url.is_some(), at);
        let issuer = if let Some(checked) = issuer { Some(checked?) } else { None };
        Some(ClientCredentials { token_url, issuer, client: client?, wanted })
    }

    pub(super) fn token_exchange(
        &self,
        grant: grammar::TokenExchange,
        at: Span,
        insecure: bool,
    ) -> Option<TokenExchange> {
        let token_url = self.token_url(&grant.token_url, at, insecure);
        let client = self.client(grant.client, at);
        let actor_type = self.token_type(grant.actor_token_type);
        if let (Some((at, _)), true) = (&actor_type, grant.actor.is_absent()) {
            let help = "add `actor: { client_credentials: {} }`";
            self.report.error_with_help(*at, "the type of a token that there is not", help);
        }
        let public = client.as_ref().is_some_and(|client| client.secret().is_none());
        let actor = match grant.actor.with_span() {
            None => None,
            Some((at, actor)) => Some(self.actor(actor, actor_type.map(|(_, text)| text), public, at)?),
        };
        Some(TokenExchange {
            token_url: token_url?,
            client: client?,
            wanted: Wanted {
                scopes: Self::scopes(&grant.scopes),
                resource: self.texts(grant.resource, |at, text| self.resource_named(at, text)),
                audience: self.texts(grant.audience, |at, text| self.text(Field::Set(at, text))),
            },
            subject_token_type: self
                .token_type(grant.subject_token_type)
                .map_or_else(|| ACCESS_TOKEN.to_owned(), |(_, text)| text),
            requested_token_type: self.token_type(grant.requested_token_type).map(|(_, text)| text),
            actor,
        })
    }

    fn actor(
        &self,
        given: grammar::Actor,
        token_type: Option<String>,
        public: bool,
        at: Span,
    ) -> Option<Actor> {
        let (token, usual) = match given {
            grammar::Actor::ClientCredentials(wanted) => {
                if public {
                    let message = "a client without a secret has no token of its own";
                    self.report.error_with_help(at, message, "add `secret: { file: … }` to `client`");
                }
                let wanted = self.wanted(&wanted.scopes, wanted.resource, wanted.audience);
                (ActorToken::ClientCredentials(wanted), ACCESS_TOKEN)
            }
            grammar::Actor::Assertion(given) => (ActorToken::Assertion(self.text(given.audience)), JWT),
            grammar::Actor::Token(secret) => (ActorToken::Token(self.secret(&Field::Set(at, secret))?), JWT),
        };
        Some(Actor { token, token_type: token_type.unwrap_or_else(|| usual.to_owned()) })
    }

    pub(super) fn id_jag(&self, grant: grammar::IdJag, at: Span, insecure: bool) -> Option<IdJag> {
        let example = "{ issuer: https://idp.example.com, client: { id: narthex, secret: { file: … } } }";
        let provider = self.required(grant.identity_provider, at, "identity_provider", example);
        let provider = provider.map(|(at, given)| self.identity_provider(given, at, insecure));
        let example = "{ issuer: https://auth.example.com, client: { id: narthex, secret: { file: … } } }";
        let server = self.required(grant.authorization_server, at, "authorization_server", example);
        let server = server.map(|(at, given)| {
            let issuer = given.issuer.with_span();
            let issuer = issuer.map(|(at, text)| self.issuer_name(text, at, insecure));
            let token_url = (!given.token_url.is_absent()).then(|| self.endpoint(&given.token_url, insecure));
            if let (Some(at), true) = (given.token_url.span(), issuer.is_none()) {
                let help = "add `issuer: https://auth.example.com`, whom the assertion is for";
                self.report.error_with_help(at, "`token_url` without an `issuer`", help);
            }
            let client = self.client(given.client, at);
            self.certificate_for(client.as_ref(), token_url.is_some(), at);
            (issuer, token_url, client)
        });
        let resource = grant.resource.with_span().and_then(|(at, text)| self.resource_named(at, text));
        let ((identity_provider, identity_client), (issuer, token_url, client)) = (provider??, server?);
        Some(IdJag {
            identity_provider,
            identity_client,
            issuer: if let Some(checked) = issuer { Some(checked?) } else { None },
            token_url: if let Some(checked) = token_url { Some(checked?) } else { None },
            client: client?,
            subject: match grant.subject.get() {
                Some(Subject::AccessToken) => SubjectToken::AccessToken,
                Some(Subject::IdToken) | None => SubjectToken::IdToken,
            },
            resource,
            scopes: Self::scopes(&grant.scopes),
        })
    }

    /// A certificate is shown to a server that the operator named, and to no other.
    fn certificate_for(&self, client: Option<&OAuthClient>, is_named: bool, at: Span) {
        if !is_named && client.is_some_and(|client| matches!(client.auth, OAuthClientAuth::Tls { .. })) {
            let help = "add `token_url: https://idp.example.com/token`";
            self.report.error_with_help(at, "a `certificate` goes with a `token_url`", help);
        }
    }

    fn identity_provider(
        &self,
        given: grammar::IdentityProvider,
        at: Span,
        insecure: bool,
    ) -> Option<(IdentityProvider, OAuthClient)> {
        let client = self.client(given.client, at);
        self.confidential(client.as_ref(), at);
        self.certificate_for(client.as_ref(), !given.token_url.is_absent(), at);
        let provider = match (given.token_url.is_absent(), given.issuer.is_absent()) {
            (false, true) => self.endpoint(&given.token_url, insecure).map(IdentityProvider::TokenUrl),
            (true, false) => {
                let (at, text) = given.issuer.with_span()?;
                self.issuer_name(text, at, insecure).map(IdentityProvider::Issuer)
            }
            _ => {
                let message = "an identity provider has exactly one of `token_url` and `issuer`";
                self.report.error_with_help(at, message, "add `issuer: https://idp.example.com`");
                None
            }
        };
        Some((provider?, client?))
    }

    pub(super) fn on_behalf_of(
        &self,
        grant: grammar::OnBehalfOf,
        at: Span,
        insecure: bool,
    ) -> Option<OnBehalfOf> {
        self.need(&grant.scopes, at, "scopes", "['api://APPLICATION/.default']");
        if let Some(at) = grant.scopes.span()
            && grant.scopes.get().is_some_and(Vec::is_empty)
        {
            let help = "name what the token is for: `['api://APPLICATION/.default']`";
            self.report.error_with_help(at, "this flow needs a scope", help);
        }
        let token_url = self.token_url(&grant.token_url, at, insecure);
        let client = self.client(grant.client, at);
        self.confidential(client.as_ref(), at);
        Some(OnBehalfOf { token_url: token_url?, client: client?, scopes: Self::scopes(&grant.scopes) })
    }

    pub(super) fn jwt_bearer(
        &self,
        grant: grammar::JwtBearer,
        at: Span,
        insecure: bool,
    ) -> Option<JwtBearer> {
        let token_url = self.token_url(&grant.token_url, at, insecure);
        self.need(&grant.private_key, at, "private_key", "{ file: /run/secrets/key.pem }");
        self.need(&grant.algorithm, at, "algorithm", "RS256");
        let key = self.secret(&grant.private_key);
        let issuer = self.required(grant.issuer, at, "issuer", "narthex@project.iam.gserviceaccount.com");
        let issuer = issuer.and_then(|(at, text)| self.text(Field::Set(at, text)));
        let client = grant.client.is_absent().then_some(None);
        let client = client.or_else(|| self.client(grant.client, at).map(Some));
        self.within(&grant.lifetime, |time| !time.0.is_zero() && time.0 <= MAX_BEARER, "from `1s` to `1h`");
        Some(JwtBearer {
            token_url: token_url?,
            issuer: issuer?,
            key: key?,
            algorithm: grant.algorithm.get()?.0,
            key_id: self.text(grant.key_id),
            subject: self.asserted_subject(grant.subject),
            audience: self.text(grant.audience),
            scopes: Self::scopes(&grant.scopes),
            scopes_in_assertion: matches!(grant.scopes_in.get(), Some(ScopesIn::Assertion)),
            lifetime: Self::duration(&grant.lifetime, LIFETIME),
            client: client?,
        })
    }

    fn asserted_subject(&self, field: Field<grammar::AssertedSubject>) -> AssertedSubject {
        let Some((at, given)) = field.with_span() else { return AssertedSubject::Caller };
        let (grammar::AssertedSubject::Claim(text) | grammar::AssertedSubject::Value(text)) = &given;
        // What is wrong is reported, and nothing is made of it then.
        let _ = self.text(Field::Set(at, text.clone()));
        match given {
            grammar::AssertedSubject::Claim(name) if name == "sub" => AssertedSubject::Caller,
            grammar::AssertedSubject::Claim(name) => AssertedSubject::Claim(name),
            grammar::AssertedSubject::Value(value) => AssertedSubject::Value(value),
        }
    }

    pub(super) fn assertion(
        &self,
        given: grammar::Assertion,
        transport: Option<&Transport>,
    ) -> Option<Assertion> {
        let header = given.header.with_span().map(|(at, name)| self.header_name(&name, at));
        self.within(&given.lifetime, |time| (1..=300).contains(&time.0.as_secs()), "from `1s` to `5m`");
        let url = transport.and_then(Transport::endpoints).map(|endpoints| endpoints.first.to_string());
        Some(Assertion {
            // A child process gets none; that is reported elsewhere.
            audience: self.text(given.audience).or(url).unwrap_or_default(),
            lifetime: Self::duration(&given.lifetime, LIFETIME).min(MAX_ASSERTION),
            header: match header {
                // `Authorization` is its own header, and there it is a Bearer token.
                Some(name) => Some(name?).filter(|name| name != "authorization"),
                None => None,
            },
            algorithm: match given.algorithm.get() {
                Some(grammar::AssertionAlgorithm::EdDsa) => AssertionAlgorithm::EdDsa,
                Some(grammar::AssertionAlgorithm::Es256) | None => AssertionAlgorithm::Es256,
            },
            per_request: !matches!(given.per.get(), Some(AssertionPer::Caller)),
        })
    }

    pub(super) fn aws_sigv4(&self, given: grammar::AwsSigV4, at: Span, insecure: bool) -> Option<AwsSigV4> {
        let region = self.required(given.region, at, "region", "eu-central-1");
        let region = region.and_then(|(at, text)| self.aws_name(text, at));
        let service = self.required(given.service, at, "service", "execute-api");
        let service = service.and_then(|(at, text)| self.aws_name(text, at));
        if given.web_identity.is_absent() {
            self.need(&given.access_key_id, at, "access_key_id", "{ file: /run/secrets/aws-id }");
            self.need(&given.secret_access_key, at, "secret_access_key", "{ file: /run/secrets/aws-secret }");
            let (id, secret) = (self.secret(&given.access_key_id), self.secret(&given.secret_access_key));
            let session_token = match given.session_token.is_absent() {
                true => None,
                false => Some(self.secret(&given.session_token)?),
            };
            let keys = AwsKeys::Given { id: id?, secret: secret?, session_token };
            return Some(AwsSigV4 { region: region?, service: service?, keys });
        }
        let keys = [given.access_key_id.span(), given.secret_access_key.span(), given.session_token.span()];
        for at in keys.into_iter().flatten() {
            let help = "remove the one or the other";
            self.report.error_with_help(at, "keys are given, or come by `web_identity`", help);
        }
        let (at, identity) = given.web_identity.with_span()?;
        let keys = self.web_identity(identity, at, region.as_deref(), insecure);
        Some(AwsSigV4 { region: region?, service: service?, keys: keys? })
    }

    fn web_identity(
        &self,
        given: grammar::WebIdentity,
        at: Span,
        region: Option<&str>,
        insecure: bool,
    ) -> Option<AwsKeys> {
        self.need(&given.token, at, "token", "{ file: /var/run/secrets/token }");
        let token = self.secret(&given.token);
        let role = self.required(given.role, at, "role", "arn:aws:iam::123456789012:role/narthex");
        let role = role.and_then(|(at, text)| {
            if text.starts_with("arn:") && text.contains(":role/") {
                return self.text(Field::Set(at, text));
            }
            self.report.error(at, "not the ARN of a role");
            None
        });
        let session = given.session.with_span().map(|(at, text)| {
            let legal = |c: char| c.is_ascii_alphanumeric() || "_=,.@-".contains(c);
            if !(2..=64).contains(&text.len()) || !text.chars().all(legal) {
                self.report.error(at, "a session's name is 2 to 64 letters, digits and `_=,.@-`");
            }
            text
        });
        let sts_url = if given.sts_url.is_absent() {
            Url::parse(&format!("https://sts.{}.amazonaws.com/", region?)).ok()
        } else {
            self.endpoint(&given.sts_url, insecure)
        };
        Some(AwsKeys::WebIdentity {
            role: role?,
            token: token?,
            session: session.unwrap_or_else(|| "narthex".to_owned()),
            sts_url: sts_url?,
        })
    }

    /// A region or service, as signatures name them.
    fn aws_name(&self, text: String, at: Span) -> Option<String> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=64).contains(&text.len()) && text.chars().all(legal) {
            return Some(text);
        }
        self.report.error(at, "a name of AWS is lower-case letters, digits and `-`");
        None
    }

    pub(super) fn client_tls(
        &self,
        field: &Field<grammar::ClientTls>,
        transport: &Option<Transport>,
    ) -> Option<ClientTls> {
        let (at, given) = (field.span()?, field.get()?);
        self.need(&given.certificate, at, "certificate", "{ file: client.crt }");
        self.need(&given.key, at, "key", "{ file: client.key }");
        let endpoints = transport.as_ref().and_then(Transport::endpoints);
        if endpoints.is_some_and(|endpoints| endpoints.iter().any(|url| url.scheme() == "http")) {
            let message = "a certificate is shown over TLS, and this upstream is plain `http`";
            self.report.error_with_help(at, message, "use an `https` URL, or remove `tls`");
        }
        Some(ClientTls { certificate: self.file(&given.certificate)?, key: self.file(&given.key)? })
    }

    fn wanted(
        &self,
        scopes: &Field<Vec<Field<grammar::Scope>>>,
        resource: Field<String>,
        audience: Field<String>,
    ) -> Wanted {
        let resource = resource.with_span().and_then(|(at, text)| self.resource_named(at, text));
        Wanted {
            scopes: Self::scopes(scopes),
            resource: resource.into_iter().collect(),
            audience: self.text(audience).into_iter().collect(),
        }
    }

    fn texts(&self, field: Field<Texts>, read: impl Fn(Span, String) -> Option<String>) -> Vec<String> {
        let Some((at, texts)) = field.with_span() else { return Vec::new() };
        let listed = match texts {
            Texts::One(text) => return read(at, text).into_iter().collect(),
            Texts::List(listed) => listed,
        };
        if listed.is_empty() {
            self.report.error_with_help(at, "a list of nothing", "remove it");
        }
        if listed.len() > MAX_TARGETS {
            self.report.error(at, format!("more than {MAX_TARGETS} of them"));
        }
        let mut known: Vec<String> = Vec::new();
        for (at, text) in listed.into_iter().filter_map(Field::with_span) {
            let Some(text) = read(at, text) else { continue };
            if known.contains(&text) {
                self.report.error(at, "this is listed twice");
            }
            known.push(text);
        }
        known
    }

    fn token_url(&self, field: &Field<grammar::HttpUrl>, owner: Span, insecure: bool) -> Option<Url> {
        self.need(field, owner, "token_url", "https://idp.example.com/token");
        self.endpoint(field, insecure)
    }

    /// A resource indicator is an absolute URI without fragment (RFC 8707 §2).
    pub(super) fn resource_named(&self, at: Span, text: String) -> Option<String> {
        let text = self.text(Field::Set(at, text))?;
        if Url::parse(&text).is_ok_and(|url| url.fragment().is_none()) && !text.contains(char::is_whitespace)
        {
            return Some(text);
        }
        self.report.error(at, "a resource is an absolute URI without fragment (RFC 8707 section 2)");
        None
    }

    /// A token type identifier is a URI (RFC 8693 §3).
    fn token_type(&self, field: Field<String>) -> Option<(Span, String)> {
        let at = field.span()?;
        let text = self.text(field)?;
        if Url::parse(&text).is_ok() && !text.contains(char::is_whitespace) {
            return Some((at, text));
        }
        let help = format!("for example `{ACCESS_TOKEN}`");
        self.report.error_with_help(at, "a token type is a URI (RFC 8693 section 3)", help);
        None
    }
}
