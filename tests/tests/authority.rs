//! The gateway's own authorization server, from outside: the real binary, a browser without scripts, an
//! upstream behind it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod authority {
    mod attacks;
    mod canary;
    mod clients;
    mod flow;
    mod restart;
    mod speed;
    mod stage;
}
