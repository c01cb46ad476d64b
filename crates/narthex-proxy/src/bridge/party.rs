//! One call of a server, whatever era it is of.

use super::legacy::LegacyCall;
use super::modern::ModernCall;
use crate::refusal::Refusal;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::ask::Ask;
use narthex_mcp::bridge::message::RpcError;

/// What a call comes to next, in the words of 2025-11-25.
#[derive(Debug)]
pub(crate) enum Step {
    /// A notification that belongs to the call: method and `params`.
    Note(String, Object),
    /// The client has to answer these first; the keys name them in [`Call::answer`].
    Asks(Vec<(String, Ask)>),
    /// The result.
    Done(Object),
    /// The error.
    Failed(RpcError),
}

/// What a client answered to what it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// The key in [`Step::Asks`].
    pub(crate) key: String,
    /// The result as JSON text, or the client's error.
    pub(crate) result: Result<String, RpcError>,
}

/// A call under way.
pub(crate) enum Call {
    Modern(Box<ModernCall>),
    Legacy(Box<LegacyCall>),
}

impl Call {
    /// What comes next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The server failed, or cannot be reached any more.
    pub(crate) async fn next(&mut self) -> Result<Step, Refusal> {
        match self {
            Self::Modern(call) => call.next().await,
            Self::Legacy(call) => call.next().await,
        }
    }

    /// Gives the server what it asked for.
    ///
    /// # Errors
    /// Likewise.
    pub(crate) async fn answer(&mut self, responses: Vec<Response>) -> Result<(), Refusal> {
        match self {
            Self::Modern(call) => call.answer(responses).await,
            Self::Legacy(call) => call.answer(responses).await,
        }
    }
}
