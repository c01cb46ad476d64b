//! Tokens that are of use only to their sender: DPoP (RFC 9449) and client certificates (RFC 8705), against the
//! real binary.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod bound {
    mod authority;
    mod certificates;
    mod challenges;
    mod hostile;
    mod nonces;
    mod proofs;
    mod replicas;
    mod stage;
}
