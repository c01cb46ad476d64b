//! The bare Pingora proxy with mimalloc, to tell apart what the allocator gives and what the forward
//! loop gives. Start it with `--no-work-stealing` for the runtime setting that goes with it.

use clap::Parser as _;
use narthex_bench::bare::{BareOptions, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    run(BareOptions::parse())
}
