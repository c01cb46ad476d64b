//! MCP requests as bytes, and whole exchanges on a connection of their own.

use crate::client::{RawClient, RawResponse};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;

/// The last revision with sessions.
pub const STATEFUL: &str = "2025-11-25";

/// The first revision without sessions.
pub const STATELESS: &str = "2026-07-28";

/// A JSON-RPC request.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
pub fn request(id: impl Into<Value>, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}).to_string()
}

/// A JSON-RPC notification.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
pub fn notification(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string()
}

/// A `tools/call` request with id 1.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
pub fn tools_call(name: &str, arguments: Value) -> String {
    request(1, "tools/call", json!({"name": name, "arguments": arguments}))
}

/// An `initialize` request for `revision`.
#[must_use]
pub fn initialize(revision: &str) -> String {
    let client = json!({"name": "narthex-testkit", "version": "1"});
    request(0, "initialize", json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": client}))
}

/// A request of revision 2026-07-28: `params._meta` has what that revision requires.
#[must_use]
pub fn stateless_request(id: impl Into<Value>, method: &str, params: Value) -> String {
    stateless_request_by(id, method, params, json!({}))
}

/// The same of a client with these capabilities.
#[must_use]
pub fn stateless_request_by(
    id: impl Into<Value>,
    method: &str,
    mut params: Value,
    capabilities: Value,
) -> String {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = STATELESS.into();
    params["_meta"]["io.modelcontextprotocol/clientInfo"] =
        json!({"name": "narthex-testkit", "version": "1"});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    request(id, method, params)
}

/// The headers that go with a request of revision 2026-07-28.
#[must_use]
pub fn stateless_headers<'a>(method: &'a str, name: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![("MCP-Protocol-Version", STATELESS), ("Mcp-Method", method)];
    headers.extend(name.map(|name| ("Mcp-Name", name)));
    headers
}

/// The bytes of a POST with the headers that every MCP client sends, a bearer token if there is one,
/// and `headers`.
#[must_use]
pub fn post(path: &str, token: Option<&str>, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
        body.len()
    );
    push_headers(&mut request, token, headers);
    request.push_str(body);
    request.into_bytes()
}

/// The bytes of a request without a body.
#[must_use]
pub fn bodiless(method: &str, path: &str, token: Option<&str>, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    push_headers(&mut request, token, headers);
    request.into_bytes()
}

/// Sends `bytes` on a new connection and reads one whole response.
///
/// # Errors
/// No connection, or none to the end of the response.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> io::Result<RawResponse> {
    let mut client = RawClient::connect(address).await?;
    client.send(bytes).await?;
    client.response().await
}

/// Posts `body` on a new connection and reads the whole answer.
///
/// # Errors
/// As [`exchange`].
pub async fn call(
    address: SocketAddr,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> io::Result<RawResponse> {
    exchange(address, &post(path, token, &[], body)).await
}

/// GETs `path` on a new connection and reads the whole answer.
///
/// # Errors
/// As [`exchange`].
pub async fn get(address: SocketAddr, path: &str, token: Option<&str>) -> io::Result<RawResponse> {
    exchange(address, &bodiless("GET", path, token, &[])).await
}

/// Opens a session: `initialize`, then `notifications/initialized`. Gives its `Mcp-Session-Id`.
///
/// # Errors
/// As [`exchange`], or the server opens no session; the error tells what it answered instead.
pub async fn open_session(
    address: SocketAddr,
    path: &str,
    token: Option<&str>,
    revision: &str,
) -> io::Result<String> {
    let answer = call(address, path, token, &initialize(revision)).await?;
    let refused = || io::Error::other(format!("no session: {} {}", answer.status, answer.text()));
    let session = answer.header("mcp-session-id").ok_or_else(refused)?.to_owned();
    let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", revision)];
    let initialized = notification("notifications/initialized", json!({}));
    exchange(address, &post(path, token, &headers, &initialized)).await?;
    Ok(session)
}

fn push_headers(request: &mut String, token: Option<&str>, headers: &[(&str, &str)]) {
    if let Some(token) = token {
        request.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
}
