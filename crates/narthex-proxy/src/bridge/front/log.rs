//! What was sent on a session's streams, so that it can be asked for again after a broken connection
//! (2025-11-25, basic/transports#resumability-and-redelivery).

use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use tokio::sync::Notify;

/// The stream of what belongs to no request.
pub(super) const STANDALONE: u64 = 0;
/// Streams that have ended and are still remembered.
const ENDED: usize = 32;

/// The streams of one session.
#[derive(Debug, Default)]
pub(super) struct Logs {
    all: Mutex<All>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct All {
    streams: BTreeMap<u64, Log>,
    last: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Log {
    /// Data by number; the first events may be gone.
    events: VecDeque<(u64, Arc<str>)>,
    last: u64,
    ended: bool,
    /// Clients that read it again.
    followers: usize,
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    /// Events of one stream.
    pub(super) events: usize,
    /// Bytes of all streams.
    pub(super) bytes: usize,
}

/// What followed an event.
#[derive(Debug, Default)]
pub(super) struct After {
    pub(super) events: Vec<(u64, Arc<str>)>,
    /// No more will come.
    pub(super) ended: bool,
}

impl Logs {
    /// A new stream.
    pub(super) fn open(&self) -> u64 {
        let mut all = self.all.lock();
        all.last += 1;
        let stream = all.last;
        all.streams.insert(stream, Log::default());
        all.forget_ended();
        stream
    }

    /// Notes an event, and gives its number.
    pub(super) fn append(&self, stream: u64, data: &str, keep: Keep) -> u64 {
        let mut all = self.all.lock();
        let log = all.streams.entry(stream).or_default();
        log.last += 1;
        let number = log.last;
        log.events.push_back((number, data.into()));
        let dropped = if log.events.len() > keep.events { log.events.pop_front() } else { None };
        all.bytes += data.len();
        all.bytes -= dropped.map_or(0, |(_, data)| data.len());
        all.shrink(keep.bytes);
        drop(all);
        self.changed.notify_waiters();
        number
    }

    /// No more will come on that stream.
    pub(super) fn end(&self, stream: u64) {
        if let Some(log) = self.all.lock().streams.get_mut(&stream) {
            log.ended = true;
        }
        self.changed.notify_waiters();
    }

    /// What followed event number `number` on its stream; `None` if some of it is gone.
    pub(super) fn after(&self, stream: u64, number: u64) -> Option<After> {
        let all = self.all.lock();
        let Some(log) = all.streams.get(&stream) else {
            return (stream == STANDALONE && number == 0).then(After::default);
        };
        let first = log.events.front().map_or(log.last + 1, |(first, _)| *first);
        if number > log.last || number + 1 < first {
            return None;
        }
        let events = log.events.iter().filter(|(n, _)| *n > number).cloned().collect();
        Some(After { events, ended: log.ended })
    }

    /// A client begins to read a stream again, or stops to.
    pub(super) fn follow(&self, stream: u64, begins: bool) {
        if let Some(log) = self.all.lock().streams.get_mut(&stream) {
            log.followers = if begins { log.followers + 1 } else { log.followers.saturating_sub(1) };
        }
    }

    /// Whether a client reads it again.
    pub(super) fn is_followed(&self, stream: u64) -> bool {
        self.all.lock().streams.get(&stream).is_some_and(|log| log.followers > 0)
    }

    /// The first number that is still there, less one.
    pub(super) fn oldest(&self, stream: u64) -> u64 {
        let all = self.all.lock();
        all.streams.get(&stream).map_or(0, |log| log.events.front().map_or(log.last, |(first, _)| first - 1))
    }

    /// Waits for the next change. Made before looking, it misses none.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }
}

impl All {
    /// Drops the oldest events until what is left fits.
    fn shrink(&mut self, most: usize) {
        while self.bytes > most {
            // What belongs to no request cannot be asked for in another way, so it goes last.
            let mut logs = self.streams.iter_mut().filter(|(_, log)| !log.events.is_empty());
            let first = logs.next();
            let standalone = first.as_ref().is_some_and(|(id, _)| **id == STANDALONE);
            let other = if standalone { logs.next() } else { None };
            let Some((_, log)) = other.or(first) else { return };
            if let Some((_, data)) = log.events.pop_front() {
                self.bytes -= data.len();
            }
        }
    }

    fn forget_ended(&mut self) {
        let ended: Vec<u64> = self.streams.iter().filter(|(_, log)| log.ended).map(|(id, _)| *id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(ENDED)) {
            if let Some(log) = self.streams.remove(id) {
                self.bytes -= log.events.iter().map(|(_, data)| data.len()).sum::<usize>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep { events: 3, bytes: 100 };

    fn texts(after: &After) -> Vec<&str> {
        after.events.iter().map(|(_, data)| &**data).collect()
    }

    #[test]
    fn a_stream_goes_on_after_the_last_event_that_came_through() {
        let logs = Logs::default();
        let (one, other) = (logs.open(), logs.open());
        let first = logs.append(one, "a", KEEP);
        logs.append(other, "x", KEEP);
        logs.append(one, "b", KEEP);
        logs.end(one);
        let after = logs.after(one, first).unwrap();
        assert_eq!((texts(&after), after.ended), (vec!["b"], true), "and nothing of another stream");
        assert!(logs.after(one, 9).is_none() && logs.after(99, 0).is_none());
    }

    #[test]
    fn a_gap_is_never_passed_over_in_silence() {
        let logs = Logs::default();
        let stream = logs.open();
        let first = logs.append(stream, "1", KEEP);
        for _ in 0..3 {
            logs.append(stream, "n", KEEP);
        }
        assert!(logs.after(stream, first).is_some(), "the next one is still there");
        assert!(logs.after(stream, 0).is_none());
        logs.append(stream, "5", KEEP);
        assert!(logs.after(stream, first).is_none());
        assert_eq!(logs.oldest(stream), 2);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let logs = Logs::default();
        for _ in 0..1000 {
            let stream = logs.open();
            for _ in 0..5 {
                logs.append(stream, &"x".repeat(30), KEEP);
            }
            logs.end(stream);
        }
        let all = logs.all.lock();
        assert!(all.bytes <= 100 && all.streams.len() <= ENDED + 1, "{} {}", all.bytes, all.streams.len());
        let held: usize = all.streams.values().flat_map(|log| &log.events).map(|(_, data)| data.len()).sum();
        assert_eq!(held, all.bytes);
    }
}
