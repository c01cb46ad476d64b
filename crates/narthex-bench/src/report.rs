//! The results as Markdown.

use crate::contender::Contender;
use crate::memory::Memory;
use crate::options::Options;
use crate::run::{Results, Round, Row};
use crate::sample::Spread;
use std::fmt::Write as _;
use std::time::Duration;

/// Writes `results` out.
#[must_use]
pub fn markdown(results: &Results, options: &Options) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = preamble(&mut text, results, options);
    let _ = ratios(&mut text, results);
    let _ = details(&mut text, results);
    let _ = compared(&mut text, results);
    let _ = paced(&mut text, results, options);
    let _ = memory(&mut text, results);
    let _ = failures(&mut text, results);
    text
}

fn preamble(text: &mut String, results: &Results, options: &Options) -> std::fmt::Result {
    if cfg!(debug_assertions) {
        writeln!(text, "> **Not a release build: the figures below mean nothing.**\n")?;
    }
    let place = results.placement.map_or_else(
        || "one CPU for everything, nothing pinned: **figures are of little worth**".to_owned(),
        |place| format!("proxy on CPU {}, load generator and upstream on CPU {}", place.proxy, place.load),
    );
    let (rounds, seconds) = (options.rounds, options.seconds);
    writeln!(
        text,
        "{rounds} interleaved rounds of {seconds} s, {} keep-alive connections, {} callers; {place}; \
         load average before: {}. Medians (min–max over rounds).\n",
        options.connections, options.callers, results.load_average
    )
}

fn ratios(text: &mut String, results: &Results) -> std::fmt::Result {
    if results.workloads.is_empty() {
        return Ok(());
    }
    writeln!(text, "## CPU per call, Narthex to bare Pingora\n")?;
    writeln!(text, "| workload | Narthex µs | bare Pingora µs | ratio |\n|---|---:|---:|---:|")?;
    for (workload, rows) in &results.workloads {
        let (ours, bare) = (cpu(rows, Contender::Narthex), cpu(rows, Contender::Bare));
        let pairs = ours.iter().zip(&bare).map(|(ours, bare)| ours / bare);
        let ratio =
            match (Spread::of(ours.iter().copied()), Spread::of(bare.iter().copied()), Spread::of(pairs)) {
                (Some(ours), Some(bare), Some(pairs)) => {
                    // Of the medians; the ends are those of the rounds' own ratios.
                    format!("**{:.2}** ({:.2}–{:.2})", ours.median / bare.median, pairs.min, pairs.max)
                }
                _ => "–".to_owned(),
            };
        writeln!(text, "| {} | {} | {} | {ratio} |", workload.title(), median(&ours, 1), median(&bare, 1))?;
    }
    writeln!(text)
}

fn details(text: &mut String, results: &Results) -> std::fmt::Result {
    if results.workloads.is_empty() {
        return Ok(());
    }
    writeln!(text, "## Each contender, closed loop\n")?;
    writeln!(text, "| workload | contender | CPU µs/call | CPU % | calls/s | p50 ms | p99 ms | peak MiB |")?;
    writeln!(text, "|---|---|---:|---:|---:|---:|---:|---:|")?;
    for (workload, rows) in &results.workloads {
        for row in rows {
            writeln!(text, "| {} | {} |", workload.title(), cells(row))?;
        }
    }
    writeln!(text)
}

fn compared(text: &mut String, results: &Results) -> std::fmt::Result {
    if results.compared.is_empty() {
        return Ok(());
    }
    writeln!(text, "## Narthex beside itself: what more than passing through costs\n")?;
    writeln!(
        text,
        "| workload | CPU µs/call | of the plain one | CPU % | calls/s | p50 ms | p99 ms | peak MiB |"
    )?;
    writeln!(text, "|---|---:|---:|---:|---:|---:|---:|---:|")?;
    for [(more, first), (plain, second)] in &results.compared {
        let (dear, cheap) = (micros_of(first), micros_of(second));
        let pairs = Spread::of(dear.iter().zip(&cheap).map(|(dear, cheap)| dear / cheap));
        let ratio = match (middle(&dear), middle(&cheap), pairs) {
            (Some(dear), Some(cheap), Some(pairs)) => {
                format!("**{:.2}** ({:.2}–{:.2})", dear / cheap, pairs.min, pairs.max)
            }
            _ => "–".to_owned(),
        };
        for (workload, row, ratio) in [(plain, second, "1"), (more, first, &ratio)] {
            let (cpu, rest) = figures(row);
            writeln!(text, "| {} | {cpu} | {ratio} | {rest} |", workload.title())?;
        }
    }
    writeln!(text)
}

fn paced(text: &mut String, results: &Results, options: &Options) -> std::fmt::Result {
    if results.paced.is_empty() {
        return Ok(());
    }
    writeln!(text, "## 1 KiB call at {} calls/s\n", options.rate)?;
    writeln!(text, "| contender | CPU µs/call | CPU % | calls/s | p50 ms | p99 ms | peak MiB |")?;
    writeln!(text, "|---|---:|---:|---:|---:|---:|---:|")?;
    for row in &results.paced {
        writeln!(text, "| {} |", cells(row))?;
    }
    writeln!(text)
}

fn memory(text: &mut String, results: &Results) -> std::fmt::Result {
    if results.memory.is_empty() {
        return Ok(());
    }
    writeln!(text, "## Memory\n")?;
    writeln!(text, "| contender | idle MiB | streams | with them MiB | KiB per idle stream |")?;
    writeln!(text, "|---|---:|---:|---:|---:|")?;
    for (contender, memory) in &results.memory {
        let cells = memory.as_ref().map_or_else(|_| "– | – | – | –".to_owned(), memory_cells);
        writeln!(text, "| {} | {cells} |", contender.title())?;
    }
    writeln!(text)
}

fn memory_cells(memory: &Memory) -> String {
    let kib = memory.per_stream() as f64 / 1024.0;
    format!("{:.1} | {} | {:.1} | {kib:.1}", mib(memory.idle), memory.streams, mib(memory.loaded))
}

fn failures(text: &mut String, results: &Results) -> std::fmt::Result {
    for (workload, rows) in &results.workloads {
        failed_rows(text, workload.title(), rows)?;
    }
    for (workload, row) in results.compared.iter().flatten() {
        failed_rows(text, workload.title(), std::slice::from_ref(row))?;
    }
    failed_rows(text, "fixed rate", &results.paced)?;
    for (contender, memory) in &results.memory {
        if let Err(error) = memory {
            writeln!(text, "- memory, {}: not measured: {error}", contender.title())?;
        }
    }
    Ok(())
}

fn failed_rows(text: &mut String, part: &str, rows: &[Row]) -> std::fmt::Result {
    for row in rows {
        if let Err(error) = &row.rounds {
            writeln!(text, "- {part}, {}: not measured: {error}", row.contender.title())?;
        }
    }
    Ok(())
}

/// A row's cells from the contender on.
fn cells(row: &Row) -> String {
    let (cpu, rest) = figures(row);
    format!("{} | {cpu} | {rest}", row.contender.title())
}

/// A row's CPU for a call, and the cells after it.
fn figures(row: &Row) -> (String, String) {
    let Ok(rounds) = &row.rounds else { return ("–".to_owned(), "– | – | – | – | –".to_owned()) };
    let of = |figure: fn(&Round) -> Option<f64>| rounds.iter().filter_map(figure).collect::<Vec<_>>();
    let cpu = spread(&of(|round| round.cpu.map(micros)), 1);
    let busy = median(&of(|round| round.busy.map(|share| share * 100.0)), 0);
    let rate = spread(&of(|round| Some(round.rate)), 0);
    let p50 = spread(&of(|round| Some(millis(round.p50))), 2);
    let p99 = spread(&of(|round| Some(millis(round.p99))), 2);
    let peak = spread(&of(|round| round.peak.map(mib)), 1);
    (cpu, format!("{busy} | {rate} | {p50} | {p99} | {peak}"))
}

/// CPU of each round of `contender`, µs a call.
fn cpu(rows: &[Row], contender: Contender) -> Vec<f64> {
    rows.iter().filter(|row| row.contender == contender).flat_map(micros_of).collect()
}

fn micros_of(row: &Row) -> Vec<f64> {
    row.rounds.iter().flatten().filter_map(|round| round.cpu.map(micros)).collect()
}

fn middle(values: &[f64]) -> Option<f64> {
    Spread::of(values.iter().copied()).map(|spread| spread.median)
}

fn median(values: &[f64], digits: usize) -> String {
    Spread::of(values.iter().copied())
        .map_or_else(|| "–".to_owned(), |Spread { median, .. }| format!("{median:.digits$}"))
}

pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    Spread::of(values.iter().copied()).map_or_else(
        || "–".to_owned(),
        |Spread { median, min, max }| format!("{median:.digits$} ({min:.digits$}–{max:.digits$})"),
    )
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests;
