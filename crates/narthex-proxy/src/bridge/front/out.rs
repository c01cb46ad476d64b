//! The answer to a client: one message, or a stream of them.

use crate::bridge::KEEP_ALIVE;
use crate::client;
use crate::forward::ForwardError;
use crate::gateway::Shared;
use crate::record::Visit;
use crate::refusal::Refusal;
use crate::reply::{Body, FIELDS, Reply, decorate, header_of};
use crate::streams::StreamGuard;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use narthex_identity::Caller;
use narthex_mcp::sse::{self, Fields};
use narthex_telemetry::Tally;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Where a client is answered. Nothing is sent before the first message is known: only then it is clear
/// whether it takes a stream.
pub(crate) struct Out<'a> {
    pub(crate) session: &'a mut ServerSession,
    pub(crate) visit: &'a mut Visit,
    shared: Arc<Shared>,
    caller: Arc<Caller>,
    shutdown: ShutdownWatch,
    stream: Option<(StreamGuard, Option<Tally>)>,
    /// The client went away: nothing is sent any more.
    pub(crate) gone: bool,
    /// When the caller's token expires: no stream goes on longer.
    until: Option<Instant>,
    quiet_since: Instant,
}

/// What happened besides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Aside {
    /// The client went away.
    Gone,
    /// The stream has been silent for a while.
    Quiet,
    /// The caller's token has expired.
    Expired,
    /// The process is to stop.
    Stopping,
}

impl<'a> Out<'a> {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        caller: &Arc<Caller>,
        stream: Option<StreamGuard>,
        session: &'a mut ServerSession,
        visit: &'a mut Visit,
        shutdown: &ShutdownWatch,
    ) -> Self {
        let left = |at: SystemTime| at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
        Self {
            session,
            visit,
            shared: Arc::clone(shared),
            caller: Arc::clone(caller),
            shutdown: shutdown.clone(),
            stream: stream.map(|guard| (guard, None)),
            gone: false,
            until: caller.expires.map(|at| Instant::now() + left(at)),
            quiet_since: Instant::now(),
        }
    }

    /// Waits for whatever may come between. Dropping the future loses nothing.
    pub(crate) async fn aside(&mut self, endless: bool) -> Aside {
        let quiet = self.quiet_since + KEEP_ALIVE;
        tokio::select! {
            biased;
            _ = self.session.read_body_or_idle(true), if !self.gone => Aside::Gone,
            () = sleep_until(self.until) => Aside::Expired,
            () = stopping(&mut self.shutdown), if endless => Aside::Stopping,
            () = tokio::time::sleep_until(quiet), if !self.gone => Aside::Quiet,
        }
    }

    /// Waits for what a call says next, and keeps the stream alive meanwhile. `None`: the client is not to have it any
    /// more, as it went away or its time is up.
    ///
    /// # Errors
    /// Its time is up, and nothing has been sent yet.
    pub(crate) async fn wait_for<T>(
        &mut self,
        mut next: Pin<&mut impl Future<Output = T>>,
    ) -> Result<Option<T>, Refusal> {
        loop {
            tokio::select! {
                biased;
                next = &mut next => return Ok(Some(next)),
                aside = self.aside(false) => match aside {
                    Aside::Quiet => self.comment().await?,
                    // Closing the stream cancels.
                    Aside::Gone => {
                        self.leave();
                        return Ok(None);
                    }
                    Aside::Expired | Aside::Stopping => {
                        self.cut("ended");
                        let late = Refusal::Forward(ForwardError::Timeout);
                        return if self.is_stream() { Ok(None) } else { Err(late) };
                    }
                },
            }
        }
    }

    /// Whether the answer is a stream already.
    pub(crate) fn is_stream(&self) -> bool {
        self.visit.streaming
    }

    /// Sends one event. A client that is gone misses it.
    pub(crate) async fn event(&mut self, id: Option<&str>, data: &str) -> Result<(), Refusal> {
        let mut event = Vec::with_capacity(data.len() + 64);
        let fields = Fields { event: Some("message"), id, data: Some(data.as_bytes()), retry: None };
        sse::encode(&fields, &mut event).map_err(|_| Refusal::Internal("cannot write an event"))?;
        self.raw(event.into()).await
    }

    /// Sends bytes of a stream.
    pub(crate) async fn raw(&mut self, bytes: Bytes) -> Result<(), Refusal> {
        self.start().await?;
        self.write(bytes).await;
        Ok(())
    }

    /// Sends a comment, so that nobody takes a silent stream for dead. Begins the stream, if need be.
    pub(crate) async fn comment(&mut self) -> Result<(), Refusal> {
        self.raw(Bytes::from_static(b":\n\n")).await
    }

    async fn write(&mut self, bytes: Bytes) {
        self.quiet_since = Instant::now();
        let length = bytes.len();
        if self.gone {
            return;
        }
        match self.session.write_response_body(bytes, false).await {
            Ok(()) => self.visit.bytes_out += length,
            Err(_) => self.leave(),
        }
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// None in practice.
    pub(crate) async fn start(&mut self) -> Result<(), Refusal> {
        if self.is_stream() || self.gone {
            return Ok(());
        }
        let header = self.header();
        let tally = self.visit.route.as_ref().map(|route| route.metrics.stream());
        // That there was room was asked before: what has been done is not refused.
        let guard =
            self.stream.take().map_or_else(|| self.shared.streams.join(&self.caller), |(guard, _)| guard);
        self.stream = Some((guard, tally));
        self.visit.streaming = true;
        self.visit.status = StatusCode::OK;
        if client::begin(self.session, header).await.is_err() {
            self.leave();
        }
        Ok(())
    }

    fn header(&self) -> Box<ResponseHeader> {
        let mut fields = HeaderMap::with_capacity(FIELDS);
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        fields.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        decorate(&mut fields, self.visit);
        header_of(StatusCode::OK, fields)
    }

    /// Sends the last message: as an event on a stream, otherwise by itself under `status`.
    ///
    /// # Errors
    /// None in practice.
    pub(crate) async fn last(
        &mut self,
        status: StatusCode,
        id: Option<&str>,
        body: String,
    ) -> Result<(), Refusal> {
        if self.is_stream() {
            self.event(id, &body).await?;
            return self.finish().await;
        }
        self.reply(status, Some(body.into()), None).await
    }

    /// Sends a whole answer.
    ///
    /// # Errors
    /// None in practice.
    pub(crate) async fn reply(
        &mut self,
        status: StatusCode,
        body: Option<Body>,
        session: Option<&str>,
    ) -> Result<(), Refusal> {
        if self.gone {
            return Ok(());
        }
        let internal = |_| Refusal::Internal("cannot build the answer");
        let kind = body.as_ref().map(|_| "application/json");
        let mut reply = Reply::new(status, kind, body.unwrap_or_default()).map_err(internal)?;
        reply.header.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store")).map_err(internal)?;
        if let Some(session) = session {
            let name = HeaderName::from_static("mcp-session-id");
            reply.header.insert_header(name, session).map_err(internal)?;
        }
        if reply.send(self.session, self.visit).await.is_err() {
            self.leave();
        }
        Ok(())
    }

    /// Ends a stream in good order.
    ///
    /// # Errors
    /// None in practice.
    pub(crate) async fn finish(&mut self) -> Result<(), Refusal> {
        if !self.gone && client::finish(self.session).await.is_err() {
            self.leave();
        }
        Ok(())
    }

    /// Notes that the upstream failed in the middle of a stream that the client has been told so on.
    pub(crate) fn note_failure(&mut self, refusal: &Refusal) {
        let (reason, denied, security) = (refusal.reason(), refusal.is_denial(), refusal.is_security_event());
        self.visit.refused = Some(crate::record::Refused { reason, denied, security });
        let id = self.visit.request_id.as_str();
        tracing::warn!(request_id = id, reason, detail = refusal.detail(), "call broke off");
    }

    /// The client is gone.
    pub(crate) fn leave(&mut self) {
        self.gone = true;
        self.visit.cut = Some("client_gone");
    }

    /// Ends a stream before its last message, visibly.
    pub(crate) fn cut(&mut self, why: &'static str) {
        self.visit.cut = self.visit.cut.or(Some(why));
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn stopping(shutdown: &mut ShutdownWatch) {
    if !*shutdown.borrow() && shutdown.changed().await.is_err() {
        std::future::pending().await
    }
}
