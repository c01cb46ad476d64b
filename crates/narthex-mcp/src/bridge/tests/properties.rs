//! What is said in one era means the same after it has been to the other and back.

use super::any::{any_json, unknown, with};
use super::object;
use crate::bridge::ask::{Ask, Asked, responses};
use crate::bridge::declared::Declared;
use crate::bridge::error::{self, Modern};
use crate::bridge::listen::Filter;
use crate::bridge::message::{self, Incoming, RpcError};
use crate::bridge::result::{self, Answer};
use crate::bridge::schema::ParamHeaders;
use crate::bridge::{Object, meta, params};
use crate::headers::decode_value;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

fn with_meta(members: &[(String, String)], meta: &[(String, String)]) -> Object {
    let mut object = with(members);
    if !meta.is_empty() {
        object.set_object("_meta", &with(meta));
    }
    object
}

fn declared() -> Declared {
    Declared { capabilities: object(r#"{"sampling":{}}"#), client_info: Some(object(r#"{"name":"c"}"#)) }
}

proptest! {
    #[test]
    fn an_object_is_written_as_it_was_read(members in unknown()) {
        let text = with(&members).to_json();
        let read = object(&text);
        prop_assert_eq!(read.to_json(), text);
        for (name, value) in &members {
            prop_assert_eq!(read.get(name), Some(value.as_str()));
        }
    }

    #[test]
    fn a_request_means_the_same_after_there_and_back(members in unknown(), inner in unknown(), level: bool) {
        let sent = with_meta(&members, &inner);
        let level = level.then_some("debug");
        let modern = params::to_modern(&sent, &declared(), "2026-07-28", level, Some("1"));
        prop_assert_eq!(Declared::from_meta(&modern), Ok(declared()));
        prop_assert_eq!(&params::to_legacy(&modern, None), &sent);
        prop_assert_eq!(params::to_legacy(&sent, None), sent);
    }

    #[test]
    fn a_result_means_the_same_after_there_and_back(
        members in unknown(),
        inner in unknown(),
        method in select(vec!["tools/list", "tools/call", "resources/read", "prompts/get"]),
    ) {
        let sent = with_meta(&members, &inner);
        let info = object(r#"{"name":"s"}"#);
        let modern = result::to_modern(method, &sent, Some(&info), Duration::ZERO).expect("complete");
        prop_assert_eq!(modern.object("_meta").and_then(|meta| meta.object(meta::SERVER_INFO)), Some(info));
        prop_assert_eq!(result::to_legacy(method, &modern), Ok(Answer::Complete(sent)));
    }

    #[test]
    fn an_error_means_the_same_after_there_and_back(
        code in prop_oneof![-32768..-32099i64, -31999..32000i64, Just(-32002)],
        message: String,
        members in unknown(),
    ) {
        let mut data = with(&members);
        if code == -32002 {
            data.set_string("uri", "a:b");
        }
        let sent = RpcError { code, message, data: (!data.is_empty()).then_some(data), other_data: None };
        let Modern::Error(status, modern) = error::to_modern(&sent, Some("a:b")) else { panic!("a question") };
        prop_assert_eq!(status == 404, code == -32601);
        prop_assert_eq!(error::to_legacy("resources/read", &modern), sent);
    }

    #[test]
    fn codes_of_one_era_never_reach_the_other(code in -32100..-31990i32) {
        let legacy = error::to_legacy("tools/call", &RpcError::new(code, "m")).code;
        prop_assert!(!(-32099..=-32020).contains(&legacy));
        if let Modern::Error(_, error) = error::to_modern(&RpcError::new(code, "m"), Some("u:x")) {
            prop_assert!(!(-32099..=-32000).contains(&error.code));
        }
    }

    #[test]
    fn what_is_asked_means_the_same_after_there_and_back(
        members in unknown(),
        inner in unknown(),
        url: bool,
        keys in prop::collection::btree_set(any::<String>(), 0..4),
        state: Option<String>,
    ) {
        let mut sent = with_meta(&members, &inner);
        if url {
            sent.set_string("mode", "url");
            sent.set_string("elicitationId", "e");
        }
        let ask = Ask::from_legacy("elicitation/create", &sent);
        prop_assert_eq!(ask.to_legacy("e"), sent);
        let asked = Asked { asks: keys.into_iter().map(|key| (key, ask.clone())).collect(), state };
        let senseless = asked.asks.is_empty() && asked.state.is_none();
        let text = asked.to_result().to_json();
        match result::to_legacy("tools/call", &object(&text)) {
            Ok(Answer::Asks(read)) => prop_assert_eq!(read, asked),
            other => prop_assert!(senseless && other.is_err()),
        }
    }

    #[test]
    fn answers_reach_the_server_as_they_were_given(
        members in unknown(),
        answers in prop::collection::btree_map(any::<String>(), unknown(), 0..4),
        state: Option<String>,
    ) {
        let answers: Vec<_> = answers.iter().map(|(key, result)| (key.clone(), with(result).to_json())).collect();
        let again = params::retry(&with(&members), &answers, state.as_deref());
        prop_assert_eq!(responses(&again), Ok(answers));
        prop_assert_eq!(again.string("requestState"), state);
        prop_assert_eq!(params::to_legacy(&again, None), with(&members));
    }

    #[test]
    fn a_filter_means_the_same_after_there_and_back(
        tools: bool, prompts: bool, resources: bool, uris: BTreeSet<String>,
    ) {
        let filter = Filter { tools, prompts, resources, uris };
        prop_assert_eq!(Filter::parse(&object(&filter.to_params().to_json())), Ok(filter));
    }

    #[test]
    fn a_message_is_read_as_it_was_written(method: String, members in unknown()) {
        let params = with(&members);
        let request = Incoming::Request { id: "1".into(), method: method.clone(), params: params.clone() };
        let texts = [
            (message::request("1", &method, &params), request),
            (message::notification(&method, &params), Incoming::Notification { method, params: params.clone() }),
            (message::result("1", &params), Incoming::Result { id: "1".into(), result: params }),
        ];
        for (text, expected) in texts {
            prop_assert_eq!(message::parse(text.as_bytes()), Ok(vec![expected]));
        }
    }

    #[test]
    fn a_header_agrees_with_the_argument_that_it_was_made_of(
        text: String, integer: i64, flag: bool, other: String,
    ) {
        let property = |kind: &str, name: &str| json!({"type": kind, "x-mcp-header": name});
        let nested = json!({"properties": {"i": property("integer", "I"), "b": property("boolean", "B")}});
        let schema = json!({"properties": {"s": property("string", "S"), "o": nested}});
        let headers = ParamHeaders::from_schema(&schema).expect("valid");
        let arguments = json!({"s": text, "o": {"i": integer, "b": flag}});
        let made = headers.headers(&arguments);
        prop_assert_eq!(made.len(), 3);
        let header = |name: &str| {
            let (_, value) = made.iter().find(|(made, _)| *made == name)?;
            Some(decode_value(value.as_bytes()).map(std::borrow::Cow::into_owned))
        };
        prop_assert!(headers.agree(&arguments, header));
        let differ = [
            json!({"s": other, "o": {"i": integer, "b": flag}}),
            json!({"s": text, "o": {"i": integer.wrapping_add(1), "b": flag}}),
            json!({"s": text, "o": {"i": integer, "b": !flag}}),
            json!({"o": {"i": integer, "b": flag}}),
            Value::Null,
        ];
        prop_assert!(differ.iter().skip(usize::from(other == text)).all(|body| !headers.agree(body, header)));
    }

    #[test]
    fn a_fingerprint_ignores_order_and_nothing_else(
        members in prop::collection::btree_map("[a-z]{1,3}", any_json(), 1..5),
        at: prop::sample::Index,
        value in any_json(),
    ) {
        let mut members: Vec<_> = members.into_iter().collect();
        let of = |members: &[(String, String)]| {
            let mut capabilities = Object::default();
            capabilities.set_object("experimental", &with(members));
            Declared { capabilities, client_info: None }.fingerprint()
        };
        let first = of(&members);
        members.reverse();
        prop_assert_eq!(&of(&members), &first);
        let at = at.index(members.len());
        let same = compact(&members[at].1) == compact(&value);
        members[at].1 = value;
        prop_assert_eq!(of(&members) == first, same);
        members.remove(at);
        prop_assert_ne!(of(&members), first);
    }
}

/// JSON text without the white space between its tokens.
fn compact(text: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        if quoted || !c.is_ascii_whitespace() {
            out.push(c);
        }
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
    }
    out
}
