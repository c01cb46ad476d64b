use super::*;
use Standing::{Quarantined as Hidden, Trusted};
use Why::{Changed, Duplicate, New, Suspicious, Unpinned};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

mod concurrency;
mod files;
mod hostile;
mod life;

/// A directory with a pins file and a state directory, and what is opened on them.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("narthex.pins.json")
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn open(&self) -> Pins {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Pins, PinsError> {
        Pins::open(&self.file(), &self.state())
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

const HOUR: u64 = 3600;

fn definition(name: &str, description: &str) -> Definition {
    Definition::of(&format!(r#"{{"name":"{name}","description":"{description}"}}"#)).unwrap()
}

fn tool(name: &str, description: &str) -> Candidate {
    Candidate { definition: definition(name, description), suspicion: None }
}

fn suspicious(name: &str, description: &str) -> Candidate {
    Candidate { suspicion: Some("hidden characters".to_owned()), ..tool(name, description) }
}

/// The standings in a whole catalogue of upstream `up`.
fn judge(pins: &Pins, mode: Mode, tools: &[Candidate]) -> Vec<Standing> {
    pins.judge("up", mode, true, tools, at(0))
}

/// What waits, as tool, reason and hash.
fn waiting(pins: &Pins) -> Vec<(String, Why, String)> {
    pins.quarantined().into_iter().map(|q| (q.tool, q.why, q.found.sha256())).collect()
}

fn approve(pins: &Pins, of: &Candidate) -> Result<(), ApproveError> {
    pins.approve("up", &of.definition.name, &of.definition.sha256(), at(1))
}
