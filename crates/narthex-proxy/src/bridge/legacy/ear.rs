//! Hearing what an older server says outside of calls, for clients that listen.
//!
//! A session has one such stream; all listeners of its caller share it, and a resource is subscribed to for
//! as long as one of them wants it.

use super::session::Session;
use crate::bridge::link::Link;
use crate::bridge::reader::Reader;
use narthex_mcp::bridge::listen::Filter;
use narthex_mcp::bridge::message::{self, Incoming, RpcError};
use narthex_mcp::bridge::{Object, ask};
use narthex_mcp::rpc;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Notifications that wait for a listener that does not read; over it, they are dropped.
const BACKLOG: usize = 256;
/// Waits before a stream is opened again: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The listeners of one session.
#[derive(Debug, Default)]
pub(super) struct Ear(Mutex<Heard>);

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
        let heard = self.0.lock();
        for (filter, sender) in heard.listeners.values() {
            if filter.wants(method, params) {
                // Whoever does not read misses it: a list can be asked for at any time.
                let _ = sender.try_send((method.to_owned(), params.clone()));
            }
        }
    }

    /// Something may have been missed.
    fn deliver_everything(&self) {
        let heard = self.0.lock();
        for (filter, sender) in heard.listeners.values() {
            for (method, params) in filter.everything() {
                let _ = sender.try_send((method.to_owned(), params));
            }
        }
    }

    fn end(&self) {
        let mut heard = self.0.lock();
        heard.listeners.clear();
        heard.task = None;
    }
}

impl Listening {
    /// Begins to listen for what of `wanted` the server can tell of.
    pub(crate) async fn begin(session: &Arc<Session>, mut link: Link, wanted: &Filter) -> Self {
        let mut filter = session.honoured(wanted);
        if !filter.is_empty() && !open_stream(session, &mut link).await {
            filter = Filter::default();
        }
        let mut honoured = filter.clone();
        for uri in &filter.uris {
            let first = {
                let mut heard = session.ear.0.lock();
                let count = heard.uris.entry(uri.clone()).or_insert(0);
                *count += 1;
                *count == 1
            };
            if first && subscribe(session, &mut link, "resources/subscribe", uri).await.is_err() {
                release(session, uri);
                honoured.uris.remove(uri);
            }
        }
        let (sender, heard) = mpsc::channel(BACKLOG);
        let mut state = session.ear.0.lock();
        state.next += 1;
        let key = state.next;
        state.listeners.insert(key, (honoured.clone(), sender));
        drop(state);
        Self { session: Arc::clone(session), link: link.detached(), key, filter: honoured, heard }
    }

    /// The next notification; `None` when there will be no more. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Option<(String, Object)> {
        self.heard.recv().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.session.ear.0.lock();
        state.listeners.remove(&self.key);
        if state.listeners.is_empty()
            && let Some(task) = state.task.take()
        {
            task.abort();
        }
        drop(state);
        for uri in std::mem::take(&mut self.filter.uris) {
            if release(&self.session, &uri) && tokio::runtime::Handle::try_current().is_ok() {
                let (session, mut link) = (Arc::clone(&self.session), self.link.clone());
                tokio::spawn(async move {
                    let _ = subscribe(&session, &mut link, "resources/unsubscribe", &uri).await;
                });
            }
        }
    }
}

/// One listener less wants to hear of `uri`. Whether it was the last.
fn release(session: &Session, uri: &str) -> bool {
    let mut heard = session.ear.0.lock();
    let Some(count) = heard.uris.get_mut(uri) else { return false };
    *count -= 1;
    let last = *count == 0;
    if last {
        heard.uris.remove(uri);
    }
    last
}

async fn subscribe(session: &Session, link: &mut Link, method: &str, uri: &str) -> Result<(), ()> {
    let mut params = Object::default();
    params.set_string("uri", uri);
    session.ask(link, method, &params).await.map(drop).map_err(drop)
}

/// Opens the session's stream, unless it is. Whether there is one.
async fn open_stream(session: &Arc<Session>, link: &mut Link) -> bool {
    if session.wire.is_some() || session.ear.0.lock().task.is_some() {
        return true;
    }
    let Ok(heard) = link.get(&session.fields()).await else { return false };
    // 405: the server has nothing to say outside of calls.
    if !heard.status.is_success() || !heard.reader.is_stream() {
        return false;
    }
    let task = tokio::spawn(listen(Arc::clone(session), link.detached(), heard.reader)).abort_handle();
    if let Some(other) = session.ear.0.lock().task.replace(task) {
        other.abort();
    }
    true
}

/// Reads the stream, and opens it again when it breaks.
async fn listen(session: Arc<Session>, mut link: Link, mut reader: Reader) {
    let mut wait = BACKOFF.0;
    loop {
        while let Ok(Some(incoming)) = reader.next().await {
            wait = BACKOFF.0;
            hear(&session, &link, incoming);
        }
        tokio::time::sleep(reader.retry.unwrap_or(wait).min(BACKOFF.1)).await;
        wait = (wait * 2).min(BACKOFF.1);
        let mut fields = session.fields();
        let last = reader.last_event_id.take();
        if let Some(last) = last.as_ref().and_then(|last| http::HeaderValue::from_str(last).ok()) {
            fields.push((http::HeaderName::from_static("last-event-id"), last));
        }
        match link.get(&fields).await {
            Ok(heard) if heard.status.is_success() && heard.reader.is_stream() => {
                reader = heard.reader;
                if last.is_none() {
                    session.ear.deliver_everything();
                }
            }
            Ok(heard) if heard.status.is_client_error() => {
                session.lose();
                return session.ear.end();
            }
            _ => {}
        }
    }
}

/// A message that belongs to no call.
pub(super) fn hear(session: &Arc<Session>, link: &Link, incoming: Incoming) {
    match incoming {
        Incoming::Notification { method, params } => session.hear(&method, &params),
        Incoming::Request { id, method, .. } => session.tell_later(link, unasked(&id, &method)),
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
