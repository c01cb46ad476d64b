//! Messages, read and written.

use super::object;
use crate::bridge::message::{self, Incoming, RpcError, parse};

fn one(text: &str) -> Incoming {
    match parse(text.as_bytes()).as_deref() {
        Ok([message]) => message.clone(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_message_is_read_for_what_it_is() {
    let method = || "m".to_owned();
    let id = || "1".to_owned();
    for (members, expected) in [
        (r#""id":1,"method":"m""#, Incoming::Request { id: id(), method: method(), params: object("{}") }),
        (
            r#""id":1,"method":"m","params":{"a":[1 , 2]}"#,
            Incoming::Request { id: id(), method: method(), params: object(r#"{"a":[1 , 2]}"#) },
        ),
        (
            r#""method":"\u006d","params":null,"x":1"#,
            Incoming::Notification { method: method(), params: object("{}") },
        ),
        (r#""id":1,"result":{"a":1}"#, Incoming::Result { id: id(), result: object(r#"{"a":1}"#) }),
        (
            r#""id":1,"error":{"code":-32601,"message":"no"}"#,
            Incoming::Error { id: Some(id()), error: RpcError::new(-32601, "no") },
        ),
        (r#""id":null,"error":{"code":1}"#, Incoming::Error { id: None, error: RpcError::new(1, "") }),
        (r#""error":{"code":1,"data":null}"#, Incoming::Error { id: None, error: RpcError::new(1, "") }),
    ] {
        assert_eq!(one(&format!(r#"{{"jsonrpc":"2.0",{members}}}"#)), expected, "{members}");
    }
}

#[test]
fn an_id_stays_as_it_was_written() {
    for id in ["0", "-1", "1e3", "99999999999999999999", r#""""#, r#""a\u0062""#] {
        let text = message::request(id, "ping", &object("{}"));
        assert!(matches!(one(&text), Incoming::Request { id: read, .. } if read == id), "{id}");
    }
    for id in ["null", "true", "{}", "[]"] {
        let text = message::request(id, "ping", &object("{}"));
        assert!(parse(text.as_bytes()).is_err(), "{id}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    for text in [
        "",
        "7",
        "{}",
        r#"{"id":1,"method":"m"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#,
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","method":"n"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m","error":{"code":1}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"m"} x"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"m"},7]"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"m"}"#,
        "[[]]",
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(parse(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}").is_err());
}

#[test]
fn a_batch_is_its_messages_in_order() {
    let text = r#" [{"jsonrpc":"2.0","id":2,"method":"a"}, {"jsonrpc":"2.0","method":"b"}]"#;
    let methods: Vec<_> = parse(text.as_bytes())
        .expect("a batch")
        .into_iter()
        .map(|message| match message {
            Incoming::Request { method, .. } | Incoming::Notification { method, .. } => method,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(methods, ["a", "b"]);
    assert_eq!(parse(b"[]"), Ok(Vec::new()));
}

#[test]
fn what_is_written_is_read_again() {
    let params = object(r#"{"a":{"b":[1.0 , 1e400]}}"#);
    let method = "a\"\n/é".to_owned();
    let notification = one(&message::notification(&method, &params));
    assert_eq!(notification, Incoming::Notification { method: method.clone(), params: params.clone() });
    let request = one(&message::request("1", &method, &params));
    assert_eq!(request, Incoming::Request { id: "1".into(), method, params: params.clone() });
    let result = one(&message::result("1", &params));
    assert_eq!(result, Incoming::Result { id: "1".into(), result: params });
    assert!(!message::notification("m", &object("{}")).contains("params"));
}

#[test]
fn data_of_an_error_stays_as_it_was_written() {
    for data in [r#"{"a":[1 , 2]}"#, "[1 , 2]", r#""a\u0062""#, "1e400", "false", r#"{"a":1,"a":2}"#] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-5,"message":"m","data":{data}}}}}"#);
        let Incoming::Error { error, .. } = one(&text) else { panic!("no error") };
        assert_eq!(message::error("1", &error), text);
    }
}
