use super::*;
use crate::login::fixtures::{provider, tenant};
use narthex_config::model::LoginClaims;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

const ISSUER: &str = "https://idp.example";

fn tenants() -> BTreeSet<TenantId> {
    ["acme", "globex"].map(tenant).into()
}

fn by_claim(claim: &str) -> LoginTenant {
    LoginTenant::Claim { claim: claim.to_owned(), values: None }
}

fn by_table(claim: &str, values: &[(&str, &str)]) -> LoginTenant {
    let values =
        values.iter().map(|(said, name)| ((*said).to_owned(), tenant(name))).collect::<BTreeMap<_, _>>();
    LoginTenant::Claim { claim: claim.to_owned(), values: Some(values) }
}

fn corp(preset: Preset, subject: &[&str], rule: LoginTenant, groups: &[&str]) -> Provider {
    let own = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    let claims = LoginClaims {
        subject: own(subject),
        tenant: rule,
        groups: own(groups),
        name: own(&["name", "email"]),
    };
    Provider { preset, claims, ..provider("corp", ISSUER) }
}

#[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
fn identified(provider: &Provider, claims: Value) -> Result<User, ClaimsError> {
    identify(provider, &tenants(), ISSUER, claims.as_object().unwrap(), UNIX_EPOCH)
}

fn generic(rule: LoginTenant) -> Provider {
    corp(Preset::Generic, &["sub"], rule, &["groups"])
}

#[test]
fn the_presets_claims_are_read_as_the_products_send_them() {
    let entra = corp(Preset::Entra, &["tid", "oid"], by_table("tid", &[("aaaa-1", "acme")]), &["groups"]);
    let user = identified(
        &entra,
        json!({"sub": "pairwise", "tid": "aaaa-1", "oid": "bbbb-2", "name": "Ann", "groups": ["g1", "g2"]}),
    )
    .unwrap();
    assert_eq!(user.subject, "corp|aaaa-1|bbbb-2");
    assert_eq!((user.tenant.as_str(), user.name.as_str()), ("acme", "Ann"));
    assert_eq!(user.groups, ["g1", "g2"]);
    assert_eq!((user.provider_issuer.as_str(), user.provider_subject.as_str()), (ISSUER, "aaaa-1|bbbb-2"));

    let keycloak =
        corp(Preset::Keycloak, &["sub"], by_claim("organization"), &["groups", "realm_access.roles"]);
    let user = identified(
        &keycloak,
        json!({"sub": "u", "organization": {"acme": {"id": "1"}}, "realm_access": {"roles": ["admin", "user"]}, "groups": ["/staff"]}),
    )
    .unwrap();
    assert_eq!(
        (user.tenant.as_str(), user.groups),
        ("acme", vec!["/staff".into(), "admin".into(), "user".into()])
    );

    let auth0 = corp(Preset::Auth0, &["sub"], by_claim("org_id"), &["https://acme.example/roles"]);
    let user = identified(
        &auth0,
        json!({"sub": "auth0|5f", "org_id": "globex", "https://acme.example/roles": ["dev"], "email": "a@b"}),
    )
    .unwrap();
    assert_eq!((user.subject.as_str(), user.tenant.as_str()), ("corp|auth0|5f", "globex"));
    assert_eq!((user.groups, user.name.as_str()), (vec!["dev".to_owned()], "a@b"));

    let google = corp(Preset::Google, &["sub"], by_table("hd", &[("acme.com", "acme")]), &["groups"]);
    assert_eq!(identified(&google, json!({"sub": "1", "hd": "acme.com"})).unwrap().tenant.as_str(), "acme");
    let private = identified(&google, json!({"sub": "1", "email": "x@gmail.com"}));
    assert_eq!(private, Err(ClaimsError::Tenant { claim: "hd".into(), said: String::new() }));
}

#[test]
fn a_tenant_that_is_none_of_ours_is_no_tenant() {
    let refused = |rule: LoginTenant, said: Value| {
        let result = identified(&generic(rule), json!({"sub": "u", "org": said}));
        assert!(matches!(result, Err(ClaimsError::Tenant { .. })), "{said}: {result:?}");
    };
    for said in [
        json!("other"),
        json!(""),
        json!("ACME"),
        json!("acme "),
        json!(1),
        json!(null),
        json!([]),
        json!({}),
        json!(["x"]),
        json!([["acme"]]),
    ] {
        refused(by_claim("org"), said.clone());
        refused(by_table("org", &[("a", "acme")]), said);
    }
    refused(by_table("org", &[("a", "acme")]), json!("acme"));
    assert!(identified(&generic(by_claim("org")), json!({"sub": "u"})).is_err());
}

#[test]
fn who_is_of_several_tenants_is_of_none() {
    let several = json!({"sub": "u", "org": ["acme", "globex"]});
    assert_eq!(identified(&generic(by_claim("org")), several), Err(ClaimsError::Tenants("org".into())));
    let table = by_table("org", &[("a", "acme"), ("b", "acme"), ("c", "globex")]);
    let user = identified(&generic(table.clone()), json!({"sub": "u", "org": ["a", "b", "x"]})).unwrap();
    assert_eq!(user.tenant.as_str(), "acme");
    let several = json!({"sub": "u", "org": ["a", "c"]});
    assert_eq!(identified(&generic(table), several), Err(ClaimsError::Tenants("org".into())));
}

#[test]
fn a_subject_is_one_usable_text() {
    let one = generic(LoginTenant::Value(tenant("acme")));
    let long = "x".repeat(256);
    for said in [json!(""), json!(1), json!(null), json!(["u"]), json!("a\nb"), json!("a\0"), json!(long)] {
        let result = identified(&one, json!({"sub": said.clone()}));
        assert!(matches!(result, Err(ClaimsError::Subject(_))), "{said}");
    }
    let two = corp(Preset::Entra, &["tid", "oid"], LoginTenant::Value(tenant("acme")), &[]);
    for said in [
        json!({"tid": "a"}),
        json!({"oid": "b"}),
        json!({"tid": "a|b", "oid": "c"}),
        json!({"tid": "a", "oid": "b|c"}),
    ] {
        assert!(matches!(identified(&two, said.clone()), Err(ClaimsError::Subject(_))), "{said}");
    }
}

#[test]
fn groups_that_entra_left_out_are_an_error_that_says_what_to_do() {
    let entra = corp(Preset::Entra, &["oid"], LoginTenant::Value(tenant("acme")), &["groups"]);
    for more in [
        json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph"}}}),
        json!({"hasgroups": true}),
        json!({"hasgroups": "true"}),
    ] {
        let mut claims = json!({"oid": "u"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let error = identified(&entra, claims.clone()).unwrap_err();
        assert_eq!(error, ClaimsError::GroupsOverage);
        assert!(error.to_string().contains("application roles"));
        // Whoever goes by application roles does not need the groups.
        let roles = corp(Preset::Entra, &["oid"], LoginTenant::Value(tenant("acme")), &["roles"]);
        assert!(identified(&roles, claims).is_ok());
    }
    assert!(identified(&entra, json!({"oid": "u", "hasgroups": false})).is_ok());
}

#[test]
fn groups_of_odd_kinds_are_left_out_and_too_many_refused() {
    let one = generic(LoginTenant::Value(tenant("acme")));
    let user = identified(
        &one,
        json!({"sub": "u", "groups": ["a", 1, null, "", "a", "b\n", ["c"], "x".repeat(300)]}),
    );
    assert_eq!(user.unwrap().groups, ["a"]);
    assert_eq!(identified(&one, json!({"sub": "u", "groups": "solo"})).unwrap().groups, ["solo"]);
    let many: Vec<String> = (0..=GROUP_CAP).map(|at| at.to_string()).collect();
    assert_eq!(identified(&one, json!({"sub": "u", "groups": many})), Err(ClaimsError::TooManyGroups));
}

#[test]
fn a_claim_of_the_very_name_comes_before_one_within_others() {
    let claims = json!({"a.b": "flat", "a": {"b": "deep", "c": {"d": "deeper"}}});
    let claims = claims.as_object().unwrap();
    assert_eq!(find(claims, "a.b"), Some(&json!("flat")));
    assert_eq!(find(claims, "a.c.d"), Some(&json!("deeper")));
    for path in ["", ".", "a.", ".a", "a.c.x", "a.b.c", "x"] {
        assert_eq!(find(claims, path), None, "{path}");
    }
}

proptest! {
    #[test]
    fn no_claims_make_a_user_of_an_unknown_tenant_or_with_an_unfit_name(
        sub in ".{0,40}|[a-z|]{1,300}", org in "acme|globex|.{0,20}", group in ".{0,300}",
        nested in prop::collection::vec(".{0,10}", 0..4),
    ) {
        let claims = json!({"sub": sub, "org": [org, nested], "groups": [group], "name": {"x": sub}});
        if let Ok(user) = identified(&generic(by_claim("org")), claims) {
            prop_assert!(tenants().contains(&user.tenant));
            prop_assert!(is_fit(&user.provider_subject));
            prop_assert_eq!(&user.subject, &format!("corp|{}", user.provider_subject));
            prop_assert!(user.groups.iter().all(|group| is_fit(group)));
        }
    }

    #[test]
    fn no_two_users_of_entra_share_a_subject(one in ("[a-c|]{1,4}", "[a-c|]{1,4}"), other in ("[a-c|]{1,4}", "[a-c|]{1,4}")) {
        let entra = corp(Preset::Entra, &["tid", "oid"], LoginTenant::Value(tenant("acme")), &[]);
        let of = |(tid, oid): &(String, String)| identified(&entra, json!({"tid": tid, "oid": oid}));
        if let (Ok(a), Ok(b)) = (of(&one), of(&other)) {
            prop_assert_eq!(a.subject == b.subject, one == other);
        }
    }
}
