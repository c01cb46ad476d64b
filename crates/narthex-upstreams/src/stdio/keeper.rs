//! The process that stands between the gateway and a child, and keeps it.
//!
//! `narthex stdio-exec` is run twice for each child. The first, the *keeper*, holds on to the child and to
//! all that the child starts, however it tries to get away (`PR_SET_CHILD_SUBREAPER`). It sees the gateway
//! close the child's input, or die, which looks the same, and then ends them all: after a wait, by SIGTERM,
//! after another by SIGKILL. The second, within, sets the limits of itself, and becomes the child.

use super::spawn::SUBCOMMAND;
use super::tree;
use super::watch::{BEFORE_KILL, BEFORE_TERM};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{close, dup2_stdout, getpid, getppid};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What a shell says of a program that it cannot start.
const CANNOT_START: u8 = 127;
/// What the kernel is told to kill first when memory runs out, 0 to 1000 (proc(5), `oom_score_adj`).
const OOM_SCORE: &str = "500";
/// How often, at most, and how long between, what is left of a child is looked for.
const SWEEPS: (u32, Duration) = (200, Duration::from_millis(10));

/// What the child is, and its limits.
#[derive(Clone, Debug)]
pub struct Kept {
    /// `RLIMIT_NOFILE`
    pub files: u64,
    /// `RLIMIT_CPU`, seconds.
    pub cpu: Option<u64>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// Runs the child and waits for its end; returns how it ended, as shells tell it.
#[must_use]
pub fn keep(kept: &Kept) -> ExitCode {
    // Whoever stops the gateway may signal the keeper with it. It ends when its child does.
    let _ = SigSet::all().thread_block();
    close_inherited();
    let _ = prctl::set_child_subreaper(true);
    match start(kept) {
        Ok(child) => ExitCode::from(Watching::new(child).run()),
        Err(error) => complain("its keeper", &error),
    }
}

/// Sets the limits, and becomes the child. Returns only if it cannot. `keeper` is the process that this one
/// must not outlive.
#[must_use]
pub fn enter(kept: &Kept, keeper: i32) -> ExitCode {
    // The keeper's own mask is inherited, and would be on.
    let _ = SigSet::empty().thread_set_mask();
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    if getppid().as_raw() != keeper {
        return ExitCode::from(CANNOT_START);
    }
    // The kernel takes another value of one's own only if it is higher, which it is.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let limited = limit(kept).and_then(|()| prctl::set_no_new_privs());
    if let Err(errno) = limited {
        return complain("limits", &errno.into());
    }
    let Some((program, arguments)) = kept.command.split_first() else {
        return ExitCode::from(CANNOT_START);
    };
    let error = Command::new(program).args(arguments).exec();
    complain(&program.to_string_lossy(), &error)
}

/// The gateway hears it as the child's standard error.
fn complain(what: &str, error: &io::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "narthex: cannot start {what}: {error}");
    ExitCode::from(CANNOT_START)
}

fn limit(kept: &Kept) -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let files = kept.files.min(most);
    setrlimit(Resource::RLIMIT_NOFILE, files, files)?;
    // Its memory may hold secrets.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    if let Some(cpu) = kept.cpu {
        // At the first it gets SIGXCPU, which tells what has ended it; at the second, SIGKILL.
        setrlimit(Resource::RLIMIT_CPU, cpu, cpu + 1)?;
    }
    Ok(())
}

/// Closes what a gateway that took its sockets over from another may have handed down.
fn close_inherited() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // The listing's own is closed already.
        let _ = close(fd);
    }
}

fn start(kept: &Kept) -> io::Result<i32> {
    let mut command = Command::new("/proc/self/exe");
    command.args([SUBCOMMAND, "--within", &getpid().to_string(), "--files", &kept.files.to_string()]);
    if let Some(cpu) = kept.cpu {
        command.args(["--cpu", &cpu.to_string()]);
    }
    command.arg("--").args(&kept.command).process_group(0);
    let child = command.spawn()?;
    // Its end is to be seen by the end of its output, so nobody else may hold that.
    dup2_stdout(std::fs::File::open("/dev/null")?)?;
    Ok(i32::try_from(child.id()).unwrap_or_default())
}

enum Event {
    /// A process has ended.
    Ended(i32, u8),
    /// The child's input is closed.
    Closed,
}

/// What the keeper does while the child lives.
struct Watching {
    child: i32,
    events: Receiver<Event>,
    /// When something has to be done, and what.
    next: Option<(Instant, Signal)>,
}

impl Watching {
    fn new(child: i32) -> Self {
        let (sender, events) = channel();
        let other = sender.clone();
        thread::spawn(move || reap(&sender));
        thread::spawn(move || watch_input(&other));
        Self { child, events, next: None }
    }

    fn run(mut self) -> u8 {
        loop {
            let event = match self.next {
                None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some((at, _)) => self.events.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match event {
                Ok(Event::Ended(pid, code)) if pid == self.child => {
                    sweep();
                    return code;
                }
                Ok(Event::Ended(..)) => {}
                Ok(Event::Closed) => self.next = Some((Instant::now() + BEFORE_TERM, Signal::SIGTERM)),
                Err(RecvTimeoutError::Timeout) => self.insist(),
                Err(RecvTimeoutError::Disconnected) => return CANNOT_START,
            }
        }
    }

    fn insist(&mut self) {
        let leader = u32::try_from(self.child).unwrap_or_default();
        match self.next.take() {
            Some((_, Signal::SIGTERM)) => {
                tree::signal_group(leader, Signal::SIGTERM);
                self.next = Some((Instant::now() + BEFORE_KILL, Signal::SIGKILL));
            }
            Some(_) => {
                tree::signal_group(leader, Signal::SIGKILL);
                sweep();
                self.next = Some((Instant::now() + SWEEPS.1, Signal::SIGKILL));
            }
            None => {}
        }
    }
}

/// Kills all that is left.
fn sweep() {
    for _ in 0..SWEEPS.0 {
        if tree::kill_below(std::process::id()) == 0 {
            return;
        }
        thread::sleep(SWEEPS.1);
    }
}

/// Waits for every process that ends below, so that none stays as a zombie.
fn reap(events: &Sender<Event>) {
    loop {
        let event = match wait() {
            Ok(WaitStatus::Exited(pid, code)) => {
                Event::Ended(pid.as_raw(), u8::try_from(code).unwrap_or(u8::MAX))
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                Event::Ended(pid.as_raw(), 128 + u8::try_from(signal as i32).unwrap_or_default())
            }
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) => return,
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

/// Waits until nobody holds the other end of the child's input.
fn watch_input(events: &Sender<Event>) {
    let input = io::stdin();
    loop {
        // No events are asked for: what is left is POLLHUP and POLLERR.
        let mut watched = [PollFd::new(input.as_fd(), PollFlags::empty())];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
    let _ = events.send(Event::Closed);
}
