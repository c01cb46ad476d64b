//! What inspection costs. Run with optimisation:
//! `cargo test --release -p narthex-inspect --test bench -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is tests")]

use narthex_inspect::{Action, Inspector, Settings};
use serde_json::json;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Nanoseconds for each KiB of `json`.
fn cost(json: &str, mut inspect: impl FnMut(&str)) -> f64 {
    let begin = Instant::now();
    let mut rounds = 0;
    while begin.elapsed() < Duration::from_millis(300) {
        inspect(black_box(json));
        rounds += 1;
    }
    begin.elapsed().as_nanos() as f64 / f64::from(rounds) / (json.len() as f64 / 1024.0)
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
