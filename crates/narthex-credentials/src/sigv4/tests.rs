use super::vectors::{VECTORS, Vector};
use super::*;
use http::Method;
use std::time::{Duration, UNIX_EPOCH};

fn signer(service: &str, region: &str, session_token: Option<&str>) -> SigV4 {
    let credentials = AwsCredentials {
        id: "AKIDEXAMPLE".into(),
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        session_token: session_token.map(Into::into),
    };
    SigV4::new(credentials, region, service)
}

fn headers(lines: &[&str]) -> HeaderMap {
    let fields = lines.iter().map(|line| line.split_once(':').unwrap());
    fields
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect::<Vec<_>>()
        .into_iter()
        .fold(HeaderMap::new(), |mut map, (name, value): (HeaderName, HeaderValue)| {
            map.append(name, value);
            map
        })
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

const THEN: u64 = 1_440_938_160;

#[test]
fn requests_are_signed_as_aws_says() {
    for Vector { name, method, target, headers: fields, body, signature } in VECTORS {
        let body = hex(digest(&SHA256, body.as_bytes()).as_ref());
        let method = method.parse().unwrap();
        let canonical = Canonical::of(&method, target, &headers(fields), &body, true);
        let made = signer("service", "us-east-1", None).signature(&Stamp::of(at(THEN)), &canonical.text);
        assert_eq!(made, signature, "{name}:\n{}", canonical.text);
    }
}

#[test]
fn an_encoded_path_is_encoded_once_more_but_not_for_s3() {
    let (body, fields) = (
        hex(digest(&SHA256, b"").as_ref()),
        ["host:lambda.us-east-2.amazonaws.com", "x-amz-date:20210511T154045Z"],
    );
    let target = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations";
    let canonical = Canonical::of(&Method::POST, target, &headers(&fields), &body, true);
    // AWS's vector `double-url-encode`.
    let stamp = Stamp::of(at(1_620_747_645));
    assert_eq!(stamp.time, "20210511T154045Z");
    assert_eq!(
        hex(digest(&SHA256, canonical.text.as_bytes()).as_ref()),
        "684dbb3c92a8b6b1e452e23e523c1ea941c713a4c13500bb9f3bdad1e19afaf7"
    );
    assert_eq!(
        signer("lambda", "us-east-2", None).signature(&stamp, &canonical.text),
        "4b93abbcc68be32bd64c18e2c71150660ab4c29bbd6c32a383a7517a88fc1804"
    );
    let s3 = Canonical::of(&Method::POST, target, &headers(&fields), &body, false);
    assert!(s3.text.starts_with(&format!("POST\n{target}\n")));
}

fn sign(signer: &SigV4, sent: &HeaderMap, body: &[u8]) -> HeaderMap {
    let request =
        Outgoing { origin: "https://h", method: &Method::POST, target: "/mcp?b=2&a=1", headers: sent, body };
    signer.sign(&request, at(THEN)).unwrap().into_iter().collect()
}

#[test]
fn a_request_carries_its_time_the_hash_of_its_body_and_what_is_signed() {
    let sent = headers(&[
        "host:h",
        "content-type:application/json",
        "mcp-method:tools/call",
        "user-agent:x",
        "content-length:2",
        "traceparent:t",
    ]);
    let made = sign(&signer("execute-api", "eu-central-1", Some("session-canary")), &sent, b"{}");
    assert_eq!(made["x-amz-date"], "20150830T123600Z");
    assert_eq!(
        made["x-amz-content-sha256"],
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
    assert_eq!(made["x-amz-security-token"], "session-canary");
    let authorization = made[AUTHORIZATION].to_str().unwrap();
    assert!(authorization.starts_with(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-central-1/execute-api/aws4_request, \
         SignedHeaders=content-type;host;mcp-method;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature="
    ), "{authorization}");
    assert!(made[AUTHORIZATION].is_sensitive() && made["x-amz-security-token"].is_sensitive());
}

#[test]
fn whatever_is_changed_changes_the_signature() {
    let signature =
        |sent: &HeaderMap, body: &[u8]| sign(&signer("lambda", "r", None), sent, body)[AUTHORIZATION].clone();
    let sent = headers(&["host:h", "mcp-name:a"]);
    let first = signature(&sent, b"{}");
    assert_eq!(first, signature(&sent, b"{}"));
    assert_ne!(first, signature(&sent, b"{ }"));
    assert_ne!(first, signature(&headers(&["host:h", "mcp-name:b"]), b"{}"));
    assert_ne!(first, signature(&headers(&["host:other", "mcp-name:a"]), b"{}"));
    let others = [signer("lambda", "r2", None), signer("s3", "r", None), signer("lambda", "r", Some("x"))];
    for other in &others {
        assert_ne!(first, sign(other, &sent, b"{}")[AUTHORIZATION]);
    }
    // What a proxy may change is not part of it.
    assert_eq!(first, signature(&headers(&["host:h", "mcp-name:a", "user-agent:y", "te:z"]), b"{}"));
    // Nor is what was there in the place of what is made.
    let spoofed =
        headers(&["host:h", "mcp-name:a", "x-amz-date:1", "x-amz-security-token:y", "authorization:z"]);
    assert_eq!(first, signature(&spoofed, b"{}"));
}

#[test]
fn nothing_that_is_shown_has_a_key_in_it() {
    let signer = signer("lambda", "r", Some("session-canary"));
    assert_eq!(format!("{signer:?}"), "SigV4 { service: \"lambda\", .. }");
    let sent = headers(&["host:h"]);
    let request =
        Outgoing { origin: "https://h", method: &Method::GET, target: "/", headers: &sent, body: b"" };
    let shown = format!("{:?}", signer.sign(&request, at(THEN)).unwrap());
    assert!(!shown.contains("canary") && !shown.contains("Signature"), "{shown}");
    let broken = SigV4::new(
        AwsCredentials { id: "a\nb".into(), secret: "canary".into(), session_token: None },
        "r",
        "s",
    );
    assert_eq!(broken.sign(&request, at(THEN)).unwrap_err().reason(), "assertion_failed");
}
