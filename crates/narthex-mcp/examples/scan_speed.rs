//! Prints how long one scan of a `tools/call` takes. Run with `--release`.

#![allow(clippy::print_stdout)]

use narthex_mcp::{ScanLimits, scan};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The best of many short runs, so that what else the machine does counts little.
const RUNS: u32 = 400;
const ROUNDS: u32 = 50;

fn main() {
    let limits = ScanLimits::default();
    for size in [1 << 10, 64 << 10] {
        for (shape, body) in [("one long string", long(size)), ("many members", members(size))] {
            let best = (0..RUNS).map(|_| run(body.as_bytes(), &limits)).min().unwrap_or_default();
            println!("{:>6} bytes, {shape}: {} ns", body.len(), best.as_nanos());
        }
    }
}

fn run(body: &[u8], limits: &ScanLimits) -> Duration {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        assert!(black_box(scan(black_box(body), limits)).is_ok());
    }
    start.elapsed() / ROUNDS
}

fn long(size: usize) -> String {
    call(&format!(r#"{{"text":"{}"}}"#, "x".repeat(size - 150)))
}

fn members(size: usize) -> String {
    let mut arguments = String::from("{");
    for n in 0.. {
        if arguments.len() + 150 > size {
            break;
        }
        arguments.push_str(&format!(r#""key{n}": {{"value": "some text", "n": {n}}}, "#));
    }
    call(&format!(r#"{}"last":[true,null]}}"#, arguments))
}

fn call(arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{{"name":"echo","arguments":{arguments},"_meta":{{"progressToken":1}}}}}}"#
    )
}
