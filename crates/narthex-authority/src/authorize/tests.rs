//! The attacks on the way to a code, each by its name, and the way itself.

mod consented;
mod prompts;

use crate::fixtures::{
    self, Visitor, get, hidden, local_authority, location, now, param, pkce, post, query, result, text,
};
use crate::{Request, Response};
use ::http::header::{CONTENT_SECURITY_POLICY, LOCATION, ORIGIN, SET_COOKIE, X_FRAME_OPTIONS};
use ::http::{HeaderValue, StatusCode};
use std::time::Duration;

const ISSUER: &str = "http://localhost:8080";

fn error(response: &Response) -> Option<String> {
    param(&location(response)?, "error")
}

async fn redeem(authority: &crate::Authority, code: &str, changes: &[(&str, &str)]) -> Response {
    let (verifier, _) = pkce();
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", "https://app.example/cb"),
        ("client_id", "web"),
        ("code_verifier", verifier.as_str()),
    ];
    for (name, value) in changes {
        form.retain(|(known, _)| known != name);
        form.push((name, value));
    }
    authority.answer(post("/oauth/token", &form), now()).await
}

#[tokio::test]
async fn a_user_who_approves_and_logs_in_sends_the_client_a_code_that_is_good_for_tokens() {
    let authority = local_authority("").await;
    let back = Visitor::default().approve(&authority, &query(&[]), "ann").await;
    assert_eq!(back.as_str().split('?').next(), Some("https://app.example/cb"));
    assert_eq!(param(&back, "state").as_deref(), Some("the-state"));
    assert_eq!(param(&back, "iss").as_deref(), Some(ISSUER));
    let response = redeem(&authority, &param(&back, "code").unwrap(), &[]).await;
    assert_eq!(response.status(), StatusCode::OK, "{}", text(&response));
    let tokens = fixtures::json(&response);
    assert_eq!((tokens["token_type"].as_str(), tokens["scope"].as_str()), (Some("Bearer"), Some("mcp:read")));
    assert_eq!(tokens["expires_in"], 600);
    assert!(tokens["refresh_token"].is_string());
    assert_eq!(response.headers()["cache-control"], "no-store");
    let claims = authority.claims(tokens["access_token"].as_str().unwrap(), now()).unwrap();
    assert_eq!(
        (claims["sub"].as_str(), claims["aud"].as_str()),
        (Some("local|ann"), Some("http://localhost:8080/docs"))
    );
    assert_eq!((claims["client_id"].as_str(), claims["tenant"].as_str()), (Some("web"), Some("acme")));
}

#[tokio::test]
async fn confused_deputy_nobody_is_sent_to_the_identity_provider_before_the_user_has_approved_this_client() {
    let authority = local_authority("").await;
    let mut ann = Visitor::default();
    ann.approve(&authority, &query(&[]), "ann").await;
    // Logged in, and one client allowed: another one is asked about all the same.
    let other = query(&[("client_id", "other"), ("redirect_uri", "https://other.example/cb")]);
    let page = ann.get(&authority, &format!("/oauth/authorize?{other}")).await;
    assert_eq!((page.status(), location(&page)), (StatusCode::OK, None));
    assert!(text(&page).contains("other.example"), "{}", text(&page));
    // Nobody logged in: the same, and nothing is kept and nobody sent anywhere.
    let page = Visitor::default().get(&authority, &format!("/oauth/authorize?{other}")).await;
    assert_eq!((page.status(), location(&page)), (StatusCode::OK, None));
    // The same client with another address, or for more, or for another resource, is another question.
    for changes in [
        [("scope", "mcp:read mcp:write")],
        [("resource", "http://localhost:8080/tools")],
        [("prompt", "consent")],
        [("prompt", "login")],
    ] {
        let page = ann.get(&authority, &format!("/oauth/authorize?{}", query(&changes))).await;
        assert_eq!((page.status(), location(&page)), (StatusCode::OK, None), "{changes:?}");
    }
    // What was allowed is not asked again.
    let back = ann.get(&authority, &format!("/oauth/authorize?{}", query(&[]))).await;
    assert!(param(&location(&back).unwrap(), "code").is_some());
    // But for a program on the user's machine, which could be any.
    let native = query(&[("client_id", "native"), ("redirect_uri", "http://127.0.0.1:5000/cb")]);
    for _ in 0..2 {
        let page = ann.get(&authority, &format!("/oauth/authorize?{native}")).await;
        assert_eq!(location(&page), None);
        let back = ann.decide(&authority, &page, "approve").await;
        assert!(location(&back).unwrap().as_str().starts_with("http://127.0.0.1:5000/cb?code="));
    }
}

#[tokio::test]
async fn whoever_is_sent_to_their_own_machine_is_warned_wherever_else_the_client_may_be() {
    let client = "    dynamic_registration: { redirect_hosts: [vscode.dev] }";
    let authority = local_authority(client).await;
    let asked = serde_json::json!({
        "redirect_uris": ["https://vscode.dev/redirect", "http://127.0.0.1/"], "token_endpoint_auth_method": "none"
    });
    let registered = authority.answer(fixtures::post_json("/oauth/register", &asked), now()).await;
    let id = fixtures::json(&registered)["client_id"].as_str().unwrap().to_owned();
    for (redirect, warned) in [("http://127.0.0.1:33418/", true), ("https://vscode.dev/redirect", false)] {
        let query = query(&[("client_id", &id), ("redirect_uri", redirect)]);
        let page = Visitor::default().get(&authority, &format!("/oauth/authorize?{query}")).await;
        assert_eq!(page.status(), StatusCode::OK, "{}", text(&page));
        assert_eq!(text(&page).contains("Runs on your device."), warned, "{redirect}");
    }
}

#[tokio::test]
async fn consent_of_one_user_is_not_anothers() {
    let authority = local_authority("").await;
    Visitor::default().approve(&authority, &query(&[]), "ann").await;
    let mut bob = Visitor::default();
    bob.approve(
        &authority,
        &query(&[("client_id", "native"), ("redirect_uri", "http://127.0.0.1/cb")]),
        "bob",
    )
    .await;
    let page = bob.get(&authority, &format!("/oauth/authorize?{}", query(&[]))).await;
    assert_eq!(location(&page), None, "bob has not allowed it");
}

#[tokio::test]
async fn csrf_a_decision_counts_only_from_the_page_that_was_shown_in_this_browser() {
    let authority = local_authority("").await;
    let path = format!("/oauth/authorize?{}", query(&[]));
    let (mut mine, mut others) = (Visitor::default(), Visitor::default());
    let page = mine.get(&authority, &path).await;
    let theirs = others.get(&authority, &path).await;
    let (token, request) = (hidden(&page, "csrf"), hidden(&page, "request"));
    let stolen = hidden(&theirs, "csrf");
    let other = request.replace("client_id=web", "client_id=other").replace("app.example", "other.example");
    for (token, request) in [
        ("", request.as_str()),
        ("x", &request),
        (stolen.as_str(), &request),
        (token.as_str(), &other),
        (token.as_str(), &request.replace("mcp%3Aread", "mcp%3Aread+mcp%3Awrite")),
        (token.as_str(), ""),
    ] {
        let form = [("csrf", token), ("request", request), ("decision", "approve")];
        let answer = mine.send(&authority, post("/oauth/consent", &form), now()).await;
        assert_eq!(
            (answer.status(), location(&answer)),
            (StatusCode::BAD_REQUEST, None),
            "{token} {request}"
        );
    }
    // From a page of somebody else, or not as a form.
    let form = [("csrf", token.as_str()), ("request", &request), ("decision", "approve")];
    let with = |name: &'static str, value: &'static str| {
        let mut request: Request = post("/oauth/consent", &form);
        request.headers.insert(name, HeaderValue::from_static(value));
        request
    };
    for request in [
        with(ORIGIN.as_str(), "https://evil.test"),
        with("sec-fetch-site", "cross-site"),
        with("sec-fetch-site", "same-site"),
        with("content-type", "text/plain"),
    ] {
        let answer = mine.send(&authority, request, now()).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    }
    let answer = mine.send(&authority, with(ORIGIN.as_str(), "http://localhost:8080"), now()).await;
    assert_eq!(answer.status(), StatusCode::OK, "from the page itself");
    // Neither in the query.
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let answer = mine.get(&authority, &format!("/oauth/consent?{query}")).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn clickjacking_no_page_is_shown_in_a_frame() {
    let authority = local_authority("").await;
    let mut ann = Visitor::default();
    let page = ann.get(&authority, &format!("/oauth/authorize?{}", query(&[]))).await;
    let login = ann.decide(&authority, &page, "approve").await;
    let problem = ann.get(&authority, "/oauth/authorize").await;
    for response in [&page, &login, &problem] {
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"),
            "{policy}"
        );
        assert_eq!(response.headers()[X_FRAME_OPTIONS], "DENY");
        assert!(!text(response).contains("<script"));
    }
    let cookie = page.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
}

#[tokio::test]
async fn state_replay_what_was_approved_is_good_once_in_its_own_browser_and_not_for_long() {
    let authority = local_authority("").await;
    let approved = async |visitor: &mut Visitor| {
        let page = visitor.get(&authority, &format!("/oauth/authorize?{}", query(&[]))).await;
        let login = visitor.decide(&authority, &page, "approve").await;
        (hidden(&login, "return_to"), login)
    };
    let mut ann = Visitor::default();
    let (ticket, login) = approved(&mut ann).await;
    // Another browser, in which somebody is logged in, even.
    let mut bob = Visitor::default();
    bob.approve(&authority, &query(&[]), "bob").await;
    let answer = bob.get(&authority, &ticket).await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::BAD_REQUEST, None));
    // It is gone, for its own browser, too.
    let answer = ann.log_in(&authority, &login, "ann").await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::BAD_REQUEST, None));
    // Twice.
    let (ticket, login) = approved(&mut Visitor::default()).await;
    assert!(ticket.starts_with("/oauth/consent?ticket="), "{ticket}");
    drop(login);
    let mut eve = Visitor::default();
    let (ticket, login) = approved(&mut eve).await;
    assert!(location(&eve.log_in(&authority, &login, "ann").await).is_some());
    assert_eq!(eve.get(&authority, &ticket).await.status(), StatusCode::BAD_REQUEST);
    // Too late.
    let mut ann = Visitor::default();
    ann.approve(
        &authority,
        &query(&[("client_id", "native"), ("redirect_uri", "http://127.0.0.1/cb")]),
        "ann",
    )
    .await;
    let page = ann.get(&authority, &format!("/oauth/authorize?{}", query(&[("prompt", "login")]))).await;
    let login = ann.decide(&authority, &page, "approve").await;
    let late = now() + Duration::from_secs(601);
    let answer = ann.send(&authority, get(&hidden(&login, "return_to")), late).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_user_who_says_no_is_taken_at_their_word() {
    let authority = local_authority("").await;
    let mut ann = Visitor::default();
    let page = ann.get(&authority, &format!("/oauth/authorize?{}", query(&[]))).await;
    let answer = ann.decide(&authority, &page, "deny").await;
    let back = location(&answer).unwrap();
    assert_eq!(param(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(param(&back, "iss").as_deref(), Some(ISSUER));
    assert_eq!(result(&answer), "access_denied");
}

#[tokio::test]
async fn redirect_tricks_nothing_is_sent_to_an_address_that_is_not_the_clients() {
    let authority = local_authority("").await;
    for (client, redirect) in [
        ("web", ""),
        ("web", "https://evil.test/cb"),
        ("web", "https://app.example/cb/"),
        ("web", "https://app.example/cb?x=1"),
        ("web", "https://app.example/cb#x"),
        ("web", "https://app.example.evil.test/cb"),
        ("web", "https://app.example@evil.test/cb"),
        ("web", "https://other.example/cb"),
        ("web", "http://app.example/cb"),
        ("web", "javascript:alert(1)"),
        ("web", "http://127.0.0.1/cb"),
        ("native", "http://localhost/cb"),
        ("native", "http://127.0.0.1:1/cb/x"),
        ("nobody", "https://app.example/cb"),
        ("", "https://app.example/cb"),
        ("https://evil.test/client", "https://evil.test/cb"),
        ("agent", "https://app.example/cb"),
    ] {
        // Even a request that is bad otherwise is not answered there.
        for prompt in ["", "none"] {
            let query = query(&[("client_id", client), ("redirect_uri", redirect), ("prompt", prompt)]);
            let answer = Visitor::default().get(&authority, &format!("/oauth/authorize?{query}")).await;
            assert_eq!(
                (answer.status(), location(&answer)),
                (StatusCode::BAD_REQUEST, None),
                "{client} {redirect}"
            );
            assert!(answer.headers().get(LOCATION).is_none());
        }
    }
    let twice = format!("{}&redirect_uri=https://evil.test/", query(&[]));
    let answer = Visitor::default().get(&authority, &format!("/oauth/authorize?{twice}")).await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::BAD_REQUEST, None));
    let twice = format!("{}&client_id=other", query(&[]));
    let answer = Visitor::default().get(&authority, &format!("/oauth/authorize?{twice}")).await;
    assert_eq!((answer.status(), location(&answer)), (StatusCode::BAD_REQUEST, None));
}

#[tokio::test]
async fn mix_up_every_answer_says_whose_it_is_and_the_state_comes_back_as_it_was() {
    let authority = local_authority("").await;
    let state = "a b&c=d#\u{e9}%00\"<>";
    for (changes, expected) in [
        (("response_type", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", "code id_token"), "unsupported_response_type"),
        (("response_mode", "fragment"), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", "s256"), "invalid_request"),
        (("resource", ""), "invalid_target"),
        (("resource", "https://elsewhere.example/"), "invalid_target"),
        (("resource", "http://localhost:8080/open"), "invalid_target"),
        (("resource", "http://localhost:8080/docs#x"), "invalid_target"),
        (("scope", "mcp:nothing"), "invalid_scope"),
        (("scope", "a\"b"), "invalid_scope"),
        (("request", "eyJ"), "request_not_supported"),
        (("request_uri", "https://app.example/r"), "request_uri_not_supported"),
        (("prompt", "none"), "login_required"),
        (("prompt", "none login"), "invalid_request"),
        (("prompt", "create"), "invalid_request"),
    ] {
        let query = query(&[changes, ("state", state)]);
        let answer = Visitor::default().get(&authority, &format!("/oauth/authorize?{query}")).await;
        let back = location(&answer).unwrap_or_else(|| panic!("{changes:?}"));
        assert_eq!(param(&back, "error").as_deref(), Some(expected), "{changes:?}");
        assert_eq!(param(&back, "iss").as_deref(), Some(ISSUER), "{changes:?}");
        assert_eq!(param(&back, "state").as_deref(), Some(state), "{changes:?}");
        assert_eq!(back.host_str(), Some("app.example"));
        assert_eq!(param(&back, "code"), None);
    }
    for (extra, expected) in
        [("&scope=x", "invalid_request"), ("&resource=http://localhost:8080/docs", "invalid_target")]
    {
        let answer =
            Visitor::default().get(&authority, &format!("/oauth/authorize?{}{extra}", query(&[]))).await;
        assert_eq!(error(&answer).as_deref(), Some(expected));
    }
    let long = query(&[("state", &"s".repeat(1025))]);
    let back =
        location(&Visitor::default().get(&authority, &format!("/oauth/authorize?{long}")).await).unwrap();
    assert_eq!((param(&back, "error").as_deref(), param(&back, "state")), (Some("invalid_request"), None));
}

#[tokio::test]
async fn code_injection_a_code_is_good_only_for_whoever_began() {
    let authority = local_authority("").await;
    let code =
        async || param(&Visitor::default().approve(&authority, &query(&[]), "ann").await, "code").unwrap();
    for changes in [
        ("client_id", "other"),
        ("redirect_uri", "https://other.example/cb"),
        ("redirect_uri", "https://app.example/cb?x"),
        ("code_verifier", &"w".repeat(43) as &str),
        ("code_verifier", &pkce().1),
        ("code_verifier", "v"),
    ] {
        let code = code().await;
        let answer = redeem(&authority, &code, &[changes]).await;
        assert_eq!(fixtures::json(&answer)["error"], "invalid_grant", "{changes:?}");
        let answer = redeem(&authority, &code, &[]).await;
        assert_eq!(fixtures::json(&answer)["error"], "invalid_grant", "it is burnt: {changes:?}");
    }
    for changes in [("code_verifier", ""), ("redirect_uri", ""), ("code", "")] {
        let answer = redeem(&authority, &code().await, &[changes]).await;
        assert_eq!(fixtures::json(&answer)["error"], "invalid_request", "{changes:?}");
    }
    let answer = redeem(&authority, &code().await, &[("resource", "http://localhost:8080/tools")]).await;
    assert_eq!(fixtures::json(&answer)["error"], "invalid_target");
    let late = now() + Duration::from_secs(60);
    let (verifier, _) = pkce();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code().await),
        ("redirect_uri", "https://app.example/cb"),
        ("client_id", "web"),
        ("code_verifier", &verifier),
    ];
    let answer = authority.answer(post("/oauth/token", &form), late).await;
    assert_eq!(fixtures::json(&answer)["error"], "invalid_grant", "a minute later");
}

#[tokio::test]
async fn code_reuse_ends_what_was_made_of_it() {
    let authority = local_authority("").await;
    let code = param(&Visitor::default().approve(&authority, &query(&[]), "ann").await, "code").unwrap();
    let tokens = fixtures::json(&redeem(&authority, &code, &[]).await);
    let access = tokens["access_token"].as_str().unwrap();
    assert!(authority.claims(access, now()).is_some());
    let again = redeem(&authority, &code, &[("client_id", "other")]).await;
    assert_eq!(fixtures::json(&again)["error"], "invalid_grant");
    assert!(authority.claims(access, now()).is_none(), "the access token is taken back");
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", "web")];
    let answer = authority.answer(post("/oauth/token", &form), now()).await;
    assert_eq!(fixtures::json(&answer)["error"], "invalid_grant", "and the refresh token");
}

#[tokio::test]
async fn of_many_that_show_one_code_at_once_none_keeps_tokens_but_the_first() {
    let authority = local_authority("").await;
    let code = param(&Visitor::default().approve(&authority, &query(&[]), "ann").await, "code").unwrap();
    let tries = (0..8).map(|_| redeem(&authority, &code, &[]));
    let mut good = 0;
    for answer in futures_join(tries).await {
        good += usize::from(answer.status() == StatusCode::OK);
    }
    assert_eq!(good, 1);
}

async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = futures.map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in pinned.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(cx)
            {
                *output = Some(done);
            }
        }
        if outputs.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_user_gets_what_grants_and_tenants_allow_and_no_more() {
    let authority = local_authority("").await;
    let scope = async |user: &str, changes: &[(&str, &str)]| {
        let back = Visitor::default().approve(&authority, &query(changes), user).await;
        if let Some(error) = param(&back, "error") {
            return error;
        }
        let redirect = back.as_str().split('?').next().unwrap().to_owned();
        let client = changes.iter().find(|(name, _)| *name == "client_id").map_or("web", |(_, id)| id);
        let answer = redeem(
            &authority,
            &param(&back, "code").unwrap(),
            &[("client_id", client), ("redirect_uri", &redirect)],
        )
        .await;
        fixtures::json(&answer)["scope"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        scope("ann", &[("scope", "mcp:read mcp:write nonsense offline_access")]).await,
        "mcp:read mcp:write"
    );
    assert_eq!(scope("bob", &[("scope", "mcp:read mcp:write")]).await, "mcp:read", "bob is not staff");
    assert_eq!(scope("bob", &[("scope", "mcp:write")]).await, "invalid_scope");
    assert_eq!(scope("ann", &[("scope", "")]).await, "mcp:read", "what the route needs");
    assert_eq!(
        scope("gus", &[("resource", "http://localhost:8080/tools"), ("scope", "")]).await,
        "access_denied"
    );
    let limited = [
        ("client_id", "limited"),
        ("redirect_uri", "https://limited.example/cb"),
        ("scope", "mcp:read mcp:write"),
    ];
    assert_eq!(scope("ann", &limited).await, "mcp:read", "the client may have no more");
}

#[tokio::test]
async fn clients_of_2025_03_26_need_no_resource_where_there_is_but_one() {
    let authority = local_authority("").await;
    let page =
        Visitor::default().get(&authority, &format!("/authorize?{}", query(&[("resource", "")]))).await;
    assert_eq!(error(&page).as_deref(), Some("invalid_target"), "there are two");
    let page = Visitor::default().get(&authority, &format!("/authorize?{}", query(&[]))).await;
    assert_eq!((page.status(), location(&page)), (StatusCode::OK, None));
}
