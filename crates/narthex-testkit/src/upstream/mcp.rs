//! Enough MCP for a client to be content.

use super::answer::Answer;
use super::record::UpstreamRequest;
use crate::mcp::STATELESS;
use serde_json::{Value, json};

/// The answer of a server without surprises, of whichever revision the request is.
pub(super) fn answer(request: &UpstreamRequest) -> Answer {
    match request.method.as_str() {
        "POST" => answer_post(request),
        "DELETE" => Answer::status(200),
        _ => Answer::status(405).header("Allow", "POST, DELETE"),
    }
}

fn answer_post(request: &UpstreamRequest) -> Answer {
    let message = request.json();
    if message.get("id").is_none() {
        return Answer::status(202);
    }
    let stateless = request.header("mcp-protocol-version") == Some(STATELESS);
    let params = &message["params"];
    let mut result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => return initialized(request, &params["protocolVersion"]),
        "server/discover" => discovered(),
        "ping" => json!({}),
        "tools/list" => json!({"tools": Answer::TOOLS.map(tool)}),
        "tools/call" => called(params),
        "resources/list" => json!({"resources": []}),
        "prompts/list" => json!({"prompts": []}),
        _ => return Answer::error(request, -32601, "Method not found"),
    };
    if stateless {
        result["resultType"] = "complete".into();
        if message["method"]
            .as_str()
            .is_some_and(|method| method.ends_with("/list") || method == "server/discover")
        {
            result["ttlMs"] = 0.into();
            result["cacheScope"] = "private".into();
        }
    }
    Answer::result(request, result)
}

fn initialized(request: &UpstreamRequest, revision: &Value) -> Answer {
    let result = json!({
        "protocolVersion": revision,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "recording-upstream", "version": "1"},
    });
    let session = format!("upstream-session-{}", request.connection);
    Answer::result(request, result).header("Mcp-Session-Id", &session)
}

fn discovered() -> Value {
    let info = json!({"name": "recording-upstream", "version": "1"});
    json!({
        "supportedVersions": [STATELESS],
        "capabilities": {"tools": {}},
        "_meta": {"io.modelcontextprotocol/serverInfo": info},
    })
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": name, "inputSchema": {"type": "object"}})
}

/// Says which tool it was called as, and with what.
fn called(params: &Value) -> Value {
    let text = format!("{} {}", params["name"].as_str().unwrap_or_default(), params["arguments"]);
    json!({"content": [{"type": "text", "text": text}], "isError": false})
}
