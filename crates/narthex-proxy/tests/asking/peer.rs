//! An upstream of either era that takes tokens of the authorization server, and nothing without one.

use super::consents::{Consents, Tokens};
use narthex_testkit::mcp::{STATEFUL, STATELESS};
use narthex_testkit::{Answer, ModernOnly, RecordingUpstream, UpstreamRequest};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An upstream. Dropping it ends it.
pub(crate) struct Peer {
    pub(crate) id: &'static str,
    pub(crate) upstream: RecordingUpstream,
    /// Whether users have to connect it.
    pub(crate) wants_consent: bool,
    once: Arc<Mutex<Option<Once>>>,
}

/// How one call of a tool is answered.
type Once = Box<dyn FnOnce(&UpstreamRequest, Answer) -> Answer + Send>;

impl Peer {
    /// One of 2026-07-28 that users have to connect.
    pub(crate) async fn modern(id: &'static str, consents: &Consents) -> Self {
        Self::start(id, Some(consents.tokens()), true).await
    }

    /// One of 2025-11-25 that users have to connect.
    pub(crate) async fn legacy(id: &'static str, consents: &Consents) -> Self {
        Self::start(id, Some(consents.tokens()), false).await
    }

    /// One of 2026-07-28 that anybody may use.
    pub(crate) async fn open(id: &'static str) -> Self {
        Self::start(id, None, true).await
    }

    async fn start(id: &'static str, tokens: Option<Tokens>, modern: bool) -> Self {
        let (upstream, wants_consent) = (RecordingUpstream::start().await, tokens.is_some());
        let once: Arc<Mutex<Option<Once>>> = Arc::default();
        let next = Arc::clone(&once);
        upstream.always(move |request| {
            let usual = answer(id, tokens.as_ref(), modern, request);
            let is_call = request.rpc_method().as_deref() == Some("tools/call");
            match is_call.then(|| next.lock().unwrap().take()).flatten() {
                Some(once) => once(request, usual),
                None => usual,
            }
        });
        Self { id, upstream, wants_consent, once }
    }

    /// Answers the next call of a tool with questions.
    pub(crate) fn ask_next(&self, questions: Value, state: &'static str) {
        let ask: Once = Box::new(move |request, _| Answer::input_required(request, questions, json!(state)));
        *self.once.lock().unwrap() = Some(ask);
    }

    /// Takes so long for the next call of a tool.
    pub(crate) fn slow_next(&self, time: Duration) {
        let slow: Once = Box::new(move |_, usual| usual.delayed(time));
        *self.once.lock().unwrap() = Some(slow);
    }

    /// How many requests for `method` it had that it took.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.upstream.requests_for(method).len()
    }
}

fn answer(id: &str, tokens: Option<&Tokens>, modern: bool, request: &UpstreamRequest) -> Answer {
    let user = match tokens.map(|tokens| tokens.of(request)) {
        Some(None) => {
            let challenge = r#"Bearer error="invalid_token", resource_metadata="http://challenge-canary""#;
            return Answer::status(401).header("WWW-Authenticate", challenge);
        }
        Some(Some(user)) => user,
        None => ("anybody".to_owned(), String::new()),
    };
    if modern && let Some(refusal) = ModernOnly::refusal(request) {
        return refusal;
    }
    let message = request.json();
    let (method, params) = (message["method"].as_str().unwrap_or_default(), &message["params"]);
    let wants = params["name"].as_str().and_then(|name| name.strip_prefix("needs_"));
    if let Some(scope) = wants.filter(|scope| !user.1.split(' ').any(|held| held == *scope)) {
        let challenge =
            format!(r#"Bearer error="insufficient_scope", scope="{scope}", realm="challenge-canary""#);
        return Answer::status(403).header("WWW-Authenticate", &challenge);
    }
    if !modern && let Some(answer) = session(request, method) {
        return answer;
    }
    let done = |result: Value| {
        if modern { Answer::complete(request, result) } else { Answer::result(request, result) }
    };
    let keep = json!({"ttlMs": 60_000, "cacheScope": "private"});
    let list = |name: &str, items: Value| {
        let mut result = keep.clone();
        result[name] = items;
        done(result)
    };
    match method {
        "server/discover" => {
            let mut result = keep.clone();
            result["supportedVersions"] = json!([STATELESS]);
            result["capabilities"] = json!({"tools": {}, "prompts": {}, "resources": {}});
            done(result)
        }
        "tools/list" => {
            let names = [format!("of_{}", user.0), "echo".to_owned(), "needs_write".to_owned()];
            list("tools", names.map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).into())
        }
        "prompts/list" => list("prompts", json!([{"name": "hello"}])),
        "resources/list" => list("resources", json!([{"uri": format!("note://{id}"), "name": "note"}])),
        "resources/templates/list" => list("resourceTemplates", json!([])),
        "tools/call" => {
            let text =
                format!("{} for {} of {}", params["name"].as_str().unwrap_or_default(), user.0, user.1);
            done(json!({"content": [{"type": "text", "text": text}], "isError": false}))
        }
        "prompts/get" => done(json!({"messages": [
            {"role": "user", "content": {"type": "text", "text": format!("hello {}", user.0)}}]})),
        "resources/read" => {
            let mut result = keep.clone();
            result["contents"] = json!([{"uri": params["uri"], "text": format!("note of {}", user.0)}]);
            done(result)
        }
        _ => {
            Answer::failure(request, if modern { 404 } else { 200 }, -32601, "Method not found", Value::Null)
        }
    }
}

/// What an older server says before it looks at the request itself.
fn session(request: &UpstreamRequest, method: &str) -> Option<Answer> {
    if request.method != "POST" {
        return Some(Answer::status(405).header("Allow", "POST"));
    }
    let message = request.json();
    if method == "initialize" {
        let capabilities = json!({"tools": {}, "prompts": {}, "resources": {}});
        let result = json!({"protocolVersion": STATEFUL, "capabilities": capabilities,
            "serverInfo": {"name": "peer", "version": "1"}});
        return Some(Answer::result(request, result).header("Mcp-Session-Id", "session-canary"));
    }
    if request.header("mcp-session-id").is_none() {
        return Some(Answer::failure(request, 400, -32600, "no session", Value::Null));
    }
    let expects = message.get("id").is_some() && message.get("method").is_some();
    (!expects).then(|| Answer::status(202))
}
