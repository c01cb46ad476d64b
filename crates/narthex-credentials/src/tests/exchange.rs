//! Tokens for what is exchanged or asserted, as token endpoints see it.

use super::server::{Asked, json};
use super::*;
use crate::SubjectTokens;
use crate::secret::Secret;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narthex_config::model::{
    Actor, ActorToken, Algorithm, AssertedSubject, AwsKeys, AwsSigV4, IdJag, IdentityProvider, JwtBearer,
    OnBehalfOf, SubjectToken,
};
use serde_json::Value;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A token that says so much of itself.
fn jwt(claims: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn key() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    std::fs::write(file.path(), key.serialize_pem()).unwrap();
    file
}

fn delegated(server: &Server, token: ActorToken, token_type: &str) -> Credential {
    let actor = Actor { token, token_type: token_type.into() };
    let mut exchange = exchange_at(server, OAuthClientAuth::None);
    exchange.actor = Some(actor);
    Credential::TokenExchange(exchange)
}

#[tokio::test]
async fn an_exchange_says_who_acts_and_asks_for_its_own_token_once() {
    let server = Server::issuing(600).await;
    let wanted = Wanted { scopes: vec!["act".into()], ..Wanted::default() };
    let source = build(delegated(&server, ActorToken::ClientCredentials(wanted), ACCESS_TOKEN));
    for (subject, expected) in [("one", "Bearer token-2"), ("two", "Bearer token-3")] {
        let caller = caller("acme", "alice", 3600);
        let credential = source.obtain(&caller, Some(subject), at(0)).await.unwrap();
        assert_eq!(value(&credential), expected);
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 3, "the gateway's own token is kept");
    assert_eq!(asked[0].parameters()["grant_type"], "client_credentials");
    assert_eq!(asked[0].parameters()["scope"], "act");
    for (asked, subject) in asked[1..].iter().zip(["one", "two"]) {
        let parameters = asked.parameters();
        assert_eq!((parameters["subject_token"], parameters["actor_token"]), (subject, "token-1"));
        assert_eq!(parameters["actor_token_type"], ACCESS_TOKEN);
        assert!(!parameters.contains_key("act"), "what the server makes of it is its own");
    }
}

#[tokio::test]
async fn an_actors_token_that_is_refused_is_not_used_again() {
    let server = Server::answering(|n, asked| match asked.parameters()["grant_type"] {
        "client_credentials" => server::success(&format!("actor-{n}"), 600),
        _ if n == 2 => json(400, r#"{"error":"invalid_request"}"#),
        _ => server::success("granted", 600),
    })
    .await;
    let source = build(delegated(&server, ActorToken::ClientCredentials(Wanted::default()), ACCESS_TOKEN));
    let alice = caller("acme", "alice", 3600);
    assert_eq!(reason(source.obtain(&alice, Some("s"), at(0)).await), "exchange_refused");
    assert_eq!(value(&source.obtain(&alice, Some("s"), at(9)).await.unwrap()), "Bearer granted");
    let actors: Vec<String> = server
        .asked()
        .iter()
        .filter_map(|asked| asked.parameters().get("actor_token").map(ToString::to_string))
        .collect();
    assert_eq!(actors, ["actor-1", "actor-3"]);
}

#[tokio::test]
async fn an_actors_token_may_be_kept_somewhere_or_be_signed_by_the_gateway() {
    let server = Server::issuing(600).await;
    let context =
        Context { signing_keys: Some(crate::SigningKeys::ephemeral(at(0)).unwrap()), ..Context::default() };
    let alice = caller("acme", "alice", 3600);
    let kept = delegated(&server, ActorToken::Token(env("KEY")), JWT);
    build_in(kept, &context).obtain(&alice, Some("s"), at(0)).await.unwrap();
    assert_eq!(server.asked()[0].parameters()["actor_token"], "api-key-canary");
    let signed = delegated(&server, ActorToken::Assertion(None), JWT);
    build_in(signed.clone(), &context).obtain(&alice, Some("s"), at(0)).await.unwrap();
    let asked = server.asked().remove(1);
    let actor = claims(asked.parameters()["actor_token"]);
    assert_eq!((&actor["iss"], &actor["sub"]), (&PUBLIC_URL.into(), &"https://gw.example.com/id".into()));
    assert_eq!(actor["aud"], server.url().as_str());
    let error = build_all(&upstreams(signed), None, &events().1, &Context::default()).unwrap_err();
    assert_eq!(error.to_string(), "upstream github: there are no signing keys");
}

#[tokio::test]
async fn neither_token_that_was_sent_is_taken_back() {
    for echoed in ["subject-canary", "api-key-canary", "api-key-canary=="] {
        let server = Server::answering(move |_, _| server::success(echoed, 600)).await;
        let source = build(delegated(&server, ActorToken::Token(env("KEY")), JWT));
        let outcome = source.obtain(&caller("acme", "alice", 3600), Some("subject-canary"), at(0)).await;
        assert_eq!(reason(outcome), "echoed_subject_token", "{echoed}");
    }
}

#[tokio::test]
async fn several_audiences_and_resources_are_said_one_by_one() {
    let server = Server::issuing(600).await;
    let mut exchange = exchange_at(&server, OAuthClientAuth::None);
    exchange.wanted.audience = vec!["a".into(), "b".into()];
    exchange.wanted.resource = vec!["https://r/1".into(), "https://r/2".into()];
    let source = build(Credential::TokenExchange(exchange));
    source.obtain(&caller("acme", "alice", 3600), Some("s"), at(0)).await.unwrap();
    let form = server.asked().remove(0).form;
    let all = |name: &str| -> Vec<String> {
        form.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
    };
    assert_eq!(all("audience"), ["a", "b"]);
    assert_eq!(all("resource"), ["https://r/1", "https://r/2"]);
}

fn on_behalf_of(server: &Server) -> Credential {
    Credential::OnBehalfOf(OnBehalfOf {
        token_url: server.url(),
        client: client(OAuthClientAuth::Post(env("KEY"))),
        scopes: vec!["api://tools/.default".into()],
    })
}

#[tokio::test]
async fn entra_is_asked_on_behalf_of_the_caller() {
    let server = Server::issuing(600).await;
    let source = build(on_behalf_of(&server));
    assert!(source.needs_subject_token() && source.is_per_caller() && source.is_renewable());
    let credential = source.obtain(&caller("acme", "alice", 3600), Some("inbound"), at(0)).await.unwrap();
    assert_eq!(value(&credential), "Bearer token-1");
    let expected = [
        ("assertion", "inbound"),
        ("client_id", "https://gw.example.com/id"),
        ("client_secret", "api-key-canary"),
        ("grant_type", JWT_BEARER),
        ("requested_token_use", "on_behalf_of"),
        ("scope", "api://tools/.default"),
    ];
    assert_eq!(server.asked()[0].parameters(), BTreeMap::from(expected));
}

#[tokio::test]
async fn what_entra_wants_of_the_user_is_said_as_such() {
    let body = r#"{"error":"invalid_grant","suberror":"basic_action","error_description":"canary","claims":"{\"access_token\":{\"capolids\":{\"essential\":true}}}"}"#;
    let server = Server::answering(move |_, _| json(400, body)).await;
    let source = build(on_behalf_of(&server));
    let error = source.obtain(&caller("acme", "alice", 3600), Some("inbound"), at(0)).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.detail()),
        ("interaction_required", "400: invalid_grant (basic_action)")
    );
    assert_eq!(reason(source.obtain(&caller("acme", "a", 3600), None, at(5)).await), "no_subject_token");
}

fn jwt_bearer(server: &Server, key: &tempfile::NamedTempFile, subject: AssertedSubject) -> JwtBearer {
    JwtBearer {
        token_url: server.url(),
        issuer: "narthex@project".into(),
        key: SecretRef::File(key.path().to_owned()),
        algorithm: Algorithm::ES256,
        key_id: Some("k1".into()),
        subject,
        audience: None,
        scopes: vec!["https://www.googleapis.com/auth/drive.readonly".into()],
        scopes_in_assertion: true,
        lifetime: Duration::from_secs(3600),
        client: None,
    }
}

#[tokio::test]
async fn the_gateway_asserts_for_whom_it_wants_a_token() {
    let (server, key) = (Server::issuing(600).await, key());
    let bearer = jwt_bearer(&server, &key, AssertedSubject::Claim("email".into()));
    let source = build(Credential::JwtBearer(bearer));
    assert!(source.needs_subject_token() && source.is_per_caller());
    let inbound = jwt(r#"{"sub":"1","email":"alice@example.com"}"#);
    let credential = source.obtain(&caller("acme", "1", 3600), Some(&inbound), at(0)).await.unwrap();
    assert_eq!(value(&credential), "Bearer token-1");
    let asked = server.asked().remove(0);
    let parameters = asked.parameters();
    assert_eq!(parameters.keys().copied().collect::<Vec<_>>(), ["assertion", "grant_type"]);
    assert_eq!(asked.header("authorization"), None);
    let said = claims(parameters["assertion"]);
    assert_eq!(said["sub"], "alice@example.com");
    assert_eq!((&said["iss"], &said["aud"]), (&"narthex@project".into(), &server.url().as_str().into()));
    assert_eq!(said["scope"], "https://www.googleapis.com/auth/drive.readonly");
    assert_eq!(said["exp"].as_u64().unwrap() - said["iat"].as_u64().unwrap(), 3600);
    let other = source.obtain(&caller("acme", "1", 3600), Some(&jwt(r#"{"sub":"1"}"#)), at(0)).await;
    assert_eq!(reason(other), "no_subject_claim");
    assert_eq!(server.count(), 1, "nothing is asked for nobody");
}

#[tokio::test]
async fn a_token_for_all_is_one_and_a_token_for_each_is_each_ones() {
    let (server, key) = (Server::issuing(600).await, key());
    let robot =
        build(Credential::JwtBearer(jwt_bearer(&server, &key, AssertedSubject::Value("robot".into()))));
    assert!(!robot.needs_subject_token() && !robot.is_per_caller());
    for name in ["alice", "bob"] {
        robot.obtain(&caller("acme", name, 3600), None, at(0)).await.unwrap();
    }
    assert_eq!(server.count(), 1);
    let mut bearer = jwt_bearer(&server, &key, AssertedSubject::Caller);
    bearer.scopes_in_assertion = false;
    bearer.client = Some(client(OAuthClientAuth::Basic(env("KEY"))));
    let each = build(Credential::JwtBearer(bearer));
    for name in ["alice", "bob"] {
        each.obtain(&caller("acme", name, 3600), Some(name), at(0)).await.unwrap();
    }
    let said: Vec<Value> =
        server.asked()[1..].iter().map(|asked| claims(asked.parameters()["assertion"])).collect();
    assert_eq!((&said[0]["sub"], &said[1]["sub"]), (&"alice".into(), &"bob".into()));
    assert!(said[0].get("scope").is_none());
    assert_eq!(server.asked()[1].parameters()["scope"], "https://www.googleapis.com/auth/drive.readonly");
    assert!(server.asked()[1].header("authorization").is_some());
}

/// Keeps one ID token, for alice.
struct Kept;

#[async_trait]
impl SubjectTokens for Kept {
    async fn id_token(&self, caller: &Caller, _now: SystemTime) -> Option<Secret> {
        (&*caller.subject == "alice").then(|| Secret::from("id-token-canary"))
    }
}

fn id_jag(idp: &Server, server: &Server, subject: SubjectToken) -> Credential {
    Credential::IdJag(IdJag {
        identity_provider: IdentityProvider::TokenUrl(idp.url()),
        identity_client: client(OAuthClientAuth::Post(env("KEY"))),
        issuer: Some("https://as.example.com".into()),
        token_url: Some(server.url()),
        client: client(OAuthClientAuth::Post(env("OTHER_KEY"))),
        subject,
        resource: None,
        scopes: vec!["repo.read".into()],
    })
}

fn asserted(token: &str) -> String {
    json(
        200,
        &format!(
            r#"{{"access_token":"{token}","token_type":"N_A","issued_token_type":"{ID_JAG}","expires_in":60}}"#
        ),
    )
}

async fn asserting() -> Server {
    Server::answering(|_, _| asserted("assertion-canary")).await
}

fn keeping() -> Context {
    Context { subject_tokens: Some(Arc::new(Kept)), ..Context::default() }
}

#[tokio::test]
async fn an_identity_assertion_is_got_from_the_one_server_and_taken_to_the_other() {
    let (idp, server) = (asserting().await, Server::issuing(600).await);
    let source = build_in(id_jag(&idp, &server, SubjectToken::IdToken), &keeping());
    let credential = source.obtain(&caller("acme", "alice", 3600), Some("inbound"), at(0)).await.unwrap();
    assert_eq!(value(&credential), "Bearer token-1");
    let expected = [
        ("audience", "https://as.example.com"),
        ("client_id", "https://gw.example.com/id"),
        ("client_secret", "api-key-canary"),
        ("grant_type", EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("resource", "https://mcp.example.com/mcp"),
        ("scope", "repo.read"),
        ("subject_token", "id-token-canary"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
    ];
    assert_eq!(idp.asked()[0].parameters(), BTreeMap::from(expected));
    let expected = [
        ("assertion", "assertion-canary"),
        ("client_id", "https://gw.example.com/id"),
        ("client_secret", "other-key-canary"),
        ("grant_type", JWT_BEARER),
        ("resource", "https://mcp.example.com/mcp"),
        ("scope", "repo.read"),
    ];
    assert_eq!(server.asked()[0].parameters(), BTreeMap::from(expected));
}

#[tokio::test]
async fn a_caller_without_an_id_token_gets_none_of_anothers() {
    let (idp, server) = (asserting().await, Server::issuing(600).await);
    for (context, subject) in [(keeping(), "bob"), (Context::default(), "alice")] {
        let source = build_in(id_jag(&idp, &server, SubjectToken::IdToken), &context);
        let outcome = source.obtain(&caller("acme", subject, 3600), Some("inbound"), at(0)).await;
        assert_eq!(reason(outcome), "no_subject_token");
    }
    assert_eq!(idp.count(), 0);
    let source = build(id_jag(&idp, &server, SubjectToken::AccessToken));
    source.obtain(&caller("acme", "bob", 3600), Some("inbound"), at(0)).await.unwrap();
    assert_eq!(idp.asked()[0].parameters()["subject_token"], "inbound");
    assert_eq!(idp.asked()[0].parameters()["subject_token_type"], ACCESS_TOKEN);
}

#[tokio::test]
async fn an_assertion_never_becomes_a_bearer_token() {
    let alice = caller("acme", "alice", 3600);
    let obtained = |first: String, second: String| {
        let alice = alice.clone();
        async move {
            let idp = Server::answering(move |_, _| first.clone()).await;
            let server = Server::answering(move |_, _| second.clone()).await;
            let source = build_in(id_jag(&idp, &server, SubjectToken::IdToken), &keeping());
            let error = source.obtain(&alice, Some("inbound-canary"), at(0)).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
            (error.reason(), error.detail().split(':').next().unwrap().to_owned(), server.count())
        }
    };
    let bearer = |token: &str| json(200, &format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#));
    // The identity provider hands out something else.
    for first in [bearer("canary"), server::success("canary", 60), asserted("id-token-canary")] {
        let (reason, place, reached) = obtained(first, bearer("t")).await;
        assert!(matches!(reason, "bad_token_response" | "echoed_subject_token"), "{reason}");
        assert_eq!((place.as_str(), reached), ("identity provider", 0));
    }
    // The authorization server hands the assertion, or the caller's own token, back.
    for second in
        [asserted("x"), asserted("assertion-canary"), bearer("assertion-canary"), bearer("inbound-canary")]
    {
        let (reason, place, reached) = obtained(asserted("assertion-canary"), second).await;
        assert!(matches!(reason, "bad_token_response" | "echoed_subject_token"), "{reason}");
        assert_eq!((place.as_str(), reached), ("authorization server", 1));
    }
}

#[tokio::test]
async fn a_crowd_makes_one_exchange_of_both_legs() {
    let (idp, server) = (asserting().await, Server::issuing(600).await);
    let source = build_in(id_jag(&idp, &server, SubjectToken::IdToken), &keeping());
    idp.hold();
    let crowd: Vec<_> = (0..1000)
        .map(|_| {
            let source = Arc::clone(&source);
            tokio::spawn(async move {
                source.obtain(&caller("acme", "alice", 3600), Some("inbound"), at(0)).await.unwrap()
            })
        })
        .collect();
    idp.until_asked(1).await;
    idp.release();
    for one in crowd {
        assert_eq!(value(&one.await.unwrap()), "Bearer token-1");
    }
    assert_eq!((idp.count(), server.count()), (1, 1));
}

#[tokio::test]
async fn keys_of_aws_are_got_for_the_workloads_token_and_sign_until_they_end() {
    let expiration = at(3600).duration_since(UNIX_EPOCH).unwrap().as_secs();
    let body = format!(
        r#"{{"AssumeRoleWithWebIdentityResponse":{{"AssumeRoleWithWebIdentityResult":{{"Credentials":{{"AccessKeyId":"ASIA1","SecretAccessKey":"secret-canary","SessionToken":"session","Expiration":{expiration}}}}}}}}}"#
    );
    let server = Server::answering(move |_, _| json(200, &body)).await;
    let source = build(Credential::AwsSigV4(AwsSigV4 {
        region: "eu-west-1".into(),
        service: "execute-api".into(),
        keys: AwsKeys::WebIdentity {
            role: "arn:aws:iam::1:role/x".into(),
            token: env("KEY"),
            session: "narthex".into(),
            sts_url: server.url(),
        },
    }));
    assert!(!source.is_per_caller() && source.is_renewable());
    let anonymous = Caller::anonymous("acme".into());
    let credential = source.obtain(&anonymous, None, at(0)).await.unwrap();
    assert!(source.ready(&anonymous, None, at(3569)).is_some_and(|ready| ready.is(&credential)));
    assert!(source.ready(&anonymous, None, at(3570)).is_none());
    let asked: Asked = server.asked().remove(0);
    assert_eq!(asked.parameters()["Action"], "AssumeRoleWithWebIdentity");
    assert_eq!(asked.parameters()["WebIdentityToken"], "api-key-canary");
    assert!(!format!("{credential:?} {source:?}").contains("canary"));
}
