//! A session's one way in and out, where the transport has no exchanges of its own.

use super::ear::Ear;
use super::routes::Routes;
use super::source::Source;
use super::sse_wire::SseWire;
use super::stdio_wire::StdioWire;
use crate::bridge::link::Link;
use crate::refusal::Refusal;
use std::sync::Arc;

/// A wire that is open.
pub(super) enum Wire {
    /// HTTP+SSE (2024-11-05).
    Sse(SseWire),
    /// A child process.
    Stdio(StdioWire),
}

impl Wire {
    /// Opens that of `link`'s upstream; `None`: it speaks Streamable HTTP.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) async fn open(link: &mut Link, ear: &Arc<Ear>) -> Result<Option<Self>, Refusal> {
        let ear = Arc::clone(ear);
        if link.upstream().stdio().is_some() {
            return StdioWire::open(link, ear).map(|wire| Some(Self::Stdio(wire)));
        }
        if link.upstream().speaks_http_sse() {
            return SseWire::open(link, ear).await.map(|wire| Some(Self::Sse(wire)));
        }
        Ok(None)
    }

    fn routes(&self) -> &Routes {
        match self {
            Self::Sse(wire) => &wire.routes,
            Self::Stdio(wire) => &wire.routes,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Sse(wire) => wire.routes.is_closed(),
            Self::Stdio(wire) => wire.is_closed(),
        }
    }

    /// See [`Routes::have_tools_changed`].
    pub(super) fn have_tools_changed(&self) -> bool {
        self.routes().have_tools_changed()
    }

    /// Sends a request; its messages will come over the wire.
    ///
    /// # Errors
    /// The server does not take it.
    pub(super) async fn call(&self, link: &mut Link, id: &str, body: String) -> Result<Source, Refusal> {
        match self {
            Self::Sse(wire) => wire.call(link, id, body).await,
            Self::Stdio(wire) => wire.call(link, id, body).await,
        }
    }

    /// Sends what has no answer.
    ///
    /// # Errors
    /// Likewise.
    pub(super) async fn tell(&self, link: &mut Link, body: String) -> Result<(), Refusal> {
        match self {
            Self::Sse(wire) => wire.tell(link, body).await,
            Self::Stdio(wire) => wire.tell(link.upstream().timeout, body).await,
        }
    }

    /// The session is over.
    pub(super) fn end(&self) {
        if let Self::Stdio(wire) = self {
            wire.end();
        }
    }
}
