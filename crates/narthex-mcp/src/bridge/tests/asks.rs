//! What servers ask of clients in mid-call.

use super::object;
use crate::bridge::ask::{Ask, Asked, is_ask, responses};

fn ask(method: &str, params: &str) -> Ask {
    Ask { method: method.to_owned(), params: object(params) }
}

#[test]
fn three_things_may_be_asked() {
    for method in ["elicitation/create", "sampling/createMessage", "roots/list"] {
        assert!(is_ask(method), "{method}");
    }
    for method in ["ping", "tools/call", "elicitation/Create", "", "tasks/get"] {
        assert!(!is_ask(method), "{method}");
    }
}

#[test]
fn a_modern_client_is_asked_without_what_only_sessions_have() {
    for (method, params, expected) in [
        ("roots/list", "{}", "{}"),
        ("roots/list", r#"{"_meta":{"progressToken":0}}"#, "{}"),
        (
            "sampling/createMessage",
            r#"{"messages":[1 , 2],"_meta":{"progressToken":0,"k":1}}"#,
            r#"{"messages":[1 , 2],"_meta":{"k":1}}"#,
        ),
        ("sampling/createMessage", r#"{"maxTokens":1e2,"task":{"ttl":1}}"#, r#"{"maxTokens":1e2}"#),
        (
            "elicitation/create",
            r#"{"mode":"url","url":"https://a/","elicitationId":"e"}"#,
            r#"{"mode":"url","url":"https://a/"}"#,
        ),
        (
            "elicitation/create",
            r#"{"message":"m","requestedSchema":{"type" : "object"}}"#,
            r#"{"message":"m","requestedSchema":{"type" : "object"}}"#,
        ),
        ("elicitation/create", r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}"#, "{}"),
        ("elicitation/create", r#"{"message":"m","_meta":{"a":1,"a":2}}"#, r#"{"message":"m"}"#),
    ] {
        assert_eq!(Ask::from_legacy(method, &object(params)), ask(method, expected), "{params}");
    }
}

#[test]
fn a_legacy_client_gets_an_id_for_urls_and_for_nothing_else() {
    for (method, params, expected) in [
        (
            "elicitation/create",
            r#"{"mode":"url","url":"u"}"#,
            r#"{"mode":"url","url":"u","elicitationId":"g\""}"#,
        ),
        (
            "elicitation/create",
            r#"{"mode":"url","elicitationId":"theirs"}"#,
            r#"{"mode":"url","elicitationId":"g\""}"#,
        ),
        ("elicitation/create", r#"{"mode":"form","elicitationId":"theirs"}"#, r#"{"mode":"form"}"#),
        ("elicitation/create", r#"{"message":"m"}"#, r#"{"message":"m"}"#),
        ("sampling/createMessage", r#"{"mode":"url"}"#, r#"{"mode":"url"}"#),
        ("roots/list", r#"{"_meta":{"progressToken":"nobody's"}}"#, "{}"),
    ] {
        assert_eq!(ask(method, params).to_legacy("g\"").to_json(), expected, "{method} {params}");
    }
}

#[test]
fn only_an_elicitation_can_be_declined_in_a_result() {
    assert_eq!(ask("elicitation/create", "{}").declined().as_deref(), Some(r#"{"action":"cancel"}"#));
    assert_eq!(ask("sampling/createMessage", "{}").declined(), None);
    assert_eq!(ask("roots/list", "{}").declined(), None);
}

#[test]
fn a_result_that_asks_is_read_and_written() {
    for (members, asks, state) in [
        (r#""requestState":"s\"\u00e9""#, vec![], Some("s\"é")),
        (
            r#""inputRequests":{"b":{"method":"roots/list","params":{}},
                "a":{"method":"elicitation/create","params":{"message" : "m"}}}"#,
            vec![("b", ask("roots/list", "{}")), ("a", ask("elicitation/create", r#"{"message":"m"}"#))],
            None,
        ),
        (
            r#""inputRequests":{"":{"method":"roots/list"}},"requestState":"","x":1"#,
            vec![("", ask("roots/list", "{}"))],
            Some(""),
        ),
    ] {
        let result = object(&format!(r#"{{"resultType":"input_required",{members}}}"#));
        let asks = asks.into_iter().map(|(key, ask)| (key.to_owned(), ask)).collect();
        let expected = Asked { asks, state: state.map(str::to_owned) };
        assert_eq!(Asked::parse(&result), Ok(expected.clone()), "{members}");
        assert_eq!(Asked::parse(&expected.to_result()), Ok(expected.clone()), "{members}");
        assert_eq!(expected.to_result().get("resultType"), Some(r#""input_required""#));
    }
}

#[test]
fn a_result_that_asks_for_nothing_known_is_refused() {
    for members in [
        r#""x":1"#,
        r#""inputRequests":{}"#,
        r#""inputRequests":[]"#,
        r#""inputRequests":null,"requestState":"s""#,
        r#""inputRequests":{"a":7}"#,
        r#""inputRequests":{"a":{}}"#,
        r#""inputRequests":{"a":{"method":7}}"#,
        r#""inputRequests":{"a":{"method":"tools/call"}}"#,
        r#""inputRequests":{"a":{"method":"ping"}}"#,
        r#""inputRequests":{"a":{"method":"roots/list","params":[]}}"#,
        r#""inputRequests":{"a":{"method":"roots/list","method":"ping"}}"#,
        r#""inputRequests":{"a":{"method":"roots/list"},"a":{"method":"roots/list"}}"#,
        r#""requestState":7"#,
        r#""requestState":null"#,
    ] {
        let result = object(&format!(r#"{{"resultType":"input_required",{members}}}"#));
        assert!(Asked::parse(&result).is_err(), "{members}");
    }
}

#[test]
fn responses_are_an_object_of_results() {
    for (params, expected) in [
        ("{}", vec![]),
        (r#"{"inputResponses":{}}"#, vec![]),
        (
            r#"{"inputResponses":{"b":{"roots":[ ]},"a":{"action":"accept","content":{"x":1.0}}}}"#,
            vec![("b", r#"{"roots":[ ]}"#), ("a", r#"{"action":"accept","content":{"x":1.0}}"#)],
        ),
    ] {
        let expected = expected.into_iter().map(|(k, r)| (k.to_owned(), r.to_owned())).collect();
        assert_eq!(responses(&object(params)), Ok(expected), "{params}");
    }
    for bad in
        ["null", "[]", "7", r#"{"a":7}"#, r#"{"a":null}"#, r#"{"a":{},"a":{}}"#, r#"{"a":{"b":1,"b":2}}"#]
    {
        let params = object(&format!(r#"{{"inputResponses":{bad}}}"#));
        assert!(responses(&params).is_err(), "{bad}");
    }
}
