//! Which call a message belongs to, on a wire that all calls of a session share.

use super::ear::{Ear, unasked};
use crate::bridge::reader::malformed;
use crate::refusal::{ChildTrouble, Refusal};
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::message::Incoming;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Messages that wait for a call that is not read.
const BACKLOG: usize = 256;
/// Of these, kept for its result.
const RESERVE: usize = 4;
/// Their bytes, its result aside: of one call, and of all calls of a wire.
const BYTES: (usize, usize) = (1 << 20, 32 << 20);
/// Requests of the server's whose calls are remembered, so that it can take them back.
const ASKED: usize = 64;

/// The calls of one wire that are under way.
pub(super) struct Routes {
    calls: Mutex<Calls>,
    /// Bytes that wait, of all calls.
    waiting: AtomicUsize,
    ear: Arc<Ear>,
    closed: AtomicBool,
    tools_changed: AtomicBool,
    /// The wire is that of a child process.
    is_child: bool,
    /// Its calls are of several callers: what does not say for which it is, is for none.
    is_shared: bool,
}

#[derive(Default)]
struct Calls {
    /// By request id, as JSON text.
    by_id: HashMap<String, Waiting>,
    /// Requests of the server's, and the calls that they went to.
    asked: VecDeque<(String, String)>,
}

/// Where a call's messages go.
struct Waiting {
    sender: mpsc::Sender<Incoming>,
    bytes: Arc<AtomicUsize>,
}

/// The messages of one call. It is no longer under way when this is dropped.
pub(super) struct Inbox {
    id: String,
    messages: mpsc::Receiver<Incoming>,
    bytes: Arc<AtomicUsize>,
    routes: Arc<Routes>,
}

impl Inbox {
    /// The next message; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The child process has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Incoming>, Refusal> {
        let Some(message) = self.messages.recv().await else {
            return if self.is_of_child() { Err(Refusal::Child(ChildTrouble::Gone)) } else { Ok(None) };
        };
        let weight = weight(&message);
        self.bytes.fetch_sub(weight, Ordering::AcqRel);
        self.routes.waiting.fetch_sub(weight, Ordering::AcqRel);
        Ok(Some(message))
    }

    /// Whether the messages come from a child process, which has no time-outs of its own.
    pub(super) fn is_of_child(&self) -> bool {
        self.routes.is_child
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.routes.calls.lock().by_id.remove(&self.id);
        self.messages.close();
        // Nothing comes any more: what did is given back.
        self.routes.waiting.fetch_sub(self.bytes.swap(0, Ordering::AcqRel), Ordering::AcqRel);
    }
}

impl Routes {
    pub(super) fn of_http(ear: Arc<Ear>) -> Arc<Self> {
        Self::new(ear, false, false)
    }

    pub(super) fn of_child(ear: Arc<Ear>, is_shared: bool) -> Arc<Self> {
        Self::new(ear, true, is_shared)
    }

    fn new(ear: Arc<Ear>, is_child: bool, is_shared: bool) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            waiting: AtomicUsize::new(0),
            ear,
            closed: AtomicBool::new(false),
            tools_changed: AtomicBool::new(false),
            is_child,
            is_shared,
        })
    }

    /// A call is about to be made.
    ///
    /// # Errors
    /// The wire has been closed.
    pub(super) fn register(self: &Arc<Self>, id: &str) -> Result<Inbox, Refusal> {
        let (sender, messages) = mpsc::channel(BACKLOG);
        let bytes = Arc::new(AtomicUsize::new(0));
        let waiting = Waiting { sender, bytes: Arc::clone(&bytes) };
        self.calls.lock().by_id.insert(id.to_owned(), waiting);
        let inbox = Inbox { id: id.to_owned(), messages, bytes, routes: Arc::clone(self) };
        if !self.is_closed() {
            return Ok(inbox);
        }
        Err(match self.is_child {
            true => Refusal::Child(ChildTrouble::Gone),
            false => malformed("the stream has ended"),
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether the server has said that its tools are others, since this was last asked.
    pub(super) fn have_tools_changed(&self) -> bool {
        self.tools_changed.swap(false, Ordering::AcqRel)
    }

    /// Whoever waits for an answer, or listens, learns that nothing will come.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.calls.lock().by_id.clear();
        self.ear.end();
    }

    /// Gives a message to the call that it belongs to. What is to be answered at once is returned.
    pub(super) fn route(&self, incoming: Incoming) -> Option<String> {
        match incoming {
            Incoming::Result { ref id, .. } | Incoming::Error { id: Some(ref id), .. } => {
                let call = self.calls.lock().by_id.remove(id)?;
                self.count(&call, weight(&incoming));
                let _ = call.sender.try_send(incoming);
                None
            }
            Incoming::Request { ref id, ref method, .. } => {
                let refused = unasked(id, method);
                let is_taken = !self.is_shared && method != "ping" && self.ask(id.clone(), incoming);
                (!is_taken).then_some(refused)
            }
            Incoming::Notification { method, params } => {
                self.note(method, params);
                None
            }
            Incoming::Error { id: None, .. } => None,
        }
    }

    /// Gives a request of the server's to the call that it belongs to: nothing says which, so there has to be
    /// just one. Whether there was.
    fn ask(&self, id: String, incoming: Incoming) -> bool {
        let calls = &mut *self.calls.lock();
        let mut only = calls.by_id.iter();
        let (Some((call, waiting)), None) = (only.next(), only.next()) else { return false };
        if !self.offer(waiting, incoming) {
            return false;
        }
        if calls.asked.len() >= ASKED {
            calls.asked.pop_front();
        }
        calls.asked.push_back((id, call.clone()));
        true
    }

    fn note(&self, method: String, params: Object) {
        match method.as_str() {
            "notifications/progress" => {
                let Some(id) = params.get("progressToken").and_then(call_of) else { return };
                let calls = self.calls.lock();
                if let Some(call) = calls.by_id.get(id) {
                    self.offer(call, Incoming::Notification { method, params });
                }
            }
            // The server does not want to know any more.
            "notifications/cancelled" => {
                let calls = &mut *self.calls.lock();
                let is_meant = |(id, _): &(String, String)| params.get("requestId") == Some(id);
                let Some(at) = calls.asked.iter().position(is_meant) else { return };
                let Some((_, call)) = calls.asked.remove(at) else { return };
                if let Some(call) = calls.by_id.get(&call) {
                    self.offer(call, Incoming::Notification { method, params });
                }
            }
            // It may be about anybody's call: not even the log learns what it says.
            "notifications/message" if self.is_shared => {
                tracing::debug!("a log message of a shared server belongs to nobody");
            }
            // It belongs to all calls or to none.
            "notifications/message" => {
                let message = Incoming::Notification { method, params };
                for call in self.calls.lock().by_id.values() {
                    self.offer(call, message.clone());
                }
            }
            _ => {
                if method == "notifications/tools/list_changed" {
                    self.tools_changed.store(true, Ordering::Release);
                }
                self.ear.deliver(&method, &params);
            }
        }
    }

    /// Gives a call a message that is not its result, unless too many wait for it already. Whether it did.
    fn offer(&self, call: &Waiting, message: Incoming) -> bool {
        let weight = weight(&message);
        let fits = call.bytes.load(Ordering::Acquire) + weight <= BYTES.0
            && self.waiting.load(Ordering::Acquire) + weight <= BYTES.1
            && call.sender.capacity() > RESERVE;
        if fits {
            self.count(call, weight);
            // Only whoever holds the lock sends, so there is room still; or the call has just ended.
            let _ = call.sender.try_send(message);
        }
        fits
    }

    fn count(&self, call: &Waiting, weight: usize) {
        call.bytes.fetch_add(weight, Ordering::AcqRel);
        self.waiting.fetch_add(weight, Ordering::AcqRel);
    }
}

/// The call whose progress token that is. They are the gateway's own, see [`super::call::LegacyCall`].
fn call_of(token: &str) -> Option<&str> {
    token.strip_prefix("\"p")?.strip_suffix('"')
}

/// About how many bytes of memory a message holds.
pub(super) fn weight(message: &Incoming) -> usize {
    /// What it takes beside its text.
    const EACH: usize = 128;
    let of =
        |object: &Object| object.iter().map(|(name, value)| name.len() + value.len() + EACH).sum::<usize>();
    EACH + match message {
        Incoming::Request { id, method, params } => id.len() + method.len() + of(params),
        Incoming::Notification { method, params } => method.len() + of(params),
        Incoming::Result { id, result } => id.len() + of(result),
        Incoming::Error { id, error } => {
            let data = error.data.as_ref().map_or(0, of) + error.other_data.as_ref().map_or(0, String::len);
            id.as_ref().map_or(0, String::len) + error.message.len() + data
        }
    }
}

#[cfg(test)]
mod tests;
