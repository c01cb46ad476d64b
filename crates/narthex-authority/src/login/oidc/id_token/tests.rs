use super::*;
use serde_json::json;

const CLIENT: &str = "narthex";
const NOW: u64 = 1_800_000_000;

fn claims() -> Value {
    json!({"iss": "https://idp.example", "aud": CLIENT, "nonce": "n", "iat": NOW, "exp": NOW + 300, "sub": "u"})
}

/// What is wrong with the good claims changed so; a null takes a claim out.
#[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
fn wrong(changed: Value) -> Option<&'static str> {
    wrong_at(&IssuerName::Exact("https://idp.example".to_owned()), &changed, NOW)
}

fn wrong_at(issuer: &IssuerName, changed: &Value, now: u64) -> Option<&'static str> {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    let expected = Expected { issuer, client: CLIENT, nonce: "n", access_token: Some("token") };
    let jwt = format!("{}.x.y", BASE64_URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256"}"#));
    expected.check(members, &jwt, UNIX_EPOCH + Duration::from_secs(now)).err()
}

#[test]
fn a_token_that_says_all_rightly_is_good() {
    for changed in [
        json!({}),
        json!({"aud": [CLIENT]}),
        json!({"aud": [CLIENT, "api"], "azp": CLIENT}),
        json!({"azp": CLIENT}),
        json!({"nbf": NOW}),
        json!({"exp": NOW - 59}),
        json!({"iat": NOW + 60}),
        json!({"at_hash": "PEaenWxYddN6Q_NT1PiOYQ"}),
    ] {
        assert_eq!(wrong(changed.clone()), None, "{changed}");
    }
}

#[test]
fn a_token_that_says_anything_wrongly_is_refused() {
    let ahead = NOW + 61;
    for (changed, problem) in [
        (json!({"iss": null}), "no iss"),
        (json!({"iss": ["https://idp.example"]}), "no iss"),
        (json!({"iss": "https://evil.example"}), "iss is another's"),
        (json!({"iss": "https://idp.example/"}), "iss is another's"),
        (json!({"iss": "HTTPS://idp.example"}), "iss is another's"),
        (json!({"aud": null}), "aud is another client"),
        (json!({"aud": ""}), "aud is another client"),
        (json!({"aud": "other"}), "aud is another client"),
        (json!({"aud": []}), "aud is another client"),
        (json!({"aud": ["other"]}), "aud is another client"),
        (json!({"aud": [[CLIENT]]}), "aud is another client"),
        (json!({"aud": {"0": CLIENT}}), "aud is another client"),
        (json!({"aud": [CLIENT, "other"]}), "several aud and no azp"),
        (json!({"aud": [CLIENT, CLIENT]}), "several aud and no azp"),
        (json!({"aud": [CLIENT, "other"], "azp": "other"}), "azp is another client"),
        (json!({"azp": "other"}), "azp is another client"),
        (json!({"azp": 1}), "azp is another client"),
        (json!({"exp": null}), "no exp"),
        (json!({"exp": NOW - 60}), "expired"),
        (json!({"exp": 0}), "expired"),
        (json!({"exp": "9999999999"}), "a date is none"),
        (json!({"exp": -1}), "a date is none"),
        (json!({"exp": 1e300}), "a date is none"),
        (json!({"iat": null}), "no iat"),
        (json!({"iat": ahead}), "issued in the future"),
        (json!({"iat": true}), "a date is none"),
        (json!({"nbf": ahead}), "not valid yet"),
        (json!({"nonce": null}), "no nonce"),
        (json!({"nonce": ""}), "nonce is another login's"),
        (json!({"nonce": "m"}), "nonce is another login's"),
        (json!({"nonce": ["n"]}), "no nonce"),
        (json!({"at_hash": "PEaenWxYddN6Q_NT1PiOYA"}), "at_hash is another token's"),
        (json!({"at_hash": ""}), "at_hash is another token's"),
        (json!({"at_hash": 1}), "at_hash without an access token"),
    ] {
        assert_eq!(wrong(changed.clone()), Some(problem), "{changed}");
    }
}

#[test]
fn an_issuer_that_is_a_template_is_held_to_the_directory_that_the_token_names() {
    let (before, after) = ("https://login.microsoftonline.com/", "/v2.0");
    let template = IssuerName::Template(before.to_owned(), after.to_owned());
    let id = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let other = "00000000-86f1-41af-91ab-2d7cd011db47";
    let iss = |id: &str| format!("{before}{id}{after}");
    let wrong = |changed: Value| wrong_at(&template, &changed, NOW);
    assert_eq!(wrong(json!({"iss": iss(id), "tid": id})), None);
    assert_eq!(wrong(json!({"iss": iss(id), "tid": other})), Some("iss and tid differ"));
    assert_eq!(wrong(json!({"iss": iss(id)})), Some("iss and tid differ"));
    for id in [
        "",
        "common",
        "{tenantid}",
        "evil/../72f988bf-86f1-41af-91ab-2d7cd0",
        "72f988bf-86f1-41af-91ab-2d7cd011db47/x",
    ] {
        assert_eq!(wrong(json!({"iss": iss(id), "tid": id})), Some("iss is another's"), "{id}");
    }
}
