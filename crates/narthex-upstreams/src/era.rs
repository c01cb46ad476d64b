//! Which eras of MCP a server speaks: 2026-07-28, or the revisions before it that begin with `initialize`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long what was found out is taken for true.
const FRESH: Duration = Duration::from_secs(600);
/// Doubts that come sooner after an answer than this change nothing: callers can cause as many as they like.
const SETTLED: Duration = Duration::from_secs(10);

/// What is known of a server's eras.
#[derive(Debug)]
pub struct Eras {
    modern: Known,
    legacy: Known,
    epoch: Instant,
    fixed: Option<(bool, bool)>,
    /// When it was last asked in vain.
    in_vain: AtomicU64,
    /// Held by whoever is finding out, so that one question is asked, not a thousand.
    pub asking: tokio::sync::Mutex<()>,
}

/// Twice the milliseconds, since the epoch, of when it was learned, plus one if the answer was yes; 0 while
/// nothing is known.
#[derive(Debug, Default)]
struct Known(AtomicU64);

impl Eras {
    /// Nothing is known yet.
    #[must_use]
    pub fn unknown(now: Instant) -> Self {
        Self {
            modern: Known::default(),
            legacy: Known::default(),
            epoch: now,
            fixed: None,
            in_vain: AtomicU64::new(0),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The configuration says it: nothing is asked, and nothing changes.
    #[must_use]
    pub fn fixed(modern: bool, legacy: bool, now: Instant) -> Self {
        Self { fixed: Some((modern, legacy)), ..Self::unknown(now) }
    }

    /// Whether it speaks 2026-07-28; `None` if that has to be found out.
    #[must_use]
    pub fn modern(&self, now: Instant) -> Option<bool> {
        self.fixed.map_or_else(|| self.modern.get(self.since(now)), |(modern, _)| Some(modern))
    }

    /// Whether it speaks 2025-11-25 or earlier; `None` if that has to be found out.
    #[must_use]
    pub fn legacy(&self, now: Instant) -> Option<bool> {
        self.fixed.map_or_else(|| self.legacy.get(self.since(now)), |(_, legacy)| Some(legacy))
    }

    /// It has shown whether it speaks 2026-07-28.
    pub fn learn_modern(&self, speaks: bool, now: Instant) {
        self.modern.set(speaks, self.since(now));
    }

    /// It has shown whether it speaks 2025-11-25 or earlier.
    pub fn learn_legacy(&self, speaks: bool, now: Instant) {
        self.legacy.set(speaks, self.since(now));
    }

    /// It answered in a way that what is known does not explain: ask again, if that was not just done.
    pub fn doubt(&self, now: Instant) {
        let now = self.since(now);
        self.modern.doubt(now);
        self.legacy.doubt(now);
    }

    /// It was asked, and its answer does not tell.
    pub fn learn_nothing(&self, now: Instant) {
        self.in_vain.store(self.since(now), Ordering::Relaxed);
    }

    /// Whether to ask it: not just after that was in vain.
    #[must_use]
    pub fn may_ask(&self, now: Instant) -> bool {
        let in_vain = self.in_vain.load(Ordering::Relaxed);
        in_vain == 0 || self.since(now).saturating_sub(in_vain) >= millis(SETTLED)
    }

    fn since(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX / 4) + 1
    }
}

impl Known {
    fn get(&self, now: u64) -> Option<bool> {
        let known = self.0.load(Ordering::Relaxed);
        (known != 0 && now.saturating_sub(known / 2) < millis(FRESH)).then_some(known % 2 == 1)
    }

    fn set(&self, speaks: bool, now: u64) {
        self.0.store(now * 2 + u64::from(speaks), Ordering::Relaxed);
    }

    fn doubt(&self, now: u64) {
        let known = self.0.load(Ordering::Relaxed);
        if now.saturating_sub(known / 2) >= millis(SETTLED) {
            // What was learned in the meantime stays.
            let _ = self.0.compare_exchange(known, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_out_is_believed_for_a_while() {
        let now = Instant::now();
        let eras = Eras::unknown(now);
        assert_eq!((eras.modern(now), eras.legacy(now)), (None, None));
        eras.learn_modern(true, now);
        eras.learn_legacy(false, now);
        let later = now + FRESH - Duration::from_secs(1);
        assert_eq!((eras.modern(later), eras.legacy(later)), (Some(true), Some(false)));
        assert_eq!(eras.modern(now + FRESH), None);
    }

    #[test]
    fn a_doubt_asks_again_but_not_at_once() {
        let now = Instant::now();
        let eras = Eras::unknown(now);
        eras.learn_modern(false, now);
        eras.doubt(now + Duration::from_secs(1));
        assert_eq!(eras.modern(now + Duration::from_secs(1)), Some(false));
        eras.doubt(now + SETTLED);
        assert_eq!(eras.modern(now + SETTLED), None);
    }

    #[test]
    fn a_question_that_was_in_vain_is_not_put_again_at_once() {
        let now = Instant::now();
        let eras = Eras::unknown(now);
        assert!(eras.may_ask(now));
        eras.learn_nothing(now);
        assert!(!eras.may_ask(now + Duration::from_secs(1)));
        assert!(eras.may_ask(now + SETTLED) && eras.modern(now).is_none());
    }

    #[test]
    fn what_is_configured_is_never_doubted() {
        let now = Instant::now();
        let eras = Eras::fixed(true, false, now);
        eras.learn_legacy(true, now);
        eras.doubt(now + FRESH);
        assert_eq!((eras.modern(now + FRESH), eras.legacy(now)), (Some(true), Some(false)));
    }
}
