//! A server of 2026-07-28 that knows nothing of the revisions before.

use super::answer::Answer;
use super::record::UpstreamRequest;
use crate::mcp::STATELESS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What a server of 2026-07-28 only does: it refuses every other revision with 400 and -32022, and
/// requests whose header fields do not mirror their body with 400 and -32020. The rest it answers by the
/// first that there is of: what was queued for the method with [`Self::next`], the rule given for it with
/// [`Self::always`], `server/discover` by its capabilities, `tools/list` by its tools, and
/// [`Answer::mcp`].
///
/// A clone is the same server. To be put to use with
/// `upstream.always(move |request| server.answer(request))`.
#[derive(Clone, Default)]
pub struct ModernOnly(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    capabilities: Option<Value>,
    tools: Option<Value>,
    queued: HashMap<String, VecDeque<Once>>,
    rules: HashMap<String, Rule>,
}

type Once = Box<dyn FnOnce(&UpstreamRequest) -> Answer + Send>;
type Rule = Arc<dyn Fn(&UpstreamRequest) -> Answer + Send + Sync>;

impl ModernOnly {
    /// Says in `server/discover` that it has these.
    pub fn set_capabilities(&self, capabilities: Value) {
        self.0.lock().capabilities = Some(capabilities);
    }

    /// Lists these tools.
    pub fn set_tools(&self, tools: Value) {
        self.0.lock().tools = Some(tools);
    }

    /// Queues the answer to one request for `method`.
    pub fn next(&self, method: &str, answer: impl FnOnce(&UpstreamRequest) -> Answer + Send + 'static) {
        let queued: Once = Box::new(answer);
        self.0.lock().queued.entry(method.to_owned()).or_default().push_back(queued);
    }

    /// Answers every request for `method` that no queued answer is left for by `rule`.
    pub fn always(&self, method: &str, rule: impl Fn(&UpstreamRequest) -> Answer + Send + Sync + 'static) {
        self.0.lock().rules.insert(method.to_owned(), Arc::new(rule));
    }

    /// What is wrong with a request, before anybody looks at what it is for.
    #[must_use]
    pub fn refusal(request: &UpstreamRequest) -> Option<Answer> {
        if request.method != "POST" {
            return Some(Answer::status(405).header("Allow", "POST"));
        }
        let message = request.json();
        if request.header("mcp-protocol-version") != Some(STATELESS) {
            let data = json!({"supported": [STATELESS], "requested": message["params"]["protocolVersion"]});
            return Some(Answer::failure(request, 400, -32022, "Unsupported protocol version", data));
        }
        let field = unlike(request, &message)?;
        Some(Answer::failure(request, 400, -32020, &format!("{field} differs"), json!({})))
    }

    /// The answer to a request.
    #[must_use]
    pub fn answer(&self, request: &UpstreamRequest) -> Answer {
        if let Some(refusal) = Self::refusal(request) {
            return refusal;
        }
        let message = request.json();
        let method = message["method"].as_str().unwrap_or_default();
        let mut state = self.0.lock();
        let queued = state.queued.get_mut(method).and_then(VecDeque::pop_front);
        let rule = state.rules.get(method).cloned();
        let (capabilities, tools) = (state.capabilities.clone(), state.tools.clone());
        drop(state);
        match (queued, rule, method) {
            (Some(queued), ..) => queued(request),
            (None, Some(rule), _) => rule(request),
            (None, None, "server/discover") if capabilities.is_some() => {
                let info =
                    json!({"io.modelcontextprotocol/serverInfo": {"name": "modern-only", "version": "1"}});
                Answer::complete(
                    request,
                    json!({"supportedVersions": [STATELESS], "capabilities": capabilities, "ttlMs": 0,
                           "cacheScope": "private", "_meta": info}),
                )
            }
            (None, None, "tools/list") if tools.is_some() => {
                Answer::complete(request, json!({"tools": tools, "ttlMs": 0, "cacheScope": "private"}))
            }
            (None, None, "server/discover" | "tools/list" | "tools/call") => Answer::mcp(request),
            // What this revision does not know, it says with 404.
            (None, None, _) => Answer::failure(request, 404, -32601, "Method not found", Value::Null),
        }
    }
}

/// The header field or `_meta` member that is not what the body says.
fn unlike(request: &UpstreamRequest, message: &Value) -> Option<&'static str> {
    let (method, params) = (message["method"].as_str(), &message["params"]);
    if request.header("mcp-method") != method {
        return Some("Mcp-Method");
    }
    let name = match method {
        Some("tools/call" | "prompts/get") => params["name"].as_str(),
        Some("resources/read") => params["uri"].as_str(),
        Some("tasks/get" | "tasks/update" | "tasks/cancel") => params["taskId"].as_str(),
        _ => None,
    };
    if request.header("mcp-name").map(decoded) != name.map(str::to_owned) {
        return Some("Mcp-Name");
    }
    let meta = &params["_meta"];
    let whole = meta["io.modelcontextprotocol/protocolVersion"] == STATELESS
        && meta["io.modelcontextprotocol/clientCapabilities"].is_object();
    (!whole).then_some("_meta")
}

/// The value of an `Mcp-*` field, which is base64 between `=?base64?` and `?=` where it is no plain text.
fn decoded(value: &str) -> String {
    let coded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let Some(bytes) = coded.and_then(|coded| STANDARD.decode(coded).ok()) else { return value.to_owned() };
    String::from_utf8_lossy(&bytes).into_owned()
}
