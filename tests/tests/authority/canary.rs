//! What is secret in requests and answers is in no log and no metric.

use super::stage::{SECRET, Stage, VERIFIER};
use narthex_testkit::visitor::parameter;

#[tokio::test]
async fn neither_codes_nor_tokens_nor_states_nor_secrets_are_written_down() {
    let stage = Stage::start().await;
    let mut ann = stage.visitor();
    let back = stage.approve(&mut ann, &stage.authorize(&[]), "ann").await;
    let code = parameter(&back, "code").unwrap();
    let tokens = stage.redeem(&code).await.json();
    let (access, refresh) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    stage.call(access, "/mcp").await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "web")];
    stage.token(&form).await;
    stage.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "other")]).await;
    stage.redeem(&code).await;
    let probe = [("token", access), ("client_id", "probe"), ("client_secret", SECRET)];
    stage.visitor().post("/oauth/introspect", &probe).await.unwrap();
    stage
        .visitor()
        .post("/oauth/token", &[("client_id", "probe"), ("client_secret", "wrong-secret-canary-77")])
        .await
        .unwrap();
    stage.visitor().get(&format!("/connect/{}", "ticket-canary-5b1d".repeat(2))).await.unwrap();
    stage
        .visitor()
        .get("/login/callback/nobody?code=idp-code-canary-9911&state=idp-state-canary-1199")
        .await
        .unwrap();
    stage.gateway.wait_for_output("\"/oauth/introspect\"", 1).await;
    let written = format!("{}\n{}", stage.gateway.output(), stage.gateway.metrics().await);
    let mut secrets = vec![
        code.as_str(),
        refresh,
        SECRET,
        VERIFIER,
        "the-state-canary-31d0",
        "wrong-secret-canary-77",
        "ticket-canary-5b1d",
        "idp-code-canary-9911",
        "idp-state-canary-1199",
    ];
    secrets.extend(access.split('.').skip(1));
    secrets.extend(ann.cookies().iter().map(|(_, value)| value.as_str()));
    for secret in secrets {
        assert!(!written.contains(secret), "{secret} is in\n{written}");
    }
    assert!(
        written.contains("/oauth/token") && written.contains("/login") && written.contains("/connections")
    );
}
