//! Proofs that must not open the door, each named, against the real binary.

use super::stage::{Stage, whole};
use narthex_testkit::ProofKey;
use serde_json::{Value, json};

struct Case {
    name: String,
    proof: String,
    reason: &'static str,
}

fn cases(stage: &Stage, token: &str) -> Vec<Case> {
    let (key, url) = (&stage.key, stage.url("/keyed"));
    let mut cases = Vec::new();
    let mut add = |name: String, proof: String, reason| cases.push(Case { name, proof, reason });
    let claims = || key.claims("POST", &url, Some(token));
    let header = |name: &str, value: Value| {
        let mut header = key.header();
        header[name] = value;
        key.sign(&header, &claims())
    };
    let claim = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        key.sign(&key.header(), &claims)
    };
    for typ in ["JWT", "at+jwt", "dpop", "application/dpop+jwt", "DPOP+JWT"] {
        add(format!("typ {typ}"), header("typ", json!(typ)), "dpop_type");
    }
    for alg in ["none", "HS256", "HS512", "ES512", "RS512", "es256"] {
        add(format!("alg {alg}"), header("alg", json!(alg)), "dpop_algorithm");
    }
    for (name, value) in [
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("zip", json!("DEF")),
    ] {
        add(format!("header {name}"), header(name, value), "dpop_header");
    }
    for member in ["d", "k", "p", "qi"] {
        let mut jwk = key.jwk();
        jwk[member] = json!("AQAB");
        add(format!("a key with the private member {member}"), header("jwk", jwk), "dpop_private_key");
    }
    add("a symmetric key".into(), header("jwk", json!({"kty": "oct"})), "dpop_key");
    add("no key".into(), header("jwk", json!(null)), "dpop_key");
    add("another's key in the header".into(), header("jwk", ProofKey::new().jwk()), "dpop_other_key");
    let thief = ProofKey::new();
    add("the thief's key throughout".into(), thief.sign(&thief.header(), &claims()), "dpop_other_key");
    add("the thief's signature".into(), thief.sign(&key.header(), &claims()), "dpop_signature");
    let now = claims()["iat"].as_u64().unwrap();
    let path = stage.gateway.place().port;
    for (name, value, reason) in [
        ("htm", json!("GET"), "dpop_method"),
        ("htm", json!("post"), "dpop_method"),
        ("htm", json!(null), "dpop_claims"),
        ("htu", json!(stage.url("/free")), "dpop_target"),
        ("htu", json!(format!("{url}/")), "dpop_target"),
        ("htu", json!(url.replace("http:", "https:")), "dpop_target"),
        ("htu", json!(format!("http://127.0.0.1:{path}/keyed")), "dpop_target"),
        ("htu", json!(format!("http://evil.example:{path}/keyed")), "dpop_target"),
        ("htu", json!("/keyed"), "dpop_target"),
        ("htu", json!(url.replace("/keyed", "/KEYED")), "dpop_target"),
        ("htu", json!(["/keyed"]), "dpop_claims"),
        ("iat", json!(now - 600), "dpop_too_old"),
        ("iat", json!(now + 600), "dpop_too_new"),
        ("iat", json!(now.to_string()), "dpop_claims"),
        ("iat", json!(null), "dpop_claims"),
        ("exp", json!(1), "dpop_too_old"),
        ("nbf", json!(now + 600), "dpop_too_new"),
        ("jti", json!(""), "dpop_claims"),
        ("jti", json!("x".repeat(300)), "dpop_claims"),
        ("jti", json!(null), "dpop_claims"),
        ("ath", json!(null), "dpop_claims"),
        ("ath", json!(token), "dpop_other_token"),
        ("ath", json!(""), "dpop_other_token"),
    ] {
        add(format!("{name} {value}"), claim(name, value), reason);
    }
    let good = key.sign(&key.header(), &claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let flip = if signature.starts_with('A') { "B" } else { "A" };
    add("a bit of the signature".into(), format!("{message}.{flip}{}", &signature[1..]), "dpop_signature");
    add("no signature".into(), format!("{message}."), "dpop_signature");
    add("two parts".into(), message.to_owned(), "dpop_malformed");
    add("four parts".into(), format!("{good}.x"), "dpop_malformed");
    add("padding".into(), good.replacen('.', "=.", 1), "dpop_malformed");
    add("two proofs in one field".into(), format!("{good}, {good}"), "dpop_several");
    add("longer than any".into(), format!("{good}{}", "A".repeat(9000)), "dpop_too_large");
    add("the token itself".into(), token.to_owned(), "dpop_type");
    add("empty".into(), String::new(), "dpop_malformed");
    cases
}

#[tokio::test]
async fn no_hostile_proof_opens_the_door() {
    let stage = Stage::start().await;
    let token = stage.keyed_token("/keyed");
    let cases = cases(&stage, &token);
    assert!(cases.len() >= 55, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let answer = stage.call_with("/keyed", &format!("DPoP {token}"), &[&case.proof]).await;
        let reason = stage.reason(&answer).await;
        if answer.status != 401 || reason != case.reason {
            wrong.push(format!("{}: {reason}, not {}: {}", case.name, case.reason, whole(&answer)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(stage.upstream.count(), 0);
    assert_eq!(stage.call("/keyed", &token).await.status, 200, "and the good one still does");
}

/// What a request says of itself is not what `htu` is compared with.
#[tokio::test]
async fn a_host_that_the_request_names_makes_no_proof_good() {
    let stage = Stage::start().await;
    let token = stage.keyed_token("/keyed");
    let proof = stage.key.proof("POST", "http://evil.example/keyed", Some(&token));
    let bytes = super::stage::post("/keyed", &format!("DPoP {token}"), &[&proof], &super::stage::echo());
    let text = String::from_utf8(bytes).unwrap();
    for host in [
        "Host: evil.example\r\n",
        "Host: localhost\r\nX-Forwarded-Host: evil.example\r\n",
        "Host: localhost\r\nForwarded: host=evil.example;proto=http\r\n",
    ] {
        let answer = stage.send(text.replace("Host: localhost\r\n", host).as_bytes()).await;
        assert_eq!((answer.status, stage.reason(&answer).await.as_str()), (401, "dpop_target"), "{host}");
    }
}
