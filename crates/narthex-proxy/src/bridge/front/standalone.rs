//! The GET stream of an older client: what belongs to no request, and what it missed of a stream that broke.

use super::Out;
use super::event_id;
use super::initialize::account;
use super::legacy::encode;
use super::listen::MOST_URIS;
use super::live::LiveSession;
use super::log::{Keep, STANDALONE};
use super::out::Aside;
use crate::bridge::enter::Bounds;
use crate::bridge::legacy::Listening;
use crate::bridge::link::Link;
use crate::bridge::merge::{Changes, Merged};
use crate::bridge::modern;
use crate::refusal::Refusal;
use narthex_mcp::bridge::discover::{Account, without_reserved};
use narthex_mcp::bridge::listen::Filter;
use narthex_mcp::bridge::message::{self, Incoming};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Waits before a stream is opened again: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Sends a stream's events: of the one that the client names by an event's id, or the standalone one.
///
/// # Errors
/// There is another one already, or events that followed are gone; nothing has been sent.
pub(crate) async fn answer(
    live: Arc<LiveSession>,
    link: Link,
    merged: Option<Arc<Merged>>,
    last_event_id: Option<String>,
    bounds: Bounds,
    out: &mut Out<'_>,
) -> Result<(), Refusal> {
    let resumed = match &last_event_id {
        Some(id) => Some(event_id::open(id, &live, &link, bounds.room.patience, out)?),
        None => None,
    };
    let (stream, mut number) = match resumed {
        Some(at) => at,
        None => {
            let oldest = live.logs.oldest(STANDALONE);
            (STANDALONE, live.heard.load(Ordering::Acquire).max(oldest))
        }
    };
    if live.logs.after(stream, number).is_none() {
        return Err(Refusal::EventGone);
    }
    let _hearing = if stream == STANDALONE {
        let hearing = Hearing::begin(&live)?;
        // Without it the stream is silent, but no worse than that.
        if let Err(refusal) = listen(&live, &link, merged.as_ref(), bounds).await {
            tracing::debug!(route = %link.route.id, reason = refusal.reason(), "not listening");
        }
        Some(hearing)
    } else {
        None
    };
    let _following = Following::begin(&live, stream);
    out.start().await?;
    loop {
        let logs = &live.logs;
        let changed = logs.changed();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let Some(after) = logs.after(stream, number) else {
            out.cut("upstream_broken");
            return out.finish().await;
        };
        for (next, data) in after.events {
            let id = event_id::seal(&live, &link, stream, next, out);
            out.raw(encode(id.as_deref(), &data)).await?;
            number = next;
            if stream == STANDALONE && !out.gone {
                live.heard.store(number, Ordering::Release);
            }
        }
        if after.ended || live.has_ended() {
            return out.finish().await;
        }
        if out.gone {
            return Ok(());
        }
        tokio::select! {
            () = &mut changed => {}
            aside = out.aside(true) => match aside {
                Aside::Quiet => out.comment().await?,
                Aside::Gone => {
                    out.leave();
                    return Ok(());
                }
                Aside::Expired | Aside::Stopping => {
                    out.cut("ended");
                    return out.finish().await;
                }
            },
        }
    }
}

/// A client that reads a stream again: its call is not alone.
struct Following(Arc<LiveSession>, u64);

impl Following {
    fn begin(live: &Arc<LiveSession>, stream: u64) -> Self {
        live.logs.follow(stream, true);
        Self(Arc::clone(live), stream)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.logs.follow(self.1, false);
    }
}

/// The one standalone stream of a session: no message may come on two (2025-11-25, basic/transports).
struct Hearing(Arc<LiveSession>);

impl Hearing {
    fn begin(live: &Arc<LiveSession>) -> Result<Self, Refusal> {
        if live.hearing.swap(true, Ordering::AcqRel) {
            return Err(Refusal::StreamTaken);
        }
        Ok(Self(Arc::clone(live)))
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.hearing.store(false, Ordering::Release);
        // Whoever is subscribed to something wants to find it when it comes back.
        if self.0.uris.lock().is_empty()
            && let Some(listener) = self.0.listener.lock().take()
        {
            listener.abort();
        }
    }
}

/// Subscribes to a resource, or no longer. Whether the server does that.
///
/// # Errors
/// It cannot be reached.
pub(super) async fn subscribe(
    live: &Arc<LiveSession>,
    link: &Link,
    merged: Option<&Arc<Merged>>,
    uri: &str,
    on: bool,
    bounds: Bounds,
) -> Result<bool, Refusal> {
    let changed = {
        let mut uris = live.uris.lock();
        if on && uris.len() >= MOST_URIS {
            return Ok(false);
        }
        if on { uris.insert(uri.to_owned()) } else { uris.remove(uri) }
    };
    if !changed && (!on || live.listener.lock().is_some()) {
        return Ok(true);
    }
    let honoured = listen(live, link, merged, bounds).await;
    match honoured {
        Ok(filter) if !on || filter.uris.contains(uri) => {
            link.shared.bridge.live.save(live).await;
            Ok(true)
        }
        outcome => {
            live.uris.lock().remove(uri);
            outcome.map(|_| false)
        }
    }
}

/// What the server says of itself, asked once in a session.
pub(super) async fn account_of<'l>(
    live: &'l LiveSession,
    link: &Link,
    bounds: Bounds,
) -> Result<&'l Account, Refusal> {
    let declared = &live.opened.declared;
    let asked = live.account.get_or_try_init(|| {
        let mut link = link.clone();
        async move { account(&mut link, declared, bounds).await }
    });
    asked.await
}

/// Listens anew, for all that is wanted now. What the server will tell of.
async fn listen(
    live: &Arc<LiveSession>,
    link: &Link,
    merged: Option<&Arc<Merged>>,
    bounds: Bounds,
) -> Result<Filter, Refusal> {
    let _one_at_a_time = live.listening.lock().await;
    let mut link = link.clone();
    let declared = &live.opened.declared;
    let uris = live.uris.lock().clone();
    let mut wanted = Filter { tools: true, prompts: true, resources: true, uris };
    let keep = Keep { events: bounds.events, bytes: bounds.event_bytes };
    let until = link.caller.expires;
    let weak = Arc::downgrade(live);
    if let Some(merged) = merged {
        let changes = Changes::begin(merged, &link, link.lane.as_ref(), declared, &wanted, bounds).await;
        let honoured = changes.filter.clone();
        let task = tokio::spawn(within(until, follow_changes(weak, changes, keep)));
        if let Some(old) = live.listener.lock().replace(task.abort_handle()) {
            old.abort();
        }
        return Ok(honoured);
    }
    wanted = wanted.within(account_of(live, &link, bounds).await?);
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let (honoured, task) = if link.upstream().has_wire() {
        let shared = Arc::clone(&link.shared);
        let session = shared.bridge.sessions.get(&mut link, declared, bounds).await?;
        let listening = Listening::begin(&session, link.detached(), &wanted).await;
        (listening.filter.clone(), tokio::spawn(within(until, follow_session(weak, listening, keep))))
    } else {
        let stream = modern::listen(&mut link, declared, &wanted).await?;
        let honoured = stream.filter.clone();
        let following = follow(weak, link.detached(), wanted, stream, keep);
        (honoured, tokio::spawn(within(until, following)))
    };
    // The old one ends when the new one is there: a change in between is told twice rather than never.
    if let Some(old) = live.listener.lock().replace(task.abort_handle()) {
        old.abort();
    }
    Ok(honoured)
}

/// Runs `task`, but not longer than the caller's token is good for.
pub(super) async fn within(until: Option<std::time::SystemTime>, task: impl Future<Output = ()>) {
    let left = until.map(|at| at.duration_since(std::time::SystemTime::now()).unwrap_or_default());
    match left {
        Some(left) => drop(tokio::time::timeout(left, task).await),
        None => task.await,
    }
}

type Weak = std::sync::Weak<LiveSession>;

/// Notes what a modern server tells, and listens anew when its stream ends.
async fn follow(live: Weak, mut link: Link, wanted: Filter, mut stream: modern::Stream, keep: Keep) {
    let mut wait = BACKOFF.0;
    loop {
        while let Ok(Some(incoming)) = stream.reader.next().await {
            wait = BACKOFF.0;
            let Some(live) = live.upgrade() else { return };
            if let Incoming::Notification { method, params } = incoming
                && wanted.wants(&method, &params)
            {
                note(&live, &method, &without_reserved(&params), keep);
            }
        }
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACKOFF.1);
            let Some(live) = live.upgrade() else { return };
            if let Ok(again) = modern::listen(&mut link, &live.opened.declared, &wanted).await {
                // Anything may have changed in the meantime.
                for (method, params) in again.filter.everything() {
                    note(&live, method, &params, keep);
                }
                stream = again;
                break;
            }
        }
    }
}

/// Notes what an older server tells.
async fn follow_session(live: Weak, mut listening: Listening, keep: Keep) {
    while let Some((method, params)) = listening.next().await {
        let Some(live) = live.upgrade() else { return };
        note(&live, &method, &params, keep);
    }
}

/// Notes what the upstreams of a merged route tell.
async fn follow_changes(live: Weak, mut changes: Changes, keep: Keep) {
    while let Some((method, params)) = changes.next().await {
        let Some(live) = live.upgrade() else { return };
        note(&live, &method, &params, keep);
    }
}

fn note(live: &LiveSession, method: &str, params: &narthex_mcp::bridge::Object, keep: Keep) {
    if method == "notifications/tools/list_changed" {
        live.schemas.learn(None);
    }
    live.logs.append(STANDALONE, &message::notification(method, params), keep);
}
