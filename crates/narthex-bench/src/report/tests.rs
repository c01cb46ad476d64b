use super::*;
use crate::process::Placement;
use crate::workload::Workload;
use clap::Parser as _;

fn round(cpu: u64, rate: f64) -> Round {
    Round {
        calls: 100,
        rate,
        cpu: Some(Duration::from_micros(cpu)),
        busy: Some(0.9),
        peak: Some(5 << 20),
        p50: Duration::from_micros(500),
        p99: Duration::from_millis(2),
    }
}

fn results() -> Results {
    let row = |contender, rounds: &[u64]| Row {
        contender,
        rounds: Ok(rounds.iter().map(|cpu| round(*cpu, 1000.0)).collect()),
    };
    let failed = Row { contender: Contender::Narthex, rounds: Err("status 404".to_owned()) };
    Results {
        load_average: "0.00 0.00 0.00 1/99 1".to_owned(),
        placement: Some(Placement { proxy: 0, load: 1 }),
        workloads: vec![
            (
                Workload::Call,
                vec![row(Contender::Bare, &[20, 25, 30]), row(Contender::Narthex, &[18, 20, 27])],
            ),
            (Workload::Modern, vec![row(Contender::Bare, &[20]), failed]),
        ],
        compared: vec![[
            (Workload::ToLegacy, row(Contender::Narthex, &[60, 90, 80])),
            (Workload::Modern, row(Contender::Narthex, &[20, 30, 40])),
        ]],
        paced: vec![row(Contender::Direct, &[])],
        memory: vec![(Contender::Bare, Ok(Memory { idle: 5 << 20, loaded: 15 << 20, streams: 100 }))],
    }
}

#[test]
fn the_ratio_is_of_medians_with_the_rounds_own_ends() {
    let text = markdown(&results(), &Options::parse_from(["bench"]));
    assert!(text.contains("| 1 KiB call, JSON | 20.0 | 25.0 | **0.80** (0.80–0.90) |"), "{text}");
}

#[test]
fn a_contender_that_failed_has_dashes_and_a_reason() {
    let text = markdown(&results(), &Options::parse_from(["bench"]));
    assert!(text.contains("| 1 KiB call, JSON, 2026-07-28 | – | 20.0 | – |"), "{text}");
    assert!(text.contains("1 KiB call, JSON, 2026-07-28, Narthex: not measured: status 404"), "{text}");
}

#[test]
fn memory_is_counted_for_each_stream() {
    let text = markdown(&results(), &Options::parse_from(["bench"]));
    assert!(text.contains("| bare Pingora | 5.0 | 100 | 15.0 | 102.4 |"), "{text}");
}

#[test]
fn what_is_bridged_stands_under_what_is_passed_through() {
    let text = markdown(&results(), &Options::parse_from(["bench"]));
    let plain = text.find("| 1 KiB call, JSON, 2026-07-28 | 30.0 (20.0–40.0) | 1 | 90 |").unwrap();
    let bridged = text.find(
        "| 1 KiB call, 2026-07-28 to a server of 2025-06-18 | 80.0 (60.0–90.0) | **2.67** (2.00–3.00) | 90 |",
    );
    assert!(bridged.unwrap() > plain, "{text}");
}
