//! What upstreams are presented with that is made for the caller, for the request, or for the connection: the
//! real binary between token endpoints and upstreams that look at it closely.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod exchange {
    mod asserted;
    mod certificates;
    mod exchanged;
    mod replicas;
    mod signed;
    mod sigv4;
    mod stage;
}
