//! The envelope: JSON-RPC 2.0 §4 and §5, as MCP narrows them.

use super::error::{self, Rejection};
use super::method::is_known_request;
use super::params::Params;
use super::{Kind, Message, Meta, ScanLimits};
use crate::json::{Cursor, Fault, Keys, Shape, Text, Value, folds_to};
use std::borrow::Cow;

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// Reads the message at the cursor. The outer error is broken JSON, the inner one a broken rule.
pub(super) fn read<'a>(
    cursor: &mut Cursor<'a>,
    limits: &ScanLimits,
) -> Result<Result<Message<'a>, Rejection<'a>>, Fault> {
    if cursor.peek() != Some(b'{') {
        cursor.value()?;
        return Ok(Err(Rejection::request(error::NOT_AN_OBJECT)));
    }
    let mut draft = Draft::default();
    draft.read(cursor, limits)?;
    Ok(draft.finish())
}

/// Members in whatever order they came.
#[derive(Debug, Default)]
struct Draft<'a> {
    is_2_0: bool,
    id: Id<'a>,
    method: Option<Text<'a>>,
    has_params: bool,
    params: Params<'a>,
    has_result: bool,
    has_error: bool,
    /// The first broken rule of the envelope.
    rejection: Option<Rejection<'a>>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Id<'a> {
    #[default]
    Absent,
    Null,
    Is(&'a str),
    /// Named twice, or of a wrong type: no answer may carry it.
    Unusable,
}

impl<'a> Draft<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>, limits: &ScanLimits) -> Result<(), Fault> {
        let mut keys = Keys::new(&ENVELOPE);
        cursor.object(|cursor, key| match keys.admit(key) {
            Ok(Some(known)) => self.member(known, cursor, limits),
            Ok(None) => cursor.skip(),
            Err(fault) => {
                self.reject(fault);
                if folds_to(&key.decode(), "id") {
                    self.id = Id::Unusable;
                }
                cursor.skip()
            }
        })
    }

    fn member(
        &mut self,
        key: &'static str,
        cursor: &mut Cursor<'a>,
        limits: &ScanLimits,
    ) -> Result<(), Fault> {
        if key == "params" && cursor.peek() == Some(b'{') {
            self.has_params = true;
            return self.params.read(cursor);
        }
        let value = cursor.value()?;
        match (key, value.shape) {
            ("jsonrpc", Shape::String(text)) => self.is_2_0 = text.decode() == "2.0",
            ("id", _) => self.id(&value, limits.id),
            ("method", Shape::String(text)) => self.method = Some(text),
            ("method", _) => self.reject(error::BAD_METHOD),
            ("params", _) => {
                self.has_params = true;
                self.params.rejection = Some(Rejection::params(error::PARAMS_NOT_OBJECT));
            }
            ("result", Shape::Object) => self.has_result = true,
            ("result", _) => self.reject(error::BAD_RESULT),
            ("error", Shape::Object) => self.has_error = true,
            ("error", _) => self.reject(error::BAD_ERROR),
            _ => {}
        }
        Ok(())
    }

    fn id(&mut self, value: &Value<'a>, longest: usize) {
        if let Id::Unusable = self.id {
            return;
        }
        self.id = match value.shape {
            Shape::Null => Id::Null,
            Shape::String(_) | Shape::Number if value.raw.len() > longest => {
                self.reject(error::ID_TOO_LONG);
                Id::Unusable
            }
            Shape::String(_) => Id::Is(value.raw),
            Shape::Number if is_integer(value.raw) => Id::Is(value.raw),
            _ => {
                self.reject(error::BAD_ID);
                Id::Unusable
            }
        };
    }

    fn reject(&mut self, fault: Fault) {
        self.rejection.get_or_insert_with(|| Rejection::request(fault));
    }

    fn finish(mut self) -> Result<Message<'a>, Rejection<'a>> {
        let id = if let Id::Is(id) = self.id { Some(id) } else { None };
        self.message(id).map_err(|rejection| Rejection { id, ..rejection })
    }

    fn message(&mut self, id: Option<&'a str>) -> Result<Message<'a>, Rejection<'a>> {
        if let Some(rejection) = self.rejection {
            return Err(rejection);
        }
        if !self.is_2_0 {
            return Err(Rejection::request(error::JSONRPC));
        }
        let is_response = self.has_result || self.has_error;
        match self.method {
            Some(_) if is_response => Err(Rejection::request(error::MIXED_MESSAGE)),
            Some(method) => self.call(method.decode(), id),
            None if is_response => self.response(id).map_err(Rejection::request),
            None => Err(Rejection::request(error::NOT_A_MESSAGE)),
        }
    }

    fn call(&mut self, method: Cow<'a, str>, id: Option<&'a str>) -> Result<Message<'a>, Rejection<'a>> {
        let kind = match self.id {
            Id::Absent => Kind::Notification,
            Id::Is(_) => Kind::Request,
            Id::Null | Id::Unusable => return Err(Rejection::request(error::BAD_ID)),
        };
        if method.is_empty() {
            return Err(Rejection::request(error::BAD_METHOD));
        }
        if kind == Kind::Notification && is_known_request(&method) {
            return Err(Rejection::request(error::REQUEST_WITHOUT_ID));
        }
        if let Some(rejection) = self.params.rejection {
            return Err(rejection);
        }
        Ok(Message {
            kind,
            id,
            name: self.params.name(&method)?,
            requested_version: self.params.requested_version(&method)?,
            meta: std::mem::take(&mut self.params.meta),
            declares_meta: self.params.declares_meta,
            request_state: self.params.request_state.take(),
            method,
        })
    }

    /// An error may answer a request whose id could not be read; a result may not.
    fn response(&self, id: Option<&'a str>) -> Result<Message<'a>, Fault> {
        if self.has_result && self.has_error || self.has_params {
            return Err(error::MIXED_MESSAGE);
        }
        if self.has_result && id.is_none() {
            return Err(error::BAD_ID);
        }
        Ok(Message {
            kind: Kind::Response,
            method: Cow::Borrowed(""),
            id,
            name: None,
            meta: Meta::default(),
            requested_version: None,
            declares_meta: false,
            request_state: None,
        })
    }
}

/// Whether the JSON number is an integer, however it is written (`1`, `1.0`, `1e2`).
fn is_integer(number: &str) -> bool {
    number.bytes().all(|byte| matches!(byte, b'-' | b'0'..=b'9'))
        || number.parse::<f64>().is_ok_and(|number| number.fract() == 0.0)
}
