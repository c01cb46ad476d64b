//! Notices when the configuration, or a file that it refers to, has other content than before.
//!
//! Files are not watched themselves but through their directories, since editors and Kubernetes put a
//! new file in the old one's place. Every event is only an occasion to look: what counts is whether the
//! content has changed. So a missed or a spurious event does no harm, and a slow poll catches what a
//! file system without notifications (NFS, some overlays) does not tell.

use crate::fingerprint;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Silence that ends a burst of events; editors and Kubernetes make several for one change.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Longest time that a burst may hold a look back.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// How often the files are looked at without any event.
const POLL: Duration = Duration::from_secs(10);

/// Bytes of a file that are compared: no less than those of the largest pins file that is read.
/// Certificates and key sets are far smaller.
const MAX_BYTES: u64 = 64 << 20;

/// Symbolic links followed from one file name, as Linux does.
const MAX_LINKS: usize = 40;

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    /// The thread ends when this is dropped and a message or the next poll wakes it.
    messages: Sender<Message>,
}

/// The operating system does not let us watch.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// No notifications are to be had (on Linux: `fs.inotify.max_user_instances`).
    #[error("cannot watch for file changes: {0}")]
    Notify(#[from] notify::Error),
    /// No thread is to be had.
    #[error("cannot start the thread that watches for file changes: {0}")]
    Thread(#[from] std::io::Error),
}

enum Message {
    /// Something has happened in a watched directory.
    Look,
    /// Another configuration is in use: its fingerprint, and the files that it refers to.
    Files(String, Vec<PathBuf>),
    Stop,
}

/// Calls `on_change` whenever the content of the configuration at `path` or of one of `files` is not what
/// it was, at most once for a burst of changes, on a thread of its own and within a second. Also if it
/// has changed already: `fingerprint` is that of the configuration in use ([`crate::Loaded`]).
///
/// # Errors
/// If the operating system gives no notifications or no thread.
pub fn watch(
    path: &Path,
    fingerprint: &str,
    files: &[PathBuf],
    on_change: impl Fn() + Send + 'static,
) -> Result<Watcher, WatchError> {
    let (messages, inbox) = channel();
    let events = messages.clone();
    let notifier = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error may mean that events were lost, which is a reason to look.
        if event.map_or(true, |event| is_change(&event.kind)) {
            _ = events.send(Message::Look);
        }
    })?;
    let mut state = State {
        config: path.to_owned(),
        seen: BTreeMap::new(),
        notifier,
        watched: BTreeSet::new(),
        on_change: Box::new(on_change),
    };
    state.use_files(fingerprint.to_owned(), files.to_vec());
    _ = messages.send(Message::Look);
    thread::Builder::new().name("config-watch".to_owned()).spawn(move || state.run(&inbox))?;
    Ok(Watcher { messages })
}

/// Reading a file makes events, too; to look because of them would never end.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(access) => *access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

// === impl Watcher ===

impl Watcher {
    /// Says that another configuration is in use now: its fingerprint, and the files that it refers to.
    pub fn set_files(&self, fingerprint: &str, files: &[PathBuf]) {
        _ = self.messages.send(Message::Files(fingerprint.to_owned(), files.to_vec()));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        _ = self.messages.send(Message::Stop);
    }
}

/// What the thread knows.
struct State {
    config: PathBuf,
    /// Content last seen of each file; `None` where it could not be read.
    seen: BTreeMap<PathBuf, Option<String>>,
    notifier: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    on_change: Box<dyn Fn() + Send>,
}

// === impl State ===

impl State {
    fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            match inbox.recv_timeout(POLL) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Files(fingerprint, files)) => self.use_files(fingerprint, files),
                Ok(Message::Look) if !self.settle(inbox) => return,
                Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => {}
            }
            if self.look() {
                (self.on_change)();
            }
        }
    }

    /// Waits for the end of a burst of events. False: stop.
    fn settle(&mut self, inbox: &Receiver<Message>) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < MAX_DELAY {
            match inbox.recv_timeout(DEBOUNCE) {
                Ok(Message::Look) => {}
                Ok(Message::Files(fingerprint, files)) => self.use_files(fingerprint, files),
                Err(RecvTimeoutError::Timeout) => return true,
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    fn use_files(&mut self, fingerprint: String, files: Vec<PathBuf>) {
        let mut before = std::mem::take(&mut self.seen);
        for file in files {
            let seen = before.remove(&file).unwrap_or_else(|| content(&file));
            self.seen.insert(file, seen);
        }
        // A configuration that came through a pipe cannot be read again, so it never changes.
        let seen = open(&self.config).map(|_| fingerprint);
        self.seen.insert(self.config.clone(), seen);
        self.watch_directories();
    }

    /// Whether any content has changed since the last look.
    fn look(&mut self) -> bool {
        self.watch_directories();
        let mut changed = false;
        for (path, seen) in &mut self.seen {
            let now = content(path);
            changed |= *seen != now;
            *seen = now;
        }
        changed
    }

    /// Watches the directories that matter now, which a swapped link may have changed.
    fn watch_directories(&mut self) {
        let wanted: BTreeSet<PathBuf> = self.seen.keys().flat_map(|path| directories(path)).collect();
        for gone in self.watched.difference(&wanted) {
            _ = self.notifier.unwatch(gone);
        }
        self.watched.retain(|path| wanted.contains(path));
        for dir in wanted {
            // A directory removed and made again under the same name needs a new watch; asking for one
            // that exists costs nothing.
            match self.notifier.watch(&dir, RecursiveMode::NonRecursive) {
                Ok(()) => _ = self.watched.insert(dir),
                Err(error) => {
                    tracing::warn!(path = %dir.display(), %error, "cannot watch directory, polling instead");
                }
            }
        }
    }
}

/// A regular file; anything else (a pipe) would block, or be used up by reading it.
fn open(path: &Path) -> Option<File> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    File::open(path).ok()
}

/// The fingerprint of a regular file.
fn content(path: &Path) -> Option<String> {
    fingerprint::read(open(path)?.take(MAX_BYTES)).ok()
}

/// The directories in which a change can change what `path` leads to: its own, and that of every link's
/// target on the way; for one that does not exist, the nearest above it that does.
fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::new();
    let mut open = vec![path.to_owned()];
    for _ in 0..MAX_LINKS {
        let Some(path) = open.pop() else { break };
        let parent = existing(path.parent().unwrap_or_else(|| Path::new("")));
        if let Ok(target) = fs::read_link(&path) {
            open.push(parent.join(target));
        }
        if parent.is_symlink() {
            open.push(parent.clone());
        }
        directories.extend(parent.canonicalize());
    }
    directories
}

fn existing(dir: &Path) -> PathBuf {
    let found = dir.ancestors().find(|dir| dir.is_dir());
    found.filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests;
