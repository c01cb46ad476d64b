//! A body that is accepted means what any JSON parser says it means.

use narthex_mcp::{Body, Kind, Message, ScanLimits, scan};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A message as serde reads it, which refuses a duplicate of any of these members.
#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: String,
    method: Option<String>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow)]
    task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    protocol_version: Option<&'a RawValue>,
    #[serde(borrow)]
    request_state: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Option<String>,
}

/// `scan` never panics, and what it accepts serde_json reads the same way.
///
/// # Panics
/// If it does not.
pub fn check(data: &[u8]) {
    for limits in [ScanLimits::default(), ScanLimits { depth: 5, batch: 2, id: 8 }] {
        match scan(data, &limits) {
            Ok(Body::Single(message)) => agrees(&message, text(data), data),
            Ok(Body::Batch(messages)) => {
                let bodies: Vec<&RawValue> = read(text(data));
                assert_eq!(messages.len(), bodies.len(), "messages of the batch");
                assert!((1..=limits.batch).contains(&messages.len()), "the cap on batches");
                for (message, body) in messages.iter().zip(bodies) {
                    agrees(message, body.get(), data);
                }
            }
            Ok(_) => panic!("a body of a kind that is not tried here"),
            Err(refused) => assert!(!refused.reason().is_empty() && refused.code() < -32000),
        }
    }
}

fn agrees(message: &Message<'_>, body: &str, whole: &[u8]) {
    let envelope: Envelope<'_> = read(body);
    assert_eq!(envelope.jsonrpc, "2.0");
    assert_eq!(message.id, envelope.id.map(RawValue::get), "id");
    assert_eq!(message.method, envelope.method.clone().unwrap_or_default(), "method");
    let is_answer = envelope.result.is_some() || envelope.error.is_some();
    let kind = match (is_answer, envelope.id) {
        (true, _) => Kind::Response,
        (false, Some(_)) => Kind::Request,
        (false, None) => Kind::Notification,
    };
    assert_eq!(message.kind, kind);
    assert_eq!(envelope.method.is_some(), kind != Kind::Response, "a method, or an answer");
    let params: Params<'_> = envelope.params.map(|params| read(params.get())).unwrap_or_default();
    params_agree(message, &params, whole);
}

fn params_agree(message: &Message<'_>, params: &Params<'_>, whole: &[u8]) {
    let named = match &*message.method {
        "tools/call" | "prompts/get" => params.name,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => params.uri,
        "tasks/list" => None,
        method if method.starts_with("tasks/") => params.task_id,
        _ => None,
    };
    assert_eq!(message.name.as_deref(), named.and_then(string).as_deref(), "name");
    if message.method == "initialize" {
        let version = params.protocol_version.and_then(string);
        assert_eq!(message.requested_version.as_deref(), version.as_deref(), "requested version");
    }
    assert_eq!(message.declares_meta, params.meta.is_some(), "_meta");
    let meta: Meta = params.meta.map(|meta| read(meta.get())).unwrap_or_default();
    assert_eq!(
        message.meta.protocol_version.as_deref(),
        meta.protocol_version.as_deref(),
        "version in _meta"
    );
    if let Some(state) = &message.request_state {
        let raw = params.request_state.map(RawValue::get).unwrap_or_default();
        assert_eq!(&whole[state.span.clone()], raw.as_bytes(), "where requestState stands");
        assert_eq!(state.text, read::<String>(raw), "requestState");
    } else {
        assert_eq!(params.request_state.and_then(string), None, "requestState");
    }
}

fn text(data: &[u8]) -> &str {
    str::from_utf8(data).unwrap_or_else(|_| panic!("accepted, but not UTF-8"))
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("accepted, but {error}: {text:?}"))
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}
