//! Upstreams that are child processes, from outside: the real binary, and children that do what a good server
//! does, and what a bad one does.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

#[cfg(target_os = "linux")]
mod stdio {
    mod callers;
    mod confined;
    mod endings;
    mod hostile;
    mod stage;
}
