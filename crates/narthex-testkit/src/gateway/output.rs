//! What a process writes.

use parking_lot::Mutex;
use std::io::Read;
use std::process::Child;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Standard output and error of a process, as they grow.
pub(super) struct Output {
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Output {
    /// Reads both of `child`, so that it never waits for a reader.
    pub(super) fn capture(child: &mut Child) -> Self {
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let out = child.stdout.take().map(|pipe| read(pipe, &stdout));
        let err = child.stderr.take().map(|pipe| read(pipe, &stderr));
        Self { stdout, stderr, readers: out.into_iter().chain(err).collect() }
    }

    /// Waits until both have ended, which they have soon after their process.
    pub(super) fn finish(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }

    pub(super) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.lock()).into_owned()
    }

    pub(super) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock()).into_owned()
    }

    pub(super) fn text(&self) -> String {
        format!("{}{}", self.stdout(), self.stderr())
    }
}

fn read(mut pipe: impl Read + Send + 'static, into: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut block = [0; 8192];
        while let Ok(read @ 1..) = pipe.read(&mut block) {
            into.lock().extend_from_slice(&block[..read]);
        }
    })
}
