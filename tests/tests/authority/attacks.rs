//! The attacks of the issue, each by its name, on the real binary.

use super::stage::{CALLBACK, Stage, VERIFIER, error};
use narthex_testkit::visitor::{destination, hidden, parameter};
use narthex_testkit::{RawClient, RawResponse};

#[tokio::test]
async fn confused_deputy_a_second_client_gets_nothing_from_the_login_of_the_first() {
    let stage = Stage::start().await;
    let mut ann = stage.visitor();
    stage.approve(&mut ann, &stage.authorize(&[]), "ann").await;
    let silent = ann.get(&stage.authorize(&[])).await.unwrap();
    assert!(
        parameter(&destination(&silent).unwrap(), "code").is_some(),
        "what she allowed is not asked again"
    );
    let other = [("client_id", "other"), ("redirect_uri", "https://other.example/cb")];
    let page = ann.get(&stage.authorize(&other)).await.unwrap();
    assert_eq!((page.status, destination(&page)), (200, None), "but this one is");
    let native = [("client_id", "native"), ("redirect_uri", "http://127.0.0.1:9999/cb")];
    let page = ann.get(&stage.authorize(&native)).await.unwrap();
    assert_eq!((page.status, destination(&page)), (200, None));
    let anybody = stage.visitor().get(&stage.authorize(&other)).await.unwrap();
    assert_eq!((anybody.status, destination(&anybody)), (200, None), "and before any login");
}

#[tokio::test]
async fn code_injection_another_clients_or_sessions_code_is_of_no_use() {
    let stage = Stage::start().await;
    let code = async || {
        parameter(&stage.approve(&mut stage.visitor(), &stage.authorize(&[]), "ann").await, "code").unwrap()
    };
    let form = |code: String, client: &str, redirect: &str, verifier: &str| {
        [
            ("grant_type", "authorization_code".to_owned()),
            ("code", code),
            ("redirect_uri", redirect.to_owned()),
            ("client_id", client.to_owned()),
            ("code_verifier", verifier.to_owned()),
        ]
    };
    for (client, redirect, verifier) in [
        ("other", CALLBACK, VERIFIER),
        ("other", "https://other.example/cb", VERIFIER),
        ("web", "https://other.example/cb", VERIFIER),
        ("web", CALLBACK, "another-sessions-verifier-another-sessions-verifier"),
    ] {
        let form = form(code().await, client, redirect, verifier);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(error(&stage.token(&form).await), "invalid_grant", "{client} {redirect}");
    }
    let downgraded =
        stage.visitor().get(&stage.authorize(&[("code_challenge_method", "plain")])).await.unwrap();
    assert_eq!(parameter(&destination(&downgraded).unwrap(), "error").as_deref(), Some("invalid_request"));
    let code = code().await;
    assert_eq!(stage.redeem(&code).await.status, 200);
    assert_eq!(error(&stage.redeem(&code).await), "invalid_grant", "twice");
}

#[tokio::test]
async fn redirect_tricks_nothing_leads_to_an_address_that_was_not_registered() {
    let stage = Stage::start().await;
    for redirect in [
        "https://evil.test/cb",
        "https://app.example/cb/",
        "https://app.example/cb/../x",
        "https://app.example/cb?x",
        "https://app.example/cb#x",
        "https://app.example:8443/cb",
        "https://app.example.evil.test/cb",
        "https://app.example@evil.test/cb",
        "https://evil.test\\@app.example/cb",
        "//app.example/cb",
        "http://app.example/cb",
        "javascript:alert(1)",
        "http://127.0.0.1:1/cb",
        "",
    ] {
        let page = stage.visitor().get(&stage.authorize(&[("redirect_uri", redirect)])).await.unwrap();
        assert_eq!((page.status, destination(&page)), (400, None), "{redirect}");
        assert!(!page.text().contains("evil.test"), "{redirect}");
    }
}

#[tokio::test]
async fn csrf_a_page_of_somebody_else_decides_nothing() {
    let stage = Stage::start().await;
    let mut ann = stage.visitor();
    stage.approve(&mut ann, &stage.authorize(&[]), "ann").await;
    let native = [("client_id", "native"), ("redirect_uri", "http://127.0.0.1:9999/cb")];
    let page = ann.get(&stage.authorize(&native)).await.unwrap();
    let (csrf, request) = (hidden(&page, "csrf").unwrap(), hidden(&page, "request").unwrap());
    let of_others = stage.visitor().get(&stage.authorize(&native)).await.unwrap();
    let stolen = hidden(&of_others, "csrf").unwrap();
    for token in ["", "guess", &stolen] {
        let form = [("csrf", token), ("request", request.as_str()), ("decision", "approve")];
        let answer = ann.post("/oauth/consent", &form).await.unwrap();
        assert_eq!((answer.status, destination(&answer)), (400, None), "{token}");
    }
    let form = [("csrf", csrf.as_str()), ("request", &request), ("decision", "approve")];
    for header in ["Origin: https://evil.test\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        let answer = ann.post_with("/oauth/consent", &form, header).await.unwrap();
        assert_eq!((answer.status, destination(&answer)), (400, None), "{header}");
    }
    let answer =
        ann.post_with("/oauth/consent", &form, &format!("Origin: {}\r\n", stage.issuer())).await.unwrap();
    assert!(parameter(&destination(&answer).unwrap(), "code").is_some());
}

#[tokio::test]
async fn clickjacking_and_caching_no_page_is_framed_or_kept() {
    let stage = Stage::start().await;
    let mut ann = stage.visitor();
    let consent = ann.get(&stage.authorize(&[])).await.unwrap();
    let login = Stage::decide(&mut ann, &consent, "approve").await;
    let problem = ann.get("/oauth/authorize").await.unwrap();
    for page in [&consent, &login, &problem] {
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"),
            "{policy}"
        );
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("access-control-allow-origin"), None);
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn state_replay_a_login_is_finished_once_and_by_the_browser_that_began() {
    let stage = Stage::start().await;
    let mut ann = stage.visitor();
    let page = ann.get(&stage.authorize(&[])).await.unwrap();
    let login = Stage::decide(&mut ann, &page, "approve").await;
    let back = hidden(&login, "return_to").unwrap();
    let mut eve = stage.visitor();
    stage.approve(&mut eve, &stage.authorize(&[]), "bob").await;
    let stolen = eve.get(&back).await.unwrap();
    assert_eq!((stolen.status, destination(&stolen)), (400, None));
    let late = Stage::log_in(&mut ann, &login, "ann").await;
    assert_eq!(late.status, 400, "somebody has tried it");
    let page = ann.get(&stage.authorize(&[("prompt", "login")])).await.unwrap();
    let login = Stage::decide(&mut ann, &page, "approve").await;
    let back = hidden(&login, "return_to").unwrap();
    let good = Stage::log_in(&mut ann, &login, "ann").await;
    assert!(parameter(&destination(&good).unwrap(), "code").is_some());
    let again = ann.get(&back).await.unwrap();
    assert_eq!((again.status, destination(&again)), (400, None));
}

#[tokio::test]
async fn refresh_reuse_the_whole_grant_ends() {
    let stage = Stage::start().await;
    let tokens = stage.tokens("ann").await;
    let mut token = tokens["refresh_token"].as_str().unwrap().to_owned();
    let ask = async |token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "web")];
        stage.token(&form).await
    };
    let first = token.clone();
    for _ in 0..2 {
        token = ask(&token).await.json()["refresh_token"].as_str().unwrap().to_owned();
    }
    // Two before: no retry, whenever it comes.
    assert_eq!(error(&ask(&first).await), "invalid_grant");
    assert_eq!(error(&ask(&token).await), "invalid_grant");
    assert_eq!(stage.call(tokens["access_token"].as_str().unwrap(), "/mcp").await.status, 401);
}

#[tokio::test]
async fn dns_rebinding_a_foreign_name_for_this_machine_is_refused() {
    let stage = Stage::start().await;
    for (host, status) in
        [("evil.test", 403), ("localhost.evil.test:80", 403), ("localhost", 200), ("127.0.0.1", 200)]
    {
        let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
        client.send(format!("GET {} HTTP/1.1\r\nHost: {host}\r\n\r\n", stage.authorize(&[]))).await.unwrap();
        assert_eq!(client.response().await.unwrap().status, status, "{host}");
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_methods_are_few() {
    let stage = Stage::start().await;
    let large = "x".repeat(70_000);
    let answer: RawResponse =
        stage.token(&[("grant_type", "refresh_token"), ("refresh_token", &large)]).await;
    assert_eq!(answer.status, 413);
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        assert_eq!(stage.visitor().get(path).await.unwrap().status, 405, "{path}");
    }
    assert_eq!(stage.visitor().post("/oauth/authorize", &[]).await.unwrap().status, 405);
    assert_eq!(stage.visitor().get("/oauth/other").await.unwrap().status, 404);
    let mut guesses = 0;
    for _ in 0..80 {
        let form = [("grant_type", "refresh_token"), ("client_id", "probe"), ("client_secret", "guess")];
        guesses += i32::from(stage.token(&form).await.status == 401);
    }
    assert!((60..80).contains(&guesses), "{guesses}");
}
