//! JSON-RPC 2.0 messages of a peer, read for translation, and written.

use super::Object;
use crate::rpc::quote;
use serde_json::value::RawValue;

/// What a peer sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// A request of the peer's own.
    Request {
        /// `id` as JSON text.
        id: String,
        /// `method`
        method: String,
        /// `params`; empty where there are none.
        params: Object,
    },
    /// A notification.
    Notification {
        /// `method`
        method: String,
        /// `params`; empty where there are none.
        params: Object,
    },
    /// A result.
    Result {
        /// `id` as JSON text.
        id: String,
        /// `result`
        result: Object,
    },
    /// An error.
    Error {
        /// `id` as JSON text; `None` if the peer could not read it.
        id: Option<String>,
        /// `error`
        error: RpcError,
    },
}

/// `error` of a JSON-RPC response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RpcError {
    /// `code`
    pub code: i64,
    /// `message`
    pub message: String,
    /// `data`; `None` too where it is no object.
    pub data: Option<Object>,
    /// `data` as JSON text, where it is no object.
    pub other_data: Option<String>,
}

impl RpcError {
    /// One without data.
    #[must_use]
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), data: None, other_data: None }
    }

    fn parse(text: &str) -> Option<Self> {
        let object = Object::parse(text.as_bytes()).ok()?;
        let data = object.object("data");
        let other_data = if data.is_some() {
            None
        } else {
            object.get("data").filter(|d| *d != "null").map(str::to_owned)
        };
        Some(Self {
            code: object.get("code")?.parse().ok()?,
            message: object.string("message").unwrap_or_default(),
            data,
            other_data,
        })
    }

    /// The error's JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let data = self.data.as_ref().map(Object::to_json).or_else(|| self.other_data.clone());
        let data = data.map_or_else(String::new, |data| format!(",\"data\":{data}"));
        format!("{{\"code\":{},\"message\":{}{data}}}", self.code, quote(&self.message))
    }
}

/// Text that is not a JSON-RPC message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a JSON-RPC message")]
pub struct NotAMessage;

impl From<super::NotAnObject> for NotAMessage {
    fn from(_: super::NotAnObject) -> Self {
        Self
    }
}

/// Reads what a peer sent: one message, or a batch (MCP 2025-03-26).
///
/// # Errors
/// See [`NotAMessage`].
pub fn parse(text: &[u8]) -> Result<Vec<Incoming>, NotAMessage> {
    let is_batch = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_batch {
        return Ok(vec![one(&Object::parse(text)?)?]);
    }
    let batch: Vec<Box<RawValue>> = serde_json::from_slice(text).map_err(|_| NotAMessage)?;
    batch.iter().map(|text| one(&Object::parse(text.get().as_bytes())?)).collect()
}

fn one(object: &Object) -> Result<Incoming, NotAMessage> {
    if object.get("jsonrpc") != Some("\"2.0\"") {
        return Err(NotAMessage);
    }
    let id = match object.get("id") {
        None => None,
        // Only an error may say that it does not know whom it answers.
        Some("null") if object.get("error").is_some() => None,
        Some(id) if id.starts_with(['"', '-']) || id.starts_with(|c: char| c.is_ascii_digit()) => {
            Some(id.to_owned())
        }
        Some(_) => return Err(NotAMessage),
    };
    let is_answer = object.get("result").is_some() || object.get("error").is_some();
    if object.get("method").is_some() {
        if is_answer {
            return Err(NotAMessage);
        }
        let method = object.string("method").ok_or(NotAMessage)?;
        let params = match object.get("params") {
            None | Some("null") => Object::default(),
            Some(text) => Object::parse(text.as_bytes())?,
        };
        return Ok(match id {
            Some(id) => Incoming::Request { id, method, params },
            None => Incoming::Notification { method, params },
        });
    }
    match (object.get("result"), object.get("error"), id) {
        (Some(result), None, Some(id)) => {
            Ok(Incoming::Result { id, result: Object::parse(result.as_bytes())? })
        }
        (None, Some(error), id) => {
            Ok(Incoming::Error { id, error: RpcError::parse(error).ok_or(NotAMessage)? })
        }
        _ => Err(NotAMessage),
    }
}

/// Writes a request.
#[must_use]
pub fn request(id: &str, method: &str, params: &Object) -> String {
    let params = params.to_json();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{},"params":{params}}}"#, quote(method))
}

/// Writes a notification.
#[must_use]
pub fn notification(method: &str, params: &Object) -> String {
    let method = quote(method);
    if params.is_empty() {
        return format!(r#"{{"jsonrpc":"2.0","method":{method}}}"#);
    }
    format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{}}}"#, params.to_json())
}

/// Writes a result. `id` is JSON text.
#[must_use]
pub fn result(id: &str, result: &Object) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, result.to_json())
}

/// Writes an error. `id` is JSON text.
#[must_use]
pub fn error(id: &str, error: &RpcError) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, error.to_json())
}
