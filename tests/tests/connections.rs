//! Users who connect upstreams with their own consent, from outside: the real binary, a browser without scripts,
//! an MCP client, and an upstream with an authorization server of its own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod connections {
    mod ask;
    mod attacks;
    mod flow;
    mod stage;
}
