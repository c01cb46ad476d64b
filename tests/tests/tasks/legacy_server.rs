//! A server of 2025-11-25 that runs the tool `job` as a task, and a client of 2026-07-28 in front of it.

use super::stage::{EXTENSION, RELATED, Stage, THEIRS};
use narthex_testkit::{Answer, RawResponse, SseFeed, UpstreamRequest, mcp};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The stage with that server.
pub(crate) struct Job {
    pub(crate) stage: Stage,
    task: Arc<Mutex<Task>>,
    waiting: UnboundedReceiver<Waiting>,
}

/// Where the one task stands.
struct Task {
    status: &'static str,
    /// What `tasks/result` answers: `result` or `error`.
    outcome: (&'static str, Value),
}

/// The answer to a `tasks/result` that came before the end.
pub(crate) struct Waiting {
    id: Value,
    feed: SseFeed,
}

impl Waiting {
    /// Asks the client something.
    #[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
    pub(crate) fn ask(&self, id: &str, method: &str, params: Value) {
        let mut message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        message["params"]["_meta"][RELATED] = json!({"taskId": THEIRS});
        self.feed.event(message.to_string());
    }

    /// Tells the client something.
    pub(crate) fn tell(&self, method: &str, params: Value) {
        self.feed.event(mcp::notification(method, params));
    }

    /// Answers.
    pub(crate) fn end(self, mut result: Value) {
        result["_meta"][RELATED] = json!({"taskId": THEIRS});
        self.feed.event(json!({"jsonrpc": "2.0", "id": self.id, "result": result}).to_string());
    }

    /// Waits until the other end has closed it.
    pub(crate) async fn gone(mut self) {
        self.feed.gone().await;
    }

    /// Breaks off.
    pub(crate) fn cut(self) {
        self.feed.cut();
    }
}

impl Job {
    pub(crate) async fn start() -> Self {
        let stage = Stage::start("2025-11-25").await;
        let task = Arc::new(Mutex::new(Task { status: "working", outcome: ("result", Value::Null) }));
        let (waits, waiting) = unbounded_channel();
        let known = Arc::clone(&task);
        stage.upstream.always(move |request| serve(request, &mut known.lock().unwrap(), &waits));
        Self { stage, task, waiting }
    }

    /// From now on the task stands so.
    pub(crate) fn is(&self, status: &'static str) {
        self.task.lock().unwrap().status = status;
    }

    /// From now on the task has ended so, with this `result` or `error`.
    pub(crate) fn ends(&self, status: &'static str, kind: &'static str, outcome: Value) {
        *self.task.lock().unwrap() = Task { status, outcome: (kind, outcome) };
    }

    /// The next `tasks/result` that waits.
    pub(crate) async fn waiting(&mut self) -> Waiting {
        self.waiting.recv().await.expect("the server lives")
    }

    /// The answer to a request of a client with `capabilities`, as `alice`.
    pub(crate) async fn ask(&self, method: &str, params: Value, capabilities: &Value) -> RawResponse {
        self.stage.exchange(&self.bytes("/main", &self.stage.token, method, params, capabilities)).await
    }

    /// The bytes of such a request.
    pub(crate) fn bytes(
        &self,
        path: &str,
        token: &str,
        method: &str,
        params: Value,
        caps: &Value,
    ) -> Vec<u8> {
        let named = params.get("name").or_else(|| params.get("taskId"));
        let named = named.and_then(Value::as_str).map(str::to_owned);
        let mut body: Value = serde_json::from_str(&mcp::stateless_request(1, method, params)).unwrap();
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = caps.clone();
        let headers = mcp::stateless_headers(method, named.as_deref());
        mcp::post(path, Some(token), &headers, &body.to_string())
    }

    /// The `taskId` that a client gets for a call of `job`.
    pub(crate) async fn begin(&self) -> String {
        let answer = self.ask("tools/call", job(), &knows_tasks()).await;
        answer.json()["result"]["taskId"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
    }

    /// The result of a request about a task.
    pub(crate) async fn about(&self, method: &str, id: &str) -> Value {
        let answer = self.ask(method, json!({"taskId": id}), &knows_tasks()).await;
        assert!(!answer.text().contains(THEIRS), "{}", answer.text());
        answer.json()["result"].clone()
    }

    /// Brings answers to what the task asks for.
    pub(crate) async fn update(&self, id: &str, responses: Value) -> Value {
        let params = json!({"taskId": id, "inputResponses": responses});
        self.ask("tasks/update", params, &knows_tasks()).await.json()
    }
}

/// Params of a call of the tool.
pub(crate) fn job() -> Value {
    json!({"name": "job", "arguments": {"n": 1}})
}

/// The capabilities of a client that knows the extension.
pub(crate) fn knows_tasks() -> Value {
    json!({"elicitation": {}, "extensions": {EXTENSION: {}}})
}

/// Those of one that does not.
pub(crate) fn knows_none() -> Value {
    json!({"elicitation": {}})
}

fn serve(request: &UpstreamRequest, task: &mut Task, waits: &UnboundedSender<Waiting>) -> Answer {
    let message = request.json();
    let params = &message["params"];
    let ended = matches!(task.status, "completed" | "failed" | "cancelled");
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => {
            let tasks = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
            let info = json!({"name": "job-server", "version": "1"});
            let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "tasks": tasks},
                                "serverInfo": info});
            Answer::result(request, result).header("Mcp-Session-Id", "session-canary")
        }
        "tools/list" => {
            let schema = json!({"type": "object"});
            let job = json!({"name": "job", "inputSchema": schema, "execution": {"taskSupport": "required"}});
            Answer::result(request, json!({"tools": [{"name": "echo", "inputSchema": schema}, job]}))
        }
        "tools/call" if params["name"] == "job" && params["task"].is_object() => {
            Answer::result(request, json!({"task": described(task)}))
        }
        "tools/call" if params["name"] == "job" => Answer::error(request, -32601, "task required"),
        method if method.starts_with("tasks/") && params["taskId"] != THEIRS => {
            Answer::error(request, -32602, "no such task")
        }
        "tasks/get" => Answer::result(request, described(task)),
        "tasks/cancel" if ended => Answer::error(request, -32602, "it has ended"),
        "tasks/cancel" => {
            task.status = "cancelled";
            Answer::result(request, described(task))
        }
        "tasks/result" if ended => {
            let (kind, mut outcome) = task.outcome.clone();
            if kind == "result" {
                outcome["_meta"][RELATED] = json!({"taskId": THEIRS});
            }
            Answer::json(200, json!({"jsonrpc": "2.0", "id": message["id"], kind: outcome}))
        }
        "tasks/result" => {
            let (answer, feed) = Answer::sse();
            let _ = waits.send(Waiting { id: message["id"].clone(), feed });
            answer
        }
        _ => Answer::mcp(request),
    }
}

fn described(task: &Task) -> Value {
    json!({"taskId": THEIRS, "status": task.status, "statusMessage": "so it stands", "ttl": 60000,
           "createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:01Z", "pollInterval": 70})
}
