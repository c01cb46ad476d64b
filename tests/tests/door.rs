//! The door, from outside: the real binary between hostile clients and an upstream that keeps every
//! byte it was sent.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod door {
    mod bodies;
    mod browsers;
    mod canary;
    mod framing;
    mod mirrors;
    mod policy;
    mod secrets;
    mod sessions;
    mod slow;
    mod stage;
    mod states;
    mod tokens;
}
