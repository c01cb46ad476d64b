//! Credentials that are made for the caller, and certificates that the gateway shows.

use super::mistakes::{each_is_refused, upstream, with};
use super::{GOOD, parsed, refused};
use crate::model::{
    Actor, ActorToken, AssertedSubject, Assertion, AssertionAlgorithm, AwsKeys, ClientTls, Credential,
    IdentityProvider, OAuthClientAuth, SecretRef, SubjectToken, Transport,
};
use std::path::Path;
use std::time::Duration;

const CLIENT: &str = "client: { id: narthex, secret: { file: narthex.secret } }";

fn credential(text: &str) -> Credential {
    let text = upstream(&format!("credential: {text}"));
    let (config, warnings) = parsed(&text).unwrap_or_else(|found| panic!("{found}\n{text}"));
    assert!(warnings.is_empty(), "{warnings}");
    config.upstreams["demo"].credential.clone()
}

fn exchange(keys: &str) -> String {
    upstream(&format!("credential: {{ token_exchange: {{ token_url: https://i/token, {CLIENT}, {keys} }} }}"))
}

fn jwt_bearer(keys: &str) -> String {
    upstream(&format!("credential: {{ jwt_bearer: {{ {keys} }} }}"))
}

fn assertion(keys: &str) -> String {
    upstream(&format!("credential: {{ assertion: {{ {keys} }} }}"))
}

fn sigv4(keys: &str) -> String {
    upstream(&format!("credential: {{ aws_sigv4: {{ {keys} }} }}"))
}

fn id_jag(provider: &str, server: &str) -> String {
    let keys = format!("identity_provider: {{ {provider} }}, authorization_server: {{ {server} }}");
    upstream(&format!("credential: {{ id_jag: {{ subject: access_token, {keys} }} }}"))
}

/// With the caller's ID token, where users log in as `login` says.
fn id_jag_of_id_token(subject: &str, login: &str) -> String {
    let provider = format!("issuer: https://i, {CLIENT}");
    let auth = format!("auth: {{ {login} }}");
    id_jag(&provider, CLIENT)
        .replace("subject: access_token, ", subject)
        .replace("auth: { embedded: development }", &auth)
}

const PROVIDER: &str = "corp: { issuer: https://idp.example.com, client: { id: n, secret: { file: s } }, claims: { tenant: { value: acme } } }";

#[test]
fn an_exchange_may_have_an_actor_and_several_audiences() {
    let Credential::TokenExchange(exchange) = credential(&format!(
        "{{ token_exchange: {{ token_url: https://i/token, {CLIENT}, audience: [a, b], \
         resource: ['https://r/1', 'https://r/2'], actor: {{ token: {{ env: ACTOR }} }}, \
         actor_token_type: 'urn:ietf:params:oauth:token-type:id_token' }} }}"
    )) else {
        panic!("a token exchange")
    };
    assert_eq!(exchange.wanted.audience, ["a", "b"]);
    assert_eq!(exchange.wanted.resource, ["https://r/1", "https://r/2"]);
    let token_type = "urn:ietf:params:oauth:token-type:id_token".to_owned();
    let token = ActorToken::Token(SecretRef::Env("ACTOR".into()));
    assert_eq!(exchange.actor, Some(Actor { token, token_type }));
}

#[test]
fn what_an_actor_token_is_follows_from_where_it_comes_from() {
    for (given, kind) in [("client_credentials: {}", "access_token"), ("assertion: {}", "jwt")] {
        let text =
            format!("{{ token_exchange: {{ token_url: https://i/token, {CLIENT}, actor: {{ {given} }} }} }}");
        let Credential::TokenExchange(exchange) = credential(&text) else { panic!("a token exchange") };
        let expected = format!("urn:ietf:params:oauth:token-type:{kind}");
        assert_eq!(exchange.actor.unwrap().token_type, expected, "{given}");
    }
}

#[test]
fn an_id_jag_names_an_identity_provider_and_may_leave_the_rest_to_discovery() {
    let Credential::IdJag(found) = credential(&format!(
        "{{ id_jag: {{ subject: access_token, identity_provider: {{ issuer: https://idp.example.com, {CLIENT} }}, \
         authorization_server: {{ {CLIENT} }} }} }}"
    )) else {
        panic!("an ID-JAG")
    };
    assert_eq!(found.identity_provider, IdentityProvider::Issuer("https://idp.example.com".into()));
    assert_eq!((found.issuer, found.token_url, found.resource), (None, None, None));
    assert_eq!(found.subject, SubjectToken::AccessToken);
}

#[test]
fn an_id_jag_is_made_of_the_id_token_where_users_log_in_and_nowhere_else() {
    let login = format!("authority: {{ login: {{ providers: {{ {PROVIDER} }} }} }}");
    let (config, _) = parsed(&id_jag_of_id_token("", &login)).unwrap_or_else(|found| panic!("{found}"));
    assert!(config.wants_id_tokens());
    let users = "authority: { login: { users: [{ name: alice, tenant: acme }] } }";
    for auth in ["embedded: development", "authority: { access_token_lifetime: 5m }", users] {
        for subject in ["", "subject: id_token, "] {
            let found = refused(&id_jag_of_id_token(subject, auth));
            let shown = found.to_string();
            assert!(shown.contains("nobody logs in at the gateway to have one"), "{auth}: {shown}");
            assert!(
                shown.contains("login: { providers") && shown.contains("`subject: access_token`"),
                "{shown}"
            );
            assert_eq!(found.errors(), 1, "{shown}");
            let place = if subject.is_empty() { ":7:17" } else { ":7:38" };
            assert!(shown.contains(place), "at the key: {shown}");
        }
    }
}

#[test]
fn an_assertion_is_for_the_upstream_for_a_minute_and_names_the_request() {
    let expected = Assertion {
        audience: "http://127.0.0.1:9001/mcp".into(),
        lifetime: Duration::from_secs(60),
        header: None,
        algorithm: AssertionAlgorithm::Es256,
        per_request: true,
    };
    assert_eq!(credential("{ assertion: {} }"), Credential::Assertion(expected));
    let other = credential(
        "{ assertion: { audience: tools, lifetime: 5m, header: X-Caller, algorithm: EdDSA, per: caller } }",
    );
    let expected = Assertion {
        audience: "tools".into(),
        lifetime: Duration::from_secs(300),
        header: Some("x-caller".into()),
        algorithm: AssertionAlgorithm::EdDsa,
        per_request: false,
    };
    assert_eq!(other, Credential::Assertion(expected));
}

#[test]
fn a_jwt_bearer_speaks_of_the_caller_unless_it_says_otherwise() {
    let keys = "token_url: https://i/token, issuer: me, private_key: { file: k }, algorithm: RS256";
    let Credential::JwtBearer(bearer) = credential(&format!("{{ jwt_bearer: {{ {keys} }} }}")) else {
        panic!("a JWT bearer")
    };
    assert_eq!((bearer.subject, bearer.lifetime), (AssertedSubject::Caller, Duration::from_secs(60)));
    assert!(!bearer.scopes_in_assertion && bearer.client.is_none());
    for (given, expected) in [
        ("{ claim: email }", AssertedSubject::Claim("email".into())),
        ("{ claim: sub }", AssertedSubject::Caller),
        ("{ value: robot }", AssertedSubject::Value("robot".into())),
    ] {
        let found = credential(&format!("{{ jwt_bearer: {{ {keys}, subject: {given} }} }}"));
        assert!(matches!(found, Credential::JwtBearer(bearer) if bearer.subject == expected), "{given}");
    }
}

#[test]
fn temporary_keys_of_aws_come_from_the_regions_sts() {
    let found = credential(
        "{ aws_sigv4: { region: eu-west-1, service: execute-api, web_identity: { \
         role: 'arn:aws:iam::123456789012:role/narthex', token: { file: token } } } }",
    );
    let Credential::AwsSigV4(found) = found else { panic!("SigV4") };
    let AwsKeys::WebIdentity { sts_url, session, .. } = found.keys else { panic!("web identity") };
    assert_eq!((sts_url.as_str(), session.as_str()), ("https://sts.eu-west-1.amazonaws.com/", "narthex"));
}

#[test]
fn a_certificate_is_a_file_that_is_watched_with_its_key() {
    let text = with(
        "    url: http://127.0.0.1:9001/mcp\n",
        "    url: https://mcp.example.com/mcp\n    tls: { certificate: { file: tls/a.crt }, key: { file: tls/a.key } }\n    \
             credential: { client_credentials: { token_url: https://i/token, client: { id: a, \
             certificate: { file: tls/b.crt }, private_key: { file: tls/b.key } } } }\n",
    );
    let (config, _) = parsed(&text).unwrap_or_else(|found| panic!("{found}"));
    let demo = &config.upstreams["demo"];
    let expected = ClientTls { certificate: "conf/tls/a.crt".into(), key: "conf/tls/a.key".into() };
    assert_eq!(demo.tls, Some(expected));
    let Credential::ClientCredentials(machine) = &demo.credential else { panic!("client credentials") };
    let expected = OAuthClientAuth::Tls {
        certificate: "conf/tls/b.crt".into(),
        key: SecretRef::File("conf/tls/b.key".into()),
    };
    assert_eq!(machine.client.auth, expected);
    let watched = crate::check::files_of(&config);
    for file in ["conf/tls/a.crt", "conf/tls/a.key", "conf/tls/b.crt", "conf/tls/b.key"] {
        assert!(watched.iter().any(|path| path == Path::new(file)), "{file}");
    }
    assert!(matches!(demo.transport, Transport::Http(_)));
}

#[test]
fn a_mistake_in_an_exchange_is_refused() {
    each_is_refused(&[
        (exchange("audience: []"), "a list of nothing"),
        (exchange("audience: [a, a]"), "listed twice"),
        (exchange("audience: 5"), "put it in quotes"),
        (exchange("resource: ['https://r', mcp]"), "absolute URI"),
        (exchange("audience: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]"), "more than 16"),
        (exchange("actor: { token: hunter2 }"), "must not be written"),
        (exchange("actor: { client_credentials: {}, assertion: {} }"), "exactly one of"),
        (exchange("actor: {}"), "exactly one of"),
        (exchange("actor: { client_credentials: { resource: mcp } }"), "absolute URI"),
        (exchange("actor: { assertion: {} }, actor_token_type: jwt"), "a token type is a URI"),
        (exchange("actor_token_type: 'urn:x'"), "that there is not"),
        (
            upstream(
                "credential: { token_exchange: { token_url: https://i/t, client: { id: a }, actor: { client_credentials: {} } } }",
            ),
            "no token of its own",
        ),
        (
            upstream(
                "credential: { on_behalf_of: { token_url: https://i/t, client: { id: a, secret: { env: A } }, scopes: [] } }",
            ),
            "needs a scope",
        ),
        (
            upstream(&format!("credential: {{ on_behalf_of: {{ token_url: https://i/t, {CLIENT} }} }}")),
            "`scopes` is missing",
        ),
        (
            upstream(
                "credential: { on_behalf_of: { token_url: https://i/t, client: { id: a }, scopes: [x] } }",
            ),
            "clients that authenticate",
        ),
    ]);
}

#[test]
fn a_mistake_in_an_id_jag_is_refused() {
    let issuer = "issuer: https://as.example.com";
    each_is_refused(&[
        (id_jag("", CLIENT).replace("identity_provider: {  }, ", ""), "`identity_provider` is missing"),
        (id_jag(CLIENT, CLIENT), "exactly one of `token_url` and `issuer`"),
        (
            id_jag(&format!("token_url: https://i/t, issuer: https://i, {CLIENT}"), CLIENT),
            "exactly one of `token_url` and `issuer`",
        ),
        (id_jag("issuer: https://i, client: { id: a }", CLIENT), "clients that authenticate"),
        (id_jag("issuer: https://i", CLIENT), "`client` is missing"),
        (id_jag(&format!("issuer: https://i, {CLIENT}"), issuer), "`client` is missing"),
        (
            id_jag(&format!("issuer: https://i, {CLIENT}"), &format!("token_url: https://a/t, {CLIENT}")),
            "`token_url` without an `issuer`",
        ),
        (id_jag(&format!("issuer: http://i, {CLIENT}"), CLIENT), "plain `http`"),
        (id_jag(&format!("issuer: https://i, {CLIENT}"), &format!("issuer: as, {CLIENT}")), "not an `http`"),
        (
            id_jag(&format!("issuer: https://i, {CLIENT}"), CLIENT)
                .replace("subject: access_token", "subject: refresh_token"),
            "expected `id_token` or `access_token`",
        ),
    ]);
}

#[test]
fn a_mistake_in_what_the_gateway_signs_is_refused() {
    let bearer = "token_url: https://i/token, issuer: me, private_key: { file: k }, algorithm: RS256";
    each_is_refused(&[
        (
            jwt_bearer("token_url: https://i/t, issuer: me, private_key: { file: k }"),
            "`algorithm` is missing",
        ),
        (jwt_bearer("token_url: https://i/t, issuer: me, algorithm: RS256"), "`private_key` is missing"),
        (jwt_bearer("issuer: me, private_key: { file: k }, algorithm: RS256"), "`token_url` is missing"),
        (
            jwt_bearer("token_url: https://i/t, private_key: { file: k }, algorithm: ES256"),
            "`issuer` is missing",
        ),
        (jwt_bearer(&format!("{bearer}, lifetime: 2h")), "to `1h`"),
        (jwt_bearer(&format!("{bearer}, lifetime: 0s")), "from `1s`"),
        (jwt_bearer(&format!("{bearer}, subject: email")), "expected `claim` or `value`"),
        (jwt_bearer(&format!("{bearer}, subject: {{ claim: '' }}")), "not empty"),
        (jwt_bearer(&format!("{bearer}, scopes_in: body")), "expected `request` or `assertion`"),
        (jwt_bearer(&bearer.replace("RS256", "HS256")), "never accepted"),
        (assertion("lifetime: 6m"), "to `5m`"),
        (assertion("lifetime: 10ms"), "from `1s`"),
        (assertion("header: Cookie"), "the gateway's own"),
        (assertion("header: 'a b'"), "not a header name"),
        (assertion("algorithm: RS256"), "expected `ES256` or `EdDSA`"),
        (assertion("per: tenant"), "expected `request` or `caller`"),
        (assertion("audience: ''"), "not empty"),
    ]);
}

#[test]
fn a_mistake_in_the_keys_of_aws_is_refused() {
    let keys = "access_key_id: { env: A }, secret_access_key: { env: B }";
    let role = "role: 'arn:aws:iam::1:role/x'";
    each_is_refused(&[
        (sigv4(&format!("service: lambda, {keys}")), "`region` is missing"),
        (sigv4(&format!("region: r, {keys}")), "`service` is missing"),
        (sigv4(&format!("region: 'r/1', service: lambda, {keys}")), "a name of AWS"),
        (sigv4(&format!("region: r, service: Lambda, {keys}")), "a name of AWS"),
        (sigv4("region: r, service: s, access_key_id: { env: A }"), "`secret_access_key` is missing"),
        (sigv4("region: r, service: s, secret_access_key: { env: A }"), "`access_key_id` is missing"),
        (
            sigv4("region: r, service: s, access_key_id: AKIA, secret_access_key: { env: B }"),
            "must not be written",
        ),
        (
            sigv4(&format!(
                "region: r, service: s, access_key_id: {{ env: A }}, web_identity: {{ {role}, token: {{ file: t }} }}"
            )),
            "keys are given",
        ),
        (sigv4(&format!("region: r, service: s, web_identity: {{ {role} }}")), "`token` is missing"),
        (sigv4("region: r, service: s, web_identity: { token: { file: t } }"), "`role` is missing"),
        (
            sigv4("region: r, service: s, web_identity: { role: narthex, token: { file: t } }"),
            "not the ARN of a role",
        ),
        (
            sigv4(&format!(
                "region: r, service: s, web_identity: {{ {role}, token: {{ file: t }}, session: 'a b' }}"
            )),
            "a session's name",
        ),
    ]);
}

#[test]
fn a_mistake_about_certificates_is_refused() {
    let https = |tls: &str| {
        with("    url: http://127.0.0.1:9001/mcp\n", &format!("    url: https://h/mcp\n    tls: {tls}\n"))
    };
    let client = |keys: &str| {
        upstream(&format!(
            "credential: {{ client_credentials: {{ token_url: https://i/t, client: {{ id: a, {keys} }} }} }}"
        ))
    };
    each_is_refused(&[
        (https("{ certificate: { file: a } }"), "`key` is missing"),
        (https("{ key: { file: a } }"), "`certificate` is missing"),
        (https("{ certificate: a, key: { file: b } }"), "{ file: path }"),
        (upstream("tls: { certificate: { file: a }, key: { file: b } }"), "plain `http`"),
        (client("certificate: { file: a }"), "`private_key` is missing"),
        (
            client("certificate: { file: a }, private_key: { file: b }")
                .replace("token_url: https://i/t, ", ""),
            "goes with a `token_url`",
        ),
        (
            client("certificate: { file: a }, private_key: { file: b }, algorithm: RS256"),
            "not of a `certificate`",
        ),
        (
            client("certificate: { file: a }, private_key: { file: b }, secret: { env: A }"),
            "either a `secret`",
        ),
        (
            with(
                "auth: { embedded: development }",
                "auth:\n  embedded: development\n  issuers: [{ issuer: https://i, tenant: { value: acme }, introspection: { \
                 url: https://i/x, client: { id: a, certificate: { file: a }, private_key: { file: b } } } }]",
            ),
            "no certificate is shown",
        ),
    ]);
}

#[test]
fn what_is_made_from_the_callers_token_is_not_for_open_routes() {
    let open = |credential: &str| {
        let text = upstream(&format!("credential: {credential}"));
        text.replace("    upstream: demo\n", "    upstream: demo\n    auth: none\n    tenant: acme\n")
    };
    assert!(GOOD.contains("    upstream: demo\n"));
    let key = "issuer: me, private_key: { file: k }, algorithm: RS256";
    each_is_refused(&[
        (
            open(&format!("{{ on_behalf_of: {{ token_url: https://i/t, {CLIENT}, scopes: [x] }} }}")),
            "there is no caller's token",
        ),
        (
            open(&format!("{{ jwt_bearer: {{ token_url: https://i/t, {key} }} }}")),
            "there is no caller's token",
        ),
    ]);
    let fixed = format!("{{ jwt_bearer: {{ token_url: https://i/t, {key}, subject: {{ value: robot }} }} }}");
    for credential in [fixed.as_str(), "{ assertion: {} }"] {
        assert!(parsed(&open(credential)).is_ok(), "{credential}");
    }
}

#[test]
fn a_program_gets_none_of_them() {
    for credential in [
        "{ assertion: {} }",
        "{ aws_sigv4: { region: r, service: s, access_key_id: { env: A }, secret_access_key: { env: B } } }",
    ] {
        let text = with(
            "    url: http://127.0.0.1:9001/mcp\n",
            &format!("    command: [x]\n    credential: {credential}\n"),
        );
        each_is_refused(&[(text, "a `command` gets none")]);
    }
}
