//! Why a body was refused.

use crate::json::Fault;
use crate::rpc;
use std::fmt;

/// Which JSON-RPC error it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorKind {
    /// Not JSON: -32700.
    Parse,
    /// Not a JSON-RPC message, or one that parsers could read differently: -32600.
    InvalidRequest,
    /// A message whose `params` do not fit its method: -32602.
    InvalidParams,
}

impl ErrorKind {
    /// The JSON-RPC error code.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Parse => rpc::PARSE_ERROR,
            Self::InvalidRequest => rpc::INVALID_REQUEST,
            Self::InvalidParams => rpc::INVALID_PARAMS,
        }
    }
}

/// A refused body. Displays as the sentence for the caller, which quotes nothing of the body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScanError {
    kind: ErrorKind,
    fault: Fault,
    id: Option<String>,
}

impl ScanError {
    pub(super) fn parse(fault: Fault) -> Self {
        Self { kind: ErrorKind::Parse, fault, id: None }
    }

    /// Which JSON-RPC error it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The JSON-RPC error code.
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.kind.code()
    }

    /// A stable word for metrics and logs, such as `duplicate_key`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.fault.reason
    }

    /// The sentence for the caller.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        self.fault.message
    }

    /// The request's id as JSON text, when it could be read. JSON-RPC 2.0 §5 wants it in the answer.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fault.message)
    }
}

impl std::error::Error for ScanError {}

impl From<Rejection<'_>> for ScanError {
    fn from(rejection: Rejection<'_>) -> Self {
        Self { kind: rejection.kind, fault: rejection.fault, id: rejection.id.map(str::to_owned) }
    }
}

/// A broken rule in a message whose JSON is sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejection<'a> {
    pub(super) kind: ErrorKind,
    pub(super) fault: Fault,
    pub(super) id: Option<&'a str>,
}

impl Rejection<'_> {
    pub(super) fn request(fault: Fault) -> Self {
        Self { kind: ErrorKind::InvalidRequest, fault, id: None }
    }

    pub(super) fn params(fault: Fault) -> Self {
        Self { kind: ErrorKind::InvalidParams, fault, id: None }
    }
}

pub(super) const NOT_AN_OBJECT: Fault = Fault::new("not_an_object", "the message is not a JSON object");
pub(super) const JSONRPC: Fault = Fault::new("bad_jsonrpc", "jsonrpc must be \"2.0\"");
pub(super) const BAD_ID: Fault = Fault::new("bad_id", "id must be a string or an integer");
pub(super) const ID_TOO_LONG: Fault = Fault::new("id_too_long", "id is too long");
pub(super) const BAD_METHOD: Fault = Fault::new("bad_method", "method must be a string that is not empty");
pub(super) const NOT_A_MESSAGE: Fault =
    Fault::new("not_a_message", "the message is neither a request, nor a notification, nor a response");
pub(super) const MIXED_MESSAGE: Fault =
    Fault::new("mixed_message", "the message mixes members of a request and of a response");
pub(super) const BAD_RESULT: Fault = Fault::new("bad_result", "result must be an object");
pub(super) const BAD_ERROR: Fault = Fault::new("bad_error", "error must be an object");
pub(super) const REQUEST_WITHOUT_ID: Fault =
    Fault::new("request_without_id", "this method is a request and needs an id");
pub(super) const PARAMS_NOT_OBJECT: Fault = Fault::new("params_not_object", "params must be an object");
pub(super) const BAD_NAME: Fault =
    Fault::new("bad_name", "params must have the string that names what the method is about");
pub(super) const BAD_VERSION: Fault =
    Fault::new("bad_protocol_version", "params.protocolVersion must be a string");
pub(super) const BAD_META: Fault =
    Fault::new("bad_meta", "params._meta or one of its reserved members is malformed");
pub(super) const EMPTY_BATCH: Fault = Fault::new("empty_batch", "the batch is empty");
pub(super) const BATCH_TOO_LARGE: Fault = Fault::new("batch_too_large", "the batch has too many messages");
pub(super) const MIXED_BATCH: Fault =
    Fault::new("mixed_batch", "the batch mixes responses with other messages");
pub(super) const INITIALIZE_IN_BATCH: Fault =
    Fault::new("initialize_in_batch", "initialize must not be part of a batch");
pub(super) const DUPLICATE_ID: Fault =
    Fault::new("duplicate_id", "two messages of the batch have the same id");
