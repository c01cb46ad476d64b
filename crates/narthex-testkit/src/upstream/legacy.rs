//! An MCP server of the revisions with sessions, whose calls a test conducts word by word.

use super::answer::Answer;
use super::feed::SseFeed;
use super::record::UpstreamRequest;
use super::{PATIENCE, RecordingUpstream};
use crate::mcp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// An MCP server as they were before 2026-07-28, in this process.
///
/// It refuses `server/discover` and everything else that names no session of its own, opens sessions,
/// takes notifications and responses with 202. Each request for something whose name (or URI) starts with
/// `fed`, and each GET, is answered by an event stream that the test feeds: see [`Self::opened`]. The rest
/// is answered by the rule given with [`Self::rule`], and where that gives nothing as [`Answer::mcp`] does.
pub struct LegacyServer {
    upstream: RecordingUpstream,
    state: Arc<State>,
    opened: tokio::sync::Mutex<mpsc::UnboundedReceiver<Opened>>,
}

type Rule = Arc<dyn Fn(&UpstreamRequest) -> Option<Answer> + Send + Sync>;

struct State {
    sessions: Mutex<(usize, HashSet<String>)>,
    capabilities: Mutex<Value>,
    rule: Mutex<Option<Rule>>,
    opened: mpsc::UnboundedSender<Opened>,
}

impl LegacyServer {
    /// One that offers tools, prompts, resources with subscriptions, and a log.
    pub async fn start() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let changes = json!({"listChanged": true});
        let capabilities = json!({"tools": changes, "prompts": changes, "logging": {},
            "resources": {"listChanged": true, "subscribe": true}});
        let state = Arc::new(State {
            sessions: Mutex::default(),
            capabilities: Mutex::new(capabilities),
            rule: Mutex::default(),
            opened: sender,
        });
        let upstream = RecordingUpstream::start().await;
        let serving = Arc::clone(&state);
        upstream.always(move |request| serving.answer(request));
        Self { upstream, state, opened: tokio::sync::Mutex::new(receiver) }
    }

    /// All that it was sent.
    #[must_use]
    pub fn upstream(&self) -> &RecordingUpstream {
        &self.upstream
    }

    /// From now on `initialize` declares these capabilities.
    pub fn offer(&self, capabilities: Value) {
        *self.state.capabilities.lock() = capabilities;
    }

    /// From now on `rule` answers what it gives an answer to, of all that names a good session.
    pub fn rule(&self, rule: impl Fn(&UpstreamRequest) -> Option<Answer> + Send + Sync + 'static) {
        *self.state.rule.lock() = Some(Arc::new(rule));
    }

    /// Forgets all sessions, as a restart does.
    pub fn forget_sessions(&self) {
        self.state.sessions.lock().1.clear();
    }

    /// The sessions that are open, in no order.
    #[must_use]
    pub fn sessions(&self) -> Vec<String> {
        self.state.sessions.lock().1.iter().cloned().collect()
    }

    /// The next stream that a client opened.
    ///
    /// # Panics
    /// None within 20 s.
    pub async fn opened(&self) -> Opened {
        match timeout(PATIENCE, async { self.opened.lock().await.recv().await }).await {
            Ok(Some(opened)) => opened,
            _ => panic!("no stream was opened: {:?}", self.said()),
        }
    }

    /// The streams that were opened and not yet taken by [`Self::opened`].
    pub async fn unclaimed(&self) -> usize {
        self.opened.lock().await.len()
    }

    /// Waits until it has been sent a message that is right, and gives it.
    ///
    /// # Panics
    /// Not within 20 s.
    pub async fn hears(&self, right: impl Fn(&Value) -> bool) -> Value {
        let heard = || self.upstream.requests().iter().map(UpstreamRequest::json).find(&right);
        self.upstream.wait_until(|| heard().is_some()).await;
        heard().unwrap_or_default()
    }

    /// The methods of what it was sent, in order; `response` for a response, the HTTP method where there
    /// was no message.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        let name = |request: &UpstreamRequest| match request.rpc_method() {
            Some(method) => method,
            None if request.body.is_empty() => request.method.clone(),
            None => "response".to_owned(),
        };
        self.upstream.requests().iter().map(name).collect()
    }
}

impl State {
    fn answer(&self, request: &UpstreamRequest) -> Answer {
        let session = request.header("mcp-session-id").map(str::to_owned);
        if request.rpc_method().as_deref() == Some("initialize") {
            return self.initialize(request);
        }
        let Some(session) = session else {
            let error = json!({"code": -32600, "message": "Bad Request: no session"});
            return Answer::json(400, json!({"jsonrpc": "2.0", "id": null, "error": error}));
        };
        if !self.sessions.lock().1.contains(&session) {
            let error = json!({"code": -32001, "message": "Session not found"});
            return Answer::json(404, json!({"jsonrpc": "2.0", "id": null, "error": error}));
        }
        let rule = self.rule.lock().clone();
        if let Some(answer) = rule.and_then(|rule| rule(request)) {
            return answer;
        }
        match request.method.as_str() {
            "DELETE" => {
                self.sessions.lock().1.remove(&session);
                Answer::status(200)
            }
            "GET" => self.stream(request),
            _ if is_fed(&request.json()) => self.stream(request),
            _ => match request.rpc_method().as_deref() {
                Some("logging/setLevel" | "resources/subscribe" | "resources/unsubscribe") => {
                    Answer::result(request, json!({}))
                }
                _ => Answer::mcp(request),
            },
        }
    }

    fn initialize(&self, request: &UpstreamRequest) -> Answer {
        let session = {
            let mut sessions = self.sessions.lock();
            sessions.0 += 1;
            let id = format!("legacy-session-canary-{}", sessions.0);
            sessions.1.insert(id.clone());
            id
        };
        let result = json!({
            "protocolVersion": mcp::STATEFUL,
            "capabilities": *self.capabilities.lock(),
            "serverInfo": {"name": "legacy-server", "version": "7"},
            "instructions": "be kind",
        });
        Answer::result(request, result).header("Mcp-Session-Id", &session)
    }

    fn stream(&self, request: &UpstreamRequest) -> Answer {
        let (answer, feed) = Answer::sse();
        // Nobody may be there to take it any more.
        let _ = self.opened.send(Opened { request: request.clone(), feed });
        answer
    }
}

fn is_fed(message: &Value) -> bool {
    let params = &message["params"];
    let name = params["name"].as_str().or_else(|| params["uri"].as_str());
    message.get("method").is_some() && name.is_some_and(|name| name.starts_with("fed"))
}

/// An event stream that a client opened: the answer to a request, or to a GET. Dropping it ends the stream.
pub struct Opened {
    /// What it is the answer to.
    pub request: UpstreamRequest,
    /// The stream.
    pub feed: SseFeed,
}

impl Opened {
    /// Sends a message.
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub fn say(&self, message: Value) {
        self.feed.event(message.to_string());
    }

    /// Sends a notification.
    pub fn notify(&self, method: &str, params: Value) {
        self.feed.event(mcp::notification(method, params));
    }

    /// Sends a request of the server's own.
    pub fn ask(&self, id: impl Into<Value>, method: &str, params: Value) {
        self.feed.event(mcp::request(id, method, params));
    }

    /// Sends progress, by the token that the request has.
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub fn progress(&self, progress: Value) {
        let token = self.request.json()["params"]["_meta"]["progressToken"].clone();
        self.notify("notifications/progress", json!({"progressToken": token, "progress": progress}));
    }

    /// Sends the result of the request: one text. That ends the stream.
    pub fn text(self, text: &str) {
        self.result(json!({"content": [{"type": "text", "text": text}], "isError": false}));
    }

    /// Sends the result of the request. That ends the stream.
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub fn result(self, result: Value) {
        self.say(json!({"jsonrpc": "2.0", "id": self.request.json()["id"], "result": result}));
    }

    /// Breaks the stream off.
    pub fn cut(self) {
        self.feed.cut();
    }
}
