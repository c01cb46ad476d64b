//! [`Pins`]: what is approved and what waits, over reloads and restarts.

mod audit;
mod persist;

use crate::Mode;
use crate::definition::Definition;
use crate::error::{ApproveError, PinsError};
use crate::file::{self, Approved};
use crate::judge::{Candidate, Standing, Why, rule};
use crate::quarantine::{self, Quarantine, Record, waits};
use parking_lot::{Mutex, RwLock};
use persist::Persistence;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The file in the state directory with what waits.
const QUARANTINE_FILE: &str = "quarantine.json";

/// The pins of all upstreams. May be asked by many threads at once; lives as long as the process.
#[derive(Debug)]
pub struct Pins {
    state: RwLock<State>,
    generation: AtomicU64,
    /// Taken before `state` by whoever writes a file.
    persistence: Mutex<Persistence>,
}

#[derive(Debug)]
struct State {
    file: PathBuf,
    quarantine_file: PathBuf,
    /// Whether `file` was there when it was read or written last.
    exists: bool,
    approved: Approved,
    quarantine: Quarantine,
    /// Whether `quarantine_file` is out of date.
    dirty: bool,
}

/// A definition that is approved.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The upstream's name.
    pub upstream: String,
    /// What is approved of one of its tools.
    pub definition: Definition,
}

/// A definition that waits.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// The upstream's name.
    pub upstream: String,
    /// The tool's name.
    pub tool: String,
    /// Why it waits.
    pub why: Why,
    /// What the upstream shows.
    pub found: Definition,
    /// What is approved of the tool, if anything.
    pub approved: Option<Definition>,
    /// When it was shown first.
    pub since: SystemTime,
    /// When it was shown last, to within an hour after a restart.
    pub seen: SystemTime,
    /// Why the inspection of its text distrusts it.
    pub suspicion: Option<String>,
}

// === impl Pins ===

impl Pins {
    /// The pins in `file`, none if there is no such file, and what waited at the last end of a gateway with
    /// this `state_dir`.
    ///
    /// # Errors
    /// A file cannot be read or makes no sense.
    pub fn open(file: &Path, state_dir: &Path) -> Result<Self, PinsError> {
        let pins = Self::preview(file, state_dir)?;
        let quarantine = quarantine::read(&state_dir.join(QUARANTINE_FILE))?;
        pins.state.write().quarantine = quarantine;
        Ok(pins)
    }

    /// As [`Self::open`], but without what waited: whoever only checks the pins may be another user than the
    /// one whose the state is.
    ///
    /// # Errors
    /// The file cannot be read or makes no sense.
    pub fn preview(file: &Path, state_dir: &Path) -> Result<Self, PinsError> {
        let (quarantine_file, quarantine) = (state_dir.join(QUARANTINE_FILE), Quarantine::default());
        let approved = file::read(file)?;
        let exists = approved.is_some();
        let approved = approved.unwrap_or_default();
        let file = file.to_owned();
        let state = State { file, quarantine_file, exists, approved, quarantine, dirty: false };
        Ok(Self {
            state: RwLock::new(state),
            generation: AtomicU64::new(0),
            persistence: Mutex::new(Persistence::default()),
        })
    }

    /// Reads the file again, which somebody else may have changed. Whether other definitions are approved
    /// now.
    ///
    /// # Errors
    /// It cannot be read, makes no sense, or was there and is gone. The pins stay as they were.
    pub fn reread(&self) -> Result<bool, PinsError> {
        let file = self.state.read().file.clone();
        self.use_file(&file)
    }

    /// As [`Self::reread`], with another file from now on.
    ///
    /// # Errors
    /// As [`Self::reread`].
    pub fn use_file(&self, file: &Path) -> Result<bool, PinsError> {
        let _writing = self.persistence.lock();
        let read = file::read(file)?;
        let mut state = self.state.write();
        if read.is_none() && state.exists && state.file == file {
            return Err(PinsError::Gone { path: file.to_owned() });
        }
        file.clone_into(&mut state.file);
        state.exists = read.is_some();
        Ok(self.take_up(&mut state, read.unwrap_or_default()))
    }

    /// The file with the approved definitions.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.state.read().file.clone()
    }

    /// The standing of what `upstream` shows, one for each of `candidates`. `complete`: they are all its
    /// tools, of all pages.
    ///
    /// With [`Mode::TrustOnFirstUse`] the first complete catalogue of an upstream that the file does not name
    /// is approved, but for what is suspicious, and written down first. If that cannot be, nothing of
    /// it is trusted: what is not written down would be trusted anew, as whatever it then is, after each
    /// restart.
    pub fn judge(
        &self,
        upstream: &str,
        mode: Mode,
        complete: bool,
        candidates: &[Candidate],
        now: SystemTime,
    ) -> Vec<Standing> {
        let is_unknown = || !self.state.read().approved.contains_key(upstream);
        if mode == Mode::TrustOnFirstUse && complete && !candidates.is_empty() && is_unknown() {
            self.trust_first(upstream, candidates, now);
        }
        let now = seconds(now);
        let (standings, news) = {
            let state = self.state.read();
            let standings = rule(state.approved.get(upstream), mode, candidates);
            let waiting = state.waiting(upstream, candidates, &standings);
            let mut waiting = waiting.iter();
            let news = waiting.any(|(c, why)| !state.quarantine.see(upstream, c, *why, now));
            (standings, news)
        };
        if news {
            self.quarantine(upstream, candidates, &standings, now);
        }
        standings
    }

    /// What waits, by upstream, tool and time.
    #[must_use]
    pub fn quarantined(&self) -> Vec<Quarantined> {
        let state = self.state.read();
        let waiting = state.still_waiting().map(|(upstream, record)| Quarantined {
            upstream: upstream.to_owned(),
            tool: record.definition.name.clone(),
            why: record.why,
            found: record.definition.clone(),
            approved: state.approved_of(upstream, &record.definition.name).cloned(),
            since: UNIX_EPOCH + Duration::from_secs(record.since),
            seen: UNIX_EPOCH + Duration::from_secs(record.seen()),
            suspicion: record.suspicion.clone(),
        });
        waiting.collect()
    }

    /// How many definitions wait, for each upstream of which some do.
    #[must_use]
    pub fn quarantined_counts(&self) -> BTreeMap<String, usize> {
        let state = self.state.read();
        let mut counts = BTreeMap::new();
        for (upstream, _) in state.still_waiting() {
            *counts.entry(upstream.to_owned()).or_default() += 1;
        }
        counts
    }

    /// What is approved, by upstream and tool.
    #[must_use]
    pub fn pinned(&self) -> Vec<Pinned> {
        let state = self.state.read();
        let pinned = state.approved.iter().flat_map(|(upstream, tools)| {
            tools
                .values()
                .map(|definition| Pinned { upstream: upstream.clone(), definition: definition.clone() })
        });
        pinned.collect()
    }

    /// Approves a definition that waits: exactly the one with this SHA-256, in hexadecimal. In its tool's
    /// place, the one before is approved no more. To approve what is approved already changes nothing.
    ///
    /// # Errors
    /// It does not wait, or cannot be written down.
    pub fn approve(
        &self,
        upstream: &str,
        tool: &str,
        sha256: &str,
        now: SystemTime,
    ) -> Result<(), ApproveError> {
        self.expire(now);
        let mut persistence = self.persistence.lock();
        let Some(definition) = self.state.read().to_approve(upstream, tool, sha256)? else {
            return Ok(());
        };
        let file = self.state.read().file.clone();
        let approved = persistence.report(file::edit(&file, |approved| {
            let tools = approved.entry(upstream.to_owned()).or_default();
            tools.insert(tool.to_owned(), definition.clone());
            true
        }))?;
        self.wrote(approved);
        audit::approved(upstream, &definition);
        Ok(())
    }

    /// Removes the pin of one tool, or all pins of an upstream, which is then looked at as if for the first
    /// time; and what waits of them. How many pins there were. For an upstream or a tool that is gone.
    ///
    /// # Errors
    /// It cannot be written down; then nothing is removed.
    pub fn forget(&self, upstream: &str, tool: Option<&str>) -> Result<usize, PinsError> {
        let mut persistence = self.persistence.lock();
        let file = self.state.read().file.clone();
        let mut removed = 0;
        let approved = persistence.report(file::edit(&file, |approved| match tool {
            None => {
                let gone = approved.remove(upstream);
                removed = gone.as_ref().map_or(0, |tools| tools.len());
                gone.is_some()
            }
            Some(tool) => {
                let gone = approved.get_mut(upstream).and_then(|tools| tools.remove(tool));
                removed = usize::from(gone.is_some());
                gone.is_some()
            }
        }))?;
        self.wrote(approved);
        let mut state = self.state.write();
        state.dirty |= state
            .quarantine
            .retain(|of, record| of != upstream || tool.is_some_and(|tool| record.definition.name != tool));
        audit::forgotten(upstream, tool, removed);
        Ok(removed)
    }

    /// Grows whenever the standing of a definition may have changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Forgets what has not been shown for a day: it may have changed back, or be gone.
    pub fn expire(&self, now: SystemTime) {
        let mut state = self.state.write();
        state.dirty |= state.quarantine.expire(seconds(now));
    }

    /// Records what waits; [`Self::housekeep`] writes it down.
    fn quarantine(&self, upstream: &str, candidates: &[Candidate], standings: &[Standing], now: u64) {
        let mut guard = self.state.write();
        let state = &mut *guard;
        let mut news = Vec::new();
        for (candidate, why) in state.waiting(upstream, candidates, standings) {
            if state.quarantine.add(upstream, candidate, why, now) {
                news.push((candidate, why));
            }
        }
        state.dirty |= !news.is_empty();
        drop(guard);
        audit::quarantined(upstream, &news);
    }

    /// Takes up what was just written.
    fn wrote(&self, approved: Approved) -> bool {
        let mut state = self.state.write();
        state.exists = true;
        self.take_up(&mut state, approved)
    }

    fn take_up(&self, state: &mut State, approved: Approved) -> bool {
        if state.approved == approved {
            return false;
        }
        state.approved = approved;
        let State { approved, quarantine, dirty, .. } = state;
        *dirty |= quarantine.retain(|upstream, record| {
            let pin = approved.get(upstream).and_then(|tools| tools.get(&record.definition.name));
            pin.is_none_or(|pin| pin.digest() != record.definition.digest())
        });
        self.generation.fetch_add(1, Ordering::Release);
        true
    }
}

// === impl State ===

impl State {
    fn approved_of(&self, upstream: &str, tool: &str) -> Option<&Definition> {
        self.approved.get(upstream).and_then(|tools| tools.get(tool))
    }

    /// The file may approve what the records still have: they are written at another time.
    fn still_waiting(&self) -> impl Iterator<Item = (&str, &Record)> {
        self.quarantine.iter().filter(|(upstream, record)| {
            let pin = self.approved_of(upstream, &record.definition.name);
            pin.is_none_or(|pin| pin.digest() != record.definition.digest())
        })
    }

    fn waiting<'a>(
        &self,
        upstream: &str,
        candidates: &'a [Candidate],
        standings: &[Standing],
    ) -> Vec<(&'a Candidate, Why)> {
        let waiting = candidates.iter().zip(standings).filter_map(|(candidate, standing)| {
            let definition = &candidate.definition;
            let pin = self.approved_of(upstream, &definition.name);
            let is_approved = pin.is_some_and(|pin| pin.digest() == definition.digest());
            waits(*standing, is_approved).map(|why| (candidate, why))
        });
        waiting.collect()
    }

    /// The definition that is meant; `None` if it is approved already.
    fn to_approve(
        &self,
        upstream: &str,
        tool: &str,
        sha256: &str,
    ) -> Result<Option<Definition>, ApproveError> {
        if self.approved_of(upstream, tool).is_some_and(|pin| pin.sha256() == sha256) {
            return Ok(None);
        }
        let records = self.quarantine.of(upstream, tool);
        if records.is_empty() {
            return Err(ApproveError::NotFound);
        }
        let found = records.iter().map(|record| &record.definition);
        match found.clone().find(|definition| definition.sha256() == sha256) {
            Some(definition) => Ok(Some(definition.clone())),
            None => Err(ApproveError::Other { found: found.map(Definition::sha256).collect() }),
        }
    }
}

/// Unix time, seconds.
fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
