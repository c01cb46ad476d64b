//! What a consent is for, and what is kept of it.

use super::*;
use crate::fixtures::{build, local_config, post_json, vault};
use narthex_config::Config;

/// Another authority on the same vault.
async fn under(vault: &narthex_store::Vault, change: impl Fn(&mut Config)) -> crate::Authority {
    let mut config = local_config("");
    change(&mut config);
    let authority = build(&config, vault.clone());
    authority.refresh(now()).await;
    authority
}

#[tokio::test]
async fn a_consent_without_a_refresh_token_is_none_with_one() {
    let authority = local_authority(OPEN).await;
    let client = serde_json::json!({
        "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"],
    });
    let registered = authority.answer(post_json("/oauth/register", &client), now()).await;
    let id = fixtures::json(&registered)["client_id"].as_str().unwrap().to_owned();
    let asked = query(&[("client_id", &id)]);
    let more = query(&[("client_id", &id), ("scope", "mcp:read offline_access")]);
    let mut ann = Visitor::default();
    ann.approve(&authority, &asked, "ann").await;
    let back = ann.get(&authority, &format!("/oauth/authorize?{asked}")).await;
    assert!(param(&location(&back).unwrap(), "code").is_some(), "that was allowed");
    let page = ann.get(&authority, &format!("/oauth/authorize?{more}")).await;
    assert_eq!(location(&page), None, "this was not");
    assert!(text(&page).contains("Stay connected while you are away"), "{}", text(&page));
    ann.decide(&authority, &page, "approve").await;
    let back = ann.get(&authority, &format!("/oauth/authorize?{more}")).await;
    assert!(param(&location(&back).unwrap(), "code").is_some());
}

const OPEN: &str = "    dynamic_registration: { redirect_hosts: ['*'], rate: 1000/1h }";

#[tokio::test]
async fn a_consent_for_one_tenant_is_none_for_another() {
    let vault = vault();
    let of = async |tenant: &str| {
        under(&vault, |config| {
            let login = config.auth.authority.as_mut().unwrap().login.as_mut().unwrap();
            login.users[0].tenant = tenant.into();
        })
        .await
    };
    let (acme, globex) = (of("acme").await, of("globex").await);
    Visitor::default().approve(&acme, &query(&[]), "ann").await;
    let other = query(&[("client_id", "native"), ("redirect_uri", "http://127.0.0.1/cb")]);
    let mut ann = Visitor::default();
    ann.approve(&globex, &other, "ann").await;
    let page = ann.get(&globex, &format!("/oauth/authorize?{}", query(&[]))).await;
    assert_eq!((page.status(), location(&page)), (StatusCode::OK, None));
}

#[tokio::test]
async fn what_was_approved_before_a_login_is_what_the_page_said() {
    let vault = vault();
    let before = under(&vault, |_| ()).await;
    let renamed = under(&vault, |config| {
        config.auth.authority.as_mut().unwrap().clients.get_mut("web").unwrap().name = "Another".to_owned();
    })
    .await;
    let wider = under(&vault, |config| {
        let docs = config.routes.values_mut().find(|route| route.id.as_str() == "docs").unwrap();
        docs.scopes.insert("mcp:write".into());
    })
    .await;
    for after in [&renamed, &wider] {
        let mut ann = Visitor::default();
        let page = ann.get(&before, &format!("/oauth/authorize?{}", query(&[("scope", "")]))).await;
        let login = ann.decide(&before, &page, "approve").await;
        let answer = ann.log_in(after, &login, "ann").await;
        assert_eq!((answer.status(), location(&answer)), (StatusCode::BAD_REQUEST, None));
    }
}

#[tokio::test]
async fn attack_approvals_without_a_login_do_not_fill_the_store() {
    let authority = local_authority("").await;
    let mut bot = Visitor::default();
    let page = bot.get(&authority, &format!("/oauth/authorize?{}", query(&[]))).await;
    let form = [("csrf", hidden(&page, "csrf")), ("request", hidden(&page, "request"))];
    let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let form = [&form[..], &[("decision", "approve")]].concat();
    let mut from = async |peer: &str| {
        let mut request = post("/oauth/consent", &form);
        request.peer = Some(peer.parse().unwrap());
        bot.send(&authority, request, now()).await
    };
    let mut kept = 0;
    let mut last = StatusCode::OK;
    for _ in 0..200 {
        last = from("192.0.2.1").await.status();
        kept += usize::from(last == StatusCode::OK);
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert!((120..150).contains(&kept), "{kept}");
    assert_eq!(from("192.0.2.2").await.status(), StatusCode::OK, "others can");
}

#[tokio::test]
async fn attack_a_bad_request_of_a_client_that_nobody_vouches_for_leads_nowhere_by_itself() {
    let any = local_authority(OPEN).await;
    let named = local_authority("    dynamic_registration: { redirect_hosts: [app.example] }").await;
    for (authority, is_vouched_for) in [(&any, false), (&named, true)] {
        let client = serde_json::json!({"redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none"});
        let registered = authority.answer(post_json("/oauth/register", &client), now()).await;
        let id = fixtures::json(&registered)["client_id"].as_str().unwrap().to_owned();
        for bad in
            [("scope", "nonsense"), ("response_type", "token"), ("prompt", "none"), ("resource", "x:y")]
        {
            let asked = query(&[("client_id", &id), bad]);
            let answer = Visitor::default().get(authority, &format!("/oauth/authorize?{asked}")).await;
            assert_eq!(location(&answer).is_some(), is_vouched_for, "{bad:?}");
            if !is_vouched_for {
                assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
                assert!(text(&answer).contains("href=\"https://app.example/cb?error="), "{}", text(&answer));
            }
        }
        // Whoever decides goes on.
        let mut ann = Visitor::default();
        let page = ann.get(authority, &format!("/oauth/authorize?{}", query(&[("client_id", &id)]))).await;
        let back = ann.decide(authority, &page, "deny").await;
        assert_eq!(error(&back).as_deref(), Some("access_denied"));
    }
}
