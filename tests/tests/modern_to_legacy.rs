//! Clients of 2026-07-28 before a server of the revisions with sessions, from outside: the real binary, and
//! a server whose every word the test decides.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod modern_to_legacy {
    mod asks;
    mod bounds;
    mod canary;
    mod foreign_states;
    mod leaving;
    mod listen;
    mod lists;
    mod replicas;
    mod sessions;
    mod stage;
    mod streams;
    mod troubles;
    mod urls;
}
