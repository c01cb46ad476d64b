//! Logins at an identity provider, good and hostile.

use crate::login::fixtures::{
    Visitor, body, config, get, hidden, local, login, onward, parts, post, provider, tenant, vault,
};
use crate::login::{Anew, Login, Session};
use crate::{Request, Response};
use ::http::StatusCode;
use narthex_config::model::{self, LoginTenant, OAuthClientAuth};
use narthex_testkit::{Alg, Endpoint, Jws, LoginScript, MockIdp, SigningKeys, Trouble};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use url::Url;

/// A gateway where users log in at `idp` alone.
fn gateway(idp: &MockIdp) -> Login {
    login(&config(vec![provider("corp", idp.issuer())], vec![]))
}

async fn at_the_provider(url: &str) -> String {
    let egress = parts(vault()).egress;
    let answer = egress.get(&Url::parse(url).unwrap(), "text/html").await.unwrap();
    answer.headers["location"].to_str().unwrap().to_owned()
}

/// The request of a browser that is sent back to `url`.
fn callback(url: &str) -> Request {
    get(url.strip_prefix("http://localhost:8080/gw").unwrap())
}

/// From the first page to the answer of the provider, which is not used yet.
async fn to_the_callback(login: &Login, visitor: &mut Visitor, now: SystemTime) -> String {
    let page = login.begin("/oauth/authorize?x=1", Anew::No, &visitor.headers(), now).await.unwrap();
    visitor.take(&page);
    at_the_provider(&onward(&page)).await
}

async fn log_in(login: &Login, visitor: &mut Visitor, now: SystemTime) -> Response {
    let back = to_the_callback(login, visitor, now).await;
    visitor.send(login, callback(&back), now).await
}

async fn session(login: &Login, visitor: &Visitor, now: SystemTime) -> Option<Session> {
    login.user(&visitor.headers(), now).await.unwrap()
}

/// What a login that is scripted so comes to; nobody is logged in after it.
async fn refused(idp: &MockIdp, script: LoginScript) -> (StatusCode, String) {
    idp.log_in_as(script);
    let (login, now, mut visitor) = (gateway(idp), SystemTime::now(), Visitor::default());
    let page = log_in(&login, &mut visitor, now).await;
    assert!(session(&login, &visitor, now).await.is_none());
    (page.status(), body(&page).to_owned())
}

#[tokio::test]
async fn a_user_logs_in_at_the_only_provider_and_comes_back() {
    let idp = MockIdp::start().await;
    let (login, now, mut visitor) = (gateway(&idp), SystemTime::now(), Visitor::default());
    let page = log_in(&login, &mut visitor, now).await;
    assert_eq!(page.status(), StatusCode::SEE_OTHER, "{}", body(&page));
    assert_eq!(page.headers()["location"], "/gw/oauth/authorize?x=1");
    let user = session(&login, &visitor, now).await.unwrap().user;
    assert_eq!((user.subject.as_str(), user.tenant.as_str()), ("corp|alice", "acme"));
    assert_eq!((user.name.as_str(), user.groups), ("Alice Example", vec!["staff".to_owned()]));
    assert_eq!((user.provider_issuer.as_str(), user.provider_subject.as_str()), (idp.issuer(), "alice"));
}

#[tokio::test]
async fn the_provider_is_asked_with_pkce_a_nonce_and_a_state_that_are_new_each_time() {
    let idp = MockIdp::start().await;
    let login = gateway(&idp);
    let mut seen: Vec<BTreeMap<String, String>> = Vec::new();
    for _ in 0..2 {
        let page = login
            .begin("/connections", Anew::No, &Visitor::default().headers(), SystemTime::now())
            .await
            .unwrap();
        let url = Url::parse(&onward(&page)).unwrap();
        seen.push(url.query_pairs().into_owned().collect());
    }
    let fixed = [
        ("response_type", "code"),
        ("client_id", "narthex"),
        ("redirect_uri", "http://localhost:8080/gw/login/callback/corp"),
        ("scope", "openid profile"),
        ("code_challenge_method", "S256"),
    ];
    for asked in &seen {
        for (name, value) in fixed {
            assert_eq!(asked[name], value);
        }
        assert!(!asked.contains_key("prompt") && !asked.contains_key("resource"));
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(seen[0][name].len(), 43, "{name}");
        assert_ne!(seen[0][name], seen[1][name], "{name}");
    }
}

#[tokio::test]
async fn with_several_providers_the_user_chooses_first() {
    let (one, other) = (MockIdp::start().await, MockIdp::start().await);
    let providers = vec![provider("one", one.issuer()), provider("other", other.issuer())];
    let (login, now, mut visitor) =
        (login(&config(providers, vec![])), SystemTime::now(), Visitor::default());
    let page = visitor.send(&login, get("/login"), now).await;
    assert_eq!(one.hits(Endpoint::OidcMetadata) + other.hits(Endpoint::OidcMetadata), 0);
    let form =
        [("csrf", hidden(&page, "csrf")), ("return_to", hidden(&page, "return_to")), ("provider", "other")];
    let page = visitor.send(&login, post("/login", &form), now).await;
    let back = at_the_provider(&onward(&page)).await;
    visitor.send(&login, callback(&back), now).await;
    assert_eq!(session(&login, &visitor, now).await.unwrap().user.subject, "other|alice");
    let nobody = [("csrf", form[0].1), ("return_to", form[1].1), ("provider", "none")];
    assert_eq!(visitor.send(&login, post("/login", &nobody), now).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_state_is_good_once() {
    let idp = MockIdp::start().await;
    let (login, now, mut visitor) = (gateway(&idp), SystemTime::now(), Visitor::default());
    let back = to_the_callback(&login, &mut visitor, now).await;
    let mut again = visitor.clone();
    assert_eq!(visitor.send(&login, callback(&back), now).await.status(), StatusCode::SEE_OTHER);
    let page = again.send(&login, callback(&back), now).await;
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    assert!(body(&page).contains("This sign-in is over"));
    assert!(session(&login, &again, now).await.is_none());
}

#[tokio::test]
async fn a_state_of_another_browser_logs_nobody_in() {
    let idp = MockIdp::start().await;
    let (login, now) = (gateway(&idp), SystemTime::now());
    let (mut attacker, mut victim) = (Visitor::default(), Visitor::default());
    let back = to_the_callback(&login, &mut attacker, now).await;
    // The attacker's own login in the victim's browser (login CSRF), and in one without a cookie.
    to_the_callback(&login, &mut victim, now).await;
    let page = victim.send(&login, callback(&back), now).await;
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    assert!(body(&page).contains("another browser"));
    assert!(session(&login, &victim, now).await.is_none());
    // Used up by that.
    assert_eq!(attacker.send(&login, callback(&back), now).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(idp.token_calls().len(), 0, "no code was redeemed");
}

#[tokio::test]
async fn an_answer_of_one_provider_at_the_callback_of_another_is_refused() {
    let (honest, attacker) = (MockIdp::start().await, MockIdp::start().await);
    let providers = vec![provider("honest", honest.issuer()), provider("attacker", attacker.issuer())];
    let (login, now, mut visitor) =
        (login(&config(providers, vec![])), SystemTime::now(), Visitor::default());
    let page = visitor.send(&login, get("/login"), now).await;
    let form = [("csrf", hidden(&page, "csrf")), ("return_to", "/connections"), ("provider", "honest")];
    let page = visitor.send(&login, post("/login", &form), now).await;
    let back = at_the_provider(&onward(&page)).await.replace("/callback/honest", "/callback/attacker");
    let page = visitor.send(&login, callback(&back), now).await;
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    assert!(session(&login, &visitor, now).await.is_none());
    assert_eq!((honest.token_calls().len(), attacker.token_calls().len()), (0, 0), "the code went nowhere");
}

#[tokio::test]
async fn an_answer_that_names_another_issuer_or_none_though_it_should_is_refused() {
    let idp = MockIdp::start().await;
    let answer = |answer: Value| LoginScript { answer, ..LoginScript::default() };
    let (status, _) = refused(&idp, answer(json!({"iss": "https://evil.example"}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    // Not even its error is shown.
    let (status, page) =
        refused(&idp, answer(json!({"iss": "https://evil.example", "code": null, "error": "access_denied"})))
            .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(!page.contains("cancelled"));
    idp.change_metadata(json!({"authorization_response_iss_parameter_supported": true}));
    assert_eq!(refused(&idp, answer(json!({}))).await.0, StatusCode::BAD_REQUEST);
    idp.log_in_as(answer(json!({"iss": idp.issuer()})));
    let (login, now, mut visitor) = (gateway(&idp), SystemTime::now(), Visitor::default());
    assert_eq!(log_in(&login, &mut visitor, now).await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn callbacks_that_are_none_are_refused() {
    let idp = MockIdp::start().await;
    let (login, now) = (gateway(&idp), SystemTime::now());
    let mut visitor = Visitor::default();
    let back = to_the_callback(&login, &mut visitor, now).await;
    for query in ["", "?code=x", "?state=", "?code=x&state=unknown", "?state=a&state=b&code=x"] {
        let page = visitor.send(&login, get(&format!("/login/callback/corp{query}")), now).await;
        assert_eq!(page.status(), StatusCode::BAD_REQUEST, "{query}");
    }
    let twice = format!("{back}&code=other");
    assert_eq!(visitor.send(&login, callback(&twice), now).await.status(), StatusCode::BAD_REQUEST);
    let refusal = Url::parse(&back).unwrap();
    let state = refusal.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let hostile = format!("/login/callback/corp?state={state}&error=%3Cscript%3Ex&error_description=%3Cb%3E");
    let page = visitor.send(&login, get(&hostile), now).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
    assert!(!body(&page).contains("script") && !body(&page).contains("&lt;b"));
}

#[tokio::test]
async fn an_id_token_that_is_not_for_this_login_is_refused() {
    let idp = MockIdp::start().await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let cases = [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"aud": "another-client"}),
        json!({"aud": ["narthex", "another-client"]}),
        json!({"aud": ["narthex", "another-client"], "azp": "another-client"}),
        json!({"azp": "another-client"}),
        json!({"iss": "https://evil.example"}),
        json!({"iss": null}),
        json!({"exp": now - 3600}),
        json!({"exp": null}),
        json!({"iat": now + 3600}),
        json!({"nbf": now + 3600}),
        json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    ];
    for claims in cases {
        let (status, page) =
            refused(&idp, LoginScript { claims: claims.clone(), ..LoginScript::default() }).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{claims}");
        assert!(page.contains("did not answer as it should"), "{claims}");
    }
}

/// Whether an ID token for this very login, but signed so, logs somebody in.
async fn is_taken(idp: &MockIdp, sign: impl Fn(&Jws) -> String) -> bool {
    let (login, now, mut visitor) = (gateway(idp), SystemTime::now(), Visitor::default());
    let page = login.begin("/", Anew::No, &visitor.headers(), now).await.unwrap();
    visitor.take(&page);
    let url = onward(&page);
    let nonce =
        Url::parse(&url).unwrap().query_pairs().find(|(name, _)| name == "nonce").unwrap().1.into_owned();
    let claims = idp.id_claims("narthex", &nonce);
    let token = sign(&idp.jws(Alg::RS256, &claims).header(json!({"typ": "JWT"})));
    idp.log_in_as(LoginScript { id_token: Some(token), ..LoginScript::default() });
    visitor.send(&login, callback(&at_the_provider(&url).await), now).await;
    session(&login, &visitor, now).await.is_some()
}

#[tokio::test]
async fn an_id_token_that_the_provider_did_not_sign_is_refused() {
    let idp = MockIdp::start().await;
    let (keys, attacker) = (idp.keys(), SigningKeys::generate("attacker"));
    assert!(is_taken(&idp, |jws| jws.sign(&keys)).await, "the good one is taken");
    assert!(is_taken(&idp, |jws| jws.clone().header(json!({"typ": null})).sign(&keys)).await);
    let none = |alg: &str| {
        let alg = alg.to_owned();
        move |jws: &Jws| jws.clone().header(json!({"alg": alg})).signed_by(b"")
    };
    for alg in ["none", "None", "NONE", ""] {
        assert!(!is_taken(&idp, none(alg)).await, "alg {alg}");
    }
    assert!(!is_taken(&idp, |jws| jws.sign(&attacker)).await, "an attacker's key under our key id");
    let pem = keys.rsa_public_pem();
    let hmac = |jws: &Jws| jws.clone().header(json!({"alg": "HS256"})).sign_hmac(pem.as_bytes());
    assert!(!is_taken(&idp, hmac).await, "HMAC with the public key");
    let hmac =
        |jws: &Jws| jws.clone().header(json!({"alg": "HS256"})).sign_hmac(MockIdp::CLIENT.1.as_bytes());
    assert!(!is_taken(&idp, hmac).await, "HMAC with the client secret");
    let jwk = attacker.jwk(Alg::RS256);
    assert!(
        !is_taken(&idp, |jws| jws.clone().header(json!({"jwk": jwk})).sign(&attacker)).await,
        "its own key"
    );
    assert!(
        !is_taken(&idp, |jws| jws.clone().header(json!({"crit": ["x"], "x": 1})).sign(&keys)).await,
        "crit"
    );
    for typ in ["at+jwt", "logout+jwt", "oauth-id-jag+jwt"] {
        assert!(!is_taken(&idp, |jws| jws.clone().header(json!({"typ": typ})).sign(&keys)).await, "{typ}");
    }
    assert!(!is_taken(&idp, |jws| format!("{}.", jws.signing_input())).await, "no signature");
    assert!(!is_taken(&idp, |jws| jws.signed_by(&[0; 256])).await, "a signature of zeros");
    assert!(!is_taken(&idp, |_| "x".to_owned()).await, "no JWT");
    assert!(!is_taken(&idp, |_| "a".repeat(100_000)).await, "a huge one");
}

#[tokio::test]
async fn an_algorithm_that_is_not_allowed_for_the_provider_is_refused() {
    let idp = MockIdp::start().await;
    let nonce_of = |url: &str| {
        let url = Url::parse(url).unwrap();
        url.query_pairs().find(|(name, _)| name == "nonce").unwrap().1.into_owned()
    };
    for (alg, is_allowed) in [(Alg::RS256, true), (Alg::ES256, true), (Alg::EdDSA, false)] {
        let (login, now, mut visitor) = (gateway(&idp), SystemTime::now(), Visitor::default());
        let page = login.begin("/", Anew::No, &visitor.headers(), now).await.unwrap();
        visitor.take(&page);
        let url = onward(&page);
        let token = idp.jws(alg, &idp.id_claims("narthex", &nonce_of(&url))).header(json!({"typ": "JWT"}));
        idp.log_in_as(LoginScript { id_token: Some(token.sign(&idp.keys())), ..LoginScript::default() });
        visitor.send(&login, callback(&at_the_provider(&url).await), now).await;
        assert_eq!(session(&login, &visitor, now).await.is_some(), is_allowed, "{alg:?}");
    }
}

#[tokio::test]
async fn keys_that_the_provider_rotated_are_fetched() {
    let idp = MockIdp::start().await;
    let (login, now) = (gateway(&idp), SystemTime::now());
    assert_eq!(log_in(&login, &mut Visitor::default(), now).await.status(), StatusCode::SEE_OTHER);
    idp.rotate_keys();
    let later = now + Duration::from_secs(60);
    assert_eq!(log_in(&login, &mut Visitor::default(), later).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(idp.hits(Endpoint::Jwks), 2);
    assert_eq!(idp.hits(Endpoint::OidcMetadata), 1, "metadata are kept");
}

#[tokio::test]
async fn who_is_of_no_tenant_of_ours_is_told_so_and_not_logged_in() {
    let idp = MockIdp::start().await;
    for claims in [json!({"org_id": "other"}), json!({"org_id": null}), json!({"org_id": ["acme", "globex"]})]
    {
        let (status, page) = refused(&idp, LoginScript { claims, ..LoginScript::default() }).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(page.contains("Your organisation has no access here"));
        assert!(page.contains("req-1"));
    }
}

#[tokio::test]
async fn userinfo_adds_claims_of_the_same_subject_and_of_no_other() {
    let idp = MockIdp::start().await;
    let own = model::Provider { userinfo: true, ..provider("corp", idp.issuer()) };
    let login = login(&config(vec![own], vec![]));
    let now = SystemTime::now();
    let without = json!({"groups": null, "org_id": null});
    let script =
        |userinfo: Value| LoginScript { claims: without.clone(), userinfo, ..LoginScript::default() };
    idp.log_in_as(script(json!({"groups": ["ops"], "org_id": "globex", "iss": "https://evil.example"})));
    let mut visitor = Visitor::default();
    log_in(&login, &mut visitor, now).await;
    let user = session(&login, &visitor, now).await.unwrap().user;
    assert_eq!((user.tenant.as_str(), user.groups), ("globex", vec!["ops".to_owned()]));
    assert_eq!(user.provider_issuer, idp.issuer());
    for userinfo in [json!({"sub": "mallory", "org_id": "acme"}), json!({"sub": null, "org_id": "acme"})] {
        idp.log_in_as(script(userinfo));
        let mut visitor = Visitor::default();
        assert_eq!(log_in(&login, &mut visitor, now).await.status(), StatusCode::BAD_GATEWAY);
        assert!(session(&login, &visitor, now).await.is_none());
    }
}

#[tokio::test]
async fn metadata_that_cannot_be_trusted_are_not_used() {
    let idp = MockIdp::start().await;
    for members in [
        json!({"issuer": "https://evil.example"}),
        json!({"issuer": format!("{}/", idp.issuer())}),
        json!({"issuer": "http://{tenantid}"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"authorization_endpoint": "http://user:pw@127.0.0.1/"}),
        json!({"token_endpoint": "/token"}),
        json!({"token_endpoint": null}),
        json!({"jwks_uri": 1}),
    ] {
        let idp = MockIdp::start().await;
        idp.change_metadata(members.clone());
        let problem =
            gateway(&idp).begin("/", Anew::No, &Visitor::default().headers(), SystemTime::now()).await;
        assert!(problem.is_err(), "{members}");
    }
}

#[tokio::test]
async fn a_provider_in_trouble_is_asked_again_only_after_a_while() {
    let idp = MockIdp::start().await;
    let (login, now) = (gateway(&idp), SystemTime::now());
    idp.trouble(Endpoint::OidcMetadata, Trouble::Status(503));
    for _ in 0..3 {
        let page = Visitor::default().send(&login, get("/login"), now).await;
        assert_eq!(page.status(), StatusCode::BAD_GATEWAY);
    }
    assert_eq!(idp.hits(Endpoint::OidcMetadata), 1);
    idp.trouble(Endpoint::OidcMetadata, Trouble::None);
    let later = now + Duration::from_secs(6);
    assert_eq!(log_in(&login, &mut Visitor::default(), later).await.status(), StatusCode::SEE_OTHER);
    // What is known serves while nobody answers.
    idp.trouble(Endpoint::OidcMetadata, Trouble::Close);
    let hours = later + Duration::from_secs(5 * 3600);
    let begun = login.begin("/", Anew::No, &Visitor::default().headers(), hours).await;
    assert!(begun.is_ok());
    let days = later + Duration::from_secs(48 * 3600);
    assert!(login.begin("/", Anew::No, &Visitor::default().headers(), days).await.is_err());
}

#[tokio::test]
async fn many_logins_at_once_ask_for_metadata_once() {
    let idp = MockIdp::start().await;
    idp.trouble(Endpoint::OidcMetadata, Trouble::Slow(Duration::from_millis(50)));
    let login = std::sync::Arc::new(gateway(&idp));
    let begin = || {
        let login = std::sync::Arc::clone(&login);
        tokio::spawn(async move {
            login.begin("/", Anew::No, &Visitor::default().headers(), SystemTime::now()).await.is_ok()
        })
    };
    let tasks: Vec<_> = (0..50).map(|_| begin()).collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(idp.hits(Endpoint::OidcMetadata), 1);
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_logs_nobody_in_and_shows_nothing() {
    let idp = MockIdp::start().await;
    for trouble in [
        Trouble::Status(500),
        Trouble::Json(400, json!({"error": "invalid_grant", "error_description": "canary"})),
        Trouble::Json(200, json!({"access_token": "canary"})),
        Trouble::Body("text/html", b"<canary>".to_vec()),
        Trouble::Body("application/json", vec![b'a'; 2 << 20]),
        Trouble::Redirect("http://127.0.0.1:9/".to_owned()),
        Trouble::Close,
    ] {
        idp.trouble(Endpoint::Token, trouble.clone());
        let (status, page) = refused(&idp, LoginScript::default()).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{trouble:?}");
        assert!(!page.contains("canary"));
    }
}

#[tokio::test]
async fn the_client_authenticates_as_it_is_registered() {
    let idp = MockIdp::start().await;
    let secret = || model::SecretRef::File("secret".into());
    for (auth, method) in [
        (OAuthClientAuth::Basic(secret()), "client_secret_basic"),
        (OAuthClientAuth::Post(secret()), "client_secret_post"),
    ] {
        let mut own = provider("corp", idp.issuer());
        own.client.auth = auth;
        own.claims.tenant = LoginTenant::Value(tenant("globex"));
        let login = login(&config(vec![own], vec![local("dev", None)]));
        let (now, mut visitor) = (SystemTime::now(), Visitor::default());
        let page = visitor.send(&login, get("/login"), now).await;
        let form = [("csrf", hidden(&page, "csrf")), ("return_to", "/connections"), ("provider", "corp")];
        let page = visitor.send(&login, post("/login", &form), now).await;
        let back = at_the_provider(&onward(&page)).await;
        visitor.send(&login, callback(&back), now).await;
        assert_eq!(session(&login, &visitor, now).await.unwrap().user.tenant.as_str(), "globex");
        assert_eq!(idp.token_calls().last().unwrap().client_auth, method);
    }
}

#[tokio::test]
async fn a_login_anew_is_asked_of_the_provider_and_shown_by_its_token() {
    let idp = MockIdp::start().await;
    let now = SystemTime::now();
    let seconds = crate::secret::seconds(now);
    let asked = async |anew: Anew| {
        let (login, mut visitor) = (gateway(&idp), Visitor::default());
        let page = login.begin("/", anew, &visitor.headers(), now).await.unwrap();
        visitor.take(&page);
        let to = onward(&page);
        let query: BTreeMap<String, String> = Url::parse(&to).unwrap().query_pairs().into_owned().collect();
        let back = at_the_provider(&to).await;
        let answer = visitor.send(&login, callback(&back), now).await;
        let session = session(&login, &visitor, now).await;
        (query, answer.status(), session.map(|session| (session.anew, session.user.authenticated_at)))
    };
    let (query, _, session) = asked(Anew::No).await;
    assert!(!query.contains_key("prompt") && !query.contains_key("max_age"));
    assert_eq!(session, Some((Anew::No, now)));
    let said = |seconds: Value| {
        idp.log_in_as(LoginScript { claims: json!({"auth_time": seconds}), ..Default::default() })
    };
    // Who logged in there before is logged in here, but that was then.
    said(json!(seconds - 3600));
    let then = crate::secret::time(seconds - 3600);
    assert_eq!(asked(Anew::No).await.2, Some((Anew::No, then)));
    let (query, _, session) = asked(Anew::Account).await;
    assert_eq!((query["prompt"].as_str(), query.get("max_age")), ("login", None));
    assert_eq!(session, Some((Anew::Account, then)));
    for (claim, is_good) in [
        (json!(seconds), true),
        (json!(seconds - 59), true),
        (json!(seconds - 62), false),
        (json!(seconds - 3600), false),
        (json!(null), false),
        (json!("now"), false),
    ] {
        said(claim.clone());
        let (query, status, session) = asked(Anew::Login).await;
        assert_eq!((query["prompt"].as_str(), query["max_age"].as_str()), ("login", "60"));
        assert_eq!(session.map(|(anew, _)| anew), is_good.then_some(Anew::Login), "{claim}");
        assert_eq!(status == StatusCode::SEE_OTHER, is_good, "{claim}");
    }
}

#[tokio::test]
async fn attack_a_form_for_one_login_is_none_for_another() {
    let (one, other) = (MockIdp::start().await, MockIdp::start().await);
    let providers = vec![provider("one", one.issuer()), provider("other", other.issuer())];
    let (login, now, mut visitor) =
        (login(&config(providers, vec![])), SystemTime::now(), Visitor::default());
    visitor.send(&login, get("/login"), now).await;
    let page = login.begin("/x", Anew::Login, &visitor.headers(), now).await.unwrap();
    let form = [("csrf", hidden(&page, "csrf")), ("return_to", "/x"), ("provider", "one")];
    let to = onward(&visitor.send(&login, post("/login", &form), now).await);
    assert!(to.contains("prompt=login"), "{to}");
    let elsewhere = [("csrf", form[0].1), ("return_to", "/y"), ("provider", "one")];
    assert_eq!(visitor.send(&login, post("/login", &elsewhere), now).await.status(), StatusCode::FORBIDDEN);
}
