//! `narthex pins`: what is approved of the upstreams' tools, and approving it, on the files alone.

use crate::check::{complain, say};
use crate::cli::{ConfigArg, PinsApproveArgs, PinsCommand, PinsDiffArgs, PinsForgetArgs};
use narthex_pins::{Definition, Pins, Quarantined, diff, shown};
use narthex_telemetry::rfc3339;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

/// Digits of a hash that tell definitions apart for people.
const SHORT: usize = 12;

/// Does what was asked.
pub(crate) fn pins(command: &PinsCommand) -> ExitCode {
    let (config, act): (&ConfigArg, Act<'_>) = match command {
        PinsCommand::List(args) => (&args.config, Box::new(|pins| Ok(say(&list(pins))))),
        PinsCommand::Diff(args) => (&args.config, Box::new(|pins| differences(pins, args))),
        PinsCommand::Approve(args) => (&args.config, Box::new(|pins| approve(pins, args))),
        PinsCommand::Forget(args) => (&args.config, Box::new(|pins| forget(pins, args))),
        PinsCommand::Check(args) => (&args.config, Box::new(|pins| Ok(check(pins)))),
    };
    let loaded = match narthex_config::load(&config.config) {
        Ok(loaded) => loaded.config,
        Err(diagnostics) => return complain(&diagnostics.to_string()),
    };
    let opened = Pins::open(&loaded.pins.file, &loaded.server.state_dir).map_err(|e| e.to_string());
    let done = opened.and_then(|pins| {
        // In memory alone: what a running gateway keeps is its own.
        pins.expire(SystemTime::now());
        act(&pins)
    });
    done.unwrap_or_else(|error| complain(&format!("error: {error}\n")))
}

type Outcome = Result<ExitCode, String>;
type Act<'a> = Box<dyn FnOnce(&Pins) -> Outcome + 'a>;

fn list(pins: &Pins) -> String {
    let mut rows: BTreeMap<(String, String, String), [String; 5]> = BTreeMap::new();
    let mut add = |upstream: &str, definition: &Definition, standing: String, since: String| {
        let (tool, sha256) = (&definition.name, definition.sha256());
        let cells = [shown(upstream), shown(tool), standing, since, short(&sha256)];
        rows.insert((upstream.to_owned(), tool.clone(), sha256), cells);
    };
    for pin in pins.pinned() {
        add(&pin.upstream, &pin.definition, "approved".to_owned(), "-".to_owned());
    }
    for q in pins.quarantined() {
        add(&q.upstream, &q.found, standing(&q), rfc3339(q.since));
    }
    let head = ["UPSTREAM", "TOOL", "STANDING", "SINCE", "SHA-256"].map(str::to_owned);
    table(std::iter::once(&head).chain(rows.values()))
}

fn standing(quarantined: &Quarantined) -> String {
    match &quarantined.suspicion {
        Some(suspicion) => format!("quarantined: {} ({})", quarantined.why, shown(suspicion)),
        None => format!("quarantined: {}", quarantined.why),
    }
}

/// Rows with their columns below each other.
fn table<'a>(rows: impl Iterator<Item = &'a [String; 5]> + Clone) -> String {
    let mut widths = [0; 5];
    for row in rows.clone() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn differences(pins: &Pins, args: &PinsDiffArgs) -> Outcome {
    let is_meant = |given: &Option<String>, name: &str| given.as_deref().is_none_or(|given| given == name);
    let mut text = String::new();
    for q in pins.quarantined() {
        if is_meant(&args.upstream, &q.upstream) && is_meant(&args.tool, &q.tool) {
            text.push_str(&difference(&q));
        }
    }
    if text.is_empty() && args.upstream.is_some() {
        return Err("nothing of that name is quarantined".to_owned());
    }
    Ok(say(&text))
}

fn difference(q: &Quarantined) -> String {
    let mut text = String::new();
    let approved = q.approved.as_ref().map_or_else(|| "nothing".to_owned(), Definition::sha256);
    let (upstream, tool) = (shown(&q.upstream), shown(&q.tool));
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "=== {upstream} {tool}: {}, since {}\n--- approved: {approved}\n+++ found:    {}\n{}\n",
        standing(q),
        rfc3339(q.since),
        q.found.sha256(),
        diff(q.approved.as_ref(), &q.found),
    );
    text
}

fn approve(pins: &Pins, args: &PinsApproveArgs) -> Outcome {
    match (&args.of, &args.tool, &args.sha256) {
        (Some(upstream), Some(tool), Some(sha256)) => approve_one(pins, upstream, tool, sha256),
        _ => approve_all(pins, args),
    }
}

fn approve_one(pins: &Pins, upstream: &str, tool: &str, sha256: &str) -> Outcome {
    let sha256 = sha256.to_ascii_lowercase();
    pins.approve(upstream, tool, &sha256, SystemTime::now())
        .map_err(|error| format!("{} {}: {error}", shown(upstream), shown(tool)))?;
    Ok(say(&format!("approved: {} {} {sha256}\n", shown(upstream), shown(tool))))
}

/// Approves what is the only definition of its tool that waits, and not suspicious: the rest is for one
/// decision each.
fn approve_all(pins: &Pins, args: &PinsApproveArgs) -> Outcome {
    let mut waiting = pins.quarantined();
    waiting.retain(|q| args.upstream.as_ref().is_none_or(|upstream| *upstream == q.upstream));
    let is_only = |q: &Quarantined| {
        waiting.iter().filter(|other| other.upstream == q.upstream && other.tool == q.tool).count() == 1
    };
    let (chosen, left): (Vec<_>, Vec<_>) = waiting.iter().partition(|q| q.suspicion.is_none() && is_only(q));
    for q in &chosen {
        if args.yes {
            approve_one(pins, &q.upstream, &q.tool, &q.found.sha256())?;
        } else {
            say(&format!("would approve: {}\n", named(q)));
        }
    }
    let mut problems: String =
        left.iter().map(|q| format!("not approved: {}: {}\n", named(q), standing(q))).collect();
    if !left.is_empty() {
        problems.push_str("approve these one by one, with --sha256\n");
    }
    if !args.yes && !chosen.is_empty() {
        problems.push_str("nothing is approved yet: look at `narthex pins diff`, then add --yes\n");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { complain(&problems) })
}

fn forget(pins: &Pins, args: &PinsForgetArgs) -> Outcome {
    let removed = pins.forget(&args.upstream, args.tool.as_deref()).map_err(|error| error.to_string())?;
    if removed == 0 {
        return Err("there is no such pin".to_owned());
    }
    Ok(say(&format!("removed {removed} {}\n", if removed == 1 { "pin" } else { "pins" })))
}

fn check(pins: &Pins) -> ExitCode {
    let waiting = pins.quarantined();
    if waiting.is_empty() {
        return say("nothing is quarantined\n");
    }
    let lines = waiting.iter().map(|q| format!("{}: {}\n", named(q), standing(q)));
    complain(&lines.collect::<String>())
}

fn named(q: &Quarantined) -> String {
    format!("{} {} {}", shown(&q.upstream), shown(&q.tool), short(&q.found.sha256()))
}

fn short(sha256: &str) -> String {
    sha256.chars().take(SHORT).collect()
}
