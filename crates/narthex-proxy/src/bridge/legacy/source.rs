//! Where the messages of one call come from.

use super::routes::Inbox;
use crate::bridge::reader::Reader;
use crate::refusal::Refusal;
use narthex_mcp::bridge::message::Incoming;

/// Where a call's messages come from.
pub(super) enum Source {
    /// The answer to its own POST.
    Answer(Box<Reader>),
    /// The one wire of the session.
    Wire(Inbox),
    /// Here: one that was read already, or none.
    Given(Option<Box<Incoming>>),
}

impl Source {
    /// The next message; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The stream broke off, or the child process has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Incoming>, Refusal> {
        match self {
            Self::Answer(reader) => reader.next().await,
            Self::Wire(inbox) => inbox.next().await,
            Self::Given(message) => Ok(message.take().map(|message| *message)),
        }
    }
}
