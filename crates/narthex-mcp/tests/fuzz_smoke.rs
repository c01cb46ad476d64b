//! The fuzz targets on their seeds and on some ten thousand inputs made from them: the same in every run,
//! and in seconds. What libFuzzer does with `fuzz/` goes on from there; see CONTRIBUTING.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is tests")]

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is also a crate of its own")]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use targets::{TARGETS, Target};

/// Inputs for each target, beside its seeds.
const INPUTS: usize = 40_000;

/// Longest input made, in bytes.
const LONGEST: usize = 4096;

/// What tends to be where parsers differ.
const TOKENS: [&[u8]; 38] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\0",
    b" ",
    b"\t",
    b"-0",
    b"1e999",
    b"1.0",
    b"null",
    b"true",
    b"\\u0000",
    b"\\ud800",
    b"\\u006d",
    b"\xEF\xBB\xBF",
    b"\xC0\x80",
    b"\xED\xA0\x80",
    b"\xF4\x90\x80\x80",
    b"data: ",
    b"id: ",
    b"event: ",
    b"retry: 10",
    b"\"id\":1,",
    b"\"method\":\"tools/call\",",
    b"\"_meta\":{},",
    b"\"jsonrpc\":\"2.0\",",
    b"\"name\":\"x\",",
    b"=",
    b"A",
];

/// xorshift64*: for tests, good enough and the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap_or(0) % bound.max(1)
    }

    fn one_of<'a, T: ?Sized>(&mut self, from: &'a [impl AsRef<T>]) -> &'a T {
        from[self.below(from.len())].as_ref()
    }

    /// Where a part of `bytes` starts and ends, at most `longest` long; often one between two delimiters,
    /// so that what is made of it has a form.
    fn part(&mut self, bytes: &[u8], longest: usize) -> (usize, usize) {
        let start = self.below(bytes.len() + 1);
        let end = start + self.below((bytes.len() - start).min(longest) + 1);
        if self.below(4) == 0 {
            (start, end)
        } else {
            (next_delimiter(bytes, start), next_delimiter(bytes, end))
        }
    }

    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let (start, end) = self.part(input, 64);
        match self.below(9) {
            0 if start < input.len() => input[start] ^= 1 << self.below(8),
            1 if start < input.len() => input[start] = u8::try_from(self.below(256)).unwrap_or(0),
            2 => drop(input.drain(start..end)),
            3 => input.truncate(start),
            4 => {
                let part = input[start..end].to_vec();
                let at = self.below(input.len() + 1);
                drop(input.splice(at..at, part));
            }
            5 => {
                let other: &[u8] = self.one_of(seeds);
                let (from, to) = self.part(other, 256);
                drop(input.splice(start..end, other[from..to].iter().copied()));
            }
            _ => {
                let token: &[u8] = self.one_of(&TOKENS);
                let end = if self.below(2) == 0 { start } else { end };
                drop(input.splice(start..end, token.iter().copied()));
            }
        }
        input.truncate(LONGEST);
    }
}

/// Where the next delimiter of JSON or of a stream's lines is, or the end.
fn next_delimiter(bytes: &[u8], from: usize) -> usize {
    let is_delimiter = |byte: &u8| b"{}[]:,\"\r\n".contains(byte);
    bytes[from..].iter().position(is_delimiter).map_or(bytes.len(), |at| from + at)
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(home().join("seeds").join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Tries the target and, if a promise is broken, says by which input.
fn attempt(name: &str, target: Target, input: &[u8]) {
    if catch_unwind(|| target(input)).is_err() {
        panic!("{name} broke a promise on b\"{}\"", input.escape_ascii());
    }
}

#[test]
fn no_seed_and_nothing_made_from_one_breaks_a_promise() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        let mut chance = Chance(0x6e61_7274_6865_7801);
        for input in &seeds {
            attempt(name, target, input);
        }
        for _ in 0..INPUTS {
            let seed: &[u8] = chance.one_of(&seeds);
            let mut input = seed.to_vec();
            for _ in 0..=chance.below(3) * chance.below(3) {
                chance.mutate(&mut input, &seeds);
            }
            attempt(name, target, &input);
        }
    }
}

#[test]
fn every_target_has_a_binary_and_seeds() {
    let manifest = fs::read_to_string(home().join("Cargo.toml")).unwrap();
    let mut sources: Vec<_> = fs::read_dir(home().join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    sources.sort();
    let mut names = TARGETS.map(|(name, _)| name);
    names.sort_unstable();
    assert_eq!(sources, names, "in fuzz_targets/ and in TARGETS");
    for name in names {
        let binary = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&binary), "{name} is no [[bin]] of fuzz/Cargo.toml");
        assert!(seeds(name).len() > 1, "{name} has no seeds");
    }
}
