//! Requests of clients.

use super::{CLEAN_META, crowded_meta, object};
use crate::bridge::declared::{Declared, LEVELS, severity};
use crate::bridge::params::{progress_token, retry, to_legacy, to_modern, with_token};

const MODERN: &str = "2026-07-28";

fn declared() -> Declared {
    Declared::from_initialize(&object(r#"{"capabilities":{"sampling":{}}}"#)).expect("declared")
}

/// `_meta` of a request to a modern server with nothing but what it must have.
const DECLARATION: &str = concat!(
    r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{"sampling":{}}"#,
);

#[test]
fn a_modern_request_is_what_a_legacy_server_reads() {
    for (sent, progress, expected) in [
        ("{}", None, "{}"),
        (r#"{"cursor":"c"}"#, None, r#"{"cursor":"c"}"#),
        (r#"{"name":"t","arguments":{"a":[1 , 2]}}"#, None, r#"{"name":"t","arguments":{"a":[1 , 2]}}"#),
        (r#"{"uri":"a:b","later":  {"x":1e400}}"#, None, r#"{"uri":"a:b","later":{"x":1e400}}"#),
        // The client's own token never goes up, and the gateway's only where there is one.
        (r#"{"_meta":{"progressToken":7}}"#, None, "{}"),
        (r#"{"_meta":{"progressToken":7,"k":1}}"#, None, r#"{"_meta":{"k":1}}"#),
        (r#"{"_meta":{"progressToken":7}}"#, Some("\"g\""), r#"{"_meta":{"progressToken":"g"}}"#),
        ("{}", Some("3"), r#"{"_meta":{"progressToken":3}}"#),
        // Of rounds and tasks a legacy server knows nothing.
        (r#"{"name":"t","inputResponses":{},"requestState":"s"}"#, None, r#"{"name":"t"}"#),
        (r#"{"name":"t","task":{"ttl":1}}"#, None, r#"{"name":"t"}"#),
    ] {
        assert_eq!(to_legacy(&object(sent), progress).to_json(), expected, "{sent}");
    }
}

#[test]
fn no_reserved_key_reaches_a_legacy_server_and_every_other_does() {
    let sent = object(&format!(r#"{{"_meta":{}}}"#, crowded_meta()));
    assert_eq!(to_legacy(&sent, None).to_json(), format!(r#"{{"_meta":{CLEAN_META}}}"#));
}

#[test]
fn a_legacy_request_is_what_a_modern_server_reads() {
    for (sent, level, progress, expected) in [
        ("{}", None, None, format!(r#"{{"_meta":{{{DECLARATION}}}}}"#)),
        (r#"{"cursor":"c"}"#, None, None, format!(r#"{{"cursor":"c","_meta":{{{DECLARATION}}}}}"#)),
        (
            r#"{"name":"t","arguments":{"a":[1 , 2]}}"#,
            None,
            None,
            format!(r#"{{"name":"t","arguments":{{"a":[1 , 2]}},"_meta":{{{DECLARATION}}}}}"#),
        ),
        (r#"{"_meta":{"progressToken":7}}"#, None, None, format!(r#"{{"_meta":{{{DECLARATION}}}}}"#)),
        (
            r#"{"_meta":{"k":1,"progressToken":7},"uri":"u"}"#,
            None,
            Some("9"),
            format!(r#"{{"_meta":{{"k":1,"progressToken":9,{DECLARATION}}},"uri":"u"}}"#),
        ),
        (
            "{}",
            Some("debug"),
            Some("9"),
            format!(
                r#"{{"_meta":{{{DECLARATION},"io.modelcontextprotocol/logLevel":"debug","progressToken":9}}}}"#
            ),
        ),
        // A legacy client has no business with any of these; a server would believe them.
        (
            r#"{"name":"t","inputResponses":{},"requestState":"s","task":{}}"#,
            None,
            None,
            format!(r#"{{"name":"t","_meta":{{{DECLARATION}}}}}"#),
        ),
        (r#"{"_meta":null}"#, None, None, format!(r#"{{"_meta":{{{DECLARATION}}}}}"#)),
    ] {
        let made = to_modern(&object(sent), &declared(), MODERN, level, progress);
        assert_eq!(made.to_json(), expected, "{sent}");
    }
}

#[test]
fn what_a_legacy_client_writes_under_reserved_keys_is_not_believed() {
    let sent = object(&format!(r#"{{"_meta":{}}}"#, crowded_meta()));
    let inner = to_modern(&sent, &declared(), MODERN, None, None).object("_meta").expect("_meta").to_json();
    let others = CLEAN_META.strip_suffix('}').expect("an object");
    assert_eq!(inner, format!("{others},{DECLARATION}}}"));
}

#[test]
fn a_retry_says_what_was_answered_and_the_state_as_it_came() {
    let call = object(r#"{"name":"t","inputResponses":{"old":{}},"requestState":"old"}"#);
    let answers = [("a\"".to_owned(), r#"{"action":"accept"}"#.to_owned())];
    for (responses, state, expected) in [
        (&answers[..0], None, r#"{"name":"t"}"#),
        (&answers[..0], Some("é\u{0}"), r#"{"name":"t","requestState":"é\u0000"}"#),
        (&answers[..], None, r#"{"name":"t","inputResponses":{"a\"":{"action":"accept"}}}"#),
        (
            &answers[..],
            Some(""),
            r#"{"name":"t","inputResponses":{"a\"":{"action":"accept"}},"requestState":""}"#,
        ),
    ] {
        assert_eq!(retry(&call, responses, state).to_json(), expected);
    }
}

#[test]
fn a_progress_token_is_a_string_or_an_integer() {
    for (token, expected) in [
        ("7", Some("7")),
        ("-7", Some("-7")),
        (r#""a\u0062""#, Some(r#""a\u0062""#)),
        (r#""""#, Some(r#""""#)),
        ("1.5", None),
        ("1e2", None),
        ("99999999999999999999", None),
        ("null", None),
        ("true", None),
        ("[1]", None),
        (r#"{"a":1}"#, None),
    ] {
        let params = object(&format!(r#"{{"_meta":{{"progressToken":{token}}}}}"#));
        assert_eq!(progress_token(&params).as_deref(), expected, "{token}");
    }
    for none in ["{}", r#"{"_meta":{}}"#, r#"{"_meta":7}"#, r#"{"progressToken":7}"#] {
        assert_eq!(progress_token(&object(none)), None, "{none}");
    }
}

#[test]
fn progress_is_told_under_the_other_token_and_unchanged_otherwise() {
    let told = object(r#"{"progressToken":1,"progress":0.50,"total":1,"message":"half"}"#);
    let expected = r#"{"progressToken":"c","progress":0.50,"total":1,"message":"half"}"#;
    assert_eq!(with_token(&told, "\"c\"").expect("a token").to_json(), expected);
    assert_eq!(with_token(&object(r#"{"progress":1}"#), "1"), None);
}

#[test]
fn levels_of_log_messages_are_in_the_order_of_syslog() {
    assert_eq!(LEVELS.first(), Some(&"debug"));
    for pair in LEVELS.windows(2) {
        assert!(severity(pair[0]).is_some() && severity(pair[0]) < severity(pair[1]), "{pair:?}");
    }
    for unknown in ["", "Debug", "warn", "trace", "debug "] {
        assert_eq!(severity(unknown), None, "{unknown}");
    }
}
