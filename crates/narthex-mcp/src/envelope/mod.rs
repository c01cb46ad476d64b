//! What a POST body says, read in one strict pass.
//!
//! Everything that a decision rests on comes from here, and exactly the scanned bytes go upstream, so the
//! scan refuses whatever two parsers might read differently: duplicate keys (after unescaping), keys that
//! differ from a known one in case only, lone surrogates, numbers out of range, trailing data.

mod error;
mod message;
mod method;
mod params;
#[cfg(test)]
mod tests;

pub use error::{ErrorKind, ScanError};

use crate::json::{Cursor, Fault};
use error::Rejection;
use std::borrow::Cow;
use std::ops::Range;

/// Caps on what is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ScanLimits {
    /// Objects and arrays inside one another, the message itself being the first. At most 256 is honoured.
    pub depth: u16,
    /// Messages in one batch (JSON-RPC 2.0 §6; MCP 2025-03-26 only).
    pub batch: usize,
    /// Bytes of an `id`, quotes included.
    pub id: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { depth: 64, batch: 50, id: 1024 }
    }
}

/// What a body holds.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Body<'a> {
    /// One message.
    Single(Message<'a>),
    /// An array of messages: requests and notifications, or responses, never both (MCP 2025-03-26).
    Batch(Vec<Message<'a>>),
}

/// Which of JSON-RPC's three messages it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A method call with an id.
    Request,
    /// A method call without an id.
    Notification,
    /// A `result` or an `error`.
    Response,
}

/// One JSON-RPC 2.0 message, as far as the gateway decides on it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Request, notification or response.
    pub kind: Kind,
    /// `method`; empty for a response.
    pub method: Cow<'a, str>,
    /// `id` as its JSON text stands in the body, so that its type and spelling survive.
    /// `None` for notifications and for error responses to unreadable requests.
    pub id: Option<&'a str>,
    /// What the method is about: `params.name` of `tools/call` and `prompts/get`, `params.uri` of
    /// `resources/read`, `resources/subscribe` and `resources/unsubscribe`, `params.taskId` of `tasks/*`.
    /// Always present for those, but for `tasks/list`.
    pub name: Option<Cow<'a, str>>,
    /// What `params._meta` says.
    pub meta: Meta<'a>,
    /// `params.protocolVersion` of `initialize`; always present there.
    pub requested_version: Option<Cow<'a, str>>,
    /// Whether `params._meta` is there.
    pub declares_meta: bool,
    /// `params.requestState`, as a retry of 2026-07-28 brings it (basic/patterns/mrtr). `None` too where
    /// it is not a string.
    pub request_state: Option<Located<'a>>,
}

impl Message<'_> {
    /// Whether this is a `tools/call`.
    #[must_use]
    pub fn is_tool_call(&self) -> bool {
        self.method == "tools/call"
    }
}

/// A string of the message, and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Located<'a> {
    /// What it says.
    pub text: Cow<'a, str>,
    /// Its JSON text in the scanned bytes, quotes included.
    pub span: Range<usize>,
}

/// The members of `params._meta` that the gateway reads (MCP 2026-07-28, basic/index#_meta).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Meta<'a> {
    /// `io.modelcontextprotocol/protocolVersion`.
    pub protocol_version: Option<Cow<'a, str>>,
    /// Whether `io.modelcontextprotocol/clientCapabilities` is there, and an object.
    pub has_client_capabilities: bool,
    /// `io.modelcontextprotocol/logLevel`.
    pub log_level: Option<Cow<'a, str>>,
    /// `traceparent` (W3C Trace Context), unchecked; `None` too when it is not a string.
    pub traceparent: Option<Cow<'a, str>>,
    /// Whether `progressToken` is there: the answer may be a stream.
    pub has_progress_token: bool,
}

/// Reads a whole POST body.
///
/// Takes no memory for one message without escapes in what it returns and with few keys that it does not
/// know. The time is linear in the body's length.
///
/// # Errors
/// The body is not RFC 8259 JSON in UTF-8 ([`ErrorKind::Parse`]), not JSON-RPC 2.0 or open to more than one
/// reading ([`ErrorKind::InvalidRequest`]), or lacks what its method needs ([`ErrorKind::InvalidParams`]).
pub fn scan<'a>(body: &'a [u8], limits: &ScanLimits) -> Result<Body<'a>, ScanError> {
    let mut cursor = Cursor::new(body, limits.depth).map_err(ScanError::parse)?;
    let scanned = match cursor.peek() {
        Some(b'[') => batch(&mut cursor, limits)?.map(Body::Batch),
        _ => message::read(&mut cursor, limits).map_err(ScanError::parse)?.map(Body::Single),
    };
    cursor.finish().map_err(ScanError::parse)?;
    scanned.map_err(ScanError::from)
}

type BatchResult<'a> = Result<Vec<Message<'a>>, Rejection<'a>>;

/// The outer error ends the scan at once: broken JSON, or too many messages. The inner one is a broken rule.
fn batch<'a>(cursor: &mut Cursor<'a>, limits: &ScanLimits) -> Result<BatchResult<'a>, ScanError> {
    let mut messages = Vec::new();
    let mut rejection = None;
    let mut too_large = false;
    let walked = cursor.array(|cursor| {
        if messages.len() == limits.batch {
            too_large = true;
            return Err(error::BATCH_TOO_LARGE);
        }
        match message::read(cursor, limits)? {
            Ok(message) => messages.push(message),
            Err(rejected) => rejection = rejection.take().or(Some(rejected)),
        }
        Ok(())
    });
    match walked {
        Err(fault) if too_large => return Err(Rejection::request(fault).into()),
        Err(fault) => return Err(ScanError::parse(fault)),
        Ok(()) => {}
    }
    Ok(match rejection {
        // One answer goes out for the whole batch, so it names none of its messages.
        Some(rejected) => Err(Rejection { id: None, ..rejected }),
        None => check_batch(&messages).map(|()| messages).map_err(Rejection::request),
    })
}

fn check_batch(messages: &[Message<'_>]) -> Result<(), Fault> {
    if messages.is_empty() {
        return Err(error::EMPTY_BATCH);
    }
    let responses = messages.iter().filter(|message| message.kind == Kind::Response).count();
    if responses != 0 && responses != messages.len() {
        return Err(error::MIXED_BATCH);
    }
    // MCP 2025-03-26, basic/lifecycle: `initialize` MUST NOT be part of a batch.
    if messages.iter().any(|message| message.method == "initialize") {
        return Err(error::INITIALIZE_IN_BATCH);
    }
    let mut ids: Vec<&str> = messages.iter().filter_map(|message| message.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) { Err(error::DUPLICATE_ID) } else { Ok(()) }
}
