//! Writing down: what is trusted on first use, and what waits.

use super::{Pins, audit, seconds};
use crate::error::PinsError;
use crate::file;
use crate::judge::{Candidate, first_use};
use crate::quarantine;
use crate::write;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::SystemTime;
use tracing::error;

/// How long it takes until a file that could not be written is tried again, seconds.
const RETRY_AFTER: u64 = 30;

/// How old the file of what waits may be, seconds: so long may `seen` be wrong after a restart.
const MAX_AGE: u64 = 3600;

/// How writing went. Locked while a file is read, changed and written.
#[derive(Debug, Default)]
pub(super) struct Persistence {
    /// What went wrong last, until it goes well.
    trouble: Option<String>,
    /// No trust on first use before this, Unix seconds.
    trust_after: u64,
    /// No writing of what waits before this, Unix seconds.
    flush_after: u64,
    /// When what waits was written last, Unix seconds.
    flushed: u64,
}

impl Persistence {
    /// Keeps an error for [`Pins::trouble`] and says it, once.
    pub(super) fn report<T>(&mut self, result: Result<T, PinsError>) -> Result<T, PinsError> {
        match &result {
            Ok(_) => self.trouble = None,
            Err(cause) => {
                let trouble = cause.to_string();
                if self.trouble.as_ref() != Some(&trouble) {
                    error!(cause = trouble, "pins cannot be written down");
                }
                self.trouble = Some(trouble);
            }
        }
        result
    }
}

impl Pins {
    /// What keeps pins from being written down, if anything does. While it does, nothing is trusted on first
    /// use.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.persistence.lock().trouble.clone()
    }

    /// Forgets what has not been shown for a day, and writes down what waits if that has changed. To be
    /// called every few seconds, and at the end.
    pub fn housekeep(&self, now: SystemTime) {
        self.expire(now);
        let now = seconds(now);
        let mut persistence = self.persistence.lock();
        let is_due = {
            let state = self.state.read();
            let is_old = persistence.flushed + MAX_AGE <= now && state.quarantine.iter().next().is_some();
            (state.dirty || is_old) && persistence.flush_after <= now
        };
        if !is_due {
            return;
        }
        let (path, text) = {
            let mut state = self.state.write();
            state.dirty = false;
            (state.quarantine_file.clone(), quarantine::format(&state.quarantine))
        };
        if persistence.report(write_state(&path, &text)).is_ok() {
            persistence.flushed = now;
        } else {
            persistence.flush_after = now + RETRY_AFTER;
            self.state.write().dirty = true;
        }
    }

    /// Approves what an upstream shows that the file does not name. If that cannot be written down, it is not
    /// approved.
    pub(super) fn trust_first(&self, upstream: &str, candidates: &[Candidate], now: SystemTime) {
        let now = seconds(now);
        let mut persistence = self.persistence.lock();
        // Another thread may have been faster.
        if persistence.trust_after > now || self.state.read().approved.contains_key(upstream) {
            return;
        }
        let file = self.state.read().file.clone();
        let mut trusted = None;
        let edited = file::edit(&file, |approved| {
            // Another process may have been faster.
            let is_first = !approved.contains_key(upstream);
            if is_first {
                let tools = first_use(candidates);
                approved.insert(upstream.to_owned(), tools.clone());
                trusted = Some(tools);
            }
            is_first
        });
        let Ok(approved) = persistence.report(edited) else {
            persistence.trust_after = now + RETRY_AFTER;
            return;
        };
        self.wrote(approved);
        if let Some(tools) = trusted {
            audit::trusted_on_first_use(upstream, &tools);
        }
    }
}

fn write_state(path: &Path, text: &str) -> Result<(), PinsError> {
    if let Some(dir) = path.parent() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|cause| PinsError::write(path, cause))?;
    }
    write::replace(path, text)
}
