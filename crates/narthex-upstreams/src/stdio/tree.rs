//! What a process has started, and what that has started, as the kernel shows it in `/proc`.

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::collections::HashMap;

/// One process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry {
    parent: u32,
    group: u32,
    /// Resident pages.
    pages: u64,
    /// It has ended, but nobody has asked how.
    zombie: bool,
}

/// All processes of one moment.
#[derive(Debug, Default)]
pub(super) struct Table(HashMap<u32, Entry>);

impl Table {
    /// The processes of now. Empty where there is no `/proc`.
    pub(super) fn read() -> Self {
        let Ok(all) = std::fs::read_dir("/proc") else { return Self::default() };
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let read = |pid| Some((pid, parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?));
        Self(pids.filter_map(read).collect())
    }

    /// Those that `root` has started, and those, without itself; and those of the process group that it leads.
    pub(super) fn below(&self, root: u32) -> Vec<u32> {
        let is_below = |pid: u32| {
            let mut at = pid;
            // A table that is not of one moment may have a circle in it.
            for _ in 0..self.0.len() {
                match self.0.get(&at) {
                    Some(entry) if entry.parent == root || entry.group == root => return true,
                    Some(entry) => at = entry.parent,
                    None => return false,
                }
            }
            false
        };
        self.0.keys().copied().filter(|pid| *pid != root && is_below(*pid)).collect()
    }

    /// Those of [`Table::below`] that have not ended.
    pub(super) fn alive(&self, root: u32) -> Vec<u32> {
        let mut below = self.below(root);
        below.retain(|pid| self.0.get(pid).is_some_and(|entry| !entry.zombie));
        below
    }

    /// Resident bytes of all below `root`, and of itself if that is wanted. What several share counts for
    /// each.
    pub(super) fn resident(&self, root: u32, with_root: bool) -> u64 {
        let mut pids = self.below(root);
        pids.extend(with_root.then_some(root));
        let pages: u64 = pids.iter().filter_map(|pid| self.0.get(pid)).map(|entry| entry.pages).sum();
        pages.saturating_mul(page_size())
    }
}

/// Kills what is below `root` now. How many there were.
pub(super) fn kill_below(root: u32) -> usize {
    let alive = Table::read().alive(root);
    for pid in alive.iter().filter_map(|pid| pid_of(*pid)) {
        // One that is gone already is what was wanted.
        let _ = kill(pid, Signal::SIGKILL);
    }
    alive.len()
}

/// Sends `signal` to the process group that `leader` leads.
pub(super) fn signal_group(leader: u32, signal: Signal) {
    if let Some(leader) = pid_of(leader) {
        let _ = killpg(leader, signal);
    }
}

/// Never 0 or negative, which would mean others, nor that of `init`.
fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().filter(|pid| *pid > 1).map(Pid::from_raw)
}

fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok().flatten().and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

/// `/proc/<pid>/stat` (proc(5)). The second field is a name that may hold anything, in parentheses.
fn parse(stat: &str) -> Option<Entry> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Entry {
        zombie: matches!(*fields.first()?, "Z" | "X"),
        parent: u32::try_from(number(1)?).ok()?,
        group: u32::try_from(number(2)?).ok()?,
        pages: number(21)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(u32, u32, u32, u64)]) -> Table {
        let entry = |(pid, parent, group, pages): &(u32, u32, u32, u64)| {
            (*pid, Entry { parent: *parent, group: *group, pages: *pages, zombie: false })
        };
        Table(entries.iter().map(entry).collect())
    }

    fn sorted(mut pids: Vec<u32>) -> Vec<u32> {
        pids.sort_unstable();
        pids
    }

    #[test]
    fn children_their_children_and_the_group_are_below() {
        let all = table(&[
            (1, 0, 1, 1),
            (10, 1, 10, 10),
            (11, 10, 11, 20),
            (12, 11, 12, 30),
            // Its parent is gone; the group is still known.
            (13, 1, 10, 40),
            (20, 1, 20, 99),
        ]);
        assert_eq!(sorted(all.below(10)), [11, 12, 13]);
        assert_eq!(sorted(all.below(12)), [0_u32; 0]);
        assert_eq!(all.resident(10, true), 100 * page_size());
        assert_eq!(all.resident(10, false), 90 * page_size());
    }

    #[test]
    fn a_circle_ends() {
        let all = table(&[(5, 6, 5, 0), (6, 5, 6, 0)]);
        assert!(all.below(10).is_empty());
    }

    #[test]
    fn a_name_cannot_pretend_to_be_other_fields() {
        let stat = "42 (a) S 1 (b c) R 7 8 9 0 -1 4194304 97 0 0 0 0 0 0 0 20 0 1 0 131140 3133440 382 1 1";
        let expected = Entry { parent: 7, group: 8, pages: 382, zombie: false };
        assert_eq!(parse(stat), Some(expected));
        for bad in ["", "1 (x", "1 (x) S", "1 (x) S a b"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn nobody_signals_everybody() {
        assert!(pid_of(0).is_none() && pid_of(1).is_none() && pid_of(u32::MAX).is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_in_the_table_with_its_memory() {
        let table = Table::read();
        assert!(table.resident(std::process::id(), true) > 100_000);
    }
}
