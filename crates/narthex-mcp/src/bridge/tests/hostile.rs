//! Nothing that a peer sends makes a translation panic.

use super::any::{any_json, steering, unknown, with};
use crate::bridge::ask::{Ask, Asked, responses};
use crate::bridge::declared::Declared;
use crate::bridge::discover::{Account, without_reserved};
use crate::bridge::listen::{Filter, stamp};
use crate::bridge::message::RpcError;
use crate::bridge::schema::ParamHeaders;
use crate::bridge::{Object, error, message, params, result, schema};
use proptest::prelude::*;
use serde_json::Value;
use std::time::Duration;

/// Everything that takes a peer's object.
fn translate_all(object: &Object) {
    let ask = Ask::from_legacy("elicitation/create", object);
    drop((ask.to_legacy("e"), ask.declined(), Asked::parse(object), responses(object)));
    drop((params::to_legacy(object, None), params::to_legacy(object, Some("1"))));
    drop(params::to_modern(object, &Declared::default(), "2026-07-28", Some("info"), None));
    drop((params::progress_token(object), params::with_token(object, "1"), params::retry(object, &[], None)));
    for declared in [Declared::from_meta(object), Declared::from_initialize(object)].into_iter().flatten() {
        drop((
            declared.to_initialize("2025-11-25"),
            declared.fingerprint(),
            declared.concise().fingerprint(),
        ));
        declared.to_meta(&mut object.clone(), "2026-07-28", None);
        let _ = declared.may_ask("elicitation/create", object);
    }
    for account in [Account::from_discover(object), Account::from_initialize(object)].into_iter().flatten() {
        drop((account.to_discover(Duration::MAX), account.to_initialize(crate::Revision::V2025_03_26)));
        drop(Filter::parse(object).map(|filter| filter.within(&account).everything()));
    }
    for method in ["tools/list", "tools/call", "resources/read", ""] {
        drop(result::to_modern(method, object, Some(object), Duration::MAX));
        drop(result::to_legacy(method, object));
        let error = RpcError { code: -32602, data: Some(object.clone()), ..RpcError::default() };
        drop(error::to_legacy(method, &error));
    }
    for code in [error::RESOURCE_NOT_FOUND, error::URL_ELICITATION_REQUIRED, -32021] {
        let error = RpcError { code, data: Some(object.clone()), ..RpcError::default() };
        drop(error::to_modern(&error, Some("a:b")));
    }
    drop((stamp(object, "1"), without_reserved(object)));
    schema::drop_invalid(&mut object.clone(), &schema::read(object));
}

proptest! {
    #[test]
    fn no_object_makes_a_translation_panic(any in steering(), rest in unknown()) {
        translate_all(&any);
        translate_all(&with(&rest));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(message::parse(&bytes));
        drop(Object::parse(&bytes));
    }

    #[test]
    fn arbitrary_json_never_panics(text in any_json(), argument in any_json()) {
        drop(message::parse(text.as_bytes()));
        let mut holder = Object::default();
        holder.set_json("a", text.as_str());
        drop((holder.string("a"), holder.object("a"), holder.array("a")));
        if let (Ok(schema), Ok(value)) = (serde_json::from_str(&text), serde_json::from_str::<Value>(&argument)) {
            let _ = ParamHeaders::from_schema(&schema).is_ok_and(|headers| headers.headers(&value).is_empty());
        }
    }
}
