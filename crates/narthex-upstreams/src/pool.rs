//! Idle HTTP/1.1 connections, kept to be used again.
//!
//! pingora's own pool starts a task for each connection that is given back, with a timer, and looks up the peer's
//! address with a system call for each that is taken. Here an idle connection is an entry in a list; whether its
//! server still has it is looked at when it is taken, and when the gateway has the pool swept.

use crate::at_once::at_once;
use dashmap::DashMap;
use parking_lot::Mutex;
use pingora::protocols::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::unconstrained;

/// Idle connections kept over all upstreams: when there are more, those that idle longest are closed with the next
/// sweep.
const MOST: usize = 4096;
/// Lists of one place, so that threads do not wait for each other.
const LISTS: usize = 8;

/// The idle connections to all places.
#[derive(Default)]
pub(crate) struct Pool {
    places: DashMap<u64, Arc<Place>>,
}

/// The idle connections to one address of one upstream.
#[derive(Default)]
pub(crate) struct Place {
    lists: [Mutex<Vec<Idle>>; LISTS],
    held: AtomicUsize,
}

/// A connection that waits.
struct Idle {
    stream: Stream,
    since: Instant,
    /// How long it is kept.
    keep: Duration,
}

// === impl Pool ===

impl Pool {
    /// The place of that key: the same for as long as anybody has it, or anything is in it.
    pub(crate) fn place(&self, key: u64) -> Arc<Place> {
        Arc::clone(&self.places.entry(key).or_default())
    }

    /// Closes what has idled for too long, what its server has closed, and what is too much.
    pub(crate) fn sweep(&self, now: Instant) {
        self.sweep_to(MOST, now);
    }

    fn sweep_to(&self, most: usize, now: Instant) {
        self.places.retain(|_, place| {
            place.close(|idle| !idle.is_usable(now));
            Arc::strong_count(place) > 1 || !place.is_empty()
        });
        let mut ages: Vec<Instant> = self.places.iter().flat_map(|place| place.ages()).collect();
        if let Some(excess) = ages.len().checked_sub(most + 1) {
            let (_, &mut newest_closed, _) = ages.select_nth_unstable(excess);
            self.places.iter().for_each(|place| place.close(|idle| idle.since <= newest_closed));
        }
    }
}

// === impl Place ===

impl Place {
    /// The connection that was given back last, if there is one that can be used.
    pub(crate) fn take(&self, now: Instant) -> Option<Stream> {
        if self.is_empty() {
            return None;
        }
        let home = home();
        // Its own thread's first: there the others are not waited for, and the connection's events come up.
        let lists = (home..home + LISTS).filter_map(|at| self.lists.get(at % LISTS));
        for list in lists {
            loop {
                let Some(mut idle) = list.lock().pop() else { break };
                self.held.fetch_sub(1, Ordering::Relaxed);
                if idle.is_usable(now) {
                    return Some(idle.stream);
                }
            }
        }
        None
    }

    /// Keeps a connection on which nothing is under way, or closes it, if it is not to be kept at all.
    pub(crate) fn give(&self, stream: Stream, keep: Duration, now: Instant) {
        if keep.is_zero() {
            return;
        }
        let Some(list) = self.lists.get(home() % LISTS) else { return };
        self.held.fetch_add(1, Ordering::Relaxed);
        list.lock().push(Idle { stream, since: now, keep });
    }

    fn is_empty(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }

    fn ages(&self) -> Vec<Instant> {
        if self.is_empty() {
            return Vec::new();
        }
        self.lists
            .iter()
            .flat_map(|list| list.lock().iter().map(|idle| idle.since).collect::<Vec<_>>())
            .collect()
    }

    fn close(&self, mut is_done: impl FnMut(&mut Idle) -> bool) {
        if self.is_empty() {
            return;
        }
        for list in &self.lists {
            // Closed when nobody waits for the list any more.
            let done: Vec<Idle> = list.lock().extract_if(.., |idle| is_done(idle)).collect();
            self.held.fetch_sub(done.len(), Ordering::Relaxed);
        }
    }
}

// === impl Idle ===

impl Idle {
    fn is_usable(&mut self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < self.keep && is_quiet(&mut self.stream)
    }
}

/// Whether the server has neither closed the connection nor sent anything that nobody asked for.
fn is_quiet(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let mut byte = ReadBuf::new(&mut byte);
    // Without tokio's budget: what is spent must not look like silence.
    at_once(unconstrained(poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut byte)))).is_none()
}

/// Which list is this thread's own.
fn home() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static HOME: usize = NEXT.fetch_add(1, Ordering::Relaxed) % LISTS);
    HOME.with(|home| *home)
}

#[cfg(test)]
mod tests;
