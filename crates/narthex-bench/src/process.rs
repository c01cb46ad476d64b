//! Processes that this one starts, what they use, and where they run.

use crate::Error;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::ClockId;
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Which CPU the proxy under test has, and which the upstream and the load generator share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placement {
    /// The proxy's.
    pub proxy: usize,
    /// The others'.
    pub load: usize,
}

impl Placement {
    /// The first two CPUs that this process may use. `None` when there is only one: then nothing is
    /// pinned and figures are of little worth.
    #[must_use]
    pub fn find() -> Option<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).ok()?;
        let mut cpus = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
        Some(Self { proxy: cpus.next()?, load: cpus.next()? })
    }
}

/// Keeps the calling thread, and those it will start, on one CPU.
///
/// # Errors
/// When the kernel refuses.
pub fn pin(cpu: usize) -> Result<(), Error> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|errno| Error::Io(format!("pinning to CPU {cpu}"), errno.into()))
}

/// A running child. Dropping it kills it, and only it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
}

impl Process {
    /// Starts `program` on `cpu` by way of `launcher` (the `bench-exec` program). Its output goes to
    /// `output` and its errors to `errors`.
    ///
    /// # Errors
    /// When a file cannot be opened or the launcher not be started.
    pub fn start(
        launcher: &Path,
        cpu: Option<usize>,
        program: &Path,
        arguments: &[&str],
        output: &Path,
        errors: &Path,
    ) -> Result<Self, Error> {
        let name = program.display().to_string();
        let open =
            |path: &Path| fs::File::create(path).map_err(Error::io(format!("opening {}", path.display())));
        let mut command = Command::new(launcher);
        if let Some(cpu) = cpu {
            command.args(["--cpu", &cpu.to_string()]);
        }
        let child = command
            .arg("--")
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(open(output)?)
            .stderr(open(errors)?)
            .spawn()
            .map_err(Error::io(format!("starting {name} with {}", launcher.display())))?;
        let pid = i32::try_from(child.id()).map(Pid::from_raw).map_err(|_| Error::Start(name.clone()))?;
        Ok(Self { name, child, pid })
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// [`Error::Start`] with how it ended.
    pub fn expect_running(&mut self) -> Result<(), Error> {
        match self.child.try_wait().map_err(Error::io("waiting for a child"))? {
            None => Ok(()),
            Some(status) => Err(Error::Start(format!("{} ended: {status}", self.name))),
        }
    }

    /// CPU time of all its threads so far, user and system, to the nanosecond.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu_time(&self) -> Result<Duration, Error> {
        let time = ClockId::pid_cpu_clock_id(self.pid)
            .and_then(ClockId::now)
            .map_err(|errno| Error::Io(format!("reading the CPU clock of {}", self.name), errno.into()))?;
        Ok(time.into())
    }

    /// Resident memory, bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident(&self) -> Result<u64, Error> {
        self.status("VmRSS:")
    }

    /// The most resident memory since [`Self::reset_peak`], bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn peak(&self) -> Result<u64, Error> {
        self.status("VmHWM:")
    }

    /// Starts the peak anew (`proc_pid_clear_refs(5)`). A kernel that refuses leaves the peak since
    /// the process started, which is still an upper bound.
    pub fn reset_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid), "5");
    }

    fn status(&self, field: &str) -> Result<u64, Error> {
        let path = format!("/proc/{}/status", self.pid);
        let text = fs::read_to_string(&path).map_err(Error::io(format!("reading {path}")))?;
        field_of(&text, field).ok_or_else(|| Error::Start(format!("{path} has no {field}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of a `kB` field of `/proc/PID/status`, in bytes.
fn field_of(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_fields_are_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t   13544 kB\nVmRSS:\t      10 kB\nThreads:\t1\n";
        assert_eq!(field_of(status, "VmHWM:"), Some(13544 * 1024));
        assert_eq!(field_of(status, "VmRSS:"), Some(10 * 1024));
        assert_eq!(field_of(status, "VmSwap:"), None);
        assert_eq!(field_of(status, "Threads:"), None);
    }

    #[test]
    fn a_child_is_measured_while_it_runs_and_gone_afterwards() {
        let null = Path::new("/dev/null");
        // `env` stands in for the launcher: it, too, becomes the program after `--`.
        let env = Path::new("/usr/bin/env");
        let mut child = Process::start(env, None, Path::new("sleep"), &["60"], null, null).unwrap();
        child.expect_running().unwrap();
        assert!(child.resident().unwrap() <= child.peak().unwrap());
        child.cpu_time().unwrap();
        let pid = child.pid;
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
