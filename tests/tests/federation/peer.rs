//! An upstream of either era that lists what it is told to, in pages, and tells of changes.

use narthex_testkit::mcp;
use narthex_testkit::{Answer, ModernOnly, RecordingUpstream, SseFeed, UpstreamOptions, UpstreamRequest};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// The methods of the four lists.
const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "tools"),
    ("prompts/list", "prompts", "prompts"),
    ("resources/list", "resources", "resources"),
    ("resources/templates/list", "resourceTemplates", "resources"),
];

type Rule = Arc<dyn Fn(&UpstreamRequest) -> Answer + Send + Sync>;
type Guard = Arc<dyn Fn(&UpstreamRequest) -> bool + Send + Sync>;
type Hears = Arc<dyn Fn(&UpstreamRequest) + Send + Sync>;

/// An upstream under the test's control. Dropping it ends it.
pub(crate) struct Peer {
    /// Its name under `upstreams:`.
    pub(crate) id: &'static str,
    pub(crate) upstream: RecordingUpstream,
    state: Arc<State>,
}

struct State {
    id: &'static str,
    modern: bool,
    told: Mutex<Told>,
}

/// What the test has told it.
#[derive(Default)]
struct Told {
    lists: HashMap<&'static str, Vec<Value>>,
    /// Items of one page; 0: all.
    page: usize,
    /// `ttlMs` and `cacheScope`, if it is modern.
    caching: (u64, &'static str),
    /// Whether it tells of changes.
    changing: bool,
    rules: HashMap<String, Rule>,
    trouble: Option<Rule>,
    /// Which requests have no good credential.
    guard: Option<Guard>,
    /// Is shown every message of a session.
    hears: Option<Hears>,
    feeds: Vec<(Value, SseFeed)>,
    sessions: HashSet<String>,
    opened: usize,
}

impl Peer {
    /// A server of 2026-07-28 only.
    pub(crate) async fn modern(id: &'static str) -> Self {
        Self::start(id, true).await
    }

    /// A server of 2025-11-25 with sessions.
    pub(crate) async fn legacy(id: &'static str) -> Self {
        Self::start(id, false).await
    }

    async fn start(id: &'static str, modern: bool) -> Self {
        let told = Told { caching: (60_000, "private"), changing: true, ..Told::default() };
        let state = Arc::new(State { id, modern, told: Mutex::new(told) });
        let upstream = serve(&state, 0).await;
        Self { id, upstream, state }
    }

    /// From now on it has these tools, which do what their names say.
    pub(crate) fn tools(self, names: &[&str]) -> Self {
        self.set("tools/list", names.iter().map(|name| tool(name)).collect());
        self
    }

    /// From now on it has these prompts.
    pub(crate) fn prompts(self, names: &[&str]) -> Self {
        self.set(
            "prompts/list",
            names.iter().map(|name| json!({"name": name, "description": name})).collect(),
        );
        self
    }

    /// From now on it has these resources.
    pub(crate) fn resources(self, uris: &[&str]) -> Self {
        self.set("resources/list", uris.iter().map(|uri| json!({"uri": uri, "name": uri})).collect());
        self
    }

    /// From now on it has these resource templates.
    pub(crate) fn templates(self, templates: &[&str]) -> Self {
        let items = templates.iter().map(|template| json!({"uriTemplate": template, "name": template}));
        self.set("resources/templates/list", items.collect());
        self
    }

    /// From now on `method` lists these.
    pub(crate) fn set(&self, method: &'static str, items: Vec<Value>) {
        self.told().lists.insert(method, items);
    }

    /// Items of one page.
    pub(crate) fn paged(self, page: usize) -> Self {
        self.told().page = page;
        self
    }

    /// What it says of how its lists may be kept.
    pub(crate) fn caching(self, ttl: u64, scope: &'static str) -> Self {
        self.told().caching = (ttl, scope);
        self
    }

    /// It tells of no changes.
    pub(crate) fn silent(self) -> Self {
        self.told().changing = false;
        self
    }

    /// Answers every request for `method` so.
    pub(crate) fn rule(
        &self,
        method: &str,
        rule: impl Fn(&UpstreamRequest) -> Answer + Send + Sync + 'static,
    ) {
        self.told().rules.insert(method.to_owned(), Arc::new(rule));
    }

    /// Refuses the credential of requests for which this is true.
    pub(crate) fn refuse(&self, guard: impl Fn(&UpstreamRequest) -> bool + Send + Sync + 'static) {
        self.told().guard = Some(Arc::new(guard));
    }

    /// Shows every message of a session to this.
    pub(crate) fn heard(&self, hears: impl Fn(&UpstreamRequest) + Send + Sync + 'static) {
        self.told().hears = Some(Arc::new(hears));
    }

    /// Answers everything so, until it is [well](Self::recover) again.
    pub(crate) fn trouble(&self, rule: impl Fn(&UpstreamRequest) -> Answer + Send + Sync + 'static) {
        self.told().trouble = Some(Arc::new(rule));
    }

    /// Answers as before.
    pub(crate) fn recover(&self) {
        self.told().trouble = None;
    }

    /// Stops listening, and breaks everything off.
    pub(crate) async fn stop(self) -> Stopped {
        let port = self.upstream.address().port();
        self.state.told.lock().unwrap().feeds.clear();
        self.upstream.stop().await;
        Stopped { id: self.id, port, state: self.state }
    }

    /// How many requests for `method` it had.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.upstream.requests_for(method).len()
    }

    /// The last request for `method`.
    pub(crate) fn last(&self, method: &str) -> UpstreamRequest {
        self.upstream.requests_for(method).pop().unwrap_or_else(|| panic!("{} had no {method}", self.id))
    }

    /// Tells whoever listens that a list has changed: `tools`, `prompts` or `resources`.
    pub(crate) fn changed(&self, what: &str) {
        self.tell(&format!("notifications/{what}/list_changed"), &json!({}));
    }

    /// Sends a notification to whoever listens. How many there are.
    pub(crate) fn tell(&self, method: &str, params: &Value) -> usize {
        let mut told = self.told();
        told.feeds.retain(|(_, feed)| !feed.is_gone());
        for (id, feed) in &told.feeds {
            let mut params = params.clone();
            if self.state.modern {
                params["_meta"]["io.modelcontextprotocol/subscriptionId"] = id.clone();
            }
            feed.event(mcp::notification(method, params));
        }
        told.feeds.len()
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        let mut told = self.told();
        told.feeds.retain(|(_, feed)| !feed.is_gone());
        told.feeds.len()
    }

    /// Breaks the streams of all who listen.
    pub(crate) fn cut(&self) {
        self.told().feeds.drain(..).for_each(|(_, feed)| feed.cut());
    }

    /// Forgets all sessions, as a restart does.
    pub(crate) fn forget_sessions(&self) {
        let mut told = self.told();
        told.sessions.clear();
        told.feeds.clear();
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.state.told.lock().unwrap()
    }
}

/// One that does not listen any more.
pub(crate) struct Stopped {
    id: &'static str,
    port: u16,
    state: Arc<State>,
}

impl Stopped {
    /// Listens again, where it did.
    pub(crate) async fn resume(self) -> Peer {
        let upstream = serve(&self.state, self.port).await;
        Peer { id: self.id, upstream, state: self.state }
    }
}

/// A tool's listing.
pub(crate) fn tool(name: &str) -> Value {
    json!({"name": name, "description": format!("does {name}"), "inputSchema": {"type": "object"}})
}

async fn serve(state: &Arc<State>, port: u16) -> RecordingUpstream {
    let upstream = RecordingUpstream::start_with(UpstreamOptions::default().port(port)).await;
    let serving = Arc::clone(state);
    upstream.always(move |request| serving.answer(request));
    upstream
}

impl State {
    fn answer(&self, request: &UpstreamRequest) -> Answer {
        let trouble = self.told.lock().unwrap().trouble.clone();
        if let Some(trouble) = trouble {
            return trouble(request);
        }
        let guard = self.told.lock().unwrap().guard.clone();
        if guard.is_some_and(|guard| guard(request)) {
            return Answer::status(401);
        }
        let method = request.rpc_method().unwrap_or_default();
        let hears = self.told.lock().unwrap().hears.clone();
        if let Some(hears) = hears {
            hears(request);
        }
        if self.modern {
            // Another revision, or fields that do not mirror the body.
            if let Some(refusal) = ModernOnly::refusal(request) {
                return refusal;
            }
        } else if let Some(refusal) = self.session(request, &method) {
            return refusal;
        }
        let rule = self.told.lock().unwrap().rules.get(&method).cloned();
        match rule {
            Some(rule) => rule(request),
            None => self.usual(request, &method),
        }
    }

    /// What an older server says before it looks at the request itself.
    fn session(&self, request: &UpstreamRequest, method: &str) -> Option<Answer> {
        let mut told = self.told.lock().unwrap();
        if method == "initialize" {
            told.opened += 1;
            let id = format!("{}-session-canary-{}", self.id, told.opened);
            told.sessions.insert(id.clone());
            let result = json!({"protocolVersion": mcp::STATEFUL, "capabilities": capabilities(&told),
                "serverInfo": {"name": "peer", "version": "1"}, "instructions": format!("be {}", self.id)});
            return Some(Answer::result(request, result).header("Mcp-Session-Id", &id));
        }
        let Some(session) = request.header("mcp-session-id") else {
            return Some(Answer::failure(request, 400, -32600, "no session", Value::Null));
        };
        if !told.sessions.contains(session) {
            let error = json!({"code": -32001, "message": "Session not found"});
            return Some(Answer::json(404, json!({"jsonrpc": "2.0", "id": null, "error": error})));
        }
        if request.method == "DELETE" {
            let session = session.to_owned();
            told.sessions.remove(&session);
            return Some(Answer::status(200));
        }
        if request.method == "GET" {
            let (answer, feed) = Answer::sse();
            told.feeds.push((Value::Null, feed));
            return Some(answer);
        }
        // A notification, or a response.
        let message = request.json();
        let is_request = message.get("id").is_some() && message.get("method").is_some();
        (!is_request).then(|| Answer::status(202))
    }

    fn usual(&self, request: &UpstreamRequest, method: &str) -> Answer {
        let message = request.json();
        let params = &message["params"];
        let told = self.told.lock().unwrap();
        if let Some(page) = page(&told, method, params, self.modern) {
            return self.done(request, page);
        }
        drop(told);
        let name = params["name"].as_str().or_else(|| params["uri"].as_str()).unwrap_or_default();
        let said = format!("{} {name} {}", self.id, params["arguments"]);
        match method {
            "server/discover" => self.discovered(request),
            "subscriptions/listen" => self.listen(request),
            "tools/call" => {
                self.done(request, json!({"content": [{"type": "text", "text": said}], "isError": false}))
            }
            "prompts/get" => {
                let message = json!({"role": "user", "content": {"type": "text", "text": said}});
                self.done(request, json!({"messages": [message]}))
            }
            "resources/read" => {
                let caching =
                    if self.modern { json!({"ttlMs": 0, "cacheScope": "private"}) } else { json!({}) };
                let mut result = json!({"contents": [{"uri": name, "text": said}]});
                result.as_object_mut().unwrap().extend(caching.as_object().unwrap().clone());
                self.done(request, result)
            }
            "completion/complete" => {
                let reference = &params["ref"];
                let what =
                    reference["name"].as_str().or_else(|| reference["uri"].as_str()).unwrap_or_default();
                self.done(request, json!({"completion": {"values": [format!("{} {what}", self.id)]}}))
            }
            "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" | "ping" => {
                self.done(request, json!({}))
            }
            _ => Answer::failure(
                request,
                if self.modern { 404 } else { 200 },
                -32601,
                "Method not found",
                Value::Null,
            ),
        }
    }

    fn done(&self, request: &UpstreamRequest, result: Value) -> Answer {
        if self.modern { Answer::complete(request, result) } else { Answer::result(request, result) }
    }

    fn discovered(&self, request: &UpstreamRequest) -> Answer {
        let info = json!({"io.modelcontextprotocol/serverInfo": {"name": "peer", "version": "1"}});
        let capabilities = capabilities(&self.told.lock().unwrap());
        self.done(
            request,
            json!({"supportedVersions": [mcp::STATELESS], "capabilities": capabilities, "ttlMs": 0,
                "cacheScope": "private", "_meta": info, "instructions": format!("be {}", self.id)}),
        )
    }

    /// Acknowledges everything that is wanted, and keeps the stream.
    fn listen(&self, request: &UpstreamRequest) -> Answer {
        let (answer, feed) = Answer::sse();
        let message = request.json();
        let params = json!({"notifications": message["params"]["notifications"],
            "_meta": {"io.modelcontextprotocol/subscriptionId": message["id"]}});
        feed.event(mcp::notification("notifications/subscriptions/acknowledged", params));
        self.told.lock().unwrap().feeds.push((message["id"].clone(), feed));
        answer
    }
}

fn capabilities(told: &Told) -> Value {
    let changes = told.changing;
    let mut all = json!({"completions": {}, "logging": {}});
    for (method, _, family) in LISTS {
        if told.lists.contains_key(method) {
            all[family]["listChanged"] = changes.into();
        }
    }
    if all.get("resources").is_some() {
        all["resources"]["subscribe"] = true.into();
    }
    if told.rules.contains_key("tasks/get") {
        all["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
    }
    all
}

/// The page that is asked for, if it is one of a list that is there.
fn page(told: &Told, method: &str, params: &Value, modern: bool) -> Option<Value> {
    let (_, member, _) = LISTS.into_iter().find(|(name, ..)| *name == method)?;
    let items = told.lists.get(method).cloned().unwrap_or_default();
    let size = if told.page == 0 { usize::MAX } else { told.page };
    let from: usize =
        params["cursor"].as_str().and_then(|cursor| cursor.strip_prefix("at-")?.parse().ok()).unwrap_or(0);
    let mut result = json!({member: items.iter().skip(from).take(size).collect::<Vec<_>>()});
    if items.len() > from.saturating_add(size) {
        result["nextCursor"] = format!("at-{}", from + size).into();
    }
    if modern {
        (result["ttlMs"], result["cacheScope"]) = (told.caching.0.into(), told.caching.1.into());
    }
    Some(result)
}
