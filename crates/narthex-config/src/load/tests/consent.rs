//! `credential: { authorization_code: … }`.

use super::mistakes::with;
use super::*;
use crate::model::{AuthorizationCode, ResourceParameter};

/// A configuration with users, whose `demo` has these `keys`.
fn upstream(keys: &str) -> String {
    let users = "auth: { authority: { login: { users: [{ name: alice, tenant: acme }] } } }";
    mistakes::upstream(keys).replace("auth: { embedded: development }", users)
}

/// The credential of `demo` in a configuration that has it with these keys.
fn consent(keys: &str) -> AuthorizationCode {
    let text = upstream(&format!("credential: {{ authorization_code: {{ {keys} }} }}"));
    let (config, _) = parsed(&text).unwrap_or_else(|found| panic!("{found}"));
    match &config.upstreams["demo"].credential {
        Credential::AuthorizationCode(consent) => (**consent).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_about_consent_may_be_left_to_be_found_out() {
    let given = consent("");
    assert!(given.metadata_document && given.dynamic && given.scopes.is_empty());
    assert_eq!((given.client, given.issuer, given.resource, given.title), (None, None, None, None));
    assert_eq!(given.resource_parameter, ResourceParameter::Resource);
}

#[test]
fn every_key_of_consent_loads_as_written() {
    let given = consent(
        "scopes: [repo, offline_access], registration: [dynamic], issuer: https://as.example.com/t1/, \
         resource: https://mcp.example.com, resource_parameter: audience, title: Git Hub",
    );
    assert!(!given.metadata_document && given.dynamic);
    assert_eq!(
        given.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        ["repo", "offline_access"]
    );
    assert_eq!(given.issuer.as_deref(), Some("https://as.example.com/t1/"));
    assert_eq!(given.resource.as_deref(), Some("https://mcp.example.com"));
    assert_eq!(given.resource_parameter, ResourceParameter::Audience);
    assert_eq!(given.title.as_deref(), Some("Git Hub"));
    let client = consent("client: { id: narthex, secret: { env: SECRET }, method: post }").client.unwrap();
    assert_eq!(client.auth, OAuthClientAuth::Post(SecretRef::Env("SECRET".into())));
    assert_eq!(consent("resource_parameter: none").resource_parameter, ResourceParameter::None);
}

#[test]
fn what_cannot_be_meant_of_a_consent_is_said() {
    for (keys, message) in [
        ("registration: []", "without a registration nobody can connect"),
        ("client: { id: a }, registration: [dynamic]", "`client` is a registration already"),
        ("client: { secret: { env: A } }", "`id` is missing"),
        ("registration: [by_hand]", "expected `metadata_document` or `dynamic`"),
        ("issuer: https://as.example.com?x=1", "an issuer has no query"),
        ("issuer: as.example.com", "not an `http` or `https` URL"),
        ("issuer: http://as.example.com", "plain `http` to a host that is not loopback"),
        ("resource: /mcp", "a resource is an absolute URI"),
        ("title: \"\"", "expected text"),
        ("token_url: https://as.example.com/token", "token_url"),
    ] {
        let found = refused(&upstream(&format!("credential: {{ authorization_code: {{ {keys} }} }}")));
        assert!(found.to_string().contains(message), "{keys}: {found}");
    }
}

#[test]
fn nobody_connects_where_there_are_no_users_or_no_headers() {
    let open = upstream("credential: { authorization_code: {} }")
        .replace("    path: /mcp\n", "    path: /mcp\n    auth: none\n    tenant: acme\n");
    let found = refused(&open).to_string();
    assert!(found.contains("there is no user who could connect upstream `demo`"), "{found}");
    let child = with(
        "    url: http://127.0.0.1:9001/mcp\n",
        "    command: [server]\n    credential: { authorization_code: {} }\n",
    );
    let found = refused(&child).to_string();
    assert!(found.contains("this credential is sent in a header"), "{found}");
}

#[test]
fn who_is_to_connect_must_be_able_to_log_in() {
    let without = mistakes::upstream("credential: { authorization_code: {} }");
    for auth in ["{ embedded: development }", "{ authority: { access_token_lifetime: 5m } }", "{}"] {
        let found = refused(&without.replace("{ embedded: development }", auth)).to_string();
        assert!(
            found.contains("nobody can log in there") && found.contains("login: { providers"),
            "{auth}: {found}"
        );
    }
}
