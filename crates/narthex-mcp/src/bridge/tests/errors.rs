//! Errors of servers.

use super::object;
use crate::bridge::error::{Modern, to_legacy, to_modern};
use crate::bridge::message::{self, Incoming, RpcError};

fn error(code: i64, data: &str) -> RpcError {
    let data = if data.is_empty() { String::new() } else { format!(r#","data":{data}"#) };
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m"{data}}}}}"#);
    match message::parse(text.as_bytes()).as_deref() {
        Ok([Incoming::Error { error, .. }]) => error.clone(),
        other => panic!("{text}: {other:?}"),
    }
}

fn written(code: i64, data: &str) -> String {
    error(code, data).to_json()
}

#[test]
fn a_legacy_error_is_one_that_a_modern_client_knows() {
    for (code, data, status, expected, expected_data) in [
        (-32700, "", 200, -32700, ""),
        (-32600, "", 200, -32600, ""),
        (-32601, "", 404, -32601, ""),
        (-32602, r#"{"x":1}"#, 200, -32602, r#"{"x":1}"#),
        (-32603, "[1 , 2]", 200, -32603, "[1 , 2]"),
        (1, r#""text""#, 200, 1, r#""text""#),
        (-31999, "", 200, -31999, ""),
        (-32100, "", 200, -32100, ""),
        // Ranges whose codes mean something else, or nothing, over there.
        (-32000, "", 200, -32603, ""),
        (-32001, "", 200, -32603, ""),
        (-32020, "", 200, -32603, ""),
        (-32021, r#"{"x":1}"#, 200, -32603, r#"{"x":1}"#),
        (-32022, "", 200, -32603, ""),
        (-32099, "", 200, -32603, ""),
        // What cannot be found.
        (-32002, "", 200, -32602, r#"{"uri":"a:b"}"#),
        (-32002, r#"{"x":1}"#, 200, -32602, r#"{"x":1,"uri":"a:b"}"#),
        (-32002, r#"{"uri":"c:d"}"#, 200, -32602, r#"{"uri":"c:d"}"#),
        (-32002, r#"{"uri":7}"#, 200, -32602, r#"{"uri":"a:b"}"#),
        // URLs to visit, but none that make sense.
        (-32042, "", 200, -32603, ""),
        (-32042, r#"{"elicitations":[]}"#, 200, -32603, r#"{"elicitations":[]}"#),
        (
            -32042,
            r#"{"elicitations":[{"mode":"form"}]}"#,
            200,
            -32603,
            r#"{"elicitations":[{"mode":"form"}]}"#,
        ),
        (-32042, r#"{"elicitations":[7]}"#, 200, -32603, r#"{"elicitations":[7]}"#),
    ] {
        match to_modern(&error(code, data), Some("a:b")) {
            Modern::Error(at, made) => {
                assert_eq!((at, made.to_json()), (status, written(expected, expected_data)), "{code} {data}");
            }
            Modern::Visit(asks) => panic!("{code} {data}: {asks:?}"),
        }
    }
}

#[test]
fn what_is_not_found_has_no_uri_where_none_was_asked_for() {
    for (data, expected) in [("", ""), (r#"{"x":1}"#, r#"{"x":1}"#), (r#""text""#, r#""text""#)] {
        let made = to_modern(&error(-32002, data), None);
        assert_eq!(made, Modern::Error(200, error(-32602, expected)));
    }
}

#[test]
fn urls_to_visit_become_questions_without_the_servers_own_names() {
    let data = r#"{"elicitations":[
        {"mode":"url","url":"https://a/","message":"m","elicitationId":"e1","x":[1 , 2]},
        {"mode":"url","url":"https://b/","message":"n","elicitationId":"e2","task":{}}]}"#;
    let Modern::Visit(asks) = to_modern(&error(-32042, data), None) else { panic!("no question") };
    assert!(asks.iter().all(|ask| ask.method == "elicitation/create"));
    let params: Vec<_> = asks.iter().map(|ask| ask.params.to_json()).collect();
    assert_eq!(
        params,
        [
            r#"{"mode":"url","url":"https://a/","message":"m","x":[1 , 2]}"#,
            r#"{"mode":"url","url":"https://b/","message":"n"}"#,
        ]
    );
}

#[test]
fn one_url_that_makes_no_sense_spoils_them_all() {
    let data = r#"{"elicitations":[{"mode":"url","url":"https://a/"},{"mode":"form"}]}"#;
    assert!(matches!(to_modern(&error(-32042, data), None), Modern::Error(200, made) if made.code == -32603));
}

#[test]
fn a_modern_error_is_one_that_a_legacy_client_knows() {
    for (method, code, data, expected) in [
        ("tools/call", -32700, "", -32700),
        ("tools/call", -32600, "", -32600),
        ("tools/call", -32601, "", -32601),
        ("tools/call", -32603, "[1 , 2]", -32603),
        ("tools/call", 1, r#""text""#, 1),
        ("tools/call", -32602, r#"{"uri":"a:b"}"#, -32602),
        ("resources/read", -32602, r#"{"uri":"a:b","x":1}"#, -32002),
        ("resources/read", -32602, r#"{"uri":7}"#, -32602),
        ("resources/read", -32602, r#""a:b""#, -32602),
        ("resources/read", -32602, "", -32602),
        ("tools/call", -32020, "", -32603),
        ("tools/call", -32021, r#"{"requiredCapabilities":{"sampling":{}}}"#, -32602),
        ("tools/call", -32022, r#"{"supported":["2026-07-28"]}"#, -32603),
        ("tools/call", -32042, "", -32603),
        ("tools/call", -32099, "", -32603),
        ("tools/call", -32100, "", -32100),
        ("tools/call", -32019, "", -32019),
    ] {
        let made = to_legacy(method, &error(code, data));
        assert_eq!(made.to_json(), written(expected, data), "{method} {code} {data}");
    }
}

#[test]
fn a_missing_resource_is_missing_on_both_sides() {
    let uri = object(r#"{"uri":"a:b"}"#).string("uri");
    let legacy = error(-32002, r#"{"uri":"a:b"}"#);
    let Modern::Error(_, modern) = to_modern(&legacy, uri.as_deref()) else { panic!("a question") };
    assert_eq!(to_legacy("resources/read", &modern), legacy);
}
