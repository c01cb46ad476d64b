//! Clients of 2025-03-26 to 2025-11-25 in front of a server of 2026-07-28 only: the real binary between
//! them, and an upstream that keeps every byte it was sent.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod legacy_to_modern {
    mod batches;
    mod canary;
    mod client;
    mod eras;
    mod errors;
    mod events;
    mod hostile;
    mod many_sessions;
    mod opening;
    mod questions;
    mod requests;
    mod results;
    mod schemas;
    mod stage;
    mod standalone;
    mod subscriptions;
    mod utilities;
}
