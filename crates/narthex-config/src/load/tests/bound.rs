//! Tokens that are bound to their sender.

use super::mistakes::{each_is_refused, route, with};
use super::*;

fn dpop(keys: &str) -> String {
    with("auth: { embedded: development }", &format!("auth: {{ embedded: development, dpop: {{ {keys} }} }}"))
}

fn tls(keys: &str) -> String {
    let server = format!(
        "{{ public_url: http://localhost:8080, tls: {{ cert: {{ file: a }}, key: {{ file: b }}{keys} }} }}"
    );
    with("{ public_url: http://localhost:8080 }", &server)
}

fn loaded(text: &str) -> Config {
    let (config, warnings) = parsed(text).unwrap_or_else(|found| panic!("{found}\nof:\n{text}"));
    assert!(warnings.is_empty(), "{warnings}");
    config
}

#[test]
fn without_a_key_no_token_need_be_bound_and_no_certificate_is_asked_for() {
    let config = loaded(GOOD);
    assert_eq!(config.routes["demo"].sender_constrained, None);
    assert_eq!(config.auth.dpop, Dpop::default());
    assert_eq!(loaded(&tls("")).server.tls.unwrap().client_auth, ClientAuth::Off);
}

#[test]
fn a_route_says_how_its_tokens_must_be_bound_and_still_needs_one() {
    for (word, how) in [("dpop", SenderConstrained::Dpop), ("any", SenderConstrained::Any)] {
        let config = loaded(&route(&format!("auth: {{ sender_constrained: {word} }}")));
        assert_eq!(config.routes["demo"].sender_constrained, Some(how));
        assert_eq!(config.routes["demo"].auth, RouteAuth::Required);
    }
    let text = format!("{}    auth: {{ sender_constrained: mtls }}\n", tls(", client_ca: { file: c }"));
    assert_eq!(loaded(&text).routes["demo"].sender_constrained, Some(SenderConstrained::Mtls));
}

#[test]
fn the_clients_that_may_connect_are_said() {
    let required = ClientAuth::Required("conf/c".into());
    for (keys, mode) in [
        (", client_ca: { file: c }", required.clone()),
        (", client_ca: { file: c }, client_auth: required", required),
        (", client_ca: { file: c }, client_auth: optional", ClientAuth::Optional("conf/c".into())),
        (", client_auth: any", ClientAuth::Any),
    ] {
        assert_eq!(loaded(&tls(keys)).server.tls.unwrap().client_auth, mode, "{keys}");
    }
}

#[test]
fn a_mistake_about_bound_tokens_is_refused() {
    let nobody = route("auth: { sender_constrained: dpop }").replace("auth: { embedded: development }\n", "");
    each_is_refused(&[
        (route("auth: required"), "expected `none` or `sender_constrained`"),
        (route("auth: { sender_constrained: tls }"), "expected `dpop`, `mtls` or `any`"),
        (route("auth: { sender_constrained: [dpop] }"), "expected `dpop`, `mtls` or `any`"),
        (route("auth: { sender_constrained: dpop, tenant: acme }"), "exactly one of"),
        (route("auth: sender_constrained"), "needs a value"),
        (route("auth: { none: true }"), "takes no value"),
        (
            route("auth: { sender_constrained: dpop }\n    tenant: acme"),
            "`tenant` goes with `auth: none` only",
        ),
        (route("auth: { sender_constrained: mtls }"), "nobody can show a client certificate here"),
        (
            format!("{}    auth: {{ sender_constrained: mtls }}\n", tls("")),
            "nobody can show a client certificate",
        ),
        (nobody, "nobody is trusted to issue one"),
        (dpop("nonce: true"), "expected `required` or `off`"),
        (dpop("window: 0s"), "cannot be zero"),
        (dpop("window: 6m"), "a window over 5m"),
        (dpop("window: 60"), "not a duration"),
        (dpop("algorithms: []"), "without an algorithm no proof"),
        (dpop("algorithms: [HS256]"), "HS256"),
        (dpop("algorithms: [none]"), "none"),
        (dpop("replay_cache: 0"), "at least 1"),
        (dpop("nonces: required"), "did you mean `nonce`?"),
        (tls(", client_auth: required"), "`client_ca` is missing"),
        (tls(", client_auth: optional"), "`client_ca` is missing"),
        (tls(", client_ca: { file: c }, client_auth: any"), "no authority is asked"),
        (tls(", client_auth: maybe"), "expected `required`, `optional` or `any`"),
    ]);
}
