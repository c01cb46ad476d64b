//! The ways to log in, at a real OpenBao, each with a policy for just what the configuration names.

use super::stage::{Config, Stage, eventually, narthex};
use narthex_testkit::{Alg, Answer, MockIdp, RecordingUpstream};
use narthex_tests::Bao;
use serde_json::{Value, json};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// The policy that docs/secrets.md gives.
fn documented_policy() -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/secrets.md")).unwrap();
    page.split("```hcl\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[tokio::test]
async fn a_given_token_reads_what_its_policy_lets_it_and_is_renewed() {
    let (bao, dir) = (Bao::start().await, tempfile::tempdir().unwrap());
    bao.put("narthex/docs", json!({"key": "key-by-token", "other": "x"})).await;
    bao.policy("narthex", &documented_policy()).await;
    // Nothing but what the page says: not even the policy `default`.
    let token = bao.token("narthex", json!({"ttl": "4s", "no_default_policy": true})).await;
    let file = dir.path().join("token");
    fs::write(&file, format!("{token}\n")).unwrap();
    let auth = format!("{{ token: {{ file: {} }} }}", file.display());
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    assert_eq!(stage.key().await, "key-by-token");
    let renewals = "narthex_vault_logins_total{kind=\"renewal\",result=\"ok\"}";
    stage.gateway.wait_for_metric(renewals, |count| count >= 2.0).await;
    bao.put("narthex/docs", json!({"key": "key-after-renewal"})).await;
    stage.until_key("key-after-renewal").await;
    let output = stage.gateway.output();
    assert!(!output.contains("key-") && !output.contains(&token), "{output}");
}

#[tokio::test]
async fn another_token_in_the_place_of_the_first_is_used_when_that_is_no_good_any_more() {
    let (bao, dir) = (Bao::start().await, tempfile::tempdir().unwrap());
    bao.put("narthex/docs", json!({"key": "key-1"})).await;
    bao.policy("narthex", &documented_policy()).await;
    let file = dir.path().join("token");
    fs::write(&file, bao.token("narthex", json!({"ttl": "1h"})).await).unwrap();
    let auth = format!("{{ token: {{ file: {} }} }}", file.display());
    let stage = Stage::with(&Config::new(&bao.address(), &auth)).await;
    bao.revoke_logins().await;
    let refused = "narthex_secrets_refresh_total{result=\"login\"}";
    stage.gateway.wait_for_metric(refused, |count| count >= 1.0).await;
    assert_eq!(stage.key().await, "key-1", "the last value counts on");
    bao.put("narthex/docs", json!({"key": "key-2"})).await;
    fs::write(&file, bao.token("narthex", json!({"ttl": "1h"})).await).unwrap();
    stage.until_key("key-2").await;
}

#[tokio::test]
async fn an_approle_login_reads_with_the_documented_policy_and_nothing_else() {
    let bao = Bao::start().await;
    bao.put("narthex/docs", json!({"key": "key-by-approle"})).await;
    bao.put("other/team", json!({"key": "key-of-others"})).await;
    bao.policy("narthex", &documented_policy()).await;
    let role = bao.approle("narthex", "10m", "1h").await;
    let auth = format!("{{ approle: {{ role_id: {}, secret_id: {{ file: secret-id }} }} }}", role.role_id);
    let config = Config::new(&bao.address(), &auth);
    let files = [("secret-id", role.secret_id.as_str())];
    let checked = narthex(&["check"], &config, &files);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert_eq!(bao.logins().await, Vec::<String>::new(), "a login that nobody uses is given up");
    let greedy = Config { key: "{ vault: \"other/team#key\" }".to_owned(), ..config };
    let denied = narthex(&["check"], &greedy, &files);
    assert_eq!(denied.code, Some(1), "{denied:?}");
    let expected = "secret vault secret/other/team#key: the vault does not let the gateway read it";
    assert!(denied.text.contains(expected), "{denied:?}");
}

#[tokio::test]
async fn a_login_is_given_up_at_the_end_of_the_process() {
    let (bao, dir) = (Bao::start().await, tempfile::tempdir().unwrap());
    bao.put("narthex/docs", json!({"key": "key-1"})).await;
    bao.policy("narthex", &documented_policy()).await;
    let mut stage = Stage::with(&Config::new(&bao.address(), &approle(&bao, dir.path(), "10m").await)).await;
    assert_eq!(bao.logins().await.len(), 1, "one login for everything");
    stage.gateway.signal(narthex_testkit::Signal::SIGTERM);
    let status = stage.gateway.wait_for_exit(std::time::Duration::from_secs(20)).await;
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    assert_eq!(bao.logins().await, Vec::<String>::new());
}

/// `auth:` by AppRole, whose secret id is kept in `dir`.
pub(super) async fn approle(bao: &Bao, dir: &std::path::Path, ttl: &str) -> String {
    let role = bao.approle("narthex", ttl, "24h").await;
    let file = dir.join("secret-id");
    fs::write(&file, &role.secret_id).unwrap();
    format!("{{ approle: {{ role_id: {}, secret_id: {{ file: {} }} }} }}", role.role_id, file.display())
}

/// A Kubernetes API that knows one token, of the service account `narthex` in `mcp`.
async fn kubernetes(good: &str) -> RecordingUpstream {
    let (api, good) = (RecordingUpstream::start().await, good.to_owned());
    api.always(move |request| {
        let asked = request.json();
        if request.path != "/apis/authentication.k8s.io/v1/tokenreviews" {
            return Answer::status(404);
        }
        let known = asked["spec"]["token"] == json!(good);
        let user = json!({"username": "system:serviceaccount:mcp:narthex", "uid": "uid-1", "groups": []});
        let audiences = &asked["spec"]["audiences"];
        let status = match known {
            true => json!({"authenticated": true, "user": user, "audiences": audiences}),
            false => json!({"authenticated": false}),
        };
        let review =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status});
        Answer::json(201, review)
    });
    api
}

/// Claims of a service-account token.
fn service_account(name: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": "https://kubernetes.default.svc", "aud": ["vault"], "sub": format!("system:serviceaccount:mcp:{name}"),
        "iat": now - 10, "nbf": now - 10, "exp": now + 600,
        "kubernetes.io": {"namespace": "mcp", "serviceaccount": {"name": name, "uid": "uid-1"}},
    })
}

#[tokio::test]
async fn a_kubernetes_login_shows_the_service_accounts_token_and_another_account_is_refused() {
    let (bao, idp, dir) = (Bao::start().await, MockIdp::start().await, tempfile::tempdir().unwrap());
    let jwt = idp.mint(Alg::ES256, &service_account("narthex"));
    let api = kubernetes(&jwt).await;
    bao.put("narthex/docs", json!({"key": "key-by-kubernetes"})).await;
    bao.policy("narthex", &documented_policy()).await;
    bao.done("POST", "sys/auth/k8s", json!({"type": "kubernetes"})).await;
    let settings = json!({"kubernetes_host": api.url(""), "disable_local_ca_jwt": true, "token_reviewer_jwt": jwt,
        "kubernetes_ca_cert": narthex_testkit::Pki::new().ca_pem()});
    bao.done("POST", "auth/k8s/config", settings).await;
    let role = json!({"bound_service_account_names": "narthex", "bound_service_account_namespaces": "mcp",
        "audience": "vault", "token_policies": "narthex", "token_ttl": "10m"});
    bao.done("POST", "auth/k8s/role/gateway", role).await;

    let file = dir.path().join("jwt");
    fs::write(&file, &jwt).unwrap();
    let auth =
        format!("{{ kubernetes: {{ role: gateway, jwt: {{ file: {} }}, mount: k8s }} }}", file.display());
    let config = Config::new(&bao.address(), &auth);
    let stage = Stage::with(&config).await;
    assert_eq!(stage.key().await, "key-by-kubernetes");
    assert!(api.count() >= 1, "the vault has asked Kubernetes");
    assert!(!stage.gateway.output().contains(&jwt));

    let stranger = idp.mint(Alg::ES256, &service_account("stranger"));
    for (token, what) in [(stranger.as_str(), "another account"), ("no.jwt.at-all", "no token")] {
        fs::write(&file, token).unwrap();
        let refused = narthex(&["check"], &config, &[]);
        assert_eq!(refused.code, Some(1), "{what}: {refused:?}");
        assert!(
            refused.text.contains("secret vault secret/narthex/docs#key: no login at the vault"),
            "{refused:?}"
        );
        assert!(!refused.text.contains(token), "{refused:?}");
    }
    // The running one is as it was, and logs in with the token that is there when it must.
    fs::write(&file, &jwt).unwrap();
    bao.revoke_logins().await;
    bao.put("narthex/docs", json!({"key": "key-by-another-login"})).await;
    stage.until_key("key-by-another-login").await;
    assert!(eventually(async || bao.logins().await.len() == 1).await.is_some());
}
