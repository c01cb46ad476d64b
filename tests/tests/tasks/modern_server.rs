//! A server of 2026-07-28 with the extension, and a client of the revisions before in front of it.

use super::stage::{EXTENSION, Stage, THEIRS};
use narthex_testkit::{Answer, RawClient, RawResponse, UpstreamRequest, mcp};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// The stage with that server and one session of `alice`'s.
pub(crate) struct Job {
    pub(crate) stage: Stage,
    looks: Arc<Mutex<Looks>>,
    session: String,
    revision: &'static str,
}

/// What looks at the task find: one after the other, and the last for ever.
#[derive(Default)]
struct Looks {
    coming: VecDeque<Value>,
    last: Value,
    /// What comes once the answers to its questions are there.
    after_update: Option<Value>,
    /// What comes once the task is cancelled.
    after_cancel: VecDeque<Value>,
}

impl Job {
    /// A session of 2025-11-25.
    pub(crate) async fn start() -> Self {
        Self::start_with(mcp::STATEFUL, &[EXTENSION], "").await
    }

    /// A session of `revision` at a server with `extensions`; with more lines of `server:`.
    pub(crate) async fn start_with(revision: &'static str, extensions: &[&str], server: &str) -> Self {
        let stage = Stage::start_with("2026-07-28", server).await;
        let looks = Arc::new(Mutex::new(Looks::default()));
        let known = Arc::clone(&looks);
        let extensions: Value = extensions.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        stage.upstream.always(move |request| serve(request, &mut known.lock().unwrap(), &extensions));
        let mut job = Self { stage, looks, session: String::new(), revision };
        job.session = job.open("/main", &job.stage.token).await.header("mcp-session-id").unwrap().to_owned();
        job
    }

    /// The answer to `initialize`.
    pub(crate) async fn open(&self, path: &str, token: &str) -> RawResponse {
        let client = json!({"name": "c", "version": "1"});
        let params = json!({"protocolVersion": self.revision, "clientInfo": client,
                            "capabilities": {"elicitation": {}}});
        let body = mcp::request(0, "initialize", params);
        self.stage.exchange(&mcp::post(path, Some(token), &[], &body)).await
    }

    /// From now on looks find these, one after the other.
    pub(crate) fn finds(&self, tasks: impl IntoIterator<Item = Value>) {
        self.looks.lock().unwrap().coming = tasks.into_iter().collect();
    }

    /// What looks find once answers have been brought.
    pub(crate) fn finds_after_update(&self, task: Value) {
        self.looks.lock().unwrap().after_update = Some(task);
    }

    /// What looks find once the task was cancelled.
    pub(crate) fn finds_after_cancel(&self, tasks: impl IntoIterator<Item = Value>) {
        self.looks.lock().unwrap().after_cancel = tasks.into_iter().collect();
    }

    /// The bytes of a message in the session.
    pub(crate) fn bytes(&self, body: &str) -> Vec<u8> {
        self.bytes_in(&self.session, "/main", &self.stage.token, body)
    }

    /// The bytes of a message in any session.
    pub(crate) fn bytes_in(&self, session: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
        let headers = [("Mcp-Session-Id", session), ("MCP-Protocol-Version", self.revision)];
        mcp::post(path, Some(token), &headers, body)
    }

    /// The answer to a request in the session.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> RawResponse {
        self.stage.exchange(&self.bytes(&mcp::request(7, method, params))).await
    }

    /// A request whose answer may be a stream.
    pub(crate) async fn begin_to_ask(&self, method: &str, params: Value) -> RawClient {
        let mut client = self.stage.connect().await;
        client.send(self.bytes(&mcp::request(7, method, params))).await.unwrap();
        client
    }

    /// The id that the client gets for a call of `tool` as a task.
    pub(crate) async fn begin(&self, tool: &str) -> String {
        let answer = self.ask("tools/call", job(tool)).await;
        let id = answer.json()["result"]["task"]["taskId"].as_str().map(str::to_owned);
        id.unwrap_or_else(|| panic!("no task: {}", answer.text()))
    }

    /// The response to a request about a task, without the server's own name of it.
    pub(crate) async fn about(&self, method: &str, id: &str) -> Value {
        let answer = self.ask(method, json!({"taskId": id})).await;
        assert!(!answer.text().contains(THEIRS), "{}", answer.text());
        answer.rpc()
    }
}

/// Params of a call as a task.
pub(crate) fn job(tool: &str) -> Value {
    json!({"name": tool, "arguments": {"n": 1}, "task": {"ttl": 5000}})
}

/// The task with this `status` and more members.
#[expect(clippy::needless_pass_by_value, reason = "so that calls can say json!(…) without a borrow")]
pub(crate) fn task(status: &str, more: Value) -> Value {
    let mut task = json!({"taskId": THEIRS, "status": status, "createdAt": "2026-01-01T00:00:00Z",
                          "lastUpdatedAt": "2026-01-01T00:00:01Z", "ttlMs": 60000, "pollIntervalMs": 60});
    for (name, value) in more.as_object().into_iter().flatten() {
        task[name] = value.clone();
    }
    task
}

fn serve(request: &UpstreamRequest, looks: &mut Looks, extensions: &Value) -> Answer {
    let message = request.json();
    let params = &message["params"];
    let mut result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => {
            json!({"supportedVersions": [mcp::STATELESS], "ttlMs": 0, "cacheScope": "private",
                                    "capabilities": {"tools": {}, "extensions": extensions}})
        }
        "tools/list" => {
            let schema = json!({"type": "object"});
            let tools =
                ["job", "quick", "sour", "odd"].map(|name| json!({"name": name, "inputSchema": schema}));
            json!({"tools": tools, "ttlMs": 0, "cacheScope": "private"})
        }
        "tools/call" if params["name"] == "job" => {
            looks.last = task("working", json!({}));
            let mut created = task("working", json!({}));
            created["resultType"] = "task".into();
            return Answer::result(request, created);
        }
        "tools/call" => {
            json!({"content": [{"type": "text", "text": params["name"]}], "task": {"taskId": "mine"},
                               "isError": params["name"] == "sour"})
        }
        method if method.starts_with("tasks/") && params["taskId"] != THEIRS => {
            return Answer::error(request, -32602, "no such task");
        }
        "tasks/get" => {
            if let Some(next) = looks.coming.pop_front() {
                looks.last = next;
            }
            looks.last.clone()
        }
        "tasks/update" => {
            if let Some(next) = looks.after_update.take() {
                looks.last = next;
            }
            json!({})
        }
        "tasks/cancel" => {
            looks.coming = std::mem::take(&mut looks.after_cancel);
            json!({})
        }
        _ => return Answer::mcp(request),
    };
    result["resultType"] = "complete".into();
    Answer::result(request, result)
}
