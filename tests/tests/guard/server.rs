//! An MCP server of either era that says, byte for byte, what a test wants.

use narthex_testkit::{Answer, ModernOnly, RecordingUpstream, SseFeed, UpstreamRequest, mcp};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Which revisions one speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Era {
    /// 2026-07-28.
    Modern,
    /// 2025-11-25.
    Legacy,
}

type Rule = Arc<dyn Fn(&UpstreamRequest) -> Option<Answer> + Send + Sync>;

/// The server.
pub(crate) struct Server {
    pub(crate) era: Era,
    pub(crate) upstream: RecordingUpstream,
    said: Arc<Said>,
}

struct Said {
    era: Era,
    /// The members of a result, as JSON text without braces, by method.
    results: Mutex<HashMap<String, String>>,
    /// JSON text of a string.
    instructions: Mutex<Option<String>>,
    rule: Mutex<Option<Rule>>,
    ears: Mutex<Vec<SseFeed>>,
    silent: AtomicBool,
    strict: ModernOnly,
}

impl Server {
    pub(crate) async fn start(era: Era) -> Self {
        let said = Arc::new(Said {
            era,
            results: Mutex::default(),
            instructions: Mutex::default(),
            rule: Mutex::default(),
            ears: Mutex::default(),
            silent: AtomicBool::default(),
            strict: ModernOnly::default(),
        });
        let upstream = RecordingUpstream::start().await;
        let serving = Arc::clone(&said);
        upstream.always(move |request| serving.answer(request));
        Self { era, upstream, said }
    }

    /// From now on a request for `method` has this result: members as JSON text, without the braces.
    pub(crate) fn says(&self, method: &str, members: impl Into<String>) {
        self.said.results.lock().unwrap().insert(method.to_owned(), members.into());
    }

    /// From now on it lists these tools.
    pub(crate) fn tools(&self, tools: &[Value]) {
        self.says("tools/list", format!("\"tools\":{}", json!(tools)));
    }

    /// From now on it says this of itself: JSON text of a string.
    pub(crate) fn instructs(&self, json: String) {
        *self.said.instructions.lock().unwrap() = Some(json);
    }

    /// From now on `rule` answers what it has an answer to.
    pub(crate) fn rule(&self, rule: impl Fn(&UpstreamRequest) -> Option<Answer> + Send + Sync + 'static) {
        *self.said.rule.lock().unwrap() = Some(Arc::new(rule));
    }

    /// Tells all who listen that its tools have changed; waits until somebody does.
    pub(crate) async fn changed(&self) {
        self.upstream.wait_until(|| !self.said.ears.lock().unwrap().is_empty()).await;
        for ear in &*self.said.ears.lock().unwrap() {
            let meta = json!({"io.modelcontextprotocol/subscriptionId": 1});
            let params = if self.era == Era::Modern { json!({"_meta": meta}) } else { json!({}) };
            ear.event(mcp::notification("notifications/tools/list_changed", params));
        }
    }

    /// From now on it does not offer to tell of changes.
    pub(crate) fn is_silent(&self) {
        self.said.silent.store(true, Ordering::Relaxed);
    }

    /// How often a tool was called.
    pub(crate) fn calls(&self) -> usize {
        self.upstream.requests_for("tools/call").len()
    }

    /// `params` of the last call of a tool.
    pub(crate) fn last_call(&self) -> UpstreamRequest {
        self.upstream.requests_for("tools/call").pop().expect("a call")
    }
}

/// A result with these members, JSON text without the braces, in the words of the request's era.
pub(crate) fn result(request: &UpstreamRequest, members: &str) -> Answer {
    Answer::full(200, "application/json", message(request, members))
}

/// The same as a message.
pub(crate) fn message(request: &UpstreamRequest, members: &str) -> String {
    let modern = request.header("mcp-protocol-version") == Some(mcp::STATELESS);
    let kind = if modern { r#""resultType":"complete""# } else { "" };
    let comma = if modern && !members.is_empty() { "," } else { "" };
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{{members}{comma}{kind}}}}}"#, request.json()["id"])
}

impl Said {
    fn answer(&self, request: &UpstreamRequest) -> Answer {
        let message = request.json();
        let method = request.rpc_method().unwrap_or_default();
        let modern = request.header("mcp-protocol-version") == Some(mcp::STATELESS);
        match (request.method.as_str(), self.era) {
            ("GET", Era::Legacy) => return self.stream(None),
            ("DELETE", Era::Legacy) => return Answer::status(200),
            ("POST", Era::Modern) if !modern => return self.strict.answer(request),
            ("POST", Era::Legacy) if modern => return Answer::error(request, -32600, "no session"),
            ("POST", _) if method.is_empty() || message.get("id").is_none() => return Answer::status(202),
            ("POST", _) => {}
            _ => return Answer::status(405),
        }
        let rule = self.rule.lock().unwrap().clone();
        if let Some(answer) = rule.and_then(|rule| rule(request)) {
            return answer;
        }
        if let Some(members) = self.results.lock().unwrap().get(&method) {
            let caching =
                if modern && is_cached(&method) { r#","ttlMs":0,"cacheScope":"private""# } else { "" };
            return result(request, &format!("{members}{caching}"));
        }
        match method.as_str() {
            "initialize" => result(request, &self.account(false)).header("Mcp-Session-Id", "guard-session"),
            "server/discover" => result(request, &self.account(true)),
            "subscriptions/listen" => self.stream(Some(request)),
            "tools/call" => result(request, r#""content":[{"type":"text","text":"called"}]"#),
            "tools/list" => self.empty(request, "tools"),
            "prompts/list" => self.empty(request, "prompts"),
            "resources/list" => self.empty(request, "resources"),
            "resources/templates/list" => self.empty(request, "resourceTemplates"),
            _ => Answer::result(request, json!({})),
        }
    }

    fn empty(&self, request: &UpstreamRequest, member: &str) -> Answer {
        let caching = if self.era == Era::Modern { r#","ttlMs":0,"cacheScope":"private""# } else { "" };
        result(request, &format!("\"{member}\":[]{caching}"))
    }

    fn account(&self, modern: bool) -> String {
        let family = json!({"listChanged": !self.silent.load(Ordering::Relaxed)});
        let capabilities = json!({"tools": family, "prompts": family, "resources": family, "logging": {}, "completions": {}});
        let instructions = self.instructions.lock().unwrap().clone();
        let instructions = instructions.map_or_else(String::new, |json| format!(",\"instructions\":{json}"));
        let rest = if modern {
            r#""supportedVersions":["2026-07-28"],"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"guarded","version":"1"}}"#
        } else {
            r#""protocolVersion":"2025-11-25","serverInfo":{"name":"guarded","version":"1"}"#
        };
        format!("{rest},\"capabilities\":{capabilities}{instructions}")
    }

    fn stream(&self, request: Option<&UpstreamRequest>) -> Answer {
        let (answer, feed) = Answer::sse();
        if let Some(request) = request {
            let message = request.json();
            let meta = json!({"io.modelcontextprotocol/subscriptionId": message["id"]});
            let params = json!({"notifications": message["params"]["notifications"], "_meta": meta});
            feed.event(mcp::notification("notifications/subscriptions/acknowledged", params));
        }
        self.ears.lock().unwrap().push(feed);
        answer
    }
}

fn is_cached(method: &str) -> bool {
    method.ends_with("/list") || method == "resources/read" || method == "server/discover"
}
