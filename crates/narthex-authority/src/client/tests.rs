//! Registration, and documents that are fetched.

use crate::fixtures::{
    self, ISSUER, Visitor, authority, json, local_config, location, now, param, post_json, query, result,
    text,
};
use crate::{Authority, Response};
use ::http::{HeaderValue, StatusCode};
use serde_json::{Value, json as value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const OPEN: &str =
    "    dynamic_registration: { redirect_hosts: [app.example, '*.example.org'], rate: 1000/1h, most: 5 }";

fn client() -> Value {
    value!({"redirect_uris": ["http://127.0.0.1/cb"], "client_name": "A client", "token_endpoint_auth_method": "none"})
}

async fn register(authority: &Authority, client: &Value, at: SystemTime) -> Response {
    authority.answer(post_json("/oauth/register", client), at).await
}

#[expect(clippy::needless_pass_by_value, reason = "so that calls can say value!(…) without a borrow")]
fn with(changes: Value) -> Value {
    let mut client = client();
    for (name, value) in changes.as_object().unwrap() {
        client[name] = value.clone();
    }
    client
}

#[tokio::test]
async fn nobody_registers_where_that_is_not_said() {
    let authority = authority("").await;
    let answer = register(&authority, &client(), now()).await;
    assert_eq!(result(&answer), "invalid_client_metadata");
    let metadata =
        json(&authority.answer(fixtures::get("/.well-known/oauth-authorization-server"), now()).await);
    assert_eq!(metadata.get("registration_endpoint"), None);
}

#[tokio::test]
async fn a_client_registers_and_is_known_from_then_on() {
    let authority = authority(OPEN).await;
    let answer = register(&authority, &client(), now()).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", text(&answer));
    let registered = json(&answer);
    let id = registered["client_id"].as_str().unwrap();
    assert_eq!(registered["grant_types"], value!(["authorization_code", "refresh_token"]));
    assert_eq!(registered.get("client_secret"), None);
    let found = authority.clients.find(id, None, now()).await.unwrap().unwrap();
    assert!(!found.is_confidential() && found.refresh);
    for (method, confidential) in
        [("client_secret_basic", true), ("client_secret_post", true), ("none", false)]
    {
        let registered =
            json(&register(&authority, &with(value!({"token_endpoint_auth_method": method})), now()).await);
        assert_eq!(registered["client_secret"].is_string(), confidential);
        let found = authority.clients.find(registered["client_id"].as_str().unwrap(), None, now()).await;
        assert_eq!(found.unwrap().unwrap().is_confidential(), confidential);
    }
}

#[tokio::test]
async fn a_registration_that_could_be_misused_is_refused() {
    let authority = authority(OPEN).await;
    for (changes, expected) in [
        (value!({"redirect_uris": []}), "invalid_redirect_uri"),
        (value!({"redirect_uris": null}), "invalid_redirect_uri"),
        (value!({"redirect_uris": ["https://evil.test/cb"]}), "invalid_redirect_uri"),
        (value!({"redirect_uris": ["https://example.org/cb"]}), "invalid_redirect_uri"),
        (
            value!({"redirect_uris": ["https://app.example/cb", "javascript:alert(1)"]}),
            "invalid_redirect_uri",
        ),
        (value!({"redirect_uris": ["http://127.0.0.1/cb", "http://evil.test/cb"]}), "invalid_redirect_uri"),
        (value!({"redirect_uris": ["https://evil.test/cb", "cursor://x/cb"]}), "invalid_redirect_uri"),
        (value!({"redirect_uris": ["javascript:alert(1)"]}), "invalid_redirect_uri"),
        (value!({"redirect_uris": ["http://app.example/cb"]}), "invalid_redirect_uri"),
        (value!({"redirect_uris": ["cursor://x/cb"]}), "invalid_redirect_uri"),
        (value!({"redirect_uris": vec!["http://127.0.0.1/cb"; 17]}), "invalid_redirect_uri"),
        (value!({"grant_types": ["implicit"]}), "invalid_client_metadata"),
        (value!({"grant_types": ["authorization_code", "password"]}), "invalid_client_metadata"),
        (value!({"grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer"]}), "invalid_client_metadata"),
        (value!({"response_types": ["token"]}), "invalid_client_metadata"),
        (value!({"token_endpoint_auth_method": "private_key_jwt"}), "invalid_client_metadata"),
        (value!({"token_endpoint_auth_method": "tls_client_auth"}), "invalid_client_metadata"),
        (value!({"client_name": "x".repeat(600)}), "invalid_client_metadata"),
        (value!({"client_name": 7}), "invalid_client_metadata"),
    ] {
        let answer = register(&authority, &with(changes.clone()), now()).await;
        assert_eq!(result(&answer), expected, "{changes}");
    }
    for body in ["", "[]", "null", "{\"redirect_uris\":"] {
        let mut request = post_json("/oauth/register", &client());
        request.body = body.into();
        assert_eq!(result(&authority.answer(request, now()).await), "invalid_client_metadata", "{body}");
    }
    for good in ["https://app.example/cb", "https://a.example.org/cb", "com.example.app:/cb"] {
        let answer = register(&authority, &with(value!({"redirect_uris": [good]})), now()).await;
        assert_eq!(answer.status(), StatusCode::CREATED, "{good}");
    }
}

#[tokio::test]
async fn a_scheme_without_a_dot_has_to_be_named_by_the_operator() {
    let named = "    dynamic_registration: { redirect_schemes: [cursor, javascript] }";
    let authority = authority(named).await;
    let uri = "cursor://anysphere.cursor-mcp/oauth/callback";
    let answer = register(&authority, &with(value!({"redirect_uris": [uri]})), now()).await;
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", text(&answer));
    let id = json(&answer)["client_id"].as_str().unwrap().to_owned();
    assert!(authority.clients.find(&id, None, now()).await.unwrap().unwrap().redirect(uri).is_some());
    for other in ["vscode://x/cb", "javascript:alert(1)", "cursor2://x/cb", "cursor://x/../cb"] {
        let answer = register(&authority, &with(value!({"redirect_uris": [other]})), now()).await;
        assert_eq!(result(&answer), "invalid_redirect_uri", "{other}");
    }
}

#[tokio::test]
async fn what_a_client_may_not_come_back_to_is_left_out_of_its_registration() {
    let authority = authority(OPEN).await;
    let asked = value!({"redirect_uris": [
        "https://evil.test/cb", "http://127.0.0.1/cb", "cursor://x/cb", "https://app.example/cb"
    ]});
    let registered = json(&register(&authority, &with(asked), now()).await);
    assert_eq!(registered["redirect_uris"], value!(["http://127.0.0.1/cb", "https://app.example/cb"]));
    let found = authority.clients.find(registered["client_id"].as_str().unwrap(), None, now()).await;
    let found = found.unwrap().unwrap();
    for (uri, is_known) in [
        ("http://127.0.0.1:4711/cb", true),
        ("https://app.example/cb", true),
        ("https://evil.test/cb", false),
        ("cursor://x/cb", false),
    ] {
        assert_eq!(found.redirect_uris.iter().any(|known| known.matches(uri)), is_known, "{uri}");
    }
}

/// What programs register, as their makers publish it: VS Code (`fetchDynamicRegistration` of its source) and Cursor
/// (its documentation, and the scheme that its older versions have beside it).
#[tokio::test]
async fn vs_code_and_cursor_register_as_they_do_and_come_back_to_the_machine_they_are_on() {
    let authority = authority("    dynamic_registration: {}").await;
    let programs = [
        (
            value!({"client_name": "Visual Studio Code", "client_uri": "https://code.visualstudio.com",
                "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                "redirect_uris": ["https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect",
                    "http://localhost/", "http://127.0.0.1/", "http://localhost:33418/", "http://127.0.0.1:33418/"],
                "token_endpoint_auth_method": "none", "application_type": "native"}),
            "http://127.0.0.1:59656/",
            "https://vscode.dev/redirect",
        ),
        (
            value!({"client_name": "Cursor", "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"], "token_endpoint_auth_method": "none",
                "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback",
                    "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"]}),
            "http://localhost:8787/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
        ),
    ];
    for (asked, here, elsewhere) in programs {
        let answer = register(&authority, &asked, now()).await;
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", text(&answer));
        let id = json(&answer)["client_id"].as_str().unwrap().to_owned();
        let found = authority.clients.find(&id, None, now()).await.unwrap().unwrap();
        assert!(found.redirect_uris.iter().any(|known| known.matches(here)), "{here}");
        assert!(!found.redirect_uris.iter().any(|known| known.matches(elsewhere)), "{elsewhere}");
    }
}

#[tokio::test]
async fn dcr_flood_of_one_address_is_stopped_and_of_many_is_bounded() {
    let limited = authority("    dynamic_registration: { rate: 3/1h }").await;
    let from = |peer: &str| {
        let mut request = post_json("/oauth/register", &client());
        request.peer = Some(peer.parse().unwrap());
        request
    };
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(result(&limited.answer(from("192.0.2.1"), now()).await));
    }
    assert_eq!(answers.iter().filter(|answer| **answer == "ok").count(), 3);
    assert_eq!(answers.last(), Some(&"slow_down"));
    assert_eq!(result(&limited.answer(from("192.0.2.2"), now()).await), "ok", "others can");

    let bounded = authority(OPEN).await;
    let mut kept = Vec::new();
    for peer in 0..20 {
        let answer = bounded.answer(from(&format!("198.51.100.{peer}")), now()).await;
        if answer.status() == StatusCode::CREATED {
            kept.push(json(&answer)["client_id"].as_str().unwrap().to_owned());
        } else {
            assert_eq!(result(&answer), "temporarily_unavailable");
        }
    }
    assert_eq!(kept.len(), 5);
    // When those that nobody used have ended, others can.
    let later = now() + Duration::from_secs(31 * 24 * 3600);
    assert_eq!(register(&bounded, &client(), later).await.status(), StatusCode::CREATED);
    assert!(bounded.clients.find(&kept[0], None, later).await.unwrap().is_none(), "it is forgotten");
}

#[tokio::test]
async fn a_client_that_is_used_is_kept() {
    let authority = authority("    dynamic_registration: { unused: 10h, rate: 100/1h }").await;
    let id = json(&register(&authority, &client(), now()).await)["client_id"].as_str().unwrap().to_owned();
    let dynamic = authority.clients.dynamic.as_ref().unwrap();
    let at = |hours: u64| now() + Duration::from_secs(hours * 3600);
    dynamic.touch(&id, at(6)).await.unwrap();
    assert!(authority.clients.find(&id, None, at(15)).await.unwrap().is_some());
    assert!(authority.clients.find(&id, None, at(16)).await.unwrap().is_none());
    dynamic.touch("dyn_unknown", at(6)).await.unwrap();
}

#[tokio::test]
async fn a_client_of_a_host_that_is_not_allowed_any_more_is_none() {
    let vault = fixtures::vault();
    let open = fixtures::build(&fixtures::config(OPEN), vault.clone());
    let id = async |uri: &str| {
        let answer = register(&open, &with(value!({"redirect_uris": [uri]})), now()).await;
        json(&answer)["client_id"].as_str().unwrap_or_else(|| panic!("{}", text(&answer))).to_owned()
    };
    let (gone, kept, local) = (
        id("https://app.example/cb").await,
        id("https://x.example.org/cb").await,
        id("http://127.0.0.1/cb").await,
    );
    let rules = "    dynamic_registration: { redirect_hosts: ['*.example.org'] }";
    let stricter = fixtures::build(&fixtures::config(rules), vault);
    let is_known = async |id: &str| stricter.clients.find(id, None, now()).await.unwrap().is_some();
    assert!(!is_known(&gone).await);
    assert!(is_known(&kept).await && is_known(&local).await);
}

#[tokio::test]
async fn who_registers_may_have_to_show_a_token() {
    let authority = authority("    dynamic_registration: { initial_access_token: { env: S } }").await;
    let ask = async |value: Option<&str>| {
        let mut request = post_json("/oauth/register", &client());
        if let Some(value) = value {
            request.headers.insert("authorization", HeaderValue::from_str(value).unwrap());
        }
        result(&authority.answer(request, now()).await)
    };
    for bad in [None, Some("Bearer wrong"), Some("Basic YTpi"), Some("Bearer"), Some(fixtures::SECRET)] {
        assert_eq!(ask(bad).await, "invalid_token", "{bad:?}");
    }
    assert_eq!(ask(Some(&format!("Bearer {}", fixtures::SECRET))).await, "ok");
}

#[tokio::test]
async fn metadata_says_what_is_there_and_nothing_else() {
    let authority = fixtures::local_authority(OPEN).await;
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let answer = authority.answer(fixtures::get(path), now()).await;
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        let metadata = json(&answer);
        let issuer = "http://localhost:8080";
        assert_eq!(metadata["issuer"], issuer);
        for (name, path) in [
            ("authorization_endpoint", "/oauth/authorize"),
            ("token_endpoint", "/oauth/token"),
            ("registration_endpoint", "/oauth/register"),
            ("revocation_endpoint", "/oauth/revoke"),
            ("introspection_endpoint", "/oauth/introspect"),
            ("jwks_uri", "/oauth/jwks"),
        ] {
            assert_eq!(metadata[name], format!("{issuer}{path}"), "{name}");
        }
        assert_eq!(metadata["code_challenge_methods_supported"], value!(["S256"]));
        assert_eq!(metadata["response_types_supported"], value!(["code"]));
        assert_eq!(metadata["grant_types_supported"], value!(["authorization_code", "refresh_token"]));
        assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
        assert_eq!(metadata["client_id_metadata_document_supported"], false);
        assert_eq!(metadata["request_uri_parameter_supported"], false);
        assert_eq!(metadata["scopes_supported"], value!(["mcp:read", "mcp:write", "offline_access"]));
        assert_eq!(metadata.get("authorization_grant_profiles_supported"), None);
    }
    let jwks = json(&authority.answer(fixtures::get("/oauth/jwks"), now()).await);
    assert_eq!(jwks["keys"][0]["kty"], "EC");
    assert_eq!(jwks["keys"][0].get("d"), None);
    let mut preflight = fixtures::get("/oauth/token");
    preflight.method = ::http::Method::OPTIONS;
    let answer = authority.answer(preflight, now()).await;
    assert_eq!(
        (answer.status(), &answer.headers()["access-control-allow-methods"]),
        (StatusCode::NO_CONTENT, &HeaderValue::from_static("POST, OPTIONS"))
    );
    assert_eq!(answer.headers().get("access-control-allow-credentials"), None);
    let page = authority.answer(fixtures::get("/oauth/authorize"), now()).await;
    assert_eq!(page.headers().get("access-control-allow-origin"), None);
    assert!(ISSUER.starts_with("https"));
}

/// What a server answers, given the URL of its document.
type Page = Box<dyn Fn(&str) -> String + Send>;

/// A server of one document, that counts how often it is asked.
async fn server(answer: impl Fn(&str) -> String + Send + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let id = format!("http://{}/client.json", listener.local_addr().unwrap());
    let (count, url) = (Arc::new(AtomicUsize::new(0)), id.clone());
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer(&url).as_bytes()).await;
        }
    });
    (id, count)
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn document(id: &str) -> String {
    value!({
        "client_id": id, "client_name": "Docs App", "redirect_uris": ["https://docs-app.example/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
    })
    .to_string()
}

async fn development() -> Authority {
    let config = local_config("    metadata_documents: { allow_loopback: true }");
    let authority = fixtures::build(&config, fixtures::vault());
    authority.refresh(now()).await;
    authority
}

#[tokio::test]
async fn a_client_with_a_document_is_fetched_once_shown_and_remembered() {
    let (id, count) = server(|id| {
        http("200 OK", "Content-Type: application/json\r\nCache-Control: max-age=120\r\n", &document(id))
    })
    .await;
    let authority = development().await;
    let asked = query(&[("client_id", &id), ("redirect_uri", "https://docs-app.example/cb")]);
    let page = Visitor::default().get(&authority, &format!("/oauth/authorize?{asked}")).await;
    assert!(text(&page).contains("Docs App") && text(&page).contains("docs-app.example"), "{}", text(&page));
    let back = Visitor::default().approve(&authority, &asked, "ann").await;
    assert!(param(&back, "code").is_some());
    assert_eq!(count.load(Ordering::Relaxed), 1);
    authority.clients.find(&id, None, now() + Duration::from_secs(119)).await.unwrap().unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1);
    authority.clients.find(&id, None, now() + Duration::from_secs(121)).await.unwrap().unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 2);
    let elsewhere = query(&[("client_id", &id), ("redirect_uri", "https://evil.test/cb")]);
    let page = Visitor::default().get(&authority, &format!("/oauth/authorize?{elsewhere}")).await;
    assert_eq!(location(&page), None);
}

#[tokio::test]
async fn a_document_that_is_no_good_is_not_asked_for_again_and_again() {
    let json_type = "Content-Type: application/json\r\n";
    let bad: [(&str, Page); 8] = [
        ("redirect", Box::new(|id| http("302 Found", &format!("Location: {id}?x\r\n"), ""))),
        ("not found", Box::new(move |id| http("404 Not Found", json_type, &document(id)))),
        ("html", Box::new(|id| http("200 OK", "Content-Type: text/html\r\n", &document(id)))),
        ("no type", Box::new(|id| http("200 OK", "", &document(id)))),
        (
            "other id",
            Box::new(move |_| http("200 OK", json_type, &document("http://127.0.0.1:1/client.json"))),
        ),
        (
            "large",
            Box::new(move |id| http("200 OK", json_type, &format!("{}{}", document(id), " ".repeat(70_000)))),
        ),
        ("broken", Box::new(|_| "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_owned())),
        ("server error", Box::new(|_| http("500 Oops", "", ""))),
    ];
    for (name, answer) in bad {
        let (id, count) = server(answer).await;
        let authority = development().await;
        for _ in 0..5 {
            assert!(authority.clients.find(&id, None, now()).await.unwrap().is_none(), "{name}");
        }
        assert_eq!(count.load(Ordering::Relaxed), 1, "{name}");
    }
}

#[tokio::test]
async fn an_old_document_serves_while_its_server_is_down_for_a_day_however_often_it_is_asked_for() {
    let is_down = Arc::new(AtomicBool::new(false));
    let down = Arc::clone(&is_down);
    let (id, _) = server(move |id| match down.load(Ordering::Relaxed) {
        false => {
            http("200 OK", "Content-Type: application/json\r\nCache-Control: max-age=60\r\n", &document(id))
        }
        true => http("503 Down", "", ""),
    })
    .await;
    let authority = development().await;
    let found = async |seconds: u64| {
        let at = now() + Duration::from_secs(seconds);
        authority.lasting.fetcher.sweep(at);
        authority.clients.find(&id, None, at).await.unwrap().is_some()
    };
    assert!(found(0).await);
    is_down.store(true, Ordering::Relaxed);
    // Every hour somebody asks.
    for hour in 1..=24 {
        assert!(found(hour * 3600).await, "{hour}");
    }
    assert!(!found(24 * 3600 + 61).await, "that is not for ever");
    is_down.store(false, Ordering::Relaxed);
    assert!(found(24 * 3600 + 200).await, "it is back");
}

#[tokio::test]
async fn loopback_documents_are_for_development() {
    let (id, count) = server(|id| {
        http("200 OK", "Content-Type: application/json\r\nCache-Control: max-age=60\r\n", &document(id))
    })
    .await;
    let authority = development().await;
    authority.clients.find(&id, None, now()).await.unwrap().unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1);
    let strict =
        fixtures::build(&local_config("    metadata_documents: { allow: ['*'] }"), fixtures::vault());
    assert!(strict.clients.find(&id, None, now()).await.unwrap().is_none());
    assert_eq!(count.load(Ordering::Relaxed), 1, "it was not even called");
}

#[tokio::test]
async fn who_has_many_documents_fetched_is_stopped() {
    let authority = development().await;
    let peer = Some("192.0.2.7".parse().unwrap());
    let mut refused = false;
    for port in 1..=70 {
        // Nobody listens there.
        refused |= authority.clients.find(&format!("http://127.0.0.1:{port}/c"), peer, now()).await.is_err();
    }
    assert!(refused);
}
