//! Hearing what an older server says outside of calls, for clients that listen.
//!
//! A session has one such stream; all listeners of its caller share it, and a resource is subscribed to for
//! as long as one of them wants it.

use super::session::Session;
use crate::bridge::link::Link;
use crate::bridge::reader::Reader;
use http::StatusCode;
use narthex_mcp::bridge::listen::Filter;
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::{Object, ask};
use narthex_mcp::rpc;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Notifications that wait for a listener that does not read; over it, they are dropped.
const BACKLOG: usize = 256;
/// Longest of them, bytes: what they say is a name.
const LONGEST: usize = 64 * 1024;
/// Waits before a stream is opened again: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Waits for a stream that the server still takes for somebody else's, such as of a listener that just left.
const TAKEN: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1)];

/// The listeners of one session.
#[derive(Debug, Default)]
pub(super) struct Ear {
    heard: Mutex<Heard>,
    /// Held by whoever asks the server for a stream, to subscribe or to unsubscribe: one after the other, or
    /// the server would see them in another order.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Heard {
    next: u64,
    listeners: HashMap<u64, (Filter, mpsc::Sender<(String, Object)>)>,
    /// How many listeners want to hear of a resource.
    uris: HashMap<String, usize>,
    task: Option<AbortHandle>,
}

/// One listener. Dropping it ends what only it wanted to hear.
pub(crate) struct Listening {
    session: Arc<Session>,
    link: Link,
    key: u64,
    /// What will be heard.
    pub(crate) filter: Filter,
    heard: mpsc::Receiver<(String, Object)>,
}

impl Ear {
    /// Passes a notification to whoever wants it.
    pub(super) fn deliver(&self, method: &str, params: &Object) {
        let size: usize = params.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > LONGEST {
            tracing::debug!(size, "a notification is too long to be kept for who listens");
            return;
        }
        let heard = self.heard.lock();
        for (filter, sender) in heard.listeners.values() {
            if filter.wants(method, params) {
                // Whoever does not read misses it: a list can be asked for at any time.
                let _ = sender.try_send((method.to_owned(), params.clone()));
            }
        }
    }

    /// Something may have been missed.
    fn deliver_everything(&self) {
        let heard = self.heard.lock();
        for (filter, sender) in heard.listeners.values() {
            for (method, params) in filter.everything() {
                let _ = sender.try_send((method.to_owned(), params));
            }
        }
    }

    fn join(&self, filter: Filter, sender: mpsc::Sender<(String, Object)>) -> u64 {
        let mut heard = self.heard.lock();
        heard.next += 1;
        let key = heard.next;
        heard.listeners.insert(key, (filter, sender));
        key
    }

    /// One listener more wants to hear of `uri`. Whether it is the first.
    fn want(&self, uri: &str) -> bool {
        let mut heard = self.heard.lock();
        let count = heard.uris.entry(uri.to_owned()).or_insert(0);
        *count += 1;
        *count == 1
    }

    /// One listener less wants to hear of `uri`. Whether it was the last.
    fn release(&self, uri: &str) -> bool {
        let mut heard = self.heard.lock();
        let Some(count) = heard.uris.get_mut(uri) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            heard.uris.remove(uri);
        }
        last
    }

    pub(super) fn end(&self) {
        let mut heard = self.heard.lock();
        heard.listeners.clear();
        heard.task = None;
    }
}

impl Listening {
    /// Begins to listen for what of `wanted` the server can tell of.
    pub(crate) async fn begin(session: &Arc<Session>, mut link: Link, wanted: &Filter) -> Self {
        let _turn = session.ear.turn.lock().await;
        let mut filter = session.honoured(wanted);
        if !filter.is_empty() && !open_stream(session, &mut link).await {
            filter = Filter::default();
        }
        // Before anything is subscribed to: what changes from then on is heard.
        let (sender, heard) = mpsc::channel(BACKLOG);
        let key = session.ear.join(filter.clone(), sender);
        let uris = std::mem::take(&mut filter.uris);
        let mut listening = Self { session: Arc::clone(session), link: link.detached(), key, filter, heard };
        for uri in uris {
            let first = session.ear.want(&uri);
            if first && subscribe(session, &mut link, "resources/subscribe", &uri).await.is_err() {
                session.ear.release(&uri);
            } else {
                listening.filter.uris.insert(uri);
            }
        }
        listening
    }

    /// The next notification; `None` when there will be no more. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<(String, Object)> {
        self.heard.recv().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.session.ear.heard.lock();
        state.listeners.remove(&self.key);
        if state.listeners.is_empty()
            && let Some(task) = state.task.take()
        {
            task.abort();
        }
        drop(state);
        let mut left = std::mem::take(&mut self.filter.uris);
        left.retain(|uri| self.session.ear.release(uri));
        if !left.is_empty() && tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(unsubscribe(Arc::clone(&self.session), self.link.clone(), left));
        }
    }
}

/// Tells the server that nobody wants to hear of `uris` any more, unless somebody does again.
async fn unsubscribe(session: Arc<Session>, mut link: Link, uris: BTreeSet<String>) {
    let _turn = session.ear.turn.lock().await;
    for uri in uris {
        if !session.ear.heard.lock().uris.contains_key(&uri) {
            let _ = subscribe(&session, &mut link, "resources/unsubscribe", &uri).await;
        }
    }
}

async fn subscribe(session: &Session, link: &mut Link, method: &str, uri: &str) -> Result<(), ()> {
    let mut params = Object::default();
    params.set_string("uri", uri);
    session.ask(link, method, &params).await.map(drop).map_err(drop)
}

/// Opens the session's stream, unless it is. Whether there is one.
async fn open_stream(session: &Arc<Session>, link: &mut Link) -> bool {
    if session.wire.is_some() || session.ear.heard.lock().task.is_some() {
        return true;
    }
    let Ok(mut heard) = link.get(&session.fields()).await else { return false };
    for wait in TAKEN {
        if heard.status != StatusCode::CONFLICT {
            break;
        }
        tokio::time::sleep(wait).await;
        let Ok(again) = link.get(&session.fields()).await else { return false };
        heard = again;
    }
    // 405: the server has nothing to say outside of calls.
    if !heard.status.is_success() || !heard.reader.is_stream() {
        return false;
    }
    let task = tokio::spawn(listen(Arc::clone(session), link.detached(), heard.reader)).abort_handle();
    if let Some(other) = session.ear.heard.lock().task.replace(task) {
        other.abort();
    }
    true
}

/// Reads the stream, and opens it again when it breaks.
async fn listen(session: Arc<Session>, mut link: Link, mut reader: Reader) {
    let mut wait = BACKOFF.0;
    let mut told = false;
    loop {
        while let Ok(Some(incoming)) = reader.next().await {
            wait = BACKOFF.0;
            told = false;
            hear(&session, &link, incoming);
        }
        tokio::time::sleep(reader.retry.unwrap_or(wait).clamp(TAKEN[0], BACKOFF.1)).await;
        wait = (wait * 2).min(BACKOFF.1);
        let mut fields = session.fields();
        let last = reader.last_event_id.take();
        if let Some(last) = last.as_ref().and_then(|last| http::HeaderValue::from_str(last).ok()) {
            fields.push((http::HeaderName::from_static("last-event-id"), last));
        }
        match link.get(&fields).await {
            Ok(heard) if heard.status.is_success() && heard.reader.is_stream() => {
                (reader, told) = (heard.reader, false);
                if last.is_none() {
                    session.ear.deliver_everything();
                }
            }
            Ok(heard) if heard.status.is_client_error() => {
                session.lose();
                return session.ear.end();
            }
            // It may be gone: whoever wants to know can look.
            _ if !std::mem::replace(&mut told, true) => session.ear.deliver_everything(),
            _ => {}
        }
    }
}

/// A message that belongs to no call.
pub(super) fn hear(session: &Arc<Session>, link: &Link, incoming: Incoming) {
    match incoming {
        Incoming::Notification { method, params } => session.hear(&method, &params),
        Incoming::Request { id, method, .. } => session.reply_later(link, unasked(&id, &method)),
        Incoming::Result { .. } | Incoming::Error { .. } => {}
    }
}

/// The answer to a server's request that no client can be shown: there is no call that it belongs to.
pub(super) fn unasked(id: &str, method: &str) -> String {
    if method == "ping" {
        return message::result(id, &Object::default());
    }
    let why = if ask::is_ask(method) { "no call of the client's is under way" } else { "unknown method" };
    message::error(id, &RpcError::new(rpc::METHOD_NOT_FOUND, why))
}
