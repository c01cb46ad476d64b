//! Speaking to servers of 2026-07-28, which keep nothing between requests.

use super::link::{Fields, Heard, Link, report};
use super::party::{Response, Step};
use super::reader::{Reader, malformed};
use crate::forward::ForwardError;
use crate::refusal::Refusal;
use http::{HeaderName, HeaderValue, StatusCode};
use narthex_mcp::Revision;
use narthex_mcp::bridge::ask::Asked;
use narthex_mcp::bridge::declared::Declared;
use narthex_mcp::bridge::discover::Account;
use narthex_mcp::bridge::listen::{ACKNOWLEDGED, Filter};
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::result::{self, Answer};
use narthex_mcp::bridge::schema::{self, Schemas};
use narthex_mcp::bridge::{Object, error, params, task};
use narthex_mcp::headers::encode_value;
use narthex_mcp::rpc;
use narthex_upstreams::Slot;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;

const REVISION: &str = Revision::V2026_07_28.as_str();
/// Rounds of questions within one call, at most.
const ROUNDS: usize = 32;
/// Pages of a list, at most.
const PAGES: usize = 64;

/// What is known of a server's tools, for one client.
#[derive(Debug, Default)]
pub(crate) struct SchemaCache(Mutex<Option<Arc<Schemas>>>);

impl SchemaCache {
    pub(crate) fn learn(&self, schemas: Option<Arc<Schemas>>) {
        *self.0.lock() = schemas;
    }

    fn get(&self) -> Option<Arc<Schemas>> {
        self.0.lock().clone()
    }
}

/// What a call is made of.
pub(crate) struct Start<'a> {
    pub(crate) method: &'a str,
    /// An older client's `params`.
    pub(crate) params: &'a Object,
    pub(crate) declared: &'a Declared,
    /// From which level on log messages are wanted.
    pub(crate) level: &'a str,
    pub(crate) schemas: &'a Arc<SchemaCache>,
    /// Sending it twice does no harm.
    pub(crate) replayable: bool,
}

/// A call under way. Dropping it closes its stream, which cancels it (2026-07-28,
/// basic/patterns/cancellation).
pub(crate) struct ModernCall {
    link: Link,
    reader: Reader,
    method: String,
    /// As they were sent at first, with `_meta`.
    params: Object,
    /// As they were sent last.
    sent: Object,
    /// Nothing has come since, and the status says that nothing was done.
    untouched: bool,
    declared: Declared,
    schemas: Arc<SchemaCache>,
    asked: Option<Asked>,
    rounds: usize,
    next_id: u64,
    client_token: Option<String>,
    /// It was sent again because the server disagreed about headers or the revision.
    refreshed: bool,
    replayable: bool,
    /// The client's refusal of something that it was asked.
    refused: Option<RpcError>,
    slot: Slot,
}

/// The token of progress: it is alone on its stream.
const TOKEN: &str = r#""p""#;

impl ModernCall {
    /// Sends the request.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub(crate) async fn begin(mut link: Link, start: &Start<'_>) -> Result<Self, Refusal> {
        let mut slot = link.enter()?;
        let client_token = params::progress_token(start.params);
        let token = client_token.as_ref().map(|_| TOKEN);
        let mut params = params::to_modern(start.params, start.declared, REVISION, Some(start.level), token);
        params::set_trace(&mut params, link.traceparent());
        if start.method == "tools/call" && start.schemas.get().is_none() {
            refresh(&mut link, start.declared, start.schemas).await;
        }
        let known = start.schemas.get();
        let sent = post(&mut link, 1, start.method, &params, known.as_deref(), start.replayable).await;
        report(&mut slot, &sent);
        let sent = sent?;
        Ok(Self {
            untouched: sent.status == StatusCode::BAD_REQUEST,
            reader: sent.reader,
            link,
            method: start.method.to_owned(),
            sent: params.clone(),
            params,
            declared: start.declared.clone(),
            schemas: Arc::clone(start.schemas),
            asked: None,
            rounds: 0,
            next_id: 1,
            client_token,
            refreshed: false,
            replayable: start.replayable,
            refused: None,
            slot,
        })
    }

    /// See [`super::party::Call::next`].
    pub(crate) async fn next(&mut self) -> Result<Step, Refusal> {
        loop {
            if let Some(error) = self.refused.take() {
                return Ok(Step::Failed(error));
            }
            let incoming = self.reader.next().await?;
            let incoming = incoming.ok_or_else(|| malformed("the answer ended before its result"))?;
            let untouched = std::mem::take(&mut self.untouched);
            match incoming {
                Incoming::Notification { method, params } => {
                    if let Some(step) = self.noted(method, &params) {
                        return Ok(step);
                    }
                }
                Incoming::Error { error, .. } if untouched && self.may_send_again(&error) => {
                    self.refreshed = true;
                    if error.code == i64::from(rpc::HEADER_MISMATCH) {
                        refresh(&mut self.link, &self.declared, &self.schemas).await;
                    }
                    self.send_again(self.sent.clone()).await?;
                }
                Incoming::Error { error, .. } => {
                    return Ok(Step::Failed(error::to_legacy(&self.method, &error)));
                }
                Incoming::Result { result, .. } => {
                    if let Some(step) = self.finished(&result).await? {
                        return Ok(step);
                    }
                }
                // Servers of this revision ask in results only.
                Incoming::Request { .. } => return Err(malformed("a request on a response stream")),
            }
        }
    }

    fn noted(&self, method: String, params: &Object) -> Option<Step> {
        match method.as_str() {
            "notifications/progress" if params.get("progressToken") == Some(TOKEN) => {
                Some(Step::Note(method, params::with_token(params, self.client_token.as_deref()?)?))
            }
            "notifications/message" => {
                Some(Step::Note(method, narthex_mcp::bridge::discover::without_reserved(params)))
            }
            _ => None,
        }
    }

    /// Whether the error is one that comes before anything is done, so that sending the call again is not
    /// a second execution (2026-07-28, basic/transports/streamable-http: list the tools and retry;
    /// basic/versioning: choose another revision).
    fn may_send_again(&self, error: &RpcError) -> bool {
        let headers = error.code == i64::from(rpc::HEADER_MISMATCH) && self.method == "tools/call";
        !self.refreshed && (headers || speaks_ours(error))
    }

    async fn finished(&mut self, result: &Object) -> Result<Option<Step>, Refusal> {
        if self.method == "tools/list" && !self.params.has("cursor") && !result.has("nextCursor") {
            self.schemas.learn(Some(Arc::new(schema::read(result))));
        }
        let asked = match result::to_legacy(&self.method, result) {
            Ok(Answer::Complete(result)) => return Ok(Some(Step::Done(result))),
            Ok(Answer::Asks(asked)) => asked,
            Ok(Answer::Task(task)) if task::is_declared(&self.declared.capabilities) => {
                let id = task.string("taskId").ok_or_else(|| malformed("a task without an id"))?;
                let created = task::created_for_legacy(&task::to_legacy(&task, &id));
                return Ok(Some(Step::Done(created)));
            }
            // A server MUST NOT start a task for a client that does not know them (SEP-2663).
            Ok(Answer::Task(_)) => return Ok(Some(Step::Failed(result::BadResult::Type.to_error()))),
            Err(bad) => return Ok(Some(Step::Failed(bad.to_error()))),
        };
        self.rounds += 1;
        if self.rounds > ROUNDS {
            return Ok(Some(Step::Failed(RpcError::new(rpc::INTERNAL_ERROR, "the server asks without end"))));
        }
        // A server MUST NOT ask for what was not declared (basic/patterns/mrtr).
        if let Some((_, ask)) =
            asked.asks.iter().find(|(_, ask)| !self.declared.may_ask(&ask.method, &ask.params))
        {
            let what = format!("the server needs {}, which the client does not offer", ask.method);
            return Ok(Some(Step::Failed(RpcError::new(rpc::INTERNAL_ERROR, what))));
        }
        if asked.asks.is_empty() {
            let params = params::retry(&self.params, &[], asked.state.as_deref());
            self.send_again(params).await?;
            return Ok(None);
        }
        let asks = asked.asks.clone();
        self.asked = Some(asked);
        Ok(Some(Step::Asks(asks)))
    }

    /// See [`super::party::Call::answer`].
    pub(crate) async fn answer(&mut self, responses: Vec<Response>) -> Result<(), Refusal> {
        let Some(asked) = self.asked.take() else { return Ok(()) };
        let mut results = Vec::with_capacity(responses.len());
        for response in responses {
            let ask = asked.asks.iter().find(|(key, _)| *key == response.key).map(|(_, ask)| ask);
            match (response.result, ask) {
                (Ok(result), Some(_)) => results.push((response.key, result)),
                // An error can only be said where a result has a word for it.
                (Err(error), Some(ask)) => match ask.declined() {
                    Some(result) => results.push((response.key, result)),
                    None => {
                        self.refused = Some(error);
                        return Ok(());
                    }
                },
                (_, None) => {}
            }
        }
        let params = params::retry(&self.params, &results, asked.state.as_deref());
        self.send_again(params).await
    }

    async fn send_again(&mut self, params: Object) -> Result<(), Refusal> {
        self.sent = params;
        self.next_id += 1;
        let known = self.schemas.get();
        let sent =
            post(&mut self.link, self.next_id, &self.method, &self.sent, known.as_deref(), self.replayable)
                .await;
        report(&mut self.slot, &sent);
        let sent = sent?;
        self.untouched = sent.status == StatusCode::BAD_REQUEST;
        self.reader = sent.reader;
        Ok(())
    }
}

/// Sends a request. Whatever the status, there has to be a message to read, or the status is all there is.
pub(super) async fn post(
    link: &mut Link,
    id: u64,
    method: &str,
    params: &Object,
    schemas: Option<&Schemas>,
    replayable: bool,
) -> Result<Heard, Refusal> {
    let fields = fields(method, params, schemas);
    let heard = link.post(&fields, message::request(&id.to_string(), method, params), replayable).await?;
    let speaks = heard.reader.is_json() || heard.reader.is_stream();
    let expected = matches!(heard.status.as_u16(), 200 | 400 | 404 | 409 | 422 | 429);
    if speaks && expected { Ok(heard) } else { Err(heard.refusal()) }
}

/// The fields that mirror the body (2026-07-28, basic/transports/streamable-http).
fn fields(method: &str, params: &Object, schemas: Option<&Schemas>) -> Fields {
    let mut fields = Fields::new();
    fields.push((HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static(REVISION)));
    fields.extend(HeaderValue::from_str(method).ok().map(|m| (HeaderName::from_static("mcp-method"), m)));
    let named = match method {
        "tools/call" | "prompts/get" => params.string("name"),
        "resources/read" => params.string("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => params.string("taskId"),
        _ => None,
    };
    if let Some(name) = &named {
        let value = HeaderValue::from_str(&encode_value(name)).ok();
        fields.extend(value.map(|value| (HeaderName::from_static("mcp-name"), value)));
    }
    let mirrored = schemas.and_then(|schemas| schemas.mirrored.get(named.as_deref()?));
    if let Some(mirrored) = mirrored.filter(|_| method == "tools/call") {
        let arguments = params.get("arguments").and_then(|text| serde_json::from_str::<Value>(text).ok());
        for (name, value) in mirrored.headers(&arguments.unwrap_or_default()) {
            let name = HeaderName::try_from(format!("mcp-param-{}", name.to_ascii_lowercase()));
            fields.extend(name.ok().zip(HeaderValue::from_str(&value).ok()));
        }
    }
    fields
}

async fn refresh(link: &mut Link, declared: &Declared, schemas: &SchemaCache) {
    match list_tools(link, declared).await {
        Ok(found) => schemas.learn(Some(Arc::new(found))),
        // The call itself will say what is wrong.
        Err(refusal) => {
            tracing::debug!(upstream = %link.upstream().id, reason = refusal.reason(), "no list of tools");
        }
    }
}

async fn list_tools(link: &mut Link, declared: &Declared) -> Result<Schemas, Refusal> {
    let mut all = Schemas::default();
    let mut wanted = Object::default();
    for _ in 0..PAGES {
        let page = ask(link, "tools/list", &wanted, declared).await?;
        all.extend(schema::read(&page));
        let Some(cursor) = page.string("nextCursor") else { break };
        wanted.set_string("cursor", &cursor);
    }
    Ok(all)
}

/// [`try_ask`], where an error is a failure of the server's.
async fn ask(link: &mut Link, method: &str, wanted: &Object, declared: &Declared) -> Result<Object, Refusal> {
    try_ask(link, method, wanted, declared).await?.map_err(|_| malformed("an error for an answer"))
}

/// A short request whose result is all that matters.
///
/// # Errors
/// The server cannot be reached. The inner error is its answer.
pub(crate) async fn try_ask(
    link: &mut Link,
    method: &str,
    wanted: &Object,
    declared: &Declared,
) -> Result<Result<Object, RpcError>, Refusal> {
    let patience = link.upstream().timeout;
    let answered = tokio::time::timeout(patience, ask_in_time(link, method, wanted, declared)).await;
    answered.unwrap_or(Err(Refusal::Forward(ForwardError::Timeout)))
}

async fn ask_in_time(
    link: &mut Link,
    method: &str,
    wanted: &Object,
    declared: &Declared,
) -> Result<Result<Object, RpcError>, Refusal> {
    let mut params = params::to_modern(wanted, declared, REVISION, None, None);
    if let Some(responses) = wanted.get("inputResponses").filter(|_| method == "tasks/update") {
        params.set_json("inputResponses", responses);
    }
    let mut heard = post(link, 1, method, &params, None, true).await?;
    let mut again = true;
    loop {
        match heard.reader.next().await? {
            Some(Incoming::Result { result, .. }) => return Ok(Ok(result)),
            Some(Incoming::Error { error, .. }) if !speaks_ours(&error) || !again => return Ok(Err(error)),
            Some(Incoming::Notification { .. }) => {}
            Some(Incoming::Error { .. }) => {
                again = false;
                heard = post(link, 2, method, &params, None, true).await?;
            }
            _ => return Err(malformed("no answer")),
        }
    }
}

/// What the server says of itself.
///
/// # Errors
/// It cannot be reached, or does not say.
pub(crate) async fn discover(link: &mut Link, declared: &Declared) -> Result<Account, Refusal> {
    let result = ask(link, "server/discover", &Object::default(), declared).await?;
    Account::from_discover(&result).map_err(|e| malformed(&e.to_string()))
}

/// Whether an error says that another revision has to be chosen, and ours is among them (2026-07-28,
/// basic/versioning). It comes before anything is done.
fn speaks_ours(error: &RpcError) -> bool {
    let supported = error.data.as_ref().and_then(|data| data.array("supported")).unwrap_or_default();
    error.code == i64::from(rpc::UNSUPPORTED_PROTOCOL_VERSION)
        && supported
            .iter()
            .any(|name| serde_json::from_str::<&str>(name.get()).is_ok_and(|name| name == REVISION))
}

/// Whether the server speaks 2026-07-28; `None` if its answer does not tell (2026-07-28, basic/versioning:
/// a recognised error of that revision says so as well).
///
/// # Errors
/// It cannot be reached, or fails.
pub(crate) async fn probe(link: &mut Link) -> Result<Option<bool>, Refusal> {
    let mut info = Object::default();
    info.set_string("name", "narthex");
    info.set_string("version", env!("CARGO_PKG_VERSION"));
    let ours = Declared { capabilities: Object::default(), client_info: Some(info) };
    let params = params::to_modern(&Object::default(), &ours, REVISION, None, None);
    let fields = fields("server/discover", &params, None);
    let mut heard = link.post(&fields, message::request("1", "server/discover", &params), true).await?;
    match heard.status.as_u16() {
        200..=299 | 400 | 404 | 405 | 406 | 410 | 415 | 422 => {}
        429 => return Ok(None),
        _ => return Err(heard.refusal()),
    }
    let missing = heard.status == StatusCode::NOT_FOUND;
    // An older server may open a stream for it and never say anything.
    let first = tokio::time::timeout(link.upstream().timeout, heard.reader.next()).await;
    Ok(match first {
        Ok(Ok(Some(Incoming::Result { result, .. }))) => {
            let account = Account::from_discover(&result);
            Some(account.is_ok_and(|account| account.versions.iter().any(|v| v == REVISION)))
        }
        Ok(Ok(Some(Incoming::Error { error, .. }))) => Some(match error.code {
            -32020 | -32021 => true,
            -32022 => speaks_ours(&error),
            -32601 => missing,
            _ => false,
        }),
        // No message, or one that a server of that revision would not begin with.
        Ok(Ok(_)) => Some(false),
        Ok(Err(_)) | Err(_) => None,
    })
}

/// A stream of `subscriptions/listen` whose acknowledgement has come.
pub(crate) struct Stream {
    pub(crate) filter: Filter,
    pub(crate) reader: Reader,
}

/// Begins to listen.
///
/// # Errors
/// The server cannot be reached, or does not acknowledge.
pub(crate) async fn listen(link: &mut Link, declared: &Declared, wanted: &Filter) -> Result<Stream, Refusal> {
    let params = params::to_modern(&wanted.to_params(), declared, REVISION, None, None);
    let mut heard = post(link, 1, "subscriptions/listen", &params, None, true).await?;
    let first = tokio::time::timeout(link.upstream().timeout, heard.reader.next()).await;
    match first.unwrap_or(Ok(None))? {
        Some(Incoming::Notification { method, params }) if method == ACKNOWLEDGED => {
            let filter = Filter::parse(&params).unwrap_or_default();
            Ok(Stream { filter, reader: heard.reader })
        }
        _ => Err(malformed("subscriptions/listen was not acknowledged")),
    }
}
