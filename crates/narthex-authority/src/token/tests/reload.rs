//! What a new configuration takes away, and what it leaves.

use super::*;

#[tokio::test]
async fn what_the_configuration_takes_away_a_refresh_does_not_give_again() {
    let vault = fixtures::vault();
    let config = fixtures::config("");
    let before = fixtures::build(&config, vault.clone());
    before.refresh(now()).await;
    let token = tokens(&before).await["refresh_token"].clone();
    let after_change = |change: &dyn Fn(&mut narthex_config::Config)| {
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
