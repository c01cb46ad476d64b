//! Tokens that somebody would like to be let in with.

use super::{build, verify};
use crate::Identity;
use crate::fixtures::{self, ISSUER, NOW, RESOURCE, TestKey, b64, claims, raw_token, token};
use aws_lc_rs::{hmac, rand, signature};
use serde_json::{Value, json};

const OTHER: &str = "https://other.example/t1";

/// Name, token, reason of its refusal.
type Case = (String, String, &'static str);

fn hostile_identity() -> Identity {
    let mut weak = fixtures::rsa().jwk("weak");
    weak["n"] = json!(b64([0xab; 128]));
    let mut enc = fixtures::p256().jwk("enc");
    enc["use"] = json!("enc");
    let mut pinned = fixtures::rsa().jwk("rs512-only");
    pinned["alg"] = json!("RS512");
    let keys = [
        fixtures::p256().jwk("ec"),
        fixtures::rsa().jwk("rsa"),
        fixtures::rsa().jwk("rsa-again"),
        fixtures::ed25519().jwk("ed"),
        fixtures::p384().jwk("ec384"),
        json!({"kty": "oct", "kid": "oct", "k": b64("secret"), "alg": "HS256"}),
        weak,
        enc,
        pinned,
    ];
    let other = fixtures::issuer_with_keys(OTHER, &[fixtures::other_p256().jwk("other")]);
    build(&fixtures::config(vec![fixtures::issuer_with_keys(ISSUER, &keys), other]), None)
}

fn ec() -> &'static TestKey {
    fixtures::p256()
}

/// A good token's claims with one changed.
fn claim(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    token(&claims, "ec", ec())
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    token(&claims, "ec", ec())
}

/// A good token's header with one parameter changed.
fn header(name: &str, value: Value) -> String {
    let mut header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "ec"});
    header[name] = value;
    raw_token(&header.to_string(), &claims().to_string(), ec())
}

/// A good token, its payload spelled by hand: `insert` comes before the good claims.
fn payload(insert: &str) -> String {
    let good = claims().to_string();
    raw_token(r#"{"alg":"ES256","kid":"ec"}"#, &format!("{{{insert}{}", &good[1..]), ec())
}

fn message(header: &Value) -> String {
    format!("{}.{}", b64(header.to_string()), b64(claims().to_string()))
}

fn signed(header: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = message(header);
    format!("{message}.{}", b64(sign(message.as_bytes())))
}

fn good() -> String {
    token(&claims(), "ec", ec())
}

fn algorithms() -> Vec<Case> {
    let mut cases = Vec::new();
    for none in ["none", "None", "NONE", "nOnE"] {
        cases.push((
            format!("alg {none}, no signature"),
            format!("{}.", message(&json!({"alg": none}))),
            "alg_not_allowed",
        ));
        let header = json!({"alg": none, "kid": "ec"});
        cases.push((
            format!("alg {none}, good signature"),
            signed(&header, |m| ec().sign(m)),
            "alg_not_allowed",
        ));
    }
    for alg in
        [json!("es256"), json!("ES256 "), json!(""), json!("ES512"), json!("ES256K"), json!("EdDSA\u{0}")]
    {
        cases.push((format!("alg {alg}"), header("alg", alg), "alg_not_allowed"));
    }
    for alg in [json!(null), json!(["ES256"]), json!(256)] {
        cases.push((format!("alg {alg}"), header("alg", alg), "malformed_token"));
    }
    let hs = |alg: &str, secret: &[u8], id: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        signed(&json!({"alg": alg, "kid": id}), |m| hmac::sign(&key, m).as_ref().to_vec())
    };
    let pem = fixtures::rsa().public_pem();
    let rsa_pair = |padding, alg: &str, id: &str| {
        let TestKey::Rsa(pair) = fixtures::rsa() else { panic!() };
        signed(&json!({"alg": alg, "kid": id}), |m| fixtures::rsa().sign_rsa(pair, padding, m))
    };
    let named = |name: &str, token: String, reason| (name.to_owned(), token, reason);
    cases.extend([
        named("no alg", signed(&json!({"kid": "ec"}), |m| ec().sign(m)), "malformed_token"),
        named("HS256 with the RSA key's PEM", hs("HS256", pem.as_bytes(), "rsa"), "alg_not_allowed"),
        named("HS256 with the set's symmetric key", hs("HS256", b"secret", "oct"), "alg_not_allowed"),
        named("RS256 that is an HMAC with the PEM", hs("RS256", pem.as_bytes(), "rsa"), "bad_signature"),
        named("ES256 with the symmetric key's kid", hs("ES256", b"secret", "oct"), "unknown_key"),
        named(
            "RS256 header on an EC key",
            signed(&json!({"alg": "RS256", "kid": "ec"}), |m| ec().sign(m)),
            "unknown_key",
        ),
        named(
            "ES256 header on an RSA key",
            rsa_pair(&signature::RSA_PKCS1_SHA256, "ES256", "rsa"),
            "unknown_key",
        ),
        named(
            "EdDSA header on an EC key",
            signed(&json!({"alg": "EdDSA", "kid": "ec"}), |m| ec().sign(m)),
            "unknown_key",
        ),
        named(
            "ES256 header on a P-384 key",
            signed(&json!({"alg": "ES256", "kid": "ec384"}), |m| fixtures::p384().sign(m)),
            "unknown_key",
        ),
        named("ES384, which is not allowed", token(&claims(), "ec384", fixtures::p384()), "alg_not_allowed"),
        named(
            "PS256, which is not allowed",
            rsa_pair(&signature::RSA_PSS_SHA256, "PS256", "rsa"),
            "alg_not_allowed",
        ),
        named(
            "PSS signature under RS256",
            rsa_pair(&signature::RSA_PSS_SHA256, "RS256", "rsa"),
            "bad_signature",
        ),
        named("SHA-512 under RS256", rsa_pair(&signature::RSA_PKCS1_SHA512, "RS256", "rsa"), "bad_signature"),
        named(
            "RS256 with a key for RS512",
            rsa_pair(&signature::RSA_PKCS1_SHA256, "RS256", "rs512-only"),
            "unknown_key",
        ),
    ]);
    cases
}

fn keys() -> Vec<Case> {
    let kid = |id: Value| header("kid", id);
    let named = |name: &str, token: String, reason| (name.to_owned(), token, reason);
    let no_kid = signed(&json!({"alg": "RS256"}), |m| fixtures::rsa().sign(m));
    let of_other = signed(&json!({"alg": "ES256", "kid": "other"}), |m| fixtures::other_p256().sign(m));
    let own = signed(&json!({"alg": "ES256", "kid": "ec"}), |m| fixtures::other_p256().sign(m));
    let mut stolen_name = claims();
    stolen_name["iss"] = json!(OTHER);
    vec![
        named("kid nobody has", kid(json!("nobody")), "unknown_key"),
        named("kid with a path", kid(json!("../../../../dev/null")), "unknown_key"),
        named("kid with SQL", kid(json!("x' UNION SELECT 'key' --")), "unknown_key"),
        named("kid with a command", kid(json!("ec|id")), "unknown_key"),
        named("kid in another case", kid(json!("EC")), "unknown_key"),
        named("kid with a NUL", kid(json!("ec\u{0}")), "unknown_key"),
        named("kid empty", kid(json!("")), "unknown_key"),
        named("kid a number", kid(json!(1)), "malformed_token"),
        named("kid an array", kid(json!(["ec"])), "malformed_token"),
        named("kid null", kid(json!(null)), "malformed_token"),
        named("kid of another issuer's key", of_other, "unknown_key"),
        named("another issuer's iss under this one's key", token(&stolen_name, "ec", ec()), "unknown_key"),
        named("a stranger's key under a good kid", own, "bad_signature"),
        named("no kid and two keys fit", no_kid, "unknown_key"),
        named("weak RSA key", token(&claims(), "weak", fixtures::rsa()), "unknown_key"),
        named("encryption key", token(&claims(), "enc", ec()), "unknown_key"),
    ]
}

fn headers() -> Vec<Case> {
    let jwk = fixtures::other_p256().jwk("ec");
    let mine = signed(&json!({"alg": "ES256", "kid": "ec", "jwk": jwk}), |m| fixtures::other_p256().sign(m));
    let named = |name: &str, token: String, reason| (name.to_owned(), token, reason);
    let mut cases = vec![
        named("jwk with the key that signed", mine, "embedded_key"),
        named("jku", header("jku", json!("http://127.0.0.1:9/jwks")), "embedded_key"),
        named("x5u", header("x5u", json!("http://169.254.169.254/")), "embedded_key"),
        named("x5c", header("x5c", json!(["MIIB"])), "embedded_key"),
        named("crit unknown", header("crit", json!(["http://example.com/UNDEFINED"])), "crit"),
        named("crit empty", header("crit", json!([])), "crit"),
        named("crit null", header("crit", json!(null)), "crit"),
        named("crit exp", header("crit", json!(["exp"])), "crit"),
        named(
            "crit b64",
            signed(&json!({"alg": "ES256", "kid": "ec", "b64": false, "crit": ["b64"]}), |m| ec().sign(m)),
            "crit",
        ),
        named("b64 false", header("b64", json!(false)), "unencoded_payload"),
        named("enc in a JWS", header("enc", json!("A128GCM")), "encrypted"),
        named("nested token", header("cty", json!("JWT")), "type"),
        named("nested token, lower case", header("cty", json!("application/jwt")), "type"),
        named("typ a number", header("typ", json!(7)), "malformed_token"),
        named(
            "alg twice",
            raw_token(r#"{"alg":"none","alg":"ES256","kid":"ec"}"#, &claims().to_string(), ec()),
            "malformed_token",
        ),
        named(
            "alg twice, escaped",
            raw_token(r#"{"alg":"ES256","\u0061lg":"none","kid":"ec"}"#, &claims().to_string(), ec()),
            "malformed_token",
        ),
        named("header an array", raw_token(r#"["ES256"]"#, &claims().to_string(), ec()), "malformed_token"),
        named(
            "header with a second object",
            raw_token(r#"{"alg":"ES256","kid":"ec"}{}"#, &claims().to_string(), ec()),
            "malformed_token",
        ),
        named("header over 4 KiB", header("x", json!("x".repeat(4096))), "token_too_large"),
    ];
    for typ in [
        "ID",
        "id+jwt",
        "logout+jwt",
        "dpop+jwt",
        "oauth-id-jag+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "at+jwt ",
        "",
        "JOSE",
    ] {
        cases.push((format!("typ {typ}"), header("typ", json!(typ)), "type"));
    }
    cases
}

fn times() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, exp, reason) in [
        ("just past the leeway", json!(NOW - 30), "expired"),
        ("a second past the leeway", json!(NOW - 31), "expired"),
        ("zero", json!(0), "expired"),
        ("a string", json!("1900000000"), "bad_claims"),
        ("a float", json!(1_900_000_000.5), "bad_claims"),
        ("an exponent", json!(1.9e9), "bad_claims"),
        ("huge", json!(1e30), "bad_claims"),
        ("the largest integer", json!(u64::MAX), "bad_claims"),
        ("after the year 9999", json!(253_402_300_800_u64), "bad_claims"),
        ("negative", json!(-1), "bad_claims"),
        ("null", json!(null), "bad_claims"),
        ("true", json!(true), "bad_claims"),
        ("an array", json!([1_900_000_000]), "bad_claims"),
    ] {
        cases.push((format!("exp {name}"), claim("exp", exp), reason));
    }
    cases.push((String::from("exp missing"), without("exp"), "no_expiry"));
    for (name, member, value, reason) in [
        ("nbf a second past the leeway", "nbf", json!(NOW + 31), "not_yet_valid"),
        ("nbf a string", "nbf", json!("0"), "bad_claims"),
        ("iat far ahead", "iat", json!(NOW + 3600), "not_yet_valid"),
        ("iat a float", "iat", json!(1.5), "bad_claims"),
    ] {
        cases.push((name.to_owned(), claim(member, value), reason));
    }
    cases
}

fn audiences() -> Vec<Case> {
    let mut cases = vec![(String::from("aud missing"), without("aud"), "wrong_audience")];
    for wrong in [
        json!("https://other.example"),
        json!("https://gw.example"),
        json!("https://gw.example/"),
        json!("https://gw.example/git"),
        json!("https://gw.example/github/"),
        json!("https://gw.example/github/x"),
        json!("https://gw.example/github?x"),
        json!("https://gw.example/Github"),
        json!("https://GW.example/github"),
        json!("HTTPS://gw.example/github"),
        json!("https://gw.example:443/github"),
        json!("http://gw.example/github"),
        json!("https://gw.example/docs"),
        json!(format!(" {RESOURCE}")),
        json!(format!("{RESOURCE} https://other.example")),
        json!(format!("{RESOURCE}\u{0}")),
        json!(""),
        json!("*"),
        json!([]),
        json!(["https://gw.example", "https://other.example"]),
    ] {
        cases.push((format!("aud {wrong}"), claim("aud", wrong), "wrong_audience"));
    }
    for bad in [json!(null), json!(1), json!({"aud": RESOURCE}), json!([RESOURCE, 1]), json!([[RESOURCE]])] {
        cases.push((format!("aud {bad}"), claim("aud", bad), "bad_claims"));
    }
    cases
}

fn identities() -> Vec<Case> {
    let mut cases = Vec::new();
    for iss in [
        json!("https://idp.example/"),
        json!("https://IDP.example"),
        json!("http://idp.example"),
        json!("https://idp.example.evil"),
        json!(""),
        json!(1),
        json!([ISSUER]),
        json!(null),
    ] {
        cases.push((format!("iss {iss}"), claim("iss", iss), "unknown_issuer"));
    }
    for sub in [
        json!(""),
        json!(7),
        json!(null),
        json!(["alice"]),
        json!("a\nb"),
        json!("a\u{0}"),
        json!("x".repeat(256)),
    ] {
        cases.push((format!("sub {sub}"), claim("sub", sub), "no_subject"));
    }
    for tenant in [json!(""), json!(["acme"]), json!(1), json!(null), json!({"id": "acme"}), json!("a\r\nb")]
    {
        cases.push((format!("tenant {tenant}"), claim("org_id", tenant), "no_tenant"));
    }
    for (name, value) in [
        ("scope", json!(["mcp:read"])),
        ("scope", json!(null)),
        ("scope", json!(1)),
        ("scope", json!("mcp:read\tmcp:write")),
        ("scope", json!("a\"b")),
        ("client_id", json!(["cli"])),
        ("client_id", json!("")),
    ] {
        cases.push((format!("{name} {value}"), claim(name, value), "bad_claims"));
    }
    for cnf in [json!({"jkt": "x"}), json!({"x5t#S256": "x"}), json!({}), json!(null)] {
        cases.push((format!("cnf {cnf}"), claim("cnf", cnf), "sender_constrained"));
    }
    let named = |name: &str, token: String, reason| (name.to_owned(), token, reason);
    cases.extend([
        named("iss missing", without("iss"), "unknown_issuer"),
        named("sub missing", without("sub"), "no_subject"),
        named("tenant claim missing", without("org_id"), "no_tenant"),
    ]);
    cases
}

fn payloads() -> Vec<Case> {
    let with = |payload: &str| raw_token(r#"{"alg":"ES256","kid":"ec"}"#, payload, ec());
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let cases = [
        ("sub twice", payload(r#""sub":"root","#)),
        ("aud twice", payload(r#""aud":"x","#)),
        ("exp twice, escaped", payload(r#""\u0065xp":1,"#)),
        ("an unknown claim twice", payload(r#""x":1,"x":1,"#)),
        ("payload empty", with("")),
        ("payload null", with("null")),
        ("payload an array", with("[]")),
        ("payload a string", with("\"x\"")),
        ("payload with a second object", with(&format!("{}{{}}", claims()))),
        ("payload with a raw NUL", with(&claims().to_string().replace("alice", "al\0ice"))),
        ("payload with a half surrogate as key", payload(r#""\ud800":1,"#)),
        ("payload cut short", with(&claims().to_string()[..40])),
        ("payload with a comment", payload("/* x */")),
        ("payload with NaN", payload(r#""x":NaN,"#)),
        ("payload with a byte order mark", with(&format!("\u{feff}{}", claims()))),
        (
            "payload of too many claims",
            payload(&(0..300).map(|i| format!("\"k{i}\":1,")).collect::<String>()),
        ),
        ("payload not closed", payload(&format!(r#""x":{},"#, &deep[..300]))),
    ];
    cases.map(|(name, token)| (name.to_owned(), token, "malformed_token")).into()
}

/// ES256 signature in ASN.1 DER, as it is everywhere but in JWS.
fn der_signature(message: &str) -> Vec<u8> {
    let TestKey::P256(pair) = ec() else { panic!() };
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let der = signature::EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref());
    der.unwrap().sign(&rand::SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
}

fn signatures() -> Vec<Case> {
    let good = good();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = claim("sub", json!("root"));
    let (other_message, _) = other.rsplit_once('.').unwrap();
    let mut flipped = ec().sign(message.as_bytes());
    flipped[10] ^= 1;
    let flip = format!("{message}.{}", b64(&flipped));
    let cases = [
        ("signature empty", format!("{message}.")),
        ("signature with one bit flipped", flip),
        ("signature of another message", format!("{other_message}.{signature}")),
        ("signature in DER", format!("{message}.{}", b64(der_signature(message)))),
        ("signature of zeroes", format!("{message}.{}", b64([0; 64]))),
        ("signature of r = s = n", format!("{message}.{}", b64([0xff; 64]))),
        ("signature cut short", format!("{message}.{}", &signature[..40])),
        ("signature with more behind it", format!("{message}.{signature}AAAA")),
        ("signature with trailing bits", trailing_bits(message, signature)),
    ];
    cases.map(|(name, token)| (name.to_owned(), token, "bad_signature")).into()
}

/// The last character carries bits that are no part of the signature.
fn trailing_bits(message: &str, signature: &str) -> String {
    let (most, last) = signature.split_at(signature.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    format!("{message}.{most}{next}")
}

fn forms() -> Vec<Case> {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let (h, p, s) = (parts[0], parts[1], parts[2]);
    let cases = [
        ("two parts", format!("{h}.{p}"), "malformed_token"),
        ("four parts", format!("{good}.{s}"), "malformed_token"),
        ("five parts: a JWE", format!("{h}.{p}.{s}.{s}.{s}"), "encrypted"),
        ("one part", String::from("c29tZXRoaW5n"), "malformed_token"),
        ("only dots", String::from(".."), "malformed_token"),
        ("empty", String::new(), "malformed_token"),
        ("header empty", format!(".{p}.{s}"), "malformed_token"),
        ("payload part empty", format!("{h}..{s}"), "malformed_token"),
        ("whitespace before", format!(" {good}"), "malformed_token"),
        ("whitespace behind", format!("{good} "), "malformed_token"),
        ("a line break within", format!("{h}.\n{p}.{s}"), "malformed_token"),
        ("not base64url: +", format!("+{h}.{p}.{s}"), "malformed_token"),
        ("not base64url: %2e", format!("{h}%2e{p}.{s}"), "malformed_token"),
        ("padding on the header", format!("{h}=.{p}.{s}"), "malformed_token"),
        ("padding on the signature", format!("{good}=="), "malformed_token"),
        ("NUL behind", format!("{good}\0"), "malformed_token"),
        ("oversize", claim("x", json!("x".repeat(20_000))), "token_too_large"),
        ("header not UTF-8", format!("{}.{p}.{s}", b64([0xff, 0xfe])), "malformed_token"),
    ];
    cases.map(|(name, token, reason)| (name.to_owned(), token, reason)).into()
}

#[tokio::test]
async fn every_hostile_token_is_refused_with_its_reason_and_never_remembered() {
    let identity = hostile_identity();
    let cases = [
        algorithms(),
        keys(),
        headers(),
        times(),
        audiences(),
        identities(),
        payloads(),
        signatures(),
        forms(),
    ]
    .concat();
    assert!(cases.len() >= 150, "{}", cases.len());
    for (name, token, reason) in cases {
        let outcome = verify(&identity, &token).await;
        assert_eq!(outcome.map_err(|error| error.reason()).err(), Some(reason), "{name}");
        let cached = identity.cached(&token, RESOURCE, fixtures::now());
        assert!(!matches!(cached, Some(Ok(_))), "{name} is remembered as good");
    }
    assert!(verify(&identity, &good()).await.is_ok(), "the good token that they were made from");
}
