//! An upstream whose credential is made of the ID token of the caller's login (ID-JAG).

use super::stage::{CORP, Person, Stage, claims, parameter};
use narthex_testkit::{Answer, RecordingUpstream};
use serde_json::{Value, json};

const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A token endpoint that always gives this.
async fn giving(token: &'static str, kind: &'static str, issued: &'static str) -> RecordingUpstream {
    let server = RecordingUpstream::start().await;
    server.always(move |_| {
        let answer = json!({"access_token": token, "token_type": kind, "expires_in": 300, "issued_token_type": issued});
        Answer::json(200, answer)
    });
    server
}

/// The configuration of `stage` with an `id_jag` for its upstream.
fn exchanging(stage: &Stage, idp: &RecordingUpstream, server: &RecordingUpstream) -> String {
    let client = "client: { id: narthex, secret: { file: secret } }";
    let credential = format!(
        "protocol: [2026-07-28], credential: {{ id_jag: {{ \
         identity_provider: {{ token_url: '{}', {client} }}, \
         authorization_server: {{ issuer: 'https://as.example.com', token_url: '{}', {client} }} }} }} }}",
        idp.url("/token"),
        server.url("/token")
    );
    stage.yaml(CORP).replace("protocol: [2026-07-28] }", &credential)
}

/// A token of the gateway for alice, who logs in.
async fn logged_in(stage: &Stage) -> String {
    let mut alice = Person::default();
    let page = alice.go(&stage.request()).await;
    let end = alice.press(&page, "decision", "approve").await;
    let answer = stage.redeem(&end.parameter("code").unwrap()).await;
    answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

#[tokio::test]
async fn the_id_token_of_a_login_goes_to_the_identity_provider_and_nowhere_else() {
    let idp = giving("assertion-canary", "N_A", ID_JAG).await;
    let server = giving("granted-token", "Bearer", ACCESS_TOKEN).await;
    let stage = Stage::start(CORP).await;
    let before = logged_in(&stage).await;
    assert!(stage.gateway.reload(&exchanging(&stage, &idp, &server)).await, "{}", stage.gateway.output());

    // Who logged in while nothing was made of ID tokens left none behind.
    let answer = stage.call(&before).await;
    assert!(answer.tool_text().is_none(), "{}", answer.text());
    stage.gateway.wait_for_output("no_subject_token", 1).await;
    assert_eq!((idp.count(), server.count()), (0, 0));

    let token = logged_in(&stage).await;
    let answer = stage.call(&token).await;
    assert_eq!(answer.status, 200, "{}\n{}", answer.text(), stage.gateway.output());
    let form = format!("?{}", String::from_utf8(idp.requests()[0].body.clone()).unwrap());
    let said = |name: &str| parameter(&form, name).unwrap_or_default();
    assert_eq!((said("subject_token_type"), said("requested_token_type")), (ID_TOKEN.into(), ID_JAG.into()));
    let subject_token = said("subject_token");
    let subject: Value = claims(&subject_token);
    assert_eq!((&subject["iss"], &subject["sub"]), (&json!(stage.idp.issuer()), &json!("alice")));
    assert_ne!(subject_token, token);
    assert!(stage.upstream.seen("Bearer granted-token") && !stage.upstream.seen(&subject_token));
    assert!(!server.seen(&subject_token) && !stage.gateway.output().contains(&subject_token));
}
