//! `auth.authority.login:`.

use super::mistakes::{each_is_refused, with};
use super::*;
use crate::model::{LocalUser, Login, LoginTenant, Preset, TenantId};

/// [`GOOD`] with an authority where users log in as `keys` say.
fn login(keys: &str) -> String {
    let keys = format!("auth: {{ authority: {{ login: {{ {keys} }} }} }}");
    with("auth: { embedded: development }", &keys)
}

/// One provider that says `keys`.
fn provider(keys: &str) -> String {
    login(&format!("providers: {{ corp: {{ {keys} }} }}"))
}

/// One good provider, and `keys`.
fn good(keys: &str) -> String {
    provider(&format!("issuer: https://idp.example.com, client: {{ id: n, secret: {{ file: s }} }}, {keys}"))
}

fn logged_in(text: &str) -> Login {
    let (config, warnings) = parsed(text).unwrap_or_else(|found| panic!("{found}\nof:\n{text}"));
    assert!(warnings.is_empty(), "{warnings}");
    config.auth.authority.unwrap().login.unwrap()
}

#[test]
fn a_provider_gets_all_defaults() {
    let login = logged_in(&good("claims: { tenant: { value: acme } }"));
    assert_eq!((login.title.as_str(), login.users.len()), ("Narthex", 0));
    assert_eq!((login.session.idle.as_secs(), login.session.lifetime.as_secs()), (3600, 12 * 3600));
    assert!(login.tenants.contains("acme"));
    let corp = &login.providers[0];
    assert_eq!((corp.id.as_str(), corp.title.as_str()), ("corp", "idp.example.com"));
    assert_eq!((corp.preset, corp.userinfo), (Preset::Generic, false));
    assert_eq!(corp.scopes, ["openid", "profile", "email"]);
    assert_eq!(
        (corp.claims.subject.as_slice(), corp.claims.groups.as_slice()),
        (&["sub".to_owned()][..], &["groups".to_owned()][..])
    );
    assert_eq!(corp.claims.name, ["name", "preferred_username", "email"]);
    assert_eq!(corp.claims.tenant, LoginTenant::Value(TenantId::from("acme")));
}

#[test]
fn every_preset_has_its_own_defaults() {
    let claim = |name: &str| LoginTenant::Claim { claim: name.to_owned(), values: None };
    let of =
        |preset: &str, keys: &str| logged_in(&good(&format!("preset: {preset}, {keys}"))).providers.remove(0);
    let entra = of("entra", "");
    assert_eq!(entra.claims.subject, ["tid", "oid"]);
    assert_eq!(entra.claims.tenant, claim("tid"));
    assert_eq!(of("auth0", "").claims.tenant, claim("org_id"));
    assert_eq!(of("google", "").claims.tenant, claim("hd"));
    let keycloak = of("keycloak", "claims: { tenant: { value: acme } }");
    assert_eq!(keycloak.claims.groups, ["groups", "realm_access.roles"]);
    assert!(keycloak.userinfo);
    assert_eq!(of("okta", "claims: { tenant: { value: acme } }").claims.subject, ["sub"]);
    let google = logged_in(&provider("preset: google, client: { id: n, secret: { file: s } }"));
    assert_eq!(google.providers[0].issuer, "https://accounts.google.com");
}

#[test]
fn a_login_is_read_as_written() {
    let text = login(
        "title: Acme, session: { idle: 10m, lifetime: 2h }, \
         providers: { corp: { title: Acme SSO, issuer: https://idp.example.com/, client: { id: n }, \
         scopes: [openid, groups], algorithms: [ES256], userinfo: true, claims: { subject: [uid], \
         name: nickname, groups: [roles], tenant: { claim: org.id, values: { 'Acme Corp': acme } } } } }, \
         users: [{ name: alice, tenant: acme, groups: [staff], password: { file: pw } }, \
         { name: bob, tenant: acme }]",
    );
    let (config, _) = parsed(&text).unwrap_or_else(|found| panic!("{found}"));
    assert!(files_of(&config).iter().any(|path| path.ends_with("pw")));
    let login = logged_in(&text);
    assert_eq!((login.title.as_str(), login.session.idle.as_secs()), ("Acme", 600));
    let corp = &login.providers[0];
    assert_eq!((corp.title.as_str(), corp.issuer.as_str()), ("Acme SSO", "https://idp.example.com/"));
    let values = std::iter::once(("Acme Corp".to_owned(), TenantId::from("acme"))).collect();
    assert_eq!(corp.claims.tenant, LoginTenant::Claim { claim: "org.id".into(), values: Some(values) });
    let bob =
        LocalUser { name: "bob".into(), password: None, tenant: TenantId::from("acme"), groups: vec![] };
    assert_eq!(login.users[1], bob);
    assert_eq!(login.users[0].password, Some(SecretRef::File("conf/pw".into())));
}

#[test]
fn a_mistake_under_the_login_is_refused() {
    let tenant = |keys: &str| good(&format!("claims: {{ tenant: {{ {keys} }} }}"));
    let acme = "claims: { tenant: { value: acme } }";
    let users = |users: &str| login(&format!("users: [{users}]"));
    let of_acme = |issuer: &str, keys: &str| {
        provider(&format!("issuer: '{issuer}', client: {{ id: n, secret: {{ file: s }} }}, {keys} {acme}"))
    };
    let away = |text: String| text.replace("http://localhost:8080", "https://gw.example.com");
    each_is_refused(&[
        (login(""), "nobody can log in"),
        (login("providers: {}, users: []"), "nobody can log in"),
        (
            login(&format!(
                "providers: {{ Corp: {{ issuer: https://i.example, client: {{ id: n }}, {acme} }} }}"
            )),
            "1 to 64 of",
        ),
        (
            login(&format!(
                "providers: {{ 'a/b': {{ issuer: https://i.example, client: {{ id: n }}, {acme} }} }}"
            )),
            "1 to 64 of",
        ),
        (
            login(&format!(
                "providers: {{ local: {{ issuer: https://i.example, client: {{ id: n }}, {acme} }} }}"
            )),
            "`local` stands for",
        ),
        (provider(&format!("client: {{ id: n }}, {acme}")), "`issuer` is missing"),
        (provider(&format!("issuer: https://i.example, {acme}")), "`client` is missing"),
        (provider(&format!("issuer: http://i.example, client: {{ id: n }}, {acme}")), "plain `http`"),
        (provider(&format!("issuer: 'https://i.example/?x=1', client: {{ id: n }}, {acme}")), "no query"),
        (good(&format!("{acme}, preset: azure")), "expected `generic`"),
        (good(&format!("{acme}, scopes: [profile]")), "no ID token"),
        (good(&format!("{acme}, algorithms: [none]")), "never accepted"),
        (good(&format!("{acme}, algorithms: []")), "without an algorithm"),
        (good(""), "`claims.tenant` is missing"),
        (good("preset: okta"), "`claims.tenant` is missing"),
        (tenant(""), "`claim` is missing"),
        (tenant("value: nobody"), "no tenant `nobody`"),
        (tenant("value: acme, claim: org"), "not both"),
        (tenant("values: { x: acme }"), "`claim` is missing"),
        (tenant("claim: org, values: {}"), "nobody can log in"),
        (tenant("claim: org, values: { x: nobody }"), "no tenant `nobody`"),
        (tenant("claim: ''"), "not empty"),
        (good("claims: { tenant: { value: acme }, subject: [] }"), "told from anybody"),
        (good("claims: { tenant: { value: acme }, groups: [''] }"), "claim is empty"),
        (good("preset: google, claims: { tenant: { value: acme } }"), "at any company"),
        (
            provider(&format!(
                "preset: entra, issuer: https://login.microsoftonline.com/organizations/v2.0, client: {{ id: n }}, {acme}"
            )),
            "at any company",
        ),
        (
            provider(&format!(
                "preset: entra, issuer: https://login.microsoftonline.com/common/v2.0, client: {{ id: n }}, {acme}"
            )),
            "at any company",
        ),
        (of_acme("https://accounts.google.com", ""), "at any company"),
        (of_acme("https://login.microsoftonline.com/common/v2.0", ""), "at any company"),
        (of_acme("https://login.microsoftonline.com/Consumers/v2.0", "preset: entra,"), "at any company"),
        (
            of_acme("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", ""),
            "at any company",
        ),
        (
            login("users: [{ name: a, tenant: acme }], session: { idle: 2h, lifetime: 1h }"),
            "`idle` is longer",
        ),
        (login("users: [{ name: a, tenant: acme }], session: { lifetime: 721h }"), "at most for `720h`"),
        (users("{ name: alice }"), "`tenant` is missing"),
        (users("{ tenant: acme }"), "`name` is missing"),
        (users("{ name: alice, tenant: nobody }"), "no tenant `nobody`"),
        (users("{ name: alice, tenant: acme, password: hunter2 }"), "must not be written"),
        (users("{ name: alice, tenant: acme }, { name: alice, tenant: acme }"), "given twice"),
        (away(users("{ name: alice, tenant: acme }")), "are for development"),
        (
            users("{ name: alice, tenant: acme }").replace(
                "{ public_url: http://localhost:8080 }",
                "{ public_url: http://localhost:8080, listen: '0.0.0.0:8080' }",
            ),
            "are for development",
        ),
    ]);
}

#[test]
fn a_subject_that_may_become_another_users_is_a_warning() {
    let of = |claims: &str| good(&format!("claims: {{ tenant: {{ value: acme }}, subject: [{claims}] }}"));
    for (claims, expected) in [("email", 1), ("upn, email", 1), ("sub", 0), ("iss, email", 0), ("oid", 0)] {
        let (_, warnings) = parsed(&of(claims)).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(warnings.len(), expected, "{claims}: {warnings}");
    }
}
