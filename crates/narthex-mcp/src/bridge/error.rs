//! Error codes that mean something in one era only (2026-07-28, basic/index#error-codes).

use super::Object;
use super::ask::Ask;
use super::message::RpcError;
use crate::rpc;

/// 2025-11-25 and earlier: the resource does not exist.
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// 2025-11-25: URLs have to be visited first.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;

/// What a legacy server's error is to a modern client.
#[derive(Clone, Debug, PartialEq)]
pub enum Modern {
    /// An error, with this HTTP status.
    Error(u16, RpcError),
    /// A question: visit these URLs, then ask again.
    Visit(Vec<Ask>),
}

/// A legacy server's error for a modern client. `uri` is what `resources/read` asked for.
#[must_use]
pub fn to_modern(error: &RpcError, uri: Option<&str>) -> Modern {
    let mut error = error.clone();
    match error.code {
        RESOURCE_NOT_FOUND => {
            error.code = rpc::INVALID_PARAMS.into();
            let mut data = error.data.take().unwrap_or_default();
            if let Some(uri) = uri.filter(|_| data.string("uri").is_none()) {
                data.set_string("uri", uri);
            }
            error.data = (!data.is_empty()).then_some(data);
        }
        URL_ELICITATION_REQUIRED => {
            if let Some(asks) = urls(&error) {
                return Modern::Visit(asks);
            }
            error.code = rpc::INTERNAL_ERROR.into();
        }
        // Reserved for 2026-07-28, or for its predecessors alone: here they would be misread.
        -32099..=-32000 => error.code = rpc::INTERNAL_ERROR.into(),
        _ => {}
    }
    let status = if error.code == i64::from(rpc::METHOD_NOT_FOUND) { 404 } else { 200 };
    Modern::Error(status, error)
}

/// `data.elicitations` of a [`URL_ELICITATION_REQUIRED`], if there are any.
fn urls(error: &RpcError) -> Option<Vec<Ask>> {
    let elicitations = error.data.as_ref()?.array("elicitations")?;
    let asks: Option<Vec<Ask>> = elicitations
        .iter()
        .map(|text| {
            let params = Object::parse(text.get().as_bytes()).ok()?;
            (params.string("mode").as_deref() == Some("url"))
                .then(|| Ask::from_legacy("elicitation/create", &params))
        })
        .collect();
    asks.filter(|asks| !asks.is_empty())
}

/// A modern server's error for a legacy client; it always comes with status 200 there, because an old
/// client takes a 404 for the end of its session.
#[must_use]
pub fn to_legacy(method: &str, error: &RpcError) -> RpcError {
    let mut error = error.clone();
    let has_uri = error.data.as_ref().is_some_and(|data| data.string("uri").is_some());
    error.code = match error.code {
        -32602 if method == "resources/read" && has_uri => RESOURCE_NOT_FOUND,
        // The client lacks what the server needs, and cannot declare it in mid-session.
        -32021 => rpc::INVALID_PARAMS.into(),
        // Between the gateway and the server, or undefined.
        -32099..=-32020 => rpc::INTERNAL_ERROR.into(),
        code => code,
    };
    error
}
