//! Bodies that are not one JSON-RPC message, or that two parsers could read differently.

use super::stage::{Failures, Stage, whole};
use narthex_testkit::{RawClient, mcp};
use serde_json::{Value, json};

const PARSE: i64 = -32700;
const REQUEST: i64 = -32600;
const PARAMS: i64 = -32602;

/// Name, body, JSON-RPC code.
type Case = (&'static str, Vec<u8>, i64);

fn case(name: &'static str, body: impl Into<Vec<u8>>, code: i64) -> Case {
    (name, body.into(), code)
}

fn bytes(token: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = mcp::post("/mcp", Some(token), headers, &" ".repeat(body.len()));
    request.truncate(request.len() - body.len());
    request.extend_from_slice(body);
    request
}

#[tokio::test]
async fn no_hostile_body_reaches_an_upstream() {
    let stage = Stage::start().await;
    let token = stage.token();
    let cases = [not_json(), ambiguous(), not_a_message(), batches()].concat();
    assert!(cases.len() >= 40, "{} hostile bodies", cases.len());
    let mut failures = Failures::default();
    for (number, (name, body, code)) in cases.iter().enumerate() {
        let id = format!("body-case-{number}-");
        let answer = stage.send(&bytes(&token, &[("X-Request-Id", &id)], body)).await;
        let right = answer.status == 400
            && answer.header("content-type") == Some("application/json")
            && answer.json()["error"]["code"] == *code
            && answer.json().get("id").is_some();
        failures.unless(right, name, || format!("expected 400 {code}, got {}", whole(&answer)));
        failures.unless(stage.upstream.count() == 0, name, || "reached the upstream".to_owned());
        stage.upstream.forget();
        let line = stage.log_line(&id).await;
        failures.unless(line["decision"] == "deny" && line["reason"].is_string(), name, || line.to_string());
    }
    stage.assert_alive().await;
}

fn not_json() -> Vec<Case> {
    let good = mcp::tools_call("echo", json!({"a": "b"}));
    let arguments = |text: &str| good.replace(r#""b""#, text);
    let invalid = |bytes: &[u8]| {
        let (before, after) = good.split_once("\"b\"").expect("the argument");
        [before.as_bytes(), b"\"", bytes, b"\"", after.as_bytes()].concat()
    };
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        case("no body", "", PARSE),
        case("white space", " \r\n\t ", PARSE),
        case("not JSON", "tools/call echo", PARSE),
        case("a form", "method=tools%2Fcall&name=echo", PARSE),
        case("cut off", &good.as_bytes()[..good.len() - 1], PARSE),
        case("one brace", "{", PARSE),
        case("trailing data", format!("{good}x"), PARSE),
        case("a closing brace more", format!("{good}}}"), PARSE),
        case("two documents", format!("{good}{good}"), PARSE),
        case("two documents, one a line", format!("{good}\n{good}\n"), PARSE),
        case("a NUL behind it", format!("{good}\0"), PARSE),
        case("a NUL before it", format!("\0{good}"), PARSE),
        case("a byte order mark", format!("\u{feff}{good}"), PARSE),
        case("UTF-16", utf16, PARSE),
        case("a byte that is not UTF-8", invalid(b"\xff"), PARSE),
        case("a sequence cut off", invalid(b"\xc3"), PARSE),
        case("an overlong sequence", invalid(b"\xc0\xaf"), PARSE),
        case("a surrogate in UTF-8", invalid(b"\xed\xa0\x80"), PARSE),
        case("beyond Unicode", invalid(b"\xf4\x90\x80\x80"), PARSE),
        case("half a surrogate pair, the first", invalid(br"\ud83d"), PARSE),
        case("half a surrogate pair, the second", invalid(br"\ude00"), PARSE),
        case("a surrogate pair the wrong way round", invalid(br"\ude00\ud83d"), PARSE),
        case("a raw line feed in a string", invalid(b"\n"), PARSE),
        case("a raw NUL in a string", invalid(b"\0"), PARSE),
        case("an unknown escape", invalid(br"\x41"), PARSE),
        case("an escape cut off", invalid(br"\u00"), PARSE),
        case("single quotes", good.replace('"', "'"), PARSE),
        case("a comment", format!("/* hi */{good}"), PARSE),
        case("a trailing comma", good.replacen('}', ",}", 1), PARSE),
        case("NaN", arguments("NaN"), PARSE),
        case("Infinity", arguments("-Infinity"), PARSE),
        case("a number beyond a double", arguments("1e999"), PARSE),
        case("a negative number beyond a double", arguments("-1e400"), PARSE),
        case("400 digits", arguments(&"9".repeat(400)), PARSE),
        case("a leading zero", arguments("01"), PARSE),
        case("a number in hex", arguments("0x10"), PARSE),
        case("a number that starts with a dot", arguments(".5"), PARSE),
        case("a number that ends with a dot", arguments("5."), PARSE),
        case("a plus sign", arguments("+1"), PARSE),
        case("a literal in capitals", arguments("True"), PARSE),
        case("an unquoted key", good.replace("\"a\"", "a"), PARSE),
        case("a bomb of lists", "[".repeat(100_000), PARSE),
        case("a bomb of objects", "{\"a\":".repeat(50_000), PARSE),
        case("a bomb in the arguments", arguments(&"[".repeat(100_000)), PARSE),
    ]
}

/// Keys that stand twice, or nearly.
fn ambiguous() -> Vec<Case> {
    let with = |more: &str| {
        let good = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"echo","arguments":{}}"#;
        format!("{good},{more}}}")
    };
    let params = |more: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{}},{more}}}}}"#
        )
    };
    vec![
        case("method twice", with(r#""method":"tools/call""#), REQUEST),
        case("method twice, equal", with(r#""method":"tools/list""#), REQUEST),
        case("method twice, one escaped", with(r#""m\u0065thod":"tools/call""#), REQUEST),
        case("method twice, all escaped", with(r#""\u006d\u0065\u0074\u0068\u006f\u0064":"x""#), REQUEST),
        case("method and Method", with(r#""Method":"tools/call""#), REQUEST),
        case("method and METHOD, escaped", with(r#""\u004dETHOD":"tools/call""#), REQUEST),
        case("id twice", with(r#""id":2"#), REQUEST),
        case("id and ID", with(r#""ID":2"#), REQUEST),
        case("jsonrpc twice", with(r#""jsonrpc":"2.0""#), REQUEST),
        case("params twice", with(r#""params":{"name":"whoami"}"#), REQUEST),
        case("params and a long s", with(r#""param\u017f":{"name":"whoami"}"#), REQUEST),
        case("params and Params", with(r#""Params":{"name":"whoami"}"#), REQUEST),
        case("an unknown key twice", with(r#""x":1,"x":2"#), REQUEST),
        case("name twice", params(r#""name":"whoami""#), REQUEST),
        case("name twice, one escaped", params(r#""n\u0061me":"whoami""#), REQUEST),
        case("name and Name", params(r#""Name":"whoami""#), REQUEST),
        case("name and NAME, escaped", params(r#""N\u0041ME":"whoami""#), REQUEST),
        case("arguments twice", params(r#""arguments":{"x":1}"#), REQUEST),
        case("arguments and Arguments", params(r#""Arguments":{"x":1}"#), REQUEST),
        case("_meta twice", params(r#""_meta":{},"_meta":{}"#), REQUEST),
        case("_meta a list", params(r#""_meta":[]"#), PARAMS),
        case("a progress token twice", params(r#""_meta":{"progressToken":1,"progressToken":2}"#), REQUEST),
    ]
}

fn not_a_message() -> Vec<Case> {
    let call = |key: &str, value: &str| {
        let mut message: Value = serde_json::from_str(&mcp::tools_call("echo", json!({}))).expect("JSON");
        match serde_json::from_str(value) {
            Ok(value) => message[key] = value,
            Err(_) => drop(message.as_object_mut().expect("an object").remove(key)),
        }
        message.to_string()
    };
    let params = |text: &str| call("params", text);
    let long = format!("\"{}\"", "i".repeat(2000));
    vec![
        case("a string", "\"tools/call\"", REQUEST),
        case("a number", "1", REQUEST),
        case("null", "null", REQUEST),
        case("an empty object", "{}", REQUEST),
        case("jsonrpc missing", call("jsonrpc", ""), REQUEST),
        case("jsonrpc 1.0", call("jsonrpc", "\"1.0\""), REQUEST),
        case("jsonrpc a number", call("jsonrpc", "2.0"), REQUEST),
        case("id null", call("id", "null"), REQUEST),
        case("id a fraction", call("id", "1.5"), REQUEST),
        case("id an object", call("id", "{\"a\":1}"), REQUEST),
        case("id a list", call("id", "[1]"), REQUEST),
        case("id true", call("id", "true"), REQUEST),
        case("id of 2000 letters", call("id", &long), REQUEST),
        case("id missing on a call", call("id", ""), REQUEST),
        case("method missing", call("method", ""), REQUEST),
        case("method a number", call("method", "1"), REQUEST),
        case("method null", call("method", "null"), REQUEST),
        case("method a list", call("method", "[\"tools/call\"]"), REQUEST),
        case("method empty", call("method", "\"\""), REQUEST),
        case("a result besides a method", call("result", "{}"), REQUEST),
        case("an error besides a method", call("error", "{\"code\":1,\"message\":\"\"}"), REQUEST),
        case("params a list", params("[\"echo\"]"), PARAMS),
        case("params a string", params("\"echo\""), PARAMS),
        case("params null", params("null"), PARAMS),
        case("params missing on a call", params(""), PARAMS),
        case("name missing", params("{}"), PARAMS),
        case("name a number", params("{\"name\":1}"), PARAMS),
        case("name null", params("{\"name\":null}"), PARAMS),
        case("name a list", params("{\"name\":[\"echo\"]}"), PARAMS),
        case("name an object", params("{\"name\":{\"toString\":\"echo\"}}"), PARAMS),
    ]
}

fn batches() -> Vec<Case> {
    let call = |id: usize| mcp::request(id, "tools/call", json!({"name": "echo", "arguments": {}}));
    let calls: Vec<String> = (0..51).map(call).collect();
    let response = r#"{"jsonrpc":"2.0","id":9,"result":{}}"#;
    vec![
        case("an empty batch", "[]", REQUEST),
        case("a batch of 51", format!("[{}]", calls.join(",")), REQUEST),
        case("a batch with a response", format!("[{},{response}]", call(1)), REQUEST),
        case("a batch of equal ids", format!("[{},{}]", call(1), call(1)), REQUEST),
        case("a batch in a batch", format!("[[{}]]", call(1)), REQUEST),
        case("a batch with a number", format!("[{},1]", call(1)), REQUEST),
        case("a batch with initialize", format!("[{}]", mcp::initialize("2025-03-26")), REQUEST),
        case("a batch cut off", format!("[{}", call(1)), PARSE),
        case("a batch with a trailing comma", format!("[{},]", call(1)), PARSE),
        case("a batch with a bad message", format!("[{},{{\"jsonrpc\":\"2.0\"}}]", call(1)), REQUEST),
    ]
}

#[tokio::test]
async fn batches_are_of_2025_03_26_alone() {
    let stage = Stage::start().await;
    let batch = format!("[{}]", mcp::tools_call("echo", json!({})));
    let mut failures = Failures::default();
    for revision in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let answer = stage.post(&stage.token(), &[("MCP-Protocol-Version", revision)], &batch).await;
        let right = answer.status == 400 && answer.json()["error"]["code"] == REQUEST;
        failures.unless(right, revision, || whole(&answer));
    }
    assert_eq!(stage.upstream.count(), 0);
}

#[tokio::test]
async fn the_id_of_a_refused_request_is_in_its_answer() {
    let stage = Stage::start().await;
    for id in [json!(7), json!("seven"), json!(-1), json!("\u{1F600} \" \\")] {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {}}).to_string();
        let answer = stage.post(&stage.token(), &[], &body).await;
        assert_eq!((answer.status, &answer.json()["id"]), (400, &id));
    }
}

#[tokio::test]
async fn arguments_may_be_as_deep_as_the_cap_and_no_deeper() {
    let stage = Stage::with("    json_depth: 16\n").await;
    // The message, its params and the arguments are three.
    let body = |depth: usize| {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        mcp::tools_call("echo", json!({"a": 0})).replace(":0", &format!(":{nested}"))
    };
    assert_eq!(stage.post(&stage.token(), &[], &body(13)).await.status, 200);
    assert_eq!(stage.upstream.count(), 1);
    let answer = stage.post(&stage.token(), &[], &body(14)).await;
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (400, Some(PARSE)));
    assert_eq!(stage.upstream.count(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_however_it_is_framed() {
    let stage = Stage::with("    body: 64KiB\n").await;
    let token = stage.token();
    let sized = |len: usize| {
        let empty = mcp::tools_call("echo", json!({"a": ""}));
        empty.replace("\"\"", &format!("\"{}\"", "x".repeat(len - empty.len())))
    };
    let fits = stage.post(&token, &[], &sized(64 * 1024)).await;
    assert_eq!(fits.status, 200);
    stage.upstream.forget();
    let declared = stage.post(&token, &[], &sized(64 * 1024 + 1)).await;
    assert_eq!((declared.status, declared.json()["error"]["code"].as_i64()), (413, Some(REQUEST)));
    let body = sized(64 * 1024 + 1);
    let head = String::from_utf8(mcp::post("/mcp", Some(&token), &[], "")).unwrap();
    let head = head.replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let chunked = format!("{head}8000\r\n{}\r\n8001\r\n{}\r\n0\r\n\r\n", &body[..0x8000], &body[0x8000..]);
    assert_eq!(stage.send(chunked.as_bytes()).await.status, 413);
    let promised = head.replace("Transfer-Encoding: chunked", "Content-Length: 99999999999");
    assert_eq!(stage.send(promised.as_bytes()).await.status, 413);
    assert_eq!(stage.upstream.count(), 0);
    stage.assert_alive().await;
}

#[tokio::test]
async fn half_a_body_reaches_nobody() {
    let stage = Stage::start().await;
    let body = mcp::tools_call("echo", json!({"a": 1}));
    let whole = mcp::post("/mcp", Some(&stage.token()), &[], &body);
    for missing in [1, body.len() / 2, body.len()] {
        let mut client = RawClient::connect(stage.gateway.address()).await.unwrap();
        client.send(&whole[..whole.len() - missing]).await.unwrap();
        client.finish_sending().await.unwrap();
        // There may be an answer, or none: the client is taken for gone.
        if let Ok(answer) = client.response().await {
            assert_eq!(answer.status, 400, "{missing} bytes missing");
        }
    }
    assert_eq!(stage.upstream.count(), 0);
    assert!(!stage.upstream.seen("tools/call"));
    stage.assert_alive().await;
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let stage = Stage::start().await;
    let good =
        String::from_utf8(mcp::post("/mcp", Some(&stage.token()), &[], &mcp::tools_call("echo", json!({}))));
    let good = good.unwrap();
    let mut failures = Failures::default();
    let json_line = "Content-Type: application/json\r\n";
    for kind in [
        "",
        "Content-Type:\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: text/plain;application/json\r\n",
        "Content-Type: multipart/form-data; boundary=x\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: application/jsonx\r\n",
        "Content-Type: application/json, text/plain\r\n",
    ] {
        let answer = stage.send(good.replace(json_line, kind).as_bytes()).await;
        failures.unless(answer.status == 415, kind, || whole(&answer));
    }
    let accept_line = "Accept: application/json, text/event-stream\r\n";
    for accept in ["Accept: application/json\r\n", "Accept: text/event-stream\r\n", "Accept: text/html\r\n"] {
        let answer = stage.send(good.replace(accept_line, accept).as_bytes()).await;
        failures.unless(answer.status == 406, accept, || whole(&answer));
    }
    assert_eq!(stage.upstream.count(), 0);
}
