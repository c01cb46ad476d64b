//! Pins and content inspection, from outside: the real binary between clients and upstreams of both eras.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

#[path = "../../crates/narthex-inspect/tests/hostile/data.rs"]
mod data;
#[path = "../../crates/narthex-inspect/tests/hostile/definitions.rs"]
mod definitions;

mod guard {
    mod approving;
    mod arguments;
    mod client;
    mod defaults;
    mod hostile;
    mod instructions;
    mod intact;
    mod pinned;
    mod pins_files;
    mod results;
    mod server;
    mod speech;
    mod stage;
    mod trust;
}
