//! `params` and `params._meta`.

use super::error::{BAD_META, BAD_NAME, BAD_VERSION, Rejection};
use super::method::{NameMember, name_member};
use super::{Located, Meta};
use crate::json::{Cursor, Fault, Keys, Shape, Text, Value};
use std::borrow::Cow;

/// Members of `params` that the gateway or an upstream decides on.
const PARAMS: [&str; 11] = [
    "name",
    "arguments",
    "_meta",
    "uri",
    "taskId",
    "cursor",
    "protocolVersion",
    "requestState",
    "inputResponses",
    "task",
    "capabilities",
];

/// Members of `params._meta` that MCP defines (2026-07-28, basic/index#_meta).
const META: [&str; 11] = [
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo",
    "progressToken",
    "traceparent",
    "tracestate",
    "baggage",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/subscriptionId",
    "io.modelcontextprotocol/serverInfo",
    "io.modelcontextprotocol/related-task",
];

/// A member that should be a string.
#[derive(Clone, Copy, Debug, Default)]
enum Field<'a> {
    #[default]
    Absent,
    Text(Text<'a>),
    Other,
}

impl<'a> Field<'a> {
    fn required(self, fault: Fault) -> Result<Option<Cow<'a, str>>, Rejection<'a>> {
        match self {
            Field::Text(text) => Ok(Some(text.decode())),
            Field::Absent | Field::Other => Err(Rejection::params(fault)),
        }
    }

    fn optional(self, fault: Fault) -> Result<Option<Cow<'a, str>>, Rejection<'a>> {
        if let Field::Absent = self { Ok(None) } else { self.required(fault) }
    }
}

impl<'a> From<Value<'a>> for Field<'a> {
    fn from(value: Value<'a>) -> Self {
        if let Shape::String(text) = value.shape { Field::Text(text) } else { Field::Other }
    }
}

/// What was found in `params`, before the method says what of it counts.
#[derive(Debug, Default)]
pub(super) struct Params<'a> {
    name: Field<'a>,
    uri: Field<'a>,
    task_id: Field<'a>,
    protocol_version: Field<'a>,
    pub(super) meta: Meta<'a>,
    pub(super) declares_meta: bool,
    pub(super) request_state: Option<Located<'a>>,
    /// The first broken rule.
    pub(super) rejection: Option<Rejection<'a>>,
}

impl<'a> Params<'a> {
    /// Reads the object at the cursor.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let mut keys = Keys::new(&PARAMS);
        cursor.object(|cursor, key| {
            let key = keys.admit(key).unwrap_or_else(|fault| self.reject(Rejection::request(fault)));
            match key {
                Some("name") => self.name = cursor.value()?.into(),
                Some("uri") => self.uri = cursor.value()?.into(),
                Some("taskId") => self.task_id = cursor.value()?.into(),
                Some("protocolVersion") => self.protocol_version = cursor.value()?.into(),
                Some("requestState") => self.request_state = located(cursor)?,
                Some("_meta") if cursor.peek() == Some(b'{') => {
                    self.declares_meta = true;
                    self.read_meta(cursor)?;
                }
                Some("_meta") => {
                    cursor.value()?;
                    self.reject(Rejection::params(BAD_META));
                }
                _ => cursor.skip()?,
            }
            Ok(())
        })
    }

    fn read_meta(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let mut keys = Keys::new(&META);
        cursor.object(|cursor, key| {
            let key = keys.admit(key).unwrap_or_else(|fault| self.reject(Rejection::request(fault)));
            let value = cursor.value()?;
            match (key, value.shape) {
                (Some("io.modelcontextprotocol/protocolVersion"), Shape::String(text)) => {
                    self.meta.protocol_version = Some(text.decode());
                }
                (Some("io.modelcontextprotocol/clientCapabilities"), Shape::Object) => {
                    self.meta.has_client_capabilities = true;
                }
                (Some("io.modelcontextprotocol/logLevel"), Shape::String(text)) => {
                    self.meta.log_level = Some(text.decode());
                }
                (
                    Some(
                        "io.modelcontextprotocol/protocolVersion"
                        | "io.modelcontextprotocol/clientCapabilities"
                        | "io.modelcontextprotocol/logLevel",
                    ),
                    _,
                ) => drop(self.reject(Rejection::params(BAD_META))),
                (Some("traceparent"), Shape::String(text)) => self.meta.traceparent = Some(text.decode()),
                (Some("progressToken"), _) => self.meta.has_progress_token = true,
                _ => {}
            }
            Ok(())
        })
    }

    /// The string that says what `method` is about.
    pub(super) fn name(&self, method: &str) -> Result<Option<Cow<'a, str>>, Rejection<'a>> {
        match name_member(method) {
            Some(NameMember::Name) => self.name.required(BAD_NAME),
            Some(NameMember::Uri) if self.is_removed(method) => self.uri.optional(BAD_NAME),
            Some(NameMember::Uri) => self.uri.required(BAD_NAME),
            Some(NameMember::TaskId) => self.task_id.required(BAD_NAME),
            Some(NameMember::OptionalTaskId) => self.task_id.optional(BAD_NAME),
            None => Ok(None),
        }
    }

    /// The revision that `initialize` asks for.
    pub(super) fn requested_version(&self, method: &str) -> Result<Option<Cow<'a, str>>, Rejection<'a>> {
        match method {
            "initialize" if self.is_removed(method) => self.protocol_version.optional(BAD_VERSION),
            "initialize" => self.protocol_version.required(BAD_VERSION),
            _ => Ok(None),
        }
    }

    /// Whether the request is of 2026-07-28, which has `method` no more. It is an unknown method then
    /// (-32601), whatever its params are.
    fn is_removed(&self, method: &str) -> bool {
        self.meta.protocol_version.is_some()
            && matches!(method, "initialize" | "resources/subscribe" | "resources/unsubscribe")
    }

    /// Keeps the first rejection. Returns `None` for the convenience of its callers.
    fn reject(&mut self, rejection: Rejection<'a>) -> Option<&'static str> {
        self.rejection.get_or_insert(rejection);
        None
    }
}

/// The value at the cursor, if it is a string.
fn located<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Located<'a>>, Fault> {
    let start = cursor.offset();
    let Shape::String(text) = cursor.value()?.shape else { return Ok(None) };
    Ok(Some(Located { text: text.decode(), span: start..cursor.offset() }))
}
