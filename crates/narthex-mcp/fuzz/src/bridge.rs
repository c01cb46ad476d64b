//! Whatever a peer says, the peer of the other era gets what it can read, and nothing that means something
//! else to it.

use narthex_mcp::Revision;
use narthex_mcp::bridge::ask::{Ask, Asked, is_ask, responses};
use narthex_mcp::bridge::declared::Declared;
use narthex_mcp::bridge::discover::{Account, without_reserved};
use narthex_mcp::bridge::error::{self, Modern};
use narthex_mcp::bridge::listen::{Filter, stamp};
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::result::{self, Answer};
use narthex_mcp::bridge::{Object, meta, params, schema, task};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;

const MODERN: &str = "2026-07-28";

/// What results may be of: they do not say it themselves.
const METHODS: [&str; 3] = ["tools/list", "tools/call", "resources/read"];

const RESERVED: [&str; 6] = [
    meta::PROTOCOL_VERSION,
    meta::CLIENT_CAPABILITIES,
    meta::CLIENT_INFO,
    meta::LOG_LEVEL,
    meta::SUBSCRIPTION_ID,
    meta::SERVER_INFO,
];

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Takes `data` as a message of a client and of a server, of either era, through all that the bridge makes
/// of it; and, as little that is arbitrary is a message, an object in it as something that a message has in
/// it. The length says which object, and as what.
///
/// # Panics
/// If a promise is broken.
pub fn check(data: &[u8]) {
    for message in message::parse(data).unwrap_or_default() {
        match message {
            Incoming::Request { id, method, params } => {
                of_client(&id, &method, &params);
                asked(&id, &method, &params);
            }
            Incoming::Notification { method, params } => notification(&method, &params),
            Incoming::Result { id, result } => {
                METHODS.iter().for_each(|method| answer(&id, method, &result));
                accounts(&id, &result);
            }
            Incoming::Error { id, error } => failure(id.as_deref().unwrap_or("null"), &error),
        }
    }
    if let Some(object) = objects(data).nth(data.len() % 3) {
        anything(data.len() / 3, &object);
    }
}

fn objects(data: &[u8]) -> impl Iterator<Item = Object> {
    let starts = data.iter().enumerate().filter(|(_, byte)| **byte == b'{').map(|(at, _)| at);
    starts.filter_map(|at| serde_json::Deserializer::from_slice(&data[at..]).into_iter().next()?.ok())
}

fn anything(role: usize, object: &Object) {
    match role % 5 {
        0 => of_client("1", "tools/call", object),
        1 => asked("1", "elicitation/create", object),
        2 => notification("notifications/message", object),
        3 => {
            answer("1", METHODS[role / 5 % METHODS.len()], object);
            accounts("1", object);
        }
        _ => {
            for code in [error::RESOURCE_NOT_FOUND, error::URL_ELICITATION_REQUIRED, -32021, -32602] {
                failure("1", &RpcError { code, data: Some(object.clone()), ..RpcError::default() });
            }
        }
    }
}

fn of_client(id: &str, method: &str, params: &Object) {
    for token in [None, Some("7")] {
        let legacy = params::to_legacy(params, token);
        let sent = message::request(id, method, &legacy);
        let sent = fit_for_legacy(member(&members(&sent), "params"));
        assert!(["inputResponses", "requestState", "task"].iter().all(|name| !sent.contains_key(*name)));
        assert_eq!(params::progress_token(&legacy).as_deref(), token, "the gateway's token alone");
    }
    for declared in [Declared::from_meta(params), Declared::from_initialize(params)].into_iter().flatten() {
        let initialize = declared.to_initialize("2025-11-25").to_json();
        let capabilities = member_of(&initialize, "capabilities");
        assert!(!members(&capabilities).contains_key("extensions"), "an extension");
        let modern = params::to_modern(params, &declared, MODERN, None, None);
        let sent = message::request(id, method, &modern);
        let inner = member_of(&member_of(&sent, "params"), "_meta");
        assert_eq!(member_of(&inner, meta::PROTOCOL_VERSION), "\"2026-07-28\"");
        assert_eq!(member_of(&inner, meta::CLIENT_CAPABILITIES), capabilities);
        assert!(!declared.concise().fingerprint().is_empty());
    }
    if let Ok(filter) = Filter::parse(params) {
        assert_eq!(Filter::parse(&filter.to_params()), Ok(filter));
    }
    for (_, response) in responses(params).unwrap_or_default() {
        members(&response);
    }
}

fn asked(id: &str, method: &str, params: &Object) {
    if !is_ask(method) {
        return;
    }
    let ask = Ask::from_legacy(method, params);
    assert!(ask.params.get("elicitationId").is_none(), "a name that nothing refers to");
    asks(id, &Asked { asks: vec![("k".to_owned(), ask)], state: Some("s".to_owned()) });
}

/// As a modern client reads it, and as a legacy one is asked for it.
fn asks(id: &str, asked: &Asked) {
    let result = asked.to_result();
    let sent = message::result(id, &result);
    assert_eq!(member_of(&member_of(&sent, "result"), "resultType"), "\"input_required\"");
    assert_eq!(Asked::parse(&result).as_ref(), Ok(asked));
    for (_, ask) in &asked.asks {
        let sent = message::request("1", &ask.method, &ask.to_legacy("e"));
        assert!(!fit_for_legacy(member(&members(&sent), "params")).contains_key("task"));
    }
}

fn notification(method: &str, params: &Object) {
    let legacy = message::notification(method, &without_reserved(params));
    if let Some(params) = members(&legacy).get("params") {
        fit_for_legacy(params.get());
    }
    let modern = message::notification(method, &stamp(params, "\"s\""));
    let inner = member_of(&member_of(&modern, "params"), "_meta");
    assert_eq!(member_of(&inner, meta::SUBSCRIPTION_ID), "\"s\"");
    assert!(!members(&inner).contains_key(meta::SERVER_INFO));
    if let Some(told) = params::with_token(params, "\"t\"") {
        assert_eq!(member_of(&told.to_json(), "progressToken"), "\"t\"");
    }
}

fn answer(id: &str, method: &str, answered: &Object) {
    if let Ok(modern) = result::to_modern(method, answered, None, Duration::ZERO) {
        let sent = member_of(&message::result(id, &modern), "result");
        assert_eq!(member_of(&sent, "resultType"), "\"complete\"");
        if result::is_cacheable(method) {
            assert_eq!(member_of(&sent, "ttlMs"), "0");
            assert_eq!(member_of(&sent, "cacheScope"), "\"private\"");
        }
    }
    match result::to_legacy(method, answered) {
        Ok(Answer::Complete(legacy)) => {
            let sent = message::result(id, &legacy);
            let sent = member_of(&sent, "result");
            let sent = fit_for_legacy(&sent);
            assert!(!sent.contains_key("resultType"), "resultType");
            if result::is_cacheable(method) {
                assert!(
                    !sent.contains_key("ttlMs") && !sent.contains_key("cacheScope"),
                    "what a cache reads"
                );
            }
            if method == "tools/list" {
                let schemas = schema::read(&legacy);
                assert!(schemas.mirrored.is_empty() && schemas.invalid.is_empty(), "annotations");
            }
        }
        Ok(Answer::Asks(asked)) => asks(id, &asked),
        Ok(Answer::Task(found)) => {
            let created = task::created_for_legacy(&task::to_legacy(&found, "handle"));
            let sent = member_of(&message::result(id, &created), "result");
            assert_eq!(member_of(&member_of(&sent, "task"), "taskId"), "\"handle\"");
        }
        Err(refused) => members_of_error(id, &refused.to_error()),
    }
}

fn accounts(id: &str, result: &Object) {
    if let Ok(account) = Account::from_initialize(result) {
        let sent = member_of(&message::result(id, &account.to_discover(Duration::ZERO)), "result");
        assert_eq!(member_of(&sent, "resultType"), "\"complete\"");
    }
    if let Ok(account) = Account::from_discover(result) {
        let sent = message::result(id, &account.to_initialize(Revision::V2025_11_25));
        let sent = member_of(&sent, "result");
        assert!(!fit_for_legacy(&sent).contains_key("resultType"), "resultType");
    }
}

fn failure(id: &str, error: &RpcError) {
    match error::to_modern(error, Some("a:b")) {
        Modern::Error(_, modern) => {
            assert!(!matches!(modern.code, -32002 | -32042), "a legacy code");
            assert!(!(-32022..=-32020).contains(&modern.code), "a code that only modern servers may use");
            members_of_error(id, &modern);
        }
        Modern::Visit(urls) => {
            let keyed = urls.into_iter().enumerate().map(|(at, ask)| (at.to_string(), ask)).collect();
            asks(id, &Asked { asks: keyed, state: None });
        }
    }
    for method in METHODS {
        let legacy = error::to_legacy(method, error);
        assert!(!(-32022..=-32020).contains(&legacy.code), "a modern code");
        members_of_error(id, &legacy);
    }
}

fn members_of_error(id: &str, error: &RpcError) {
    let sent = member_of(&message::error(id, error), "error");
    assert_eq!(member_of(&sent, "code"), error.code.to_string());
}

/// The members of what goes to a legacy peer: none reserved in its `_meta`.
fn fit_for_legacy(text: &str) -> Members<'_> {
    let all = members(text);
    if let Some(inner) = all.get("_meta") {
        let inner = members(inner.get());
        assert!(RESERVED.iter().all(|key| !inner.contains_key(*key)), "a reserved key in {text}");
    }
    all
}

fn members(text: &str) -> Members<'_> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("written, but {error}: {text:?}"))
}

fn member<'a>(all: &Members<'a>, name: &str) -> &'a str {
    all.get(name).unwrap_or_else(|| panic!("no {name}")).get()
}

fn member_of(text: &str, name: &str) -> String {
    member(&members(text), name).to_owned()
}
