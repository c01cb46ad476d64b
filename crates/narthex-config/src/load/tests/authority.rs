//! `auth.authority:`.

use super::mistakes::{each_is_refused, with};
use super::*;
use crate::model::{Algorithm, HostPattern, RegisteredAuth};

/// [`GOOD`] with an authority that says `keys`.
fn authority(keys: &str) -> String {
    with("auth: { embedded: development }", &format!("auth: {{ authority: {{ {keys} }} }}"))
}

#[test]
fn an_authority_gets_all_defaults() {
    let (config, warnings) = parsed(&authority("")).unwrap_or_else(|found| panic!("{found}"));
    assert!(warnings.is_empty(), "{warnings}");
    let authority = config.auth.authority.unwrap();
    assert_eq!(authority.access_token_lifetime, Duration::from_secs(600));
    assert_eq!(authority.refresh_token.lifetime, Duration::from_secs(30 * 24 * 3600));
    assert_eq!(authority.refresh_token.idle, Duration::from_secs(7 * 24 * 3600));
    assert_eq!((authority.algorithm, authority.key_rotation.as_secs()), (Algorithm::ES256, 30 * 24 * 3600));
    assert!(authority.metadata_documents.is_none() && authority.dynamic_registration.is_none());
    assert!(authority.grants.is_empty() && authority.clients.is_empty() && authority.assertions.is_empty());
}

#[test]
fn the_configuration_to_try_logins_with_loads_without_a_warning() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gateway.login.yaml");
    let loaded = load(&path).unwrap_or_else(|found| panic!("{found}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.config.auth.authority.unwrap().login.unwrap().users.len(), 3);
}

#[test]
fn an_authority_is_read_as_written() {
    let text = authority(
        "access_token_lifetime: 5m, refresh_token: { lifetime: 48h, idle: 2h }, algorithm: EdDSA, key_rotation: 24h, \
         clients: { ide: { name: IDE, redirect_uris: ['http://127.0.0.1/cb'], scopes: [mcp:read] }, \
         agent: { secret: { env: S }, assertions: true }, probe: { jwks: { file: k }, introspection: true } }, \
         metadata_documents: { allow: [claude.ai, '*.example.com'] }, \
         dynamic_registration: { redirect_hosts: ['*'], rate: 3/1h, most: 7, unused: 1h }, \
         assertions: { corp: { issuer: https://idp.example.com, tenant: { claim: org }, groups: groups, clients: [agent] } }, \
         grants: [{ scopes: [mcp:read] }, { tenants: [acme], groups: [staff], scopes: [mcp:write] }]",
    );
    let (config, _) = parsed(&text).unwrap_or_else(|found| panic!("{found}"));
    let authority = config.auth.authority.unwrap();
    assert_eq!(authority.algorithm, Algorithm::EdDSA);
    assert_eq!(authority.clients["ide"].name, "IDE");
    assert_eq!(authority.clients["agent"].auth, RegisteredAuth::Secret(SecretRef::Env("S".into())));
    assert_eq!(authority.clients["probe"].auth, RegisteredAuth::KeyFile("conf/k".into()));
    let documents = authority.metadata_documents.unwrap();
    assert_eq!(documents.allow[1], HostPattern::Below("example.com".into()));
    let registration = authority.dynamic_registration.unwrap();
    assert_eq!((registration.most.get(), registration.rate.count.get()), (7, 3));
    assert_eq!(authority.assertions["corp"].keys, KeySource::Discovery);
    assert_eq!(authority.grants.len(), 2);
}

#[test]
fn a_mistake_under_the_authority_is_refused() {
    let https = |keys: &str| authority(keys).replace("http://localhost:8080", "https://gw.example.com");
    each_is_refused(&[
        (authority("access_token_lifetime: 1m"), "lives `5m` to `15m`"),
        (authority("access_token_lifetime: 1h"), "lives `5m` to `15m`"),
        (authority("refresh_token: { lifetime: 1h, idle: 2h }"), "`idle` is longer"),
        (authority("refresh_token: { idle: 0s }"), "cannot be zero"),
        (authority("algorithm: RS256"), "`ES256` or `EdDSA`"),
        (authority("key_rotation: 1m"), "at least for `1h`"),
        (authority("clients: { a: {} }"), "can do nothing"),
        (authority("clients: { a: { assertions: true } }"), "must authenticate"),
        (authority("clients: { a: { introspection: true } }"), "must authenticate"),
        (authority("clients: { 'https://a/b': { redirect_uris: [x] } }"), "stands for a document"),
        (
            authority("clients: { a: { redirect_uris: [x], secret: { env: S }, jwks: { file: k } } }"),
            "in one way",
        ),
        (authority("metadata_documents: {}"), "`allow` is missing"),
        (authority("metadata_documents: { allow: ['https://a'] }"), "not a host"),
        (https("metadata_documents: { allow_loopback: true }"), "loopback `public_url`"),
        (authority("dynamic_registration: { most: 20000 }"), "at most 10000"),
        (authority("dynamic_registration: { redirect_schemes: [https] }"), "not a scheme"),
        (authority("dynamic_registration: { redirect_schemes: ['cursor://'] }"), "not a scheme"),
        (authority("assertions: { a: { issuer: https://i } }"), "`tenant` is missing"),
        (authority("assertions: { 'a|b': { issuer: https://i, tenant: { claim: t } } }"), "no `|`"),
        (authority("grants: [{ tenants: [acne], scopes: [x] }]"), "did you mean `acme`?"),
        (authority("grants: [{}]"), "`scopes` is missing"),
        (authority("access_token_lifetme: 5m"), "did you mean `access_token_lifetime`?"),
        (authority("").replace("http://localhost:8080", "http://gw.example.com"), "over plain `http`"),
        (authority("").replace("auth: {", "auth: { embedded: development,"), "the same issuer"),
        (
            authority("").replace("auth: {", "auth: { issuers: [{ issuer: 'http://localhost:8080', jwks: { file: k }, tenant: { claim: t } }],"),
            "the issuer of `authority`",
        ),
        (authority("").replace("path: /mcp", "path: /login"), "answers under `/login`"),
        (authority("").replace("path: /mcp", "path: /connect/x"), "answers under `/login`"),
    ]);
    assert!(parsed(&GOOD.replace("path: /mcp", "path: /login")).is_ok(), "without an authority it is free");
}

#[test]
fn an_identity_provider_cannot_assert_the_users_of_another() {
    let both = |name: &str, issuer: &str| {
        let corp = "corp: { issuer: https://idp.example.com, client: { id: n, secret: { file: s } }, \
                    claims: { tenant: { value: acme } } }";
        authority(&format!(
            "login: {{ providers: {{ {corp} }} }}, \
             assertions: {{ {name}: {{ issuer: '{issuer}', tenant: {{ value: acme }} }} }}"
        ))
    };
    each_is_refused(&[
        (both("corp", "https://other.example.com"), "has this name and another issuer"),
        (both("corp", "https://idp.example.com/"), "has this name and another issuer"),
        (both("local", "https://other.example.com"), "`local` stands for the users of this file"),
    ]);
    for (name, issuer) in [("corp", "https://idp.example.com"), ("other", "https://other.example.com")] {
        assert!(parsed(&both(name, issuer)).is_ok(), "{name}");
    }
}

#[test]
fn what_is_kept_in_memory_by_a_gateway_for_others_is_a_warning() {
    let text = |url: &str, store: &str| authority("").replace("http://localhost:8080", url) + store;
    for (url, store, expected) in [
        ("https://gw.example.com", "store: { memory: {} }\n", 1),
        ("http://localhost:8080", "store: { memory: {} }\n", 0),
        ("https://gw.example.com", "", 0),
    ] {
        let (_, warnings) = parsed(&text(url, store)).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(warnings.len(), expected, "{url} {store}: {warnings}");
    }
}
