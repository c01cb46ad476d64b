//! JSON-RPC 2.0 error answers.

/// Not JSON (JSON-RPC 2.0 §5.1).
pub const PARSE_ERROR: i32 = -32700;
/// Not a JSON-RPC message (JSON-RPC 2.0 §5.1).
pub const INVALID_REQUEST: i32 = -32600;
/// No such method (JSON-RPC 2.0 §5.1); HTTP 404 to a 2026-07-28 client.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// Parameters that do not fit the method (JSON-RPC 2.0 §5.1); also an unknown tool, prompt or resource.
pub const INVALID_PARAMS: i32 = -32602;
/// Any failure of the gateway or of the upstream (JSON-RPC 2.0 §5.1).
pub const INTERNAL_ERROR: i32 = -32603;
/// `Mcp-*` headers missing, malformed or unlike the body (MCP 2026-07-28, basic/index#error-codes).
pub const HEADER_MISMATCH: i32 = -32020;
/// The request lacks a client capability that it needs (MCP 2026-07-28, basic/index#error-codes).
pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
/// The protocol version is not supported (MCP 2026-07-28, basic/index#error-codes).
pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;
/// A limit was reached. Ours: outside -32768..-32000, which JSON-RPC and MCP keep for themselves.
pub const LIMIT_REACHED: i32 = 42900;

/// The body of an error answer.
///
/// `id` is the request's id as JSON text ([`Message::id`](crate::Message::id)) and goes in as it is; `None`
/// becomes `null`, as JSON-RPC 2.0 §5 wants it when the id could not be read. `data` is JSON text too.
#[must_use]
pub fn error_body(id: Option<&str>, code: i32, message: &str, data: Option<&str>) -> Vec<u8> {
    let id = id.unwrap_or("null");
    let message = quote(message);
    let (separator, data) = data.map_or(("", ""), |data| (r#","data":"#, data));
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}{separator}{data}}}}}"#)
        .into_bytes()
}

/// `text` as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn an_error_carries_the_id_as_it_was_written() {
        let body = error_body(Some(r#""a\u0062""#), INTERNAL_ERROR, "no", None);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"jsonrpc":"2.0","id":"a\u0062","error":{"code":-32603,"message":"no"}}"#
        );
    }

    #[test]
    fn an_error_without_id_says_null() {
        assert_eq!(
            parsed(&error_body(None, PARSE_ERROR, "not \"JSON\"\n", Some(r#"{"a":1}"#))),
            json!({"jsonrpc": "2.0", "id": null,
                   "error": {"code": -32700, "message": "not \"JSON\"\n", "data": {"a": 1}}})
        );
    }

    #[test]
    fn our_own_code_is_outside_the_reserved_range() {
        assert!(!(-32768..=-32000).contains(&LIMIT_REACHED));
    }
}
