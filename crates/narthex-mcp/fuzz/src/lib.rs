//! What the fuzz targets try. Each is a function of any bytes that panics where a promise is broken, so
//! that it serves libFuzzer (`fuzz_targets/`) as well as `tests/fuzz_smoke.rs`, which `cargo test` runs.
//!
//! To add a target: a module here and its line in [`TARGETS`], three lines in `fuzz_targets/`, a `[[bin]]` in
//! Cargo.toml, and inputs to begin with in `seeds/`. The smoke test says what was forgotten.

pub mod bridge;
pub mod envelope;
pub mod federation;
pub mod handle;
pub mod sse;

/// A target. Panics where a promise is broken.
pub type Target = fn(&[u8]);

/// Every target, by the name of its binary.
pub const TARGETS: [(&str, Target); 5] = [
    ("bridge", bridge::check),
    ("envelope", envelope::check),
    ("federation", federation::check),
    ("sse", sse::check),
    ("handle", handle::check),
];
