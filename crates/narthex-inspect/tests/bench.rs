//! What inspection costs. Run with optimisation:
//! `cargo test --release -p narthex-inspect --test bench -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is tests")]

use narthex_inspect::{Action, Inspector, Settings};
use serde_json::json;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Nanoseconds of CPU time for each KiB of `json`.
fn cost(json: &str, mut inspect: impl FnMut(&str)) -> f64 {
    let (begin, used) = (Instant::now(), cpu_time());
    let mut rounds = 0;
    while begin.elapsed() < Duration::from_millis(300) {
        inspect(black_box(json));
        rounds += 1;
    }
    (cpu_time() - used) as f64 / f64::from(rounds) / (json.len() as f64 / 1024.0)
}

/// Nanoseconds that this thread has had of a CPU, on Linux.
fn cpu_time() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "it prints numbers and tests nothing"]
fn nanoseconds_per_kib() {
    let all = Settings { personal: Action::Redact, secrets: Action::Redact, ..Settings::default() };
    let none = Settings { hidden_text: Action::Off, secrets: Action::Off, ..Settings::default() };
    let inspectors = [Settings::default(), all, none].map(|settings| Inspector::new(&settings).unwrap());
    let rows: Vec<_> = (0..20)
        .map(|n| json!({"id": n, "name": format!("row {n}"), "open": true, "labels": ["a", "b"]}))
        .collect();
    let prose = "The quick brown fox jumps over the lazy dog, and the other way round. ".repeat(14);
    let source = "fn main() {\n    let name = \"x\";\n    println!(\"{name}\\n\");\n}\n".repeat(1000);
    let texts = [
        ("rows of 1 KiB", json!({"rows": rows}).to_string()),
        ("prose of 1 KiB", json!({"content": [{"type": "text", "text": prose}]}).to_string()),
        ("source of 60 KiB", json!({"content": [{"type": "text", "text": source}]}).to_string()),
        ("Chinese of 60 KiB", json!({"text": "敏捷的棕色狐狸跳过了懒狗。".repeat(1500)}).to_string()),
        (
            "links of 60 KiB",
            json!({"text": "see https://example.com/a/b?c=d for task-1 ".repeat(1400)}).to_string(),
        ),
        (
            "hidden text of 60 KiB",
            json!({"text": "zero\u{200B}width and \u{1B}[1mbold\u{1B}[0m ".repeat(1800)}).to_string(),
        ),
        (
            "base64 of 1 MiB",
            json!({"data": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo".repeat(30_000)}).to_string(),
        ),
    ];
    println!("{:24}{:>10}{:>10}{:>10}{:>12}", "ns/KiB", "default", "all", "none", "definition");
    for (name, json) in &texts {
        let [default, all, none] = inspectors.each_ref().map(|inspector| {
            cost(json, |json| {
                black_box(inspector.result(json));
            })
        });
        let definition = cost(json, |json| {
            black_box(inspectors[0].definition(json));
        });
        println!("{name:24}{default:>10.0}{all:>10.0}{none:>10.0}{definition:>12.0}");
    }
}

#[test]
#[ignore = "it prints numbers and tests nothing"]
fn nanoseconds_per_kib_at_worst() {
    let all = Settings { personal: Action::Redact, secrets: Action::Redact, ..Settings::default() };
    let inspector = Inspector::new(&all).unwrap();
    let words = "always must first before when read send include pass all your the user without never do not tell mention \
        override ignore previous system file .ssh mcp.json _history conversation api key token to https:// via bcc tool \
        called is sent show pretend already reveal instructions permission secret content";
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut seed = 1_u64;
    let mut word = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        words[(seed >> 33) as usize % words.len()]
    };
    let mixed: Vec<&str> = (0..8000).map(|_| word()).collect();
    let texts = [
        ("words that matter", mixed.join(" ")),
        (
            "excused again and again",
            format!("{} never {}", "x ".repeat(9000), "without the user's knowledge ".repeat(1500)),
        ),
        ("keys without an end", "-----BEGIN PRIVATE KEY----- eyJaaaaaaaaaaaaa.".repeat(1300)),
        ("addresses without an end", "a@a.a@".repeat(10_000)),
        ("URLs without an end", "x://a:b".repeat(9000)),
        ("introducers", "\u{9d}a".repeat(20_000)),
        ("tags", "\u{E0041}".repeat(15_000)),
        ("digits", "4 1-1 ".repeat(10_000)),
        ("ligatures", "\u{FDFA}".repeat(20_000)),
    ];
    for (name, text) in &texts {
        let json = json!({"description": text}).to_string();
        let result = cost(&json, |json| {
            black_box(inspector.result(json));
        });
        let definition = cost(&json, |json| {
            black_box(inspector.definition(json));
        });
        println!("{name:24}{result:>10.0}{definition:>12.0}");
    }
}
