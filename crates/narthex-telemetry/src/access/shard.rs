//! Lines that some of the threads have added and nobody has written yet.

use super::record::AccessRecord;
use super::time::Stamp;
use parking_lot::Mutex;

/// Room that an emptied buffer keeps.
const KEEP: usize = 256 * 1024;

/// Room made for a line at once; a usual one needs less.
const ROOM: usize = 1024;

/// One buffer of lines. On a cache line of its own, so that threads do not disturb each other.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Shard(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    spare: Vec<u8>,
    stamp: Stamp,
}

impl Shard {
    /// Adds a line and says how many bytes there were before and are now.
    pub(super) fn push(&self, record: &AccessRecord<'_>) -> (usize, usize) {
        let mut lines = self.0.lock();
        let Lines { buffer, stamp, .. } = &mut *lines;
        let before = buffer.len();
        buffer.reserve(ROOM);
        record.write_line(buffer, stamp);
        (before, buffer.len())
    }

    /// Takes all lines out.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut lines = self.0.lock();
        let spare = std::mem::take(&mut lines.spare);
        std::mem::replace(&mut lines.buffer, spare)
    }

    /// Gives the memory of lines that have been written back for use.
    pub(super) fn give_back(&self, mut lines: Vec<u8>) {
        lines.clear();
        lines.shrink_to(KEEP);
        self.0.lock().spare = lines;
    }
}

#[cfg(test)]
impl Shard {
    pub(super) fn gathered(&self) -> usize {
        self.0.lock().buffer.len()
    }
}
