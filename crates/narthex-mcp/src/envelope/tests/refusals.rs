//! Bodies that nothing behind the gateway may see.

use super::*;

fn refused(body: impl AsRef<[u8]>) -> ScanError {
    let body = body.as_ref();
    match scan(body, &ScanLimits::default()) {
        Err(error) => error,
        Ok(accepted) => panic!("{} gave {accepted:?}", String::from_utf8_lossy(body)),
    }
}

#[track_caller]
fn assert_refused(body: impl AsRef<[u8]>, code: i32, reason: &str, id: Option<&str>) {
    let shown = String::from_utf8_lossy(body.as_ref()).into_owned();
    let error = refused(body);
    assert_eq!((error.code(), error.reason(), error.id()), (code, reason, id), "{shown}");
}

#[test]
fn what_is_not_json_is_a_parse_error() {
    for (body, reason) in [
        (&b""[..], "empty_body"),
        (b" \r\n\t", "empty_body"),
        (b"\xEF\xBB\xBF{}", "byte_order_mark"),
        (b"{\"a\":\"\xFF\"}", "not_utf8"),
        (b"{\"a\":\"\xED\xA0\x80\"}", "not_utf8"),
        (b"{\"a\":\"\xC0\xAF\"}", "not_utf8"),
        (b"{} {}", "trailing_data"),
        (b"{}\0", "trailing_data"),
        (b"{},", "trailing_data"),
        (b"[]]", "trailing_data"),
        (b"{", "truncated"),
        (b"{\"a", "truncated"),
        (b"{\"a\"", "truncated"),
        (b"{\"a\":", "truncated"),
        (b"{\"a\":1", "truncated"),
        (b"{\"a\":\"\\u12", "truncated"),
        (b"[{\"a\":1},", "truncated"),
        (b"{\"a\":1,}", "malformed"),
        (b"{\"a\":[1,]}", "malformed"),
        (b"{,}", "malformed"),
        (b"{a:1}", "malformed"),
        (b"{'a':1}", "malformed"),
        (b"{\"a\" 1}", "malformed"),
        (b"{\"a\":1 \"b\":2}", "malformed"),
        (b"{\"a\":01}", "malformed"),
        (b"{\"a\":+1}", "malformed"),
        (b"{\"a\":1.}", "malformed"),
        (b"{\"a\":.5}", "malformed"),
        (b"{\"a\":1e}", "malformed"),
        (b"{\"a\":-}", "malformed"),
        (b"{\"a\":0x1}", "malformed"),
        (b"{\"a\":NaN}", "malformed"),
        (b"{\"a\":Infinity}", "malformed"),
        (b"{\"a\":tru}", "malformed"),
        (b"{\"a\":nullx}", "malformed"),
        (b"{\"a\":1}//", "trailing_data"),
        (b"{/**/\"a\":1}", "malformed"),
        (b"{\"a\":[1}", "malformed"),
        (b"{\"a\":\x0b1}", "malformed"),
        (b"{\"a\":\xC2\xA01}", "malformed"),
        (b"{\"a\":\"\n\"}", "control_character"),
        (b"{\"a\":\"\0\"}", "control_character"),
        (b"{\"a\":\"\\x41\"}", "bad_escape"),
        (b"{\"a\":\"\\u00g0\"}", "bad_escape"),
        (b"{\"a\":\"\\u+123\"}", "bad_escape"),
        (b"{\"a\":\"\\U0041\"}", "bad_escape"),
        (b"{\"a\":\"\\ud800\"}", "lone_surrogate"),
        (b"{\"a\":\"\\udc00\"}", "lone_surrogate"),
        (b"{\"a\":\"\\ud800\\u0041\"}", "lone_surrogate"),
        (b"{\"a\":\"\\ud800\\ud800\"}", "lone_surrogate"),
        (b"{\"\\ud800\":1}", "lone_surrogate"),
        (b"{\"a\":1e999}", "number_out_of_range"),
        (b"{\"a\":-1e999}", "number_out_of_range"),
    ] {
        assert_refused(body, -32700, reason, None);
    }
    let digits = format!("{{\"a\":1{}}}", "0".repeat(400));
    assert_refused(digits, -32700, "number_out_of_range", None);
}

#[test]
fn what_is_not_a_message_is_an_invalid_request() {
    for (body, reason, id) in [
        ("1", "not_an_object", None),
        ("\"x\"", "not_an_object", None),
        ("null", "not_an_object", None),
        ("{}", "bad_jsonrpc", None),
        (r#"{"id":1,"method":"ping"}"#, "bad_jsonrpc", Some("1")),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "bad_jsonrpc", Some("1")),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, "bad_jsonrpc", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1}"#, "not_a_message", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, "bad_method", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":null,"result":{}}"#, "bad_method", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, "bad_method", Some("1")),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "bad_id", None),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "bad_id", None),
        (r#"{"jsonrpc":"2.0","id":1e-1,"method":"ping"}"#, "bad_id", None),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, "bad_id", None),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, "bad_id", None),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, "bad_id", None),
        (r#"{"jsonrpc":"2.0","result":{}}"#, "bad_id", None),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, "bad_id", None),
        (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, "bad_result", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#, "bad_error", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, "mixed_message", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","result":{}}"#, "mixed_message", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","error":{}}"#, "mixed_message", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#, "mixed_message", Some("1")),
        (r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}"#, "request_without_id", None),
        (r#"{"jsonrpc":"2.0","method":"initialize"}"#, "request_without_id", None),
    ] {
        assert_refused(body, -32600, reason, id);
    }
    let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(1023));
    assert_refused(long, -32600, "id_too_long", None);
}

#[test]
fn a_key_that_could_be_read_two_ways_is_refused() {
    let call =
        |params: &str| format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#);
    for (body, reason, id) in [
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.into(), "duplicate_key", None),
        (r#"{"jsonrpc":"2.0","id":1,"\u0069d":1,"method":"ping"}"#.into(), "duplicate_key", None),
        (r#"{"jsonrpc":"2.0","id":1,"ID":1,"method":"ping"}"#.into(), "key_case", None),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#.into(), "duplicate_key", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#.into(), "key_case", Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":1,"x":1}"#.into(), "duplicate_key", Some("1")),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}"#.into(),
            "duplicate_key",
            Some("1"),
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","paramſ":{}}"#.into(), "key_case", Some("1")),
        (call(r#"{"name":"a","name":"b"}"#), "duplicate_key", Some("7")),
        (call(r#"{"name":"a","n\u0061me":"b"}"#), "duplicate_key", Some("7")),
        (call(r#"{"name":"a","Name":"b"}"#), "key_case", Some("7")),
        (call(r#"{"name":"a","x":1,"x":2}"#), "duplicate_key", Some("7")),
        (call(r#"{"name":"a","arguments":{},"arguments":{}}"#), "duplicate_key", Some("7")),
        (call(r#"{"name":"a","Arguments":{}}"#), "key_case", Some("7")),
        (call("{\"name\":\"a\",\"tas\u{212A}Id\":\"t\"}"), "key_case", Some("7")),
        (call(r#"{"name":"a","_meta":{},"_Meta":{}}"#), "key_case", Some("7")),
        (call(r#"{"name":"a","_meta":{"x":1,"x":2}}"#), "duplicate_key", Some("7")),
        (
            call(r#"{"name":"a","_meta":{"io.modelcontextprotocol/ProtocolVersion":"x"}}"#),
            "key_case",
            Some("7"),
        ),
    ] {
        assert_refused(body, -32600, reason, id);
    }
}

#[test]
fn params_that_do_not_fit_are_refused_with_the_id() {
    for (method, params, reason) in [
        ("tools/call", "{}", "bad_name"),
        ("tools/call", r#"{"name":1}"#, "bad_name"),
        ("tools/call", r#"{"name":null}"#, "bad_name"),
        ("tools/call", r#"{"name":["a"]}"#, "bad_name"),
        ("resources/read", r#"{"name":"a"}"#, "bad_name"),
        ("resources/read", r#"{"uri":{}}"#, "bad_name"),
        ("tasks/cancel", r#"{}"#, "bad_name"),
        ("tasks/list", r#"{"taskId":1}"#, "bad_name"),
        ("initialize", r#"{}"#, "bad_protocol_version"),
        ("initialize", r#"{"protocolVersion":1}"#, "bad_protocol_version"),
        ("tools/call", r#"["echo"]"#, "params_not_object"),
        ("ping", "[]", "params_not_object"),
        ("ping", "null", "params_not_object"),
        ("ping", r#"{"_meta":null}"#, "bad_meta"),
        ("ping", r#"{"_meta":[]}"#, "bad_meta"),
        ("ping", r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#, "bad_meta"),
        ("ping", r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":[]}}"#, "bad_meta"),
        ("ping", r#"{"_meta":{"io.modelcontextprotocol/logLevel":0}}"#, "bad_meta"),
    ] {
        let body = format!(r#"{{"params":{params},"jsonrpc":"2.0","method":"{method}","id":"x"}}"#);
        assert_refused(body, -32602, reason, Some("\"x\""));
    }
}

#[test]
fn batches_that_no_revision_knows_are_refused() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let result = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
    let initialize = r#"{"jsonrpc":"2.0","id":3,"method":"initialize","params":{"protocolVersion":"x"}}"#;
    for (body, code, reason) in [
        ("[]".into(), -32600, "empty_batch"),
        ("[1]".into(), -32600, "not_an_object"),
        (format!("[{ping},[{ping}]]"), -32600, "not_an_object"),
        (format!("[{ping},{result}]"), -32600, "mixed_batch"),
        (format!("[{ping},{initialize}]"), -32600, "initialize_in_batch"),
        (format!("[{ping},{ping}]"), -32600, "duplicate_id"),
        (format!(r#"[{ping},{{"jsonrpc":"2.0","id":4,"method":"tools/call"}}]"#), -32602, "bad_name"),
        (format!("[{}]", vec![ping; 51].join(",")), -32600, "batch_too_large"),
    ] {
        assert_refused(body, code, reason, None);
    }
}

#[test]
fn every_prefix_of_a_good_body_is_refused() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\u00e9é","n":-1.5e3}}"#;
    assert!(scan(body.as_bytes(), &ScanLimits::default()).is_ok());
    for end in 0..body.len() {
        assert_eq!(refused(&body.as_bytes()[..end]).kind(), ErrorKind::Parse);
    }
}
