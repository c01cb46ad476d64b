//! Tokens that must not open the door.

use super::stage::{Failures, Stage, whole};
use narthex_testkit::{Alg, RawResponse, SigningKeys, mcp};
use serde_json::json;

/// What a refused token is answered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Challenge {
    /// 401, and no error code: no token was tried (RFC 6750 §3.1).
    NoToken,
    /// 401 `invalid_token`.
    InvalidToken,
    /// 400 `invalid_request`.
    InvalidRequest,
    /// 401 `invalid_token`, and how a token that is bound to a key would have to come (RFC 9449 §7.1).
    ByKey,
}

struct Case {
    name: String,
    /// Query, with its `?`.
    query: String,
    authorization: Vec<String>,
    challenge: Challenge,
    /// What must be seen nowhere.
    token: String,
}

impl Case {
    fn bearer(name: &str, token: String) -> Self {
        let is_b64 = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let challenge = match token.bytes().all(is_b64) {
            true => Challenge::InvalidToken,
            false => Challenge::InvalidRequest,
        };
        let authorization = vec![format!("Bearer {token}")];
        Self { name: name.to_owned(), query: String::new(), authorization, challenge, token }
    }

    fn with(name: &str, authorization: &[&str], challenge: Challenge, token: &str) -> Self {
        Self {
            name: name.to_owned(),
            query: String::new(),
            authorization: authorization.iter().map(|value| (*value).to_owned()).collect(),
            challenge,
            token: token.to_owned(),
        }
    }

    fn bytes(&self, number: usize) -> Vec<u8> {
        let id = request_id(number);
        let mut headers = vec![("X-Request-Id", id.as_str()), ("X-Forwarded-Host", "evil.example.com")];
        headers.push(("Forwarded", "host=evil.example.com;proto=https"));
        headers.extend(self.authorization.iter().map(|value| ("Authorization", value.as_str())));
        let path = format!("/mcp{}", self.query);
        let post = mcp::post(&path, None, &headers, &mcp::tools_call("echo", json!({})));
        String::from_utf8(post).unwrap().replace("Host: localhost", "Host: evil.example.com").into_bytes()
    }
}

fn request_id(number: usize) -> String {
    format!("token-case-{number}-")
}

#[tokio::test]
async fn no_hostile_token_opens_the_door() {
    let stage = Stage::start().await;
    let mut cases = provider_cases(&stage);
    cases.extend(places(&stage));
    cases.extend(other_resources(&stage));
    assert!(cases.len() >= 60, "{} hostile tokens", cases.len());
    let (mut failures, mut answers) = (Failures::default(), Vec::new());
    for (number, case) in cases.iter().enumerate() {
        let answer = stage.send(&case.bytes(number)).await;
        check_answer(&stage, case, &answer, &mut failures);
        failures.unless(stage.upstream.count() == 0, &case.name, || "reached the upstream".to_owned());
        stage.upstream.forget();
        answers.push(whole(&answer));
    }
    let answers = answers.join("\n");
    let told = stage.told_operators().await;
    for (number, case) in cases.iter().enumerate() {
        let line = stage.log_line(&request_id(number)).await;
        let right = line["security"] == true && line["decision"] == "deny" && line["reason"].is_string();
        failures.unless(right, &case.name, || format!("logged as {line}"));
        let parts = case.token.split('.').chain([case.token.as_str()]).filter(|part| part.len() >= 20);
        for part in parts {
            failures.unless(!told.contains(part), &case.name, || format!("{part} told to operators"));
            failures.unless(!answers.contains(part), &case.name, || format!("{part} in an answer"));
        }
    }
    stage.assert_alive().await;
}

fn check_answer(stage: &Stage, case: &Case, answer: &RawResponse, failures: &mut Failures) {
    let start = format!("Bearer resource_metadata=\"{}\", scope=\"mcp:read\"", stage.metadata("/mcp"));
    let (status, challenge) = match case.challenge {
        Challenge::NoToken => (401, start),
        Challenge::InvalidToken => (401, format!("{start}, error=\"invalid_token\"")),
        Challenge::InvalidRequest => (400, format!("{start}, error=\"invalid_request\"")),
        Challenge::ByKey => {
            let start = start.replacen("Bearer", "DPoP", 1);
            let algorithms = "ES256 ES384 EdDSA RS256 PS256 Ed25519";
            (401, format!("{start}, error=\"invalid_token\", algs=\"{algorithms}\""))
        }
    };
    let right = answer.status == status
        && answer.headers.all("www-authenticate").collect::<Vec<_>>() == [challenge.as_str()]
        && answer.header("cache-control") == Some("no-store")
        && answer.body.is_empty();
    failures.unless(right, &case.name, || format!("expected {status} {challenge}, got {}", whole(answer)));
}

/// Those of the identity provider: forged, confused, misdated, malformed.
fn provider_cases(stage: &Stage) -> Vec<Case> {
    let hostile = stage.idp.hostile_tokens(&stage.resource("/mcp"));
    hostile.into_iter().map(|hostile| Case::bearer(hostile.name, hostile.token)).collect()
}

/// Good tokens in bad places.
fn places(stage: &Stage) -> Vec<Case> {
    use Challenge::{ByKey, InvalidRequest, InvalidToken, NoToken};
    let (good, second) = (&*stage.token(), &*stage.token());
    let of = |name: &str, values: &[&str], challenge| Case::with(name, values, challenge, good);
    let bearer = format!("Bearer {good}");
    let mut cases = vec![
        of("no Authorization", &[], NoToken),
        of("an empty Authorization", &[""], InvalidRequest),
        of("a scheme without a token", &["Bearer"], InvalidRequest),
        of("a scheme and a space", &["Bearer "], InvalidRequest),
        of("the token without a scheme", &[good], NoToken),
        of("scheme Basic", &[&format!("Basic {good}")], NoToken),
        of("scheme DPoP", &[&format!("DPoP {good}")], ByKey),
        of("scheme Token", &[&format!("Token {good}")], NoToken),
        of("scheme Negotiate", &[&format!("Negotiate {good}")], NoToken),
        of("scheme Bearerx", &[&format!("Bearerx {good}")], NoToken),
        of("a tab after the scheme", &[&format!("Bearer\t{good}")], InvalidRequest),
        of("a colon after the scheme", &[&format!("Bearer: {good}")], InvalidRequest),
        of("an equals sign after the scheme", &[&format!("Bearer={good}")], InvalidRequest),
        of("no space after the scheme", &[&format!("Bearer\"{good}\"")], InvalidRequest),
        of("the token in quotes", &[&format!("Bearer \"{good}\"")], InvalidRequest),
        of("the token as a parameter", &[&format!("Bearer token=\"{good}\"")], InvalidRequest),
        of("the token and a parameter", &[&format!("Bearer {good}, realm=\"x\"")], InvalidRequest),
        of("the scheme twice", &[&format!("Bearer Bearer {good}")], InvalidRequest),
        of("two tokens with a comma", &[&format!("Bearer {good},Bearer {second}")], InvalidRequest),
        of("two tokens with a space", &[&format!("Bearer {good} {second}")], InvalidRequest),
        of("two tokens with a semicolon", &[&format!("Bearer {good};{second}")], InvalidRequest),
        of("two headers, the same token", &[&bearer, &bearer], InvalidRequest),
        of("two headers, a bad one first", &["Bearer bad", &bearer], InvalidRequest),
        of("two headers, a bad one last", &[&bearer, "Bearer bad"], InvalidRequest),
        of("two headers, an empty one first", &["", &bearer], InvalidRequest),
        of("two headers, Basic and Bearer", &["Basic YTpi", &bearer], InvalidRequest),
        of("three headers", &[&bearer, &bearer, &bearer], InvalidRequest),
        of("the token in letters beyond ASCII", &[&format!("Bearer {good}é")], InvalidRequest),
        of("a token of 17 KiB", &[&format!("Bearer {}", "a".repeat(17 * 1024))], InvalidToken),
    ];
    for name in
        ["access_token", "ACCESS_TOKEN", "access%5Ftoken", "token", "jwt", "id_token", "authorization"]
    {
        let query = format!("?{name}={good}");
        let alone = of(&format!("in the query as {name}"), &[], InvalidRequest);
        cases.push(Case { query: query.clone(), ..alone });
        let besides = of(&format!("in the query as {name}, and in its place"), &[&bearer], InvalidRequest);
        cases.push(Case { query: format!("?a=b&{}", &query[1..]), ..besides });
    }
    cases
}

/// Good tokens, but not for here.
fn other_resources(stage: &Stage) -> Vec<Case> {
    let (idp, resource) = (&stage.idp, stage.resource("/mcp"));
    let bearer = Case::bearer;
    let with = |claims| stage.token_with(claims);
    let now = idp.claims(&resource)["iat"].as_i64().unwrap();
    let keys = SigningKeys::generate("key-0");
    let claims = idp.claims(&resource);
    let globex = json!({"org_id": "globex"});
    vec![
        bearer("for another route", idp.token(&stage.resource("/other"))),
        bearer("for another route of another tenant", idp.token_with(&stage.resource("/other"), globex)),
        bearer("for a route that is granted to nobody", idp.token(&stage.resource("/lonely"))),
        bearer("for the open route", idp.token(&stage.resource("/open"))),
        bearer("for the gateway as a whole", idp.token(&stage.gateway.place().public_url())),
        bearer("for the upstream", idp.token(&stage.upstream.url("/mcp"))),
        bearer("for the same path by address", idp.token(&format!("http://{}/mcp", stage.gateway.address()))),
        bearer("for the same path with https", idp.token(&resource.replace("http:", "https:"))),
        bearer("for the host that the request names", idp.token("http://evil.example.com/mcp")),
        bearer(
            "for two other routes",
            with(json!({"aud": [stage.resource("/other"), stage.resource("/open")]})),
        ),
        bearer("expired a second ago", with(json!({"exp": now - 1}))),
        bearer("not valid for another minute", with(json!({"nbf": now + 60}))),
        bearer("signed by other keys with the same ids", idp.jws(Alg::ES256, &claims).sign(&keys)),
        bearer("opaque, and nobody to ask", idp.opaque_token(claims.clone())),
        Case {
            challenge: Challenge::ByKey,
            ..bearer(
                "bound to a key (DPoP)",
                with(json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}})),
            )
        },
        bearer(
            "bound to a certificate",
            with(json!({"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}})),
        ),
        bearer(
            "an ID token",
            idp.jws(Alg::RS256, &claims).header(json!({"typ": "id_token+jwt"})).sign(&idp.keys()),
        ),
        bearer(
            "a logout token",
            idp.jws(Alg::RS256, &claims).header(json!({"typ": "logout+jwt"})).sign(&idp.keys()),
        ),
        bearer("nested", idp.jws(Alg::RS256, &claims).header(json!({"cty": "JWT"})).sign(&idp.keys())),
    ]
}

#[tokio::test]
async fn good_tokens_open_it_however_the_scheme_is_written() {
    let stage = Stage::start().await;
    let good = stage.token();
    let mut failures = Failures::default();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let value = format!("{scheme} {good}");
        let body = mcp::tools_call("echo", json!({}));
        let answer = stage.send(&mcp::post("/mcp", None, &[("authorization", &value)], &body)).await;
        failures.unless(answer.status == 200, scheme, || whole(&answer));
    }
    for alg in Alg::ALL {
        let token = stage.idp.mint(alg, &stage.idp.claims(&stage.resource("/mcp")));
        let answer = stage.post(&token, &[], &mcp::tools_call("echo", json!({}))).await;
        failures.unless(answer.status == 200, alg.name(), || whole(&answer));
    }
    let audiences = json!({"aud": ["https://elsewhere.example.com", stage.resource("/mcp")]});
    let answer = stage.post(&stage.token_with(audiences), &[], &mcp::tools_call("echo", json!({}))).await;
    failures.unless(answer.status == 200, "one of several audiences", || whole(&answer));
}

#[tokio::test]
async fn every_verb_of_a_route_asks_for_a_token() {
    let stage = Stage::start().await;
    let mut failures = Failures::default();
    for verb in ["GET", "DELETE"] {
        for path in ["/mcp", "/other", "/lonely"] {
            let answer = stage.send(&mcp::bodiless(verb, path, None, &[("Mcp-Session-Id", "x")])).await;
            let metadata =
                format!("Bearer resource_metadata=\"{}\", scope=\"mcp:read\"", stage.metadata(path));
            let right = answer.status == 401 && answer.header("www-authenticate") == Some(&metadata);
            failures.unless(right, &format!("{verb} {path}"), || whole(&answer));
        }
    }
    assert_eq!(stage.upstream.count(), 0);
}
