//! Proofs, good and hostile.

use super::*;
use crate::fixtures::{self, NOW, TestKey, b64, later, now, raw_token};
use proptest::prelude::*;
use serde_json::{Value, json};

const URL: &str = "https://gw.example/mcp";
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";

fn verifier() -> Verifier {
    with_nonces(None)
}

fn with_nonces(nonces: Option<Arc<Nonces>>) -> Verifier {
    let algorithms = narthex_config::model::Dpop::default().algorithms;
    let (window, leeway) = (Duration::from_secs(60), Duration::from_secs(30));
    Verifier::new(Rules { algorithms, window, leeway, nonces }, Arc::new(Seen::new(10_000)))
}

fn thumbprint(key: &TestKey) -> Thumbprint {
    key::ProofKey::parse(&key.jwk("k").to_string()).unwrap().thumbprint
}

/// The header of a proof by `key`.
fn header(key: &TestKey) -> Value {
    let mut jwk = key.jwk("k");
    jwk.as_object_mut().unwrap().retain(|name, _| name != "kid" && name != "use");
    json!({"typ": "dpop+jwt", "alg": key.algorithm(), "jwk": jwk})
}

fn claims() -> Value {
    json!({"jti": "-BwC3ESc6acc2lTc", "htm": "POST", "htu": URL, "iat": NOW, "ath": proof::hash(TOKEN)})
}

fn sign(header: &Value, claims: &Value, key: &TestKey) -> String {
    raw_token(&header.to_string(), &claims.to_string(), key)
}

fn proof_of(claims: &Value) -> String {
    sign(&header(fixtures::p256()), claims, fixtures::p256())
}

async fn ask(verifier: &Verifier, proofs: &[&str], bound_to: &TestKey) -> Result<Proven, DpopError> {
    let (target, key) = (Target::new(URL).unwrap(), thumbprint(bound_to));
    let request = Request { method: "POST", target: &target, token: Some(TOKEN), key: Some(&key) };
    verifier.verify(proofs.iter().map(|proof| proof.as_bytes()), &request, now()).await
}

/// What becomes of one proof for a token of the P-256 key.
async fn outcome(proof: &str) -> Result<Proven, DpopError> {
    ask(&verifier(), &[proof], fixtures::p256()).await
}

#[tokio::test]
async fn a_good_proof_of_every_kind_of_key_is_accepted() {
    for key in [fixtures::p256(), fixtures::p384(), fixtures::ed25519(), fixtures::rsa()] {
        let proof = sign(&header(key), &claims(), key);
        let proven = ask(&verifier(), &[&proof], key).await;
        assert_eq!(proven, Ok(Proven { key: thumbprint(key), wants_nonce: false }), "{}", key.algorithm());
    }
    let mut named = header(fixtures::ed25519());
    named["alg"] = json!("Ed25519");
    named["jwk"]["alg"] = json!("Ed25519");
    let proof = sign(&named, &claims(), fixtures::ed25519());
    assert!(ask(&verifier(), &[&proof], fixtures::ed25519()).await.is_ok(), "the name of RFC 9864");
}

/// The proofs that RFC 9449 prints, at the time when they were made.
#[tokio::test]
async fn the_proofs_of_rfc_9449_are_accepted() {
    // §4.1, for a token endpoint, and §7.1, for a protected resource.
    let at_token_endpoint = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNo\
        UklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIs\
        ImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1w\
        bGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY\
        -FNyJK70nfbV37xRZT3Lg";
    let at_resource = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklD\
        UkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNyd\
        iI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9\
        yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWt\
        zbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    let key = Thumbprint::parse("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap();
    for (proof, method, url, token, iat) in [
        (at_token_endpoint, "POST", "https://server.example.com/token", None, 1_562_262_616),
        (at_resource, "GET", "https://resource.example.org/protectedresource", Some(TOKEN), 1_562_262_618),
    ] {
        let target = Target::new(url).unwrap();
        let request = Request { method, target: &target, token, key: token.map(|_| &key) };
        let at = std::time::UNIX_EPOCH + Duration::from_secs(iat);
        let proven = verifier().verify(std::iter::once(proof.as_bytes()), &request, at).await;
        assert_eq!(proven, Ok(Proven { key, wants_nonce: false }), "{url}");
    }
}

#[tokio::test]
async fn a_proof_is_good_for_a_minute_and_the_difference_of_clocks() {
    for (iat, expected) in [
        (NOW - 89, Ok(())),
        (NOW - 90, Err(DpopError::TooOld)),
        (NOW + 30, Ok(())),
        (NOW + 31, Err(DpopError::TooNew)),
        (0, Err(DpopError::TooOld)),
        (253_402_300_799, Err(DpopError::TooNew)),
        (253_402_300_800, Err(DpopError::Claims)),
        (u64::MAX, Err(DpopError::Claims)),
    ] {
        let mut claims = claims();
        claims["iat"] = json!(iat);
        assert_eq!(outcome(&proof_of(&claims)).await.map(drop), expected, "{iat}");
    }
}

#[tokio::test]
async fn a_proof_is_good_once() {
    let (verifier, proof) = (verifier(), proof_of(&claims()));
    assert!(ask(&verifier, &[&proof], fixtures::p256()).await.is_ok());
    assert_eq!(ask(&verifier, &[&proof], fixtures::p256()).await, Err(DpopError::Replayed));
    let again = proof_of(&claims());
    assert_ne!(again, proof, "another signature");
    assert_eq!(
        ask(&verifier, &[&again], fixtures::p256()).await,
        Err(DpopError::Replayed),
        "of the same jti"
    );
    let mut other = claims();
    other["jti"] = json!("another");
    assert!(ask(&verifier, &[&proof_of(&other)], fixtures::p256()).await.is_ok());
}

#[tokio::test]
async fn a_proof_that_is_refused_is_not_used_up_and_takes_no_room() {
    let seen = Arc::new(Seen::new(10));
    let rules = Rules::clone(&verifier().rules);
    let verifier = Verifier::new(rules, Arc::clone(&seen) as Arc<dyn Replay>);
    for n in 0..1000 {
        let mut claims = claims();
        claims["jti"] = json!(n.to_string());
        let proof = sign(&header(fixtures::other_p256()), &claims, fixtures::other_p256());
        assert_eq!(ask(&verifier, &[&proof], fixtures::p256()).await, Err(DpopError::OtherKey));
    }
    assert!(seen.is_empty());
}

#[tokio::test]
async fn when_no_more_can_be_remembered_none_is_accepted() {
    let rules = Rules::clone(&verifier().rules);
    let verifier = Verifier::new(rules, Arc::new(Seen::new(0)));
    let refused = ask(&verifier, &[&proof_of(&claims())], fixtures::p256()).await.unwrap_err();
    assert_eq!((refused, refused.status().as_u16(), refused.error_code()), (DpopError::Full, 503, None));
}

#[tokio::test]
async fn without_a_token_ath_is_not_looked_at_and_any_key_will_do() {
    let target = Target::new(URL).unwrap();
    let request = Request { method: "POST", target: &target, token: None, key: None };
    for ath in [json!(null), json!(7), json!("x")] {
        let mut claims = claims();
        claims["ath"] = ath;
        let proof = proof_of(&claims);
        let proven = verifier().verify(std::iter::once(proof.as_bytes()), &request, now()).await.unwrap();
        assert_eq!(proven.key, thumbprint(fixtures::p256()));
    }
}

#[tokio::test]
async fn a_nonce_is_needed_where_it_is_demanded() {
    let nonces = Arc::new(Nonces::new(&[[7; 32]]));
    assert_eq!(verifier().nonce(now()), None);
    let verifier = with_nonces(Some(Arc::clone(&nonces)));
    assert_eq!(verifier.nonce(now()), Some(nonces.make(now())));
    let stranger = Nonces::new(&[[8; 32]]).make(now());
    for (n, (nonce, expected)) in [
        (None, Err(DpopError::NoNonce)),
        (Some(json!("")), Err(DpopError::Nonce)),
        (Some(json!("x")), Err(DpopError::Nonce)),
        (Some(json!(stranger)), Err(DpopError::Nonce)),
        (Some(json!(nonces.make(now() - Duration::from_secs(330)))), Err(DpopError::Nonce)),
        (Some(json!(null)), Err(DpopError::Claims)),
        (Some(json!([nonces.make(now())])), Err(DpopError::Claims)),
        (Some(json!(nonces.make(now()))), Ok(false)),
        (Some(json!(nonces.make(now() - Duration::from_secs(60)))), Ok(true)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = claims();
        claims["jti"] = json!(n.to_string());
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce;
        }
        let proven = ask(&verifier, &[&proof_of(&claims)], fixtures::p256()).await;
        assert_eq!(proven.map(|proven| proven.wants_nonce), expected, "{claims}");
    }
    for error in [DpopError::NoNonce, DpopError::Nonce] {
        assert_eq!((error.status().as_u16(), error.error_code()), (401, Some("use_dpop_nonce")));
    }
}

#[tokio::test]
async fn one_proof_comes_and_no_more() {
    let proof = proof_of(&claims());
    let both = format!("{proof}, {proof}");
    let long = format!("{proof}{}", "A".repeat(8192));
    for (proofs, expected) in [
        (vec![], DpopError::Missing),
        (vec![proof.as_str(), proof.as_str()], DpopError::Several),
        (vec!["", proof.as_str()], DpopError::Several),
        (vec![both.as_str()], DpopError::Several),
        (vec![""], DpopError::Malformed),
        (vec![long.as_str()], DpopError::TooLarge),
    ] {
        assert_eq!(ask(&verifier(), &proofs, fixtures::p256()).await, Err(expected), "{}", proofs.len());
    }
}

/// Proofs that must be refused, each with the reason.
fn hostile() -> Vec<(String, String, DpopError)> {
    let mut cases = headers();
    cases.extend(claims_cases());
    cases.extend(forms());
    cases
}

fn headers() -> Vec<(String, String, DpopError)> {
    let key = fixtures::p256();
    let with = |name: &str, value: Value| {
        let mut header = header(key);
        header[name] = value;
        sign(&header, &claims(), key)
    };
    let without = |name: &str| {
        let mut header = header(key);
        header.as_object_mut().unwrap().remove(name);
        sign(&header, &claims(), key)
    };
    let jwk = |name: &str, value: Value| {
        let mut header = header(key);
        header["jwk"][name] = value;
        sign(&header, &claims(), key)
    };
    let mut cases = vec![
        ("typ missing".into(), without("typ"), DpopError::Type),
        ("alg missing".into(), without("alg"), DpopError::Algorithm),
        ("jwk missing".into(), without("jwk"), DpopError::NoKey),
        ("jwk null".into(), with("jwk", json!(null)), DpopError::Key),
        ("jwk a string".into(), with("jwk", json!("x")), DpopError::Key),
        ("jwk of another kind".into(), with("jwk", fixtures::rsa().jwk("k")), DpopError::OtherKey),
    ];
    for typ in ["JWT", "at+jwt", "DPOP+JWT", "dpop", "application/dpop+jwt", "", "dpop+jwt "] {
        cases.push((format!("typ {typ:?}"), with("typ", json!(typ)), DpopError::Type));
    }
    for alg in ["none", "None", "", "HS256", "HS512", "RS384", "ES512", "es256", "ES256K", "dir"] {
        cases.push((format!("alg {alg:?}"), with("alg", json!(alg)), DpopError::Algorithm));
    }
    for (alg, error) in [("RS256", DpopError::Signature), ("EdDSA", DpopError::Signature)] {
        cases.push((format!("alg {alg} with a key of P-256"), with("alg", json!(alg)), error));
    }
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("enc", json!("A256GCM")),
        ("zip", json!("DEF")),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("cty", json!("JWT")),
    ] {
        cases.push((format!("header {name}"), with(name, value), DpopError::Header));
    }
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        cases.push((format!("jwk with {member}"), jwk(member, json!("AQAB")), DpopError::PrivateKey));
    }
    for (name, value) in [
        ("kty", json!("oct")),
        ("crv", json!("P-521")),
        ("crv", json!("secp256k1")),
        ("x", json!("AQAB")),
        ("y", json!("!")),
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
    ] {
        cases.push((format!("jwk {name} {value}"), jwk(name, value), DpopError::Key));
    }
    let off_curve = b64([1; 32]);
    cases.push(("a point off the curve".into(), jwk("y", json!(off_curve)), DpopError::OtherKey));
    cases
}

fn claims_cases() -> Vec<(String, String, DpopError)> {
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        proof_of(&claims)
    };
    let mut cases = Vec::new();
    for (name, error) in [
        ("jti", DpopError::Claims),
        ("htm", DpopError::Claims),
        ("htu", DpopError::Claims),
        ("iat", DpopError::Claims),
        ("ath", DpopError::Token),
    ] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        cases.push((format!("{name} missing"), proof_of(&claims), error));
        for value in [json!(null), json!(["POST"]), json!({}), json!(true)] {
            cases.push((format!("{name} {value}"), with(name, value), DpopError::Claims));
        }
    }
    for (name, value, error) in [
        ("jti", json!(""), DpopError::Claims),
        ("jti", json!("x".repeat(256)), DpopError::Claims),
        ("jti", json!(7), DpopError::Claims),
        ("htm", json!("GET"), DpopError::Method),
        ("htm", json!("post"), DpopError::Method),
        ("htm", json!("POST "), DpopError::Method),
        ("htm", json!(""), DpopError::Method),
        ("htu", json!("https://gw.example/other"), DpopError::Target),
        ("htu", json!("https://evil.example/mcp"), DpopError::Target),
        ("htu", json!("http://gw.example/mcp"), DpopError::Target),
        ("htu", json!("https://gw.example/mcp/"), DpopError::Target),
        ("htu", json!("/mcp"), DpopError::Target),
        ("htu", json!(""), DpopError::Target),
        ("iat", json!(NOW - 3600), DpopError::TooOld),
        ("iat", json!(NOW + 3600), DpopError::TooNew),
        ("iat", json!(-1), DpopError::Claims),
        ("iat", json!("1800000000"), DpopError::Claims),
        ("exp", json!(NOW - 31), DpopError::TooOld),
        ("exp", json!("never"), DpopError::Claims),
        ("nbf", json!(NOW + 31), DpopError::TooNew),
        ("ath", json!(""), DpopError::Token),
        ("ath", json!(proof::hash("another")), DpopError::Token),
        ("ath", json!(format!("{}=", proof::hash(TOKEN))), DpopError::Token),
        ("ath", json!(TOKEN), DpopError::Token),
    ] {
        cases.push((format!("{name} {value}"), with(name, value), error));
    }
    cases
}

fn forms() -> Vec<(String, String, DpopError)> {
    let key = fixtures::p256();
    let good = proof_of(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let raw = |header: &str, payload: &str| raw_token(header, payload, key);
    let (header_text, claims_text) = (header(key).to_string(), claims().to_string());
    let twice = |text: &str, member: &str| text.replacen('{', &format!("{{{member},"), 1);
    let named = |name: &str, proof: String, error| (name.to_owned(), proof, error);
    vec![
        named("no parts", "abc".into(), DpopError::Malformed),
        named("two parts", format!("{head}.{body}"), DpopError::Malformed),
        named("four parts", format!("{good}.x"), DpopError::Malformed),
        named("five parts, a JWE", format!("{head}..{body}.{signature}.x"), DpopError::Malformed),
        named(
            "JSON serialization",
            json!({"payload": body}).to_string().replace(',', ""),
            DpopError::Malformed,
        ),
        named("header not base64url", format!("!.{body}.{signature}"), DpopError::Malformed),
        named("payload not base64url", format!("{head}.!.{signature}"), DpopError::Malformed),
        named("padding", format!("{head}=.{body}.{signature}"), DpopError::Malformed),
        named("a blank at the end", format!("{good} "), DpopError::Malformed),
        named("a line feed within", good.replacen('.', "\n.", 1), DpopError::Malformed),
        named("no signature", format!("{head}.{body}."), DpopError::Signature),
        named("a signature cut", good[..good.len() - 4].to_owned(), DpopError::Signature),
        named("a signature of zeros", format!("{head}.{body}.{}", b64([0; 64])), DpopError::Signature),
        named(
            "a signature in DER",
            format!("{head}.{body}.{}", b64([&[0x30, 0x06, 2, 1, 1, 2, 1, 1][..], &[0; 56]].concat())),
            DpopError::Signature,
        ),
        named(
            "another's signature under this key",
            sign(&header(key), &claims(), fixtures::other_p256()),
            DpopError::Signature,
        ),
        named(
            "another key's proof",
            sign(&header(fixtures::other_p256()), &claims(), fixtures::other_p256()),
            DpopError::OtherKey,
        ),
        named("alg twice", raw(&twice(&header_text, r#""alg":"none""#), &claims_text), DpopError::Malformed),
        named(
            "jwk twice, escaped",
            raw(&twice(&header_text, r#""\u006awk":{}"#), &claims_text),
            DpopError::Malformed,
        ),
        named("htu twice", raw(&header_text, &twice(&claims_text, r#""htu":"x""#)), DpopError::Malformed),
        named(
            "x in jwk twice",
            raw(&header_text.replace("\"crv\"", "\"x\":\"AA\",\"crv\""), &claims_text),
            DpopError::Key,
        ),
        named("payload an array", raw(&header_text, "[]"), DpopError::Malformed),
        named("payload null", raw(&header_text, "null"), DpopError::Malformed),
        named("payload empty", raw(&header_text, ""), DpopError::Malformed),
        named(
            "something after the payload",
            raw(&header_text, &format!("{claims_text}{{}}")),
            DpopError::Malformed,
        ),
        named("header an array", raw("[]", &claims_text), DpopError::Malformed),
        named(
            "alg a number",
            raw(&header_text.replace("\"ES256\"", "256"), &claims_text),
            DpopError::Malformed,
        ),
        named(
            "typ a list",
            raw(&header_text.replace("\"dpop+jwt\"", "[\"dpop+jwt\"]"), &claims_text),
            DpopError::Malformed,
        ),
    ]
}

#[tokio::test]
async fn hostile_proofs_are_refused_each_for_its_reason() {
    let cases = hostile();
    assert!(cases.len() >= 100, "{}", cases.len());
    let mut wrong = Vec::new();
    for (name, proof, expected) in &cases {
        let found = outcome(proof).await;
        if found != Err(*expected) {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_refusal_has_a_name_of_its_own() {
    let mut reasons: Vec<_> = hostile().iter().map(|(_, _, error)| error.reason()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    assert!(reasons.len() >= 14 && reasons.iter().all(|reason| reason.starts_with("dpop_")), "{reasons:?}");
}

#[test]
fn the_algorithms_are_told_by_all_their_names() {
    assert_eq!(verifier().algorithms(), ["ES256", "ES384", "EdDSA", "RS256", "PS256", "Ed25519"]);
    assert_eq!(algorithm_names(&[Algorithm::ES256]), ["ES256"]);
}

#[tokio::test]
async fn time_passes_for_a_used_proof_as_for_a_good_one() {
    let (verifier, proof) = (verifier(), proof_of(&claims()));
    let (target, key) = (Target::new(URL).unwrap(), thumbprint(fixtures::p256()));
    let request = Request { method: "POST", target: &target, token: Some(TOKEN), key: Some(&key) };
    let at = |seconds| verifier.verify(std::iter::once(proof.as_bytes()), &request, later(seconds));
    assert!(at(0).await.is_ok());
    for seconds in [1, 60, 89] {
        assert_eq!(at(seconds).await, Err(DpopError::Replayed), "{seconds}");
    }
    assert_eq!(at(90).await, Err(DpopError::TooOld));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_proof_with_one_changed_byte_is_accepted(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        static GOOD: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| proof_of(&claims()));
        let mut bytes = GOOD.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert!(runtime.block_on(outcome(&text)).is_err());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-zA-Z0-9._=-]{0,80}|.{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert!(runtime.block_on(outcome(&text)).is_err());
    }

    #[test]
    fn no_claims_but_the_right_ones_are_accepted(
        htm in "POST|GET|DELETE|[A-Z]{0,5}",
        path in "mcp|mcp/|[a-z/.%0-9]{0,6}",
        iat in NOW - 200..NOW + 200,
    ) {
        let mut claims = claims();
        claims["htm"] = json!(htm);
        claims["htu"] = json!(format!("https://gw.example/{path}"));
        claims["iat"] = json!(iat);
        let right = htm == "POST" && Target::new(URL).unwrap().is(&format!("https://gw.example/{path}"))
            && (NOW - 89..=NOW + 30).contains(&iat);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        prop_assert_eq!(runtime.block_on(outcome(&proof_of(&claims))).is_ok(), right);
    }
}
