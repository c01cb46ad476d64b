//! What users, browsers and servers try that they should not.

use super::*;
use crate::tests::env;
use crate::tests::server::{answer, json as said};
use narthex_config::model::{OAuthClient, OAuthClientAuth};
use serde_json::json;

fn with(answer: &[(String, String)], name: &str, value: &str) -> Vec<(String, String)> {
    let mut changed: Vec<_> = answer.iter().filter(|(known, _)| known != name).cloned().collect();
    changed.push((name.into(), value.into()));
    changed
}

fn without(answer: &[(String, String)], name: &str) -> Vec<(String, String)> {
    answer.iter().filter(|(known, _)| known != name).cloned().collect()
}

fn is_refused(outcome: &Result<crate::Connected, ConnectError>) -> bool {
    matches!(outcome, Err(ConnectError::Refused(_)))
}

/// A user who is on the way: where the browser was sent.
async fn on_the_way(replica: &Replica, user: User, now: u64) -> Url {
    let consent = replica.wanted(user, now).await;
    replica.begin(user, link(&consent), now).await.unwrap()
}

#[tokio::test]
async fn attack_cross_user_connect_link() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    // Mallory sends her own link to Bob, to have Bob's account connected to herself; or tries Bob's.
    let alices = replica.wanted(ALICE, 0).await;
    for other in [BOB, User { tenant: "globex", ..ALICE }, User { name: "alice|1", ..ALICE }] {
        assert_eq!(replica.begin(other, link(&alices), 0).await, Err(ConnectError::NotYours));
    }
    // Bob does not even finish what Alice began.
    let url = replica.begin(ALICE, link(&alices), 0).await.unwrap();
    let answer = site.approve(&url).await;
    assert_eq!(replica.finish(BOB, &answer, 0).await, Err(ConnectError::NotYours));
    assert!(site.asked().is_empty());
    assert_eq!(replica.reason(BOB, 0).await, "consent_required");
    assert_eq!(replica.reason(ALICE, 0).await, "consent_required");
}

#[tokio::test]
async fn attack_state_of_another_browser() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    let url = on_the_way(&replica, ALICE, 0).await;
    let answer = site.approve(&url).await;
    let there = ALICE.at_browser();
    let outcome =
        replica.credentials.finish(&there.visitor(), "another browser of hers", &answer, at(0)).await;
    assert_eq!(outcome, Err(ConnectError::NotYours));
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn attack_state_replay() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    let url = on_the_way(&replica, ALICE, 0).await;
    let answer = site.approve(&url).await;
    replica.finish(ALICE, &answer, 0).await.unwrap();
    assert_eq!(replica.finish(ALICE, &answer, 0).await, Err(ConnectError::Expired));
    // The link is used, too.
    let consent_link = {
        let other = gateway.replica(&site);
        let consent = other.wanted(BOB, 0).await;
        link(&consent).to_owned()
    };
    assert!(replica.begin(BOB, &consent_link, 0).await.is_ok());
    for state in ["", "x", &"x".repeat(43), &"x".repeat(10_000)] {
        assert_eq!(
            replica.finish(ALICE, &with(&answer, "state", state), 0).await,
            Err(ConnectError::Expired)
        );
    }
    assert_eq!(replica.finish(ALICE, &without(&answer, "state"), 0).await, Err(ConnectError::Expired));
    assert_eq!(site.asked().len(), 1);
    // Both are over after ten minutes.
    let url = on_the_way(&replica, BOB, 100).await;
    let answer = site.approve(&url).await;
    gateway.wait(Duration::from_secs(600));
    assert_eq!(replica.finish(BOB, &answer, 700).await, Err(ConnectError::Expired));
    assert_eq!(replica.begin(BOB, &consent_link, 700).await, Err(ConnectError::Expired));
}

#[tokio::test]
async fn attack_code_injection() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    // Mallory has a code of her own account at the server, or a stolen one, and a browser of Alice's that
    // is on its way: PKCE and the state have it good for nothing.
    let (alices, bobs) = (on_the_way(&replica, ALICE, 0).await, on_the_way(&replica, BOB, 0).await);
    let (answer, injected) = (site.approve(&alices).await, site.approve(&bobs).await);
    let code = &injected.iter().find(|(name, _)| name == "code").unwrap().1;
    assert!(is_refused(&replica.finish(ALICE, &with(&answer, "code", code), 0).await));
    assert_eq!(replica.reason(ALICE, 0).await, "consent_required");
    for code in ["", "a\r\nb", "é", &"x".repeat(5000)] {
        let url = on_the_way(&replica, ALICE, 2).await;
        let answer = site.approve(&url).await;
        assert!(is_refused(&replica.finish(ALICE, &with(&answer, "code", code), 2).await), "{code}");
    }
    let url = on_the_way(&replica, ALICE, 4).await;
    let mut twice = site.approve(&url).await;
    twice.push(("code".into(), "another".into()));
    assert!(is_refused(&replica.finish(ALICE, &twice, 4).await));
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test]
async fn attack_mix_up_of_two_authorization_servers() {
    let (honest, evil, gateway) = (Site::new().await, Site::new().await, Gateway::new());
    for site in [&honest, &evil] {
        site.say("authorization_response_iss_parameter_supported", json!(true));
    }
    let replica = gateway.several(&[("github", &honest), ("evil", &evil)], |_| {});
    // Alice connects `evil`, whose server sends her browser on to the honest one: the code is the honest
    // server's, and would be handed to the evil token endpoint.
    let source = replica.credentials.upstream(&"evil".into()).unwrap();
    let error = source.obtain(&ALICE.caller(), None, at(0)).await.unwrap_err();
    let to_evil = replica.begin(ALICE, link(error.consent().unwrap()), 0).await.unwrap();
    let to_honest = on_the_way(&replica, ALICE, 0).await;
    let stolen = honest.approve(&to_honest).await;
    let state = query(&to_evil)["state"].clone();
    let mixed = with(&with(&stolen, "state", &state), "iss", &honest.issuer());
    assert!(is_refused(&replica.finish(ALICE, &mixed, 0).await));
    assert!(evil.asked().is_empty() && honest.asked().is_empty());
}

#[tokio::test]
async fn an_answer_says_exactly_which_server_it_is_from() {
    for (advertised, iss, good) in [
        (true, Some("{issuer}"), true),
        (true, None, false),
        (true, Some("{issuer}/"), false),
        (true, Some("https://evil.example"), false),
        (true, Some(""), false),
        (false, None, true),
        (false, Some("{issuer}"), true),
        (false, Some("{issuer}/"), false),
        (false, Some("{ISSUER}"), false),
        (false, Some("https://evil.example"), false),
    ] {
        let (site, gateway) = (Site::new().await, Gateway::new());
        site.say("authorization_response_iss_parameter_supported", json!(advertised));
        let replica = gateway.replica(&site);
        let url = on_the_way(&replica, ALICE, 0).await;
        let mut answer = site.approve(&url).await;
        if let Some(iss) = iss {
            let upper = site.issuer().replace("http", "HTTP");
            answer =
                with(&answer, "iss", &iss.replace("{issuer}", &site.issuer()).replace("{ISSUER}", &upper));
        }
        let outcome = replica.finish(ALICE, &answer, 0).await;
        assert_eq!(outcome.is_ok(), good, "{advertised} {iss:?}");
        assert_eq!(site.asked().len(), usize::from(good));
    }
    // Of an answer from another server, not even the error is told.
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    for (iss, told) in [("https://evil.example", false), ("", false)] {
        let url = on_the_way(&replica, ALICE, 0).await;
        let answer = with(&without(&site.approve(&url).await, "code"), "error", "canary_error");
        let Err(ConnectError::Refused(why)) = replica.finish(ALICE, &with(&answer, "iss", iss), 0).await
        else {
            panic!("not refused")
        };
        assert_eq!(why.contains("canary"), told);
    }
    let url = on_the_way(&replica, ALICE, 2).await;
    let answer = with(&without(&site.approve(&url).await, "code"), "error", "access_denied");
    assert_eq!(replica.finish(ALICE, &answer, 2).await, Err(ConnectError::Refused("access_denied".into())));
}

#[tokio::test]
async fn attack_another_authorization_server_gets_no_token_of_the_first() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let held = replica.source.obtain(&ALICE.caller(), None, at(1)).await.unwrap();
    let on_way = on_the_way(&replica, BOB, 1).await;
    let bobs = site.approve(&on_way).await;
    // The upstream's metadata names another one now, and its 401 has the gateway look.
    site.change(|state| state.issuer = "/other".into());
    let error = replica.source.renew(&held, &ALICE.caller(), None, at(10)).await.unwrap_err();
    assert!(error.consent().is_some());
    // Who was on the way to the first does not end at the second.
    assert!(is_refused(&replica.finish(BOB, &bobs, 10).await));
    assert!(site.asked_at("POST /other/token").is_empty());
    // Whoever connects again does so as another client.
    let consent = replica.wanted(ALICE, 12).await;
    let url = replica.begin(ALICE, link(&consent), 12).await.unwrap();
    assert_eq!(site.asked_at("POST /other/register").len(), 1);
    let answer = site.approve(&url).await;
    replica.finish(ALICE, &answer, 12).await.unwrap();
    let form = site.asked_at("POST /other/token");
    assert_eq!(form.len(), 1);
    assert!(!form[0].parameters().contains_key("refresh_token"));
    assert!(replica.obtain(ALICE, 13).await.is_ok());
}

#[tokio::test]
async fn attack_another_authorization_server_gets_no_secret_of_a_client_made_by_hand() {
    let by_hand = |code: &mut AuthorizationCode| {
        let auth = OAuthClientAuth::Basic(env("KEY"));
        code.client = Some(OAuthClient { id: "by-hand".into(), auth });
    };
    let (site, gateway) = (Site::new().await, Gateway::new());
    site.change(|state| state.know("by-hand", Some("api-key-canary")));
    let replica = gateway.with(&site, by_hand);
    replica.connect(ALICE, &site, 0).await;
    let held = replica.source.obtain(&ALICE.caller(), None, at(1)).await.unwrap();
    // The upstream is somebody else's now, and names their authorization server.
    site.change(|state| state.issuer = "/evil".into());
    assert!(replica.source.renew(&held, &ALICE.caller(), None, at(10)).await.is_err());
    // Neither this replica nor one that has just started is taken in.
    for replica in [&replica, &gateway.with(&site, by_hand)] {
        let consent = replica.wanted(BOB, 20).await;
        let error = replica.begin(BOB, link(&consent), 20).await.unwrap_err();
        assert!(error.to_string().contains("no_registration"), "{error}");
    }
    assert!(site.asked_at("POST /evil/token").is_empty());
    // It is where the operator says it is.
    let issuer = site.issuer();
    let replica = gateway.with(&site, |code| {
        by_hand(code);
        code.issuer = Some(issuer.clone());
    });
    replica.connect(BOB, &site, 30).await;
    assert_eq!(site.asked_at("POST /evil/token").len(), 1);
}

#[tokio::test]
async fn attack_vault_file_stolen() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let seen = Arc::new(Spy::default());
    let vault = Vault::new(Arc::clone(&seen) as _, KeyRing::new(vec![[7; 32]]));
    let replica = Gateway { vault, ..gateway }.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    replica.obtain(ALICE, 4000).await.unwrap();
    let url = on_the_way(&replica, BOB, 0).await;
    let taken = seen.0.lock().unwrap().clone();
    assert!(taken.len() > 1000, "something was kept");
    let text = String::from_utf8_lossy(&taken);
    let state = query(&url)["state"].clone();
    for secret in [
        "token-",
        "refresh-",
        "secret of",
        "client-",
        "alice",
        "bob",
        "acme",
        "github",
        "127.0.0.1",
        "/connect",
        "verifier",
        &state,
    ] {
        assert!(!text.contains(secret), "{secret}");
    }
}

/// A store that keeps all that was ever written to it, as a thief of the disk would find it.
#[derive(Debug, Default)]
struct Spy(Mutex<Vec<u8>>, Mutex<BTreeMap<String, bytes::Bytes>>);

#[async_trait::async_trait]
impl narthex_store::Store for Spy {
    async fn read(
        &self,
        key: &narthex_store::Key,
        former: &[narthex_store::Key],
    ) -> Result<Option<bytes::Bytes>, narthex_store::Error> {
        assert!(former.is_empty());
        Ok(self.1.lock().unwrap().get(key.as_str()).cloned())
    }

    async fn write(
        &self,
        key: &narthex_store::Key,
        _former: &[narthex_store::Key],
        value: bytes::Bytes,
        ttl: Duration,
        condition: narthex_store::Condition<'_>,
    ) -> Result<bool, narthex_store::Error> {
        let mut held = self.1.lock().unwrap();
        let there = held.get(key.as_str()).map(|value| value.as_ref());
        let holds = match condition {
            narthex_store::Condition::Always => true,
            narthex_store::Condition::Absent => there.is_none(),
            narthex_store::Condition::Is(expected) => there == Some(expected),
        };
        if holds {
            let mut all = self.0.lock().unwrap();
            all.extend_from_slice(key.as_str().as_bytes());
            all.extend_from_slice(&value);
            if ttl.is_zero() {
                held.remove(key.as_str())
            } else {
                held.insert(key.as_str().into(), value)
            };
        }
        Ok(holds)
    }

    async fn withdraw(
        &self,
        key: &narthex_store::Key,
        _former: &[narthex_store::Key],
    ) -> Result<Option<bytes::Bytes>, narthex_store::Error> {
        Ok(self.1.lock().unwrap().remove(key.as_str()))
    }
}

#[tokio::test]
async fn a_server_without_pkce_is_not_used() {
    for methods in [json!(null), json!([]), json!(["plain"]), json!(["s256"])] {
        let (site, gateway) = (Site::new().await, Gateway::new());
        site.say("code_challenge_methods_supported", methods.clone());
        let replica = gateway.replica(&site);
        let consent = replica.wanted(ALICE, 0).await;
        let outcome = replica.begin(ALICE, link(&consent), 0).await;
        assert!(matches!(outcome, Err(ConnectError::Unreachable(why)) if why.contains("PKCE")), "{methods}");
    }
}

#[tokio::test]
async fn endpoints_that_point_inside_are_not_called() {
    for inside in [
        "http://169.254.169.254/token",
        "https://169.254.169.254/token",
        "https://[::ffff:169.254.169.254]/token",
        "https://[fd00:ec2::254]/token",
        "http://10.0.0.1/token",
        "http://metadata.google.internal/token",
        "file:///etc/passwd",
        "https://0.0.0.0/token",
        "gopher://127.0.0.1/",
    ] {
        for endpoint in
            ["token_endpoint", "registration_endpoint", "authorization_endpoint", "revocation_endpoint"]
        {
            let (site, gateway) = (Site::new().await, Gateway::new());
            site.say(endpoint, json!(inside));
            let replica = gateway.replica(&site);
            // Refused when it is read, or, where it looks well, when it is to be called.
            let error = replica.obtain(ALICE, 0).await.unwrap_err();
            let Some(consent) = error.consent() else {
                assert_eq!(error.reason(), "discovery_failed", "{endpoint} {inside}");
                continue;
            };
            assert!(inside.starts_with("https:"), "{endpoint} {inside}");
            let Ok(url) = replica.begin(ALICE, link(consent), 0).await else {
                assert_eq!(endpoint, "registration_endpoint");
                continue;
            };
            if endpoint == "token_endpoint" {
                let answer = site.approve(&url).await;
                let outcome = replica.finish(ALICE, &answer, 0).await;
                assert!(matches!(outcome, Err(ConnectError::Unreachable(_))), "{inside} {outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_answer_of_a_hostile_server_makes_a_connection() {
    let good = r#"{"access_token":"canary","token_type":"Bearer","expires_in":3600}"#;
    let huge = format!("{{\"pad\":\"{}\",{}", "x".repeat(2 * 1024 * 1024), &good[1..]);
    let long = good.replace("canary", &"x".repeat(20_000));
    for (hostile, reachable) in [
        (answer(200, "text/html", "", "<html>canary</html>"), true),
        (answer(302, "application/json", "Location: http://127.0.0.1:9/\r\n", good), true),
        (said(200, &huge), false),
        (said(200, &long), true),
        (said(200, "{}"), true),
        (said(200, &good.replace("Bearer", "mac")), true),
        (said(200, &good.replace("canary", "canary\\r\\nX-Evil: 1")), true),
        (said(200, &good.replace("canary", "")), true),
        (said(200, &good.replace("3600", "-1")), true),
        (said(200, &good.replace("}", ",\"refresh_token\":\"a\\u0000b\"}")), true),
        (said(200, &good.replace("{", "{\"access_token\":\"x\",")), true),
        (said(500, good), false),
        (said(429, good), false),
        (said(400, r#"{"error":"canary<script>"}"#), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut".into(), false),
        ("not http at all\r\n\r\n".into(), false),
    ] {
        let (site, gateway) = (Site::new().await, Gateway::new());
        let replica = gateway.replica(&site);
        let url = on_the_way(&replica, ALICE, 0).await;
        let answer = site.approve(&url).await;
        let shown = hostile.chars().take(100).collect::<String>();
        site.change(|state| state.instead = Some(hostile));
        let error = replica.finish(ALICE, &answer, 0).await.unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        assert!(reachable || matches!(error, ConnectError::Unreachable(_)), "{shown}: {error}");
        assert_eq!(replica.connection(ALICE).await.connected_at, None, "{shown}");
        assert_eq!(replica.reason(ALICE, 0).await, "consent_required");
    }
}

#[tokio::test]
async fn a_server_that_hands_back_what_it_was_sent_is_not_believed() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    replica.connect(ALICE, &site, 0).await;
    let sent = site.asked();
    assert_eq!(sent.len(), 1);
    let mut held = None;
    site.change(|state| held = state.alive.keys().next().cloned());
    let held = held.unwrap();
    // A lenient upstream would take the padded one for the same.
    for (echo, now) in [(held.clone(), 4000), (format!("{held}=="), 4010)] {
        let echo = format!(r#"{{"access_token":"{echo}","token_type":"Bearer"}}"#);
        site.change(|state| state.instead = Some(said(200, &echo)));
        assert_eq!(replica.reason(ALICE, now).await, "bad_token_response");
    }
    site.change(|state| state.instead = None);
    assert!(replica.obtain(ALICE, 4022).await.is_ok(), "and nothing is lost");
}

#[tokio::test]
async fn no_secret_is_ever_printed() {
    let (site, gateway) = (Site::new().await, Gateway::new());
    let replica = gateway.replica(&site);
    let consent = replica.wanted(ALICE, 0).await;
    let error = replica.obtain(ALICE, 0).await.unwrap_err();
    replica.connect(ALICE, &site, 2).await;
    let got = replica.source.obtain(&ALICE.caller(), None, at(2)).await.unwrap();
    let shown = format!(
        "{:#?} {:?} {got:?} {consent:?} {error:?} {error} {}",
        replica.credentials,
        replica.source,
        error.detail()
    );
    for secret in [link(&consent), &token(&got), "refresh-", "secret of"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
