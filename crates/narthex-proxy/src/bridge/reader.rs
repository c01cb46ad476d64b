//! The messages of an upstream's answer, as they come.

use crate::forward::{Answer, ForwardError, next_chunk};
use crate::gateway::Shared;
use crate::refusal::Refusal;
use http::HeaderValue;
use narthex_mcp::bridge::message::{self, Incoming};
use narthex_mcp::sse;
use narthex_upstreams::Upstream;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Largest message that is translated, bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// An answer being read.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    answer: Option<Answer>,
    body: Body,
    queue: VecDeque<Incoming>,
    /// `id` of the last event that had one, to go on after (2025-11-25, basic/transports#resumability).
    pub(crate) last_event_id: Option<String>,
    /// How long to wait before going on.
    pub(crate) retry: Option<Duration>,
    /// What an `endpoint` event said (2024-11-05, basic/transports#http-with-sse).
    endpoint: Option<String>,
}

enum Body {
    Json(Vec<u8>),
    Events(Box<sse::Decoder>),
    /// Something that is not MCP: it is not even looked at.
    Other,
}

impl Reader {
    pub(crate) fn new(
        shared: Arc<Shared>,
        upstream: Arc<Upstream>,
        answer: Answer,
        content: Option<&HeaderValue>,
    ) -> Self {
        let media = content.and_then(|v| v.to_str().ok()?.split(';').next()).unwrap_or_default().trim();
        let body = match () {
            () if media.eq_ignore_ascii_case("application/json") => Body::Json(Vec::new()),
            () if media.eq_ignore_ascii_case("text/event-stream") => {
                Body::Events(Box::new(sse::Decoder::new(LARGEST)))
            }
            () => Body::Other,
        };
        Self {
            shared,
            upstream,
            answer: Some(answer),
            body,
            queue: VecDeque::new(),
            last_event_id: None,
            retry: None,
            endpoint: None,
        }
    }

    /// Whether the answer is a stream of events.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.body, Body::Events(_))
    }

    /// Whether the answer is one message.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.body, Body::Json(_))
    }

    /// The next message; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The answer broke off, is too long, or is not MCP.
    pub(crate) async fn next(&mut self) -> Result<Option<Incoming>, Refusal> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Ok(Some(message));
            }
            if !self.more().await? {
                return Ok(self.queue.pop_front());
            }
        }
    }

    /// Where messages are to be posted to (2024-11-05).
    ///
    /// # Errors
    /// The stream does not begin with it.
    pub(crate) async fn endpoint(&mut self) -> Result<String, Refusal> {
        while self.endpoint.is_none() && self.queue.is_empty() {
            if !self.more().await? {
                break;
            }
        }
        self.endpoint.take().ok_or_else(|| malformed("the stream does not begin with an endpoint event"))
    }

    /// Reads on. Whether there may be more.
    async fn more(&mut self) -> Result<bool, Refusal> {
        let Some(answer) = &mut self.answer else { return Ok(false) };
        let chunk = match next_chunk(&mut answer.connection.session).await {
            Ok(chunk) => chunk,
            Err(error) => {
                self.close();
                return Err(Refusal::Forward(error.into()));
            }
        };
        let taken = match &chunk {
            Some(chunk) => self.take(chunk),
            None => self.finish(),
        };
        if let Err(refusal) = taken {
            self.close();
            return Err(refusal);
        }
        if chunk.is_none()
            && let Some(answer) = self.answer.take()
        {
            self.shared.connections.release(answer.connection, self.upstream.keepalive);
        }
        Ok(chunk.is_some())
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        match &mut self.body {
            Body::Json(body) if body.len() + chunk.len() > LARGEST => {
                Err(malformed("the message is too long"))
            }
            Body::Json(body) => {
                body.extend_from_slice(chunk);
                Ok(())
            }
            Body::Events(decoder) => {
                decoder.push(chunk);
                loop {
                    let frame = decoder.next_frame().map_err(|e| malformed(&e.to_string()))?;
                    let Some(frame) = frame else { return Ok(()) };
                    let sse::Frame::Event(event) = frame else { continue };
                    self.last_event_id =
                        event.id.as_deref().map(str::to_owned).or_else(|| self.last_event_id.take());
                    self.retry = event.retry.or(self.retry);
                    let Some(data) = event.data.as_deref().filter(|data| !data.is_empty()) else { continue };
                    match event.event.as_deref() {
                        None | Some("" | "message") => self.queue.extend(parse(data)?),
                        Some("endpoint") => {
                            self.endpoint = Some(String::from_utf8_lossy(data).into_owned());
                        }
                        Some(_) => {}
                    }
                }
            }
            Body::Other => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        if let Body::Json(body) = &mut self.body {
            let body = std::mem::take(body);
            if body.iter().any(|byte| !byte.is_ascii_whitespace()) {
                self.queue.extend(parse(&body)?);
            }
        }
        Ok(())
    }

    /// Gives the answer up.
    fn close(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        if tokio::runtime::Handle::try_current().is_ok() {
            self.shared.connections.abandon(answer.connection);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.close();
    }
}

fn parse(data: &[u8]) -> Result<Vec<Incoming>, Refusal> {
    message::parse(data).map_err(|e| malformed(&e.to_string()))
}

/// An answer that is not MCP.
pub(crate) fn malformed(cause: &str) -> Refusal {
    Refusal::Forward(ForwardError::Malformed(cause.to_owned()))
}
