//! What users, browsers, servers and thieves try.

use super::stage::{Stage, with};
use narthex_testkit::visitor::parameter;
use serde_json::json;

#[tokio::test]
async fn attack_cross_user_connect_link() {
    let stage = Stage::start().await;
    let (mut ann, mut bob) = (stage.user("ann").await, stage.user("bob").await);
    // Ann's link, opened by Bob, would have Bob's account used by Ann.
    let link = stage.link(&ann, "/mcp").await;
    let page = bob.browser.get(&link).await.unwrap();
    assert!(page.status >= 400, "{}", page.text());
    assert!(!page.text().contains("ann") && !page.text().contains("name=\"csrf\""), "{}", page.text());
    let answer = bob.browser.post(&link, &[("csrf", "x")]).await.unwrap();
    assert!(answer.status >= 400 && answer.header("location").is_none());
    // Nor does Bob's browser finish what Ann's began.
    let url = stage.press(&mut ann, &link).await;
    let back = stage.approve(&url).await;
    let page = bob.browser.get(&back).await.unwrap();
    assert!(page.status >= 400, "{}", page.text());
    assert!(stage.github.requests_at("/as/token").is_empty(), "the code was not used");
    assert!(!stage.works(&bob).await);
    assert!(!stage.works(&ann).await);
}

#[tokio::test]
async fn attack_connect_without_the_button() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    let link = stage.link(&ann, "/mcp").await;
    let page = ann.browser.get(&link).await.unwrap();
    assert_eq!(page.status, 200);
    assert!(page.header("location").is_none(), "looking sends nobody anywhere");
    for csrf in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        let answer = ann.browser.post(&link, &[("csrf", csrf)]).await.unwrap();
        assert!(answer.status >= 400, "{}", answer.text());
    }
    assert!(stage.github.requests_at("/as/register").is_empty());
    for header in ["content-security-policy", "x-frame-options"] {
        assert!(page.header(header).is_some(), "{header}");
    }
}

#[tokio::test]
async fn attack_state_replay() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    let link = stage.link(&ann, "/mcp").await;
    let url = stage.press(&mut ann, &link).await;
    let back = stage.approve(&url).await;
    assert_eq!(ann.browser.get(&back).await.unwrap().status, 200);
    assert!(ann.browser.get(&back).await.unwrap().status >= 400, "used");
    let again = stage.approve(&url).await;
    assert!(ann.browser.get(&again).await.unwrap().status >= 400, "with a fresh code, too");
    for state in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert!(ann.browser.get(&with(&back, "state", state)).await.unwrap().status >= 400, "{state}");
    }
    assert!(ann.browser.get(&link).await.unwrap().status >= 400, "the link is used, too");
    assert_eq!(stage.github.requests_at("/as/token").len(), 1);
    assert!(stage.works(&ann).await, "and what she connected is as it was");
}

#[tokio::test]
async fn attack_code_injection() {
    let stage = Stage::start().await;
    let (mut ann, mut bob) = (stage.user("ann").await, stage.user("bob").await);
    let (anns, bobs) = (stage.link(&ann, "/mcp").await, stage.link(&bob, "/mcp").await);
    let (anns, bobs) = (stage.press(&mut ann, &anns).await, stage.press(&mut bob, &bobs).await);
    let (back, stolen) = (stage.approve(&anns).await, stage.approve(&bobs).await);
    let code = parameter(&stolen, "code").unwrap();
    let page = ann.browser.get(&with(&back, "code", &code)).await.unwrap();
    assert!(page.status >= 400, "{}", page.text());
    assert!(!stage.works(&ann).await && !stage.works(&bob).await);
}

#[tokio::test]
async fn attack_mix_up_of_two_authorization_servers() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    let honest = stage.link(&ann, "/mcp").await;
    let honest = stage.press(&mut ann, &honest).await;
    // She connects `other`, whose server sends her on to the honest one with the honest one's code.
    let other = stage.user_of("ann", "/other").await;
    let link = stage.link(&other, "/other").await;
    let to_other = stage.press(&mut ann, &link).await;
    let stolen = stage.approve(&honest).await;
    let mixed = with(&stolen, "state", &parameter(&to_other, "state").unwrap());
    let page = ann.browser.get(&mixed).await.unwrap();
    assert!(page.status >= 400, "{}", page.text());
    assert!(stage.other.requests_at("/as/token").is_empty(), "the code went to the other server");
    assert!(!stage.other.server().seen(b"code-canary"));
}

#[tokio::test]
async fn attack_iss_missing_wrong_or_normalised() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    let issuer = stage.github.issuer();
    for iss in [
        "",
        "https://evil.example",
        &format!("{issuer}/"),
        &issuer.replace("http:", "HTTP:"),
        &stage.other.issuer(),
    ] {
        let link = stage.link(&ann, "/mcp").await;
        let url = stage.press(&mut ann, &link).await;
        let back = stage.approve(&url).await;
        let page = ann.browser.get(&with(&back, "iss", iss)).await.unwrap();
        assert!(page.status >= 400, "{iss}: {}", page.text());
    }
    assert!(stage.github.requests_at("/as/token").is_empty());
}

#[tokio::test]
async fn attack_another_authorization_server_gets_no_token_of_the_first() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    stage.connect(&mut ann).await;
    assert!(stage.works(&ann).await);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    stage.github.move_to("/new");
    stage.github.end_access();
    assert!(!stage.works(&ann).await, "she is asked to connect again");
    assert!(stage.github.requests_at("/new/token").is_empty());
    let page = stage.connect(&mut ann).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(stage.works(&ann).await);
    assert_eq!(stage.github.requests_at("/new/register").len(), 1, "as another client");
    for request in stage.github.requests_at("/new/token") {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!body.contains("refresh-canary"), "{body}");
    }
}

#[tokio::test]
async fn attack_vault_file_stolen() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    stage.connect(&mut ann).await;
    assert!(stage.works(&ann).await);
    let bob = stage.user("bob").await;
    let link = stage.link(&bob, "/mcp").await;
    let mut files = Vec::new();
    collect(stage.gateway.place().dir(), &mut files);
    let stored: Vec<_> = files.iter().filter(|path| path.to_string_lossy().contains("store.redb")).collect();
    assert!(!stored.is_empty(), "{files:?}");
    let secrets = [
        "access-canary",
        "refresh-canary",
        "client-secret-canary",
        "code-canary",
        link.trim_start_matches("/connect/"),
    ];
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        for secret in secrets {
            assert!(!contains(&bytes, secret), "{secret} in {}", file.display());
        }
    }
    for file in stored {
        let bytes = std::fs::read(file).unwrap();
        for name in ["local|ann", "github", "connect-ticket", "acme"] {
            assert!(!contains(&bytes, name), "{name} in {}", file.display());
        }
    }
}

#[tokio::test]
async fn no_token_or_link_is_in_a_log_or_metric() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    let link = stage.link(&ann, "/mcp").await;
    stage.connect(&mut ann).await;
    assert!(stage.works(&ann).await);
    stage.github.end_access();
    assert!(stage.works(&ann).await);
    let metrics = stage.gateway.admin("/metrics").await.unwrap().text();
    let written = stage.gateway.output() + &metrics;
    for secret in [
        "access-canary",
        "refresh-canary",
        "client-secret-canary",
        "code-canary",
        link.trim_start_matches("/connect/"),
        &ann.token,
    ] {
        assert!(!written.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn metadata_that_points_inside_is_not_followed() {
    for inside in [
        "http://169.254.169.254/latest",
        "https://169.254.169.254/latest",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:169.254.169.254]/",
        "http://metadata.google.internal/",
        "file:///etc/passwd",
    ] {
        let stage = Stage::start().await;
        let ann = stage.user("ann").await;
        stage.github.say_of_itself("authorization_servers", json!([inside]));
        let answer = stage.call(&ann, "/mcp").await;
        assert!(!answer.text().contains("/connect/"), "{inside}: {}", answer.text());
        assert!(!answer.text().contains("169.254") && !answer.text().contains("passwd"), "{}", answer.text());
    }
}

#[tokio::test]
async fn no_answer_of_a_hostile_authorization_server_makes_a_connection() {
    let stage = Stage::start().await;
    let mut ann = stage.user("ann").await;
    let huge = format!("{{\"pad\":\"{}\"}}", "x".repeat(2 << 20));
    let html = "<html>access-canary<script>alert(1)</script></html>";
    let good = r#"{"access_token":"access-canary","token_type":"Bearer"}"#;
    for (status, kind, body) in [
        (200, "text/html", html),
        (200, "application/json", huge.as_str()),
        (200, "application/json", "{}"),
        (200, "application/json", "{\"access_token\":\"a b\",\"token_type\":\"Bearer\"}"),
        (200, "application/json", "{\"access_token\":\"access-canary\",\"token_type\":\"mac\"}"),
        (302, "application/json", good),
        (500, "application/json", good),
        (400, "application/json", "{\"error\":\"<script>alert(1)</script>\"}"),
        (400, "application/json", "{\"error\":\"invalid_grant\",\"error_description\":\"<b>canary</b>\"}"),
    ] {
        stage.github.answer_tokens(Some((status, kind, body)));
        let page = stage.connect(&mut ann).await;
        assert!(page.status >= 400, "{body:.60} {}", page.text());
        assert!(!page.text().contains("canary") && !page.text().contains("alert"), "{}", page.text());
        assert!(!stage.works(&ann).await, "{body:.60}");
    }
    stage.github.answer_tokens(None);
    stage.connect(&mut ann).await;
    assert!(stage.works(&ann).await);
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn collect(dir: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}
