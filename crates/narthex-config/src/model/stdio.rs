//! Upstreams that are child processes (MCP 2025-11-25, basic/transports#stdio).

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// `command:` and what goes with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stdio {
    /// The program, looked up in `PATH` if it has no slash.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// `cwd:` its working directory. `None`: that of the gateway.
    pub cwd: Option<PathBuf>,
    /// `env:` its environment besides the credential; it inherits nothing but `PATH` and `HOME`.
    pub env: BTreeMap<String, String>,
    /// `instances:` who shares a process.
    pub instances: Instances,
    /// `limits:` what a process may use.
    pub limits: ProcessLimits,
    /// `restart:` waits before a process that ended is started again.
    pub restart: Restart,
}

/// Who shares a child process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Instances {
    /// `shared`: one for all callers. It is asked nothing on behalf of one that another could see, and can
    /// ask no caller anything.
    #[default]
    Shared,
    /// `per_caller`: one for each caller.
    PerCaller,
}

/// What one child process, with its own children, may use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessLimits {
    /// `memory:` resident bytes of the whole process group; over it, it is killed. Default 1 GiB.
    pub memory: u64,
    /// `cpu:` CPU time; over it, it is killed by the kernel (RLIMIT_CPU). Default: none.
    pub cpu: Option<Duration>,
    /// `files:` open files (RLIMIT_NOFILE). Default 1024.
    pub files: NonZeroU32,
    /// `message:` largest message that it may send, bytes. Default 16 MiB.
    pub message: usize,
}

/// How a child process that ended is started again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restart {
    /// `min:` the first wait. Default 500 ms.
    pub min: Duration,
    /// `max:` the longest wait; each is twice the one before. Default 30 s.
    pub max: Duration,
}
