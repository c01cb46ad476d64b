mod differential;
mod refusals;

use super::*;

fn single(body: &str) -> Message<'_> {
    match scan(body.as_bytes(), &ScanLimits::default()) {
        Ok(Body::Single(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tool_call_is_read_whole() {
    let message = single(
        r#" {"params": {"arguments": {"name": "decoy", "name": 1}, "_meta": {
            "io.modelcontextprotocol/logLevel": "debug", "traceparent": "00-ab-cd-01", "own/key": [],
            "io.modelcontextprotocol/clientCapabilities": {"roots": {}}, "progressToken": 7,
            "io.modelcontextprotocol/protocolVersion": "2026-07-28"}, "name": "echo"},
            "id": "a\u0062", "method": "tools/call", "jsonrpc": "2.0"}
        "#,
    );
    assert_eq!(message.kind, Kind::Request);
    assert!(message.is_tool_call());
    assert_eq!(message.id, Some(r#""a\u0062""#));
    assert_eq!(message.name.as_deref(), Some("echo"));
    assert!(message.declares_meta);
    assert_eq!(
        message.meta,
        Meta {
            protocol_version: Some("2026-07-28".into()),
            has_client_capabilities: true,
            log_level: Some("debug".into()),
            traceparent: Some("00-ab-cd-01".into()),
            has_progress_token: true,
        }
    );
}

#[test]
fn what_needs_no_unescaping_is_borrowed() {
    let message = single(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#);
    assert!(matches!(message.method, Cow::Borrowed("tools/call")));
    assert!(matches!(message.name, Some(Cow::Borrowed("echo"))));
}

#[test]
fn escapes_hide_nothing() {
    let message = single(
        r#"{"json\u0072pc":"\u0032.0","\u0069d":1,"method":"tools\/c\u0061ll",
            "p\u0061rams":{"n\u0061me":"\ud83d\uDE00\"\\\b\f\n\r\t\u0000"}}"#,
    );
    assert!(message.is_tool_call());
    assert_eq!(message.name.as_deref(), Some("\u{1F600}\"\\\u{8}\u{c}\n\r\t\0"));
}

#[test]
fn each_method_has_its_name() {
    for (method, params, expected) in [
        ("tools/call", r#"{"name":"n","uri":"u","taskId":"t"}"#, Some("n")),
        ("prompts/get", r#"{"uri":"u","name":"n"}"#, Some("n")),
        ("resources/read", r#"{"name":"n","uri":"u"}"#, Some("u")),
        ("resources/subscribe", r#"{"uri":"u"}"#, Some("u")),
        ("resources/unsubscribe", r#"{"uri":"u"}"#, Some("u")),
        ("tasks/get", r#"{"taskId":"t"}"#, Some("t")),
        ("tasks/update", r#"{"taskId":"t"}"#, Some("t")),
        ("tasks/list", "{}", None),
        ("tools/list", r#"{"name":1}"#, None),
        ("acme/own", r#"{"name":"n"}"#, None),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        assert_eq!(single(&body).name.as_deref(), expected, "{method}");
    }
}

#[test]
fn the_three_kinds_are_told_apart() {
    for (body, kind, id) in [
        (r#"{"jsonrpc":"2.0","id":-1,"method":"ping"}"#, Kind::Request, Some("-1")),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, Kind::Request, Some("1.0")),
        (r#"{"jsonrpc":"2.0","id":"","method":"ping"}"#, Kind::Request, Some("\"\"")),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Kind::Notification, None),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"method":"x"}}"#, Kind::Response, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, Kind::Response, Some("1")),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#, Kind::Response, None),
        (r#"{"jsonrpc":"2.0","error":{"code":1}}"#, Kind::Response, None),
    ] {
        let message = single(body);
        assert_eq!((message.kind, message.id), (kind, id), "{body}");
    }
}

#[test]
fn methods_that_2026_07_28_has_removed_pass_whatever_their_params_are() {
    for method in ["initialize", "resources/subscribe", "resources/unsubscribe"] {
        let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"_meta":{meta}}}}}"#);
        let Ok(Body::Single(message)) = scan(body.as_bytes(), &ScanLimits::default()) else {
            panic!("{body}")
        };
        assert_eq!((&*message.method, message.name), (method, None));
        assert!(scan(body.replace("_meta", "meta").as_bytes(), &ScanLimits::default()).is_err());
    }
}

#[test]
fn initialize_says_which_revision_it_asks_for() {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;
    assert_eq!(single(body).requested_version.as_deref(), Some("2025-06-18"));
}

#[test]
fn a_batch_is_read_up_to_its_cap() {
    let batch = |count: usize| {
        let messages: Vec<_> =
            (0..count).map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)).collect();
        format!("[{}]", messages.join(" , "))
    };
    let limits = ScanLimits { batch: 3, ..ScanLimits::default() };
    let body = batch(3);
    let Ok(Body::Batch(messages)) = scan(body.as_bytes(), &limits) else { panic!() };
    assert_eq!(messages.iter().filter_map(|message| message.id).collect::<Vec<_>>(), ["0", "1", "2"]);
    assert_eq!(scan(batch(4).as_bytes(), &limits).unwrap_err().reason(), "batch_too_large");
}

#[test]
fn depth_is_capped_where_it_says() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 2), "]".repeat(depth - 2));
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{open}{close}}}}}"#)
    };
    let limits = ScanLimits { depth: 8, ..ScanLimits::default() };
    assert!(scan(nested(8).as_bytes(), &limits).is_ok());
    assert_eq!(scan(nested(9).as_bytes(), &limits).unwrap_err().reason(), "too_deep");
    let no_limit = ScanLimits { depth: u16::MAX, ..limits };
    assert!(scan(nested(256).as_bytes(), &no_limit).is_ok());
    assert_eq!(scan(nested(100_000).as_bytes(), &no_limit).unwrap_err().reason(), "too_deep");
}
