//! Clients that sign (`private_key_jwt`).

use super::*;

#[tokio::test]
async fn a_client_that_signs_is_known_by_its_signature_once() {
    let key = Idp::new();
    let mut config = fixtures::config("");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    std::fs::write(&path, json!({"keys": [key.0.jwk()]}).to_string()).unwrap();
    let clients = &mut config.auth.authority.as_mut().unwrap().clients;
    clients.get_mut("probe").unwrap().auth = narthex_config::model::RegisteredAuth::KeyFile(path);
    let authority = fixtures::build(&config, fixtures::vault());
    authority.refresh(now()).await;
    let at = crate::secret::seconds(now());
    let sign = |changes: Value| {
        let mut claims = json!({"iss": "probe", "sub": "probe", "aud": ISSUER, "jti": crate::secret::random::<8>().unwrap(), "exp": at + 60, "iat": at});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        key.0.sign("JWT", &claims).unwrap()
    };
    let ask = async |assertion: &str, kind: &str, id: &str| {
        let mut form = vec![("token", "x"), ("client_assertion", assertion), ("client_assertion_type", kind)];
        if !id.is_empty() {
            form.push(("client_id", id));
        }
        authority.answer(post("/oauth/introspect", &form), now()).await
    };
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for good in [json!({}), json!({"aud": format!("{ISSUER}/oauth/token")}), json!({"aud": [ISSUER]})] {
        let assertion = sign(good);
        assert_eq!(ask(&assertion, kind, "probe").await.status(), StatusCode::OK);
        assert_eq!(error(&ask(&assertion, kind, "").await), "invalid_client", "twice");
    }
    for bad in [
        json!({"iss": "agent"}),
        json!({"sub": "agent"}),
        json!({"aud": "https://other.example"}),
        json!({"aud": [ISSUER, "https://other.example"]}),
        json!({"aud": null}),
        json!({"exp": at - 61}),
        json!({"exp": at + 3600}),
        json!({"exp": null}),
        json!({"jti": null}),
        json!({"iat": at + 3600}),
    ] {
        assert_eq!(error(&ask(&sign(bad.clone()), kind, "").await), "invalid_client", "{bad}");
    }
    assert_eq!(error(&ask(&sign(json!({})), kind, "agent").await), "invalid_client");
    assert_eq!(error(&ask(&sign(json!({})), "x", "").await), "invalid_request");
    let secret = basic(post("/oauth/introspect", &[("token", "x")]), "probe", SECRET);
    assert_eq!(error(&authority.answer(secret, now()).await), "invalid_client", "a secret instead");
}
