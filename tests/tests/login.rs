//! How users log in at the gateway's own authorization server, and the pages that they see, against the real
//! binary.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod login {
    mod flow;
    mod guards;
    mod hostile;
    mod id_tokens;
    mod stage;
}
