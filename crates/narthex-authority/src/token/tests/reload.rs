//! What a new configuration takes away, and what it leaves.

use super::*;

#[tokio::test]
async fn what_the_configuration_takes_away_a_refresh_does_not_give_again() {
    let vault = fixtures::vault();
    let config = fixtures::config("");
    let before = fixtures::build(&config, vault.clone());
    before.refresh(now()).await;
    let token = tokens(&before).await["refresh_token"].clone();
    let after_change = |change: &dyn Fn(&mut Config)| {
        let mut config = fixtures::config("");
        change(&mut config);
        fixtures::build(&config, vault.clone())
    };
    let less = after_change(&|config| {
        config.auth.authority.as_mut().unwrap().grants.pop();
    });
    less.refresh(now()).await;
    let answer = fixtures::json(&refresh(&less, &token, &[], after(1)).await);
    assert_eq!(answer["scope"], "mcp:read", "the scope that nobody grants any more is gone");
    let none = after_change(&|config| {
        config.tenants.remove("acme");
    });
    none.refresh(now()).await;
    assert_eq!(error(&refresh(&none, &answer["refresh_token"], &[], after(2)).await), "invalid_grant");
    before.lasting.keys.ring().unwrap();
    assert_eq!(
        error(&refresh(&before, &answer["refresh_token"], &[], after(3)).await),
        "invalid_grant",
        "it has ended"
    );
}

#[tokio::test]
async fn state_survives_a_reload() {
    let config = fixtures::config("");
    let first = fixtures::build(&config, fixtures::vault());
    first.refresh(now()).await;
    let issued = tokens(&first).await;
    let parts = crate::AuthorityParts {
        previous: Some(&first),
        vault: first.lasting.vault.clone(),
        secrets: std::sync::Arc::new(fixtures::Secrets),
        events: fixtures::events(),
        connections: None,
        nonces: fixtures::nonces(),
    };
    let second = Authority::build(&config, &parts).unwrap().unwrap();
    assert!(
        second.claims(issued["access_token"].as_str().unwrap(), now()).is_some(),
        "the keys are there at once"
    );
    assert_eq!(refresh(&second, &issued["refresh_token"], &[], now()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_refresh_does_not_outlive_the_users_login() {
    type Change = fn(&mut narthex_config::model::Login);
    let changes: [(&str, Change); 5] = [
        ("the provider is gone", |login| login.providers.clear()),
        ("it has another name", |login| login.providers[0].id = "other".to_owned()),
        ("it is another", |login| login.providers[0].issuer = "https://other.example".to_owned()),
        ("its users are of another tenant", |login| {
            login.providers[0].claims.tenant = narthex_config::model::LoginTenant::Value("globex".into());
        }),
        ("the tenant is none", |login| login.tenants.clear()),
    ];
    for (what, change) in changes {
        let vault = fixtures::vault();
        let before = fixtures::build(&fixtures::config(""), vault.clone());
        before.refresh(now()).await;
        let token = tokens(&before).await["refresh_token"].clone();
        let code = code(&before).await;
        let mut config = fixtures::config("");
        change(config.auth.authority.as_mut().unwrap().login.as_mut().unwrap());
        let after = fixtures::build(&config, vault);
        after.refresh(now()).await;
        assert_eq!(error(&redeem(&after, &code).await), "invalid_grant", "{what}");
        assert_eq!(error(&refresh(&after, &token, &[], now()).await), "invalid_grant", "{what}");
        assert_eq!(
            error(&refresh(&before, &token, &[], now()).await),
            "invalid_grant",
            "{what}: it has ended"
        );
    }
    let mut config = fixtures::config("");
    config.auth.authority.as_mut().unwrap().login = None;
    let nobody = fixtures::build(&config, fixtures::vault());
    nobody.refresh(now()).await;
    assert_eq!(error(&redeem(&nobody, &code(&nobody).await).await), "invalid_grant");
}

#[tokio::test]
async fn a_development_user_is_at_each_refresh_what_the_configuration_says_then() {
    let vault = fixtures::vault();
    let build = async |user: &str| {
        let mut config = fixtures::local_config("");
        let users = &mut config.auth.authority.as_mut().unwrap().login.as_mut().unwrap().users;
        match user {
            "as before" => {}
            "without groups" => users[0].groups.clear(),
            "of another tenant" => users[0].tenant = "globex".into(),
            _ => drop(users.remove(0)),
        }
        let authority = fixtures::build(&config, vault.clone());
        authority.refresh(now()).await;
        authority
    };
    let before = build("as before").await;
    let asked = fixtures::query(&[("scope", "mcp:read mcp:write")]);
    let code = async || {
        let back = fixtures::Visitor::default().approve(&before, &asked, "ann").await;
        let tokens = fixtures::json(&redeem(&before, &fixtures::param(&back, "code").unwrap()).await);
        assert_eq!(tokens["scope"], "mcp:read mcp:write");
        tokens["refresh_token"].clone()
    };
    let answer = refresh(&build("without groups").await, &code().await, &[], now()).await;
    let tokens = fixtures::json(&answer);
    assert_eq!(tokens["scope"], "mcp:read", "what the group gave is gone");
    let claims = before.claims(tokens["access_token"].as_str().unwrap(), now()).unwrap();
    assert_eq!(claims.get("groups"), None);
    for user in ["of another tenant", "gone"] {
        let answer = refresh(&build(user).await, &code().await, &[], now()).await;
        assert_eq!(error(&answer), "invalid_grant", "{user}");
    }
}
