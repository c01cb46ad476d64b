//! A bare Pingora proxy: `ProxyHttp` with only `upstream_peer`, everything else as the library has it.

use clap::Parser as _;
use narthex_bench::bare::{BareOptions, run};

fn main() {
    run(BareOptions::parse())
}
