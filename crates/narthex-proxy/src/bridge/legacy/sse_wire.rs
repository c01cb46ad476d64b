//! HTTP+SSE, the transport of 2024-11-05 (basic/transports#http-with-sse): one stream for all that the
//! server says, and an endpoint, named by the stream's first event, for all that is said to it.

use super::call::Source;
use super::ear::{Ear, unasked};
use super::session::REPLIES;
use crate::bridge::link::{Fields, Link};
use crate::bridge::reader::{Reader, malformed};
use crate::refusal::Refusal;
use narthex_mcp::bridge::message::Incoming;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use url::Url;

/// Messages that wait for a call that is not read.
const BACKLOG: usize = 256;
/// Of these, kept for its result.
const RESERVE: usize = 4;

/// A stream that is open.
pub(super) struct Wire {
    /// Path and query.
    endpoint: String,
    shared: Arc<Open>,
    task: AbortHandle,
}

struct Open {
    /// By request id, as JSON text.
    calls: Mutex<HashMap<String, mpsc::Sender<Incoming>>>,
    ear: Arc<Ear>,
    closed: AtomicBool,
}

impl Wire {
    /// Opens the stream and waits for its first event.
    ///
    /// # Errors
    /// There is no stream, or its endpoint is at another origin.
    pub(super) async fn open(link: &mut Link, ear: Arc<Ear>) -> Result<Self, Refusal> {
        let mut heard = link.get(&Fields::new()).await?;
        if !heard.status.is_success() || !heard.reader.is_stream() {
            return Err(heard.refusal());
        }
        let patience = link.upstream().timeout;
        let endpoint = tokio::time::timeout(patience, heard.reader.endpoint()).await;
        let endpoint = endpoint.map_err(|_| malformed("no endpoint event came"))??;
        let endpoint = resolve(&link.upstream().origin, &link.upstream().path, &endpoint)
            .ok_or_else(|| malformed("the endpoint event names another origin"))?;
        let open = Open { calls: Mutex::default(), ear, closed: AtomicBool::new(false) };
        let shared = Arc::new(open);
        let reading = read(Arc::clone(&shared), link.detached(), endpoint.clone(), heard.reader);
        let task = tokio::spawn(reading).abort_handle();
        Ok(Self { endpoint, shared, task })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Sends a request; its messages will come from the stream.
    ///
    /// # Errors
    /// The server does not take it.
    pub(super) async fn call(&self, link: &mut Link, id: &str, body: String) -> Result<Source, Refusal> {
        let (sender, messages) = mpsc::channel(BACKLOG);
        self.shared.calls.lock().insert(id.to_owned(), sender);
        if self.is_closed() {
            self.shared.calls.lock().clear();
            return Err(malformed("the stream has ended"));
        }
        let sent = link.post_to(&self.endpoint, &Fields::new(), body).await;
        let refused = match sent {
            Ok(heard) if heard.status.is_success() => return Ok(Source::Wire(messages)),
            Ok(heard) => heard.refusal(),
            Err(refusal) => refusal,
        };
        self.shared.calls.lock().remove(id);
        Err(refused)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The endpoint's path and query, if it is at the stream's own origin.
fn resolve(origin: &str, path: &str, endpoint: &str) -> Option<String> {
    let base = Url::parse(&format!("{origin}{path}")).ok()?;
    let endpoint = base.join(endpoint.trim()).ok()?;
    let same = endpoint.origin() == base.origin() && endpoint.username().is_empty();
    let query = endpoint.query().map_or_else(String::new, |query| format!("?{query}"));
    same.then(|| format!("{}{query}", endpoint.path()))
}

async fn read(shared: Arc<Open>, link: Link, endpoint: String, mut reader: Reader) {
    let replies = Arc::new(Semaphore::new(REPLIES));
    while let Ok(Some(incoming)) = reader.next().await {
        let Some(reply) = shared.route(incoming) else { continue };
        let Ok(place) = Arc::clone(&replies).try_acquire_owned() else { continue };
        let (mut link, endpoint) = (link.clone(), endpoint.clone());
        tokio::spawn(async move {
            drop(link.post_to(&endpoint, &Fields::new(), reply).await);
            drop(place);
        });
    }
    shared.closed.store(true, Ordering::Release);
    // Whoever waits for an answer, or listens, learns that nothing will come.
    shared.calls.lock().clear();
    shared.ear.end();
}

impl Open {
    /// Gives a message to the call that it belongs to. What is to be answered at once is returned.
    fn route(&self, incoming: Incoming) -> Option<String> {
        let mut calls = self.calls.lock();
        // A call that was given up left its sender behind.
        calls.retain(|_, sender| !sender.is_closed());
        match incoming {
            Incoming::Result { ref id, .. } | Incoming::Error { id: Some(ref id), .. } => {
                if let Some(call) = calls.remove(id) {
                    let _ = call.try_send(incoming);
                }
                None
            }
            Incoming::Request { ref id, ref method, .. } => {
                let mut only = calls.values();
                match (only.next(), only.next()) {
                    // Nothing says which call a request belongs to, so there has to be just one.
                    (Some(call), None) if method != "ping" => {
                        let refused = unasked(id, method);
                        let sent = call.capacity() > RESERVE && call.try_send(incoming).is_ok();
                        (!sent).then_some(refused)
                    }
                    _ => Some(unasked(id, method)),
                }
            }
            Incoming::Notification { ref method, ref params } => {
                if method == "notifications/progress"
                    || method == "notifications/message"
                    || method == "notifications/cancelled"
                {
                    // Each call knows its own token; a message of the log belongs to all or to none.
                    for call in calls.values().filter(|call| call.capacity() > RESERVE) {
                        let _ = call.try_send(incoming.clone());
                    }
                } else {
                    drop(calls);
                    self.ear.deliver(method, params);
                }
                None
            }
            Incoming::Error { id: None, .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_posted_to_the_streams_own_origin_only() {
        let resolve = |endpoint| resolve("http://127.0.0.1:9001", "/sse", endpoint);
        assert_eq!(resolve("/messages?session=1").as_deref(), Some("/messages?session=1"));
        assert_eq!(resolve("messages").as_deref(), Some("/messages"));
        assert_eq!(resolve("http://127.0.0.1:9001/m").as_deref(), Some("/m"));
        for foreign in [
            "http://127.0.0.1:9002/m",
            "https://127.0.0.1:9001/m",
            "//evil.example/m",
            "http://u@127.0.0.1:9001/m",
            "javascript:alert(1)",
        ] {
            assert_eq!(resolve(foreign), None, "{foreign}");
        }
    }
}
