//! `narthex pins`: on the files alone.

use super::cli::{Ended, dir_with, embedded, narthex};
use narthex_pins::{Candidate, Definition, Mode, Pins};
use std::fs;
use std::path::Path;
use std::time::SystemTime;
use tempfile::TempDir;

/// A tool called `name` that says `description`.
pub(super) fn tool(name: &str, description: &str) -> Candidate {
    let json = format!(r#"{{"name":"{name}","description":"{description}"}}"#);
    Candidate { definition: Definition::of(&json).unwrap(), suspicion: None }
}

/// Shows `catalogues` of upstream `demo`, one after the other, to a gateway with these files that then ends.
pub(super) fn show(pins_file: &Path, state_dir: &Path, catalogues: &[&[Candidate]]) {
    let pins = Pins::open(pins_file, state_dir).unwrap();
    for tools in catalogues {
        pins.judge("demo", Mode::TrustOnFirstUse, true, tools, SystemTime::now());
    }
    pins.housekeep(SystemTime::now());
}

/// A directory where `add` is approved; of it another definition waits, and `sub` and `evil` wait, too.
fn place() -> TempDir {
    let dir = dir_with(&(embedded(8080, 9090) + "pins: {}\n"));
    let evil = Candidate { suspicion: Some("hidden \u{1b}text".to_owned()), ..tool("evil\\u001b[31m", "x") };
    let (file, state) = (dir.path().join("narthex.pins.json"), dir.path().join(".narthex"));
    show(
        &file,
        &state,
        &[&[tool("add", "Adds.")], &[tool("add", "Adds all."), tool("sub", "Subtracts."), evil]],
    );
    dir
}

fn pins(dir: &TempDir, args: &[&str]) -> Ended {
    let ended = narthex(dir.path(), &[&["pins"], args].concat());
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
    ended
}

fn sha256(of: &Candidate) -> String {
    of.definition.sha256()
}

#[test]
fn what_is_approved_and_what_waits_is_listed() {
    let dir = place();
    let listed = pins(&dir, &["list"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""), "{listed:?}");
    let lines: Vec<Vec<&str>> = listed.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["UPSTREAM", "TOOL", "STANDING", "SINCE", "SHA-256"]);
    assert_eq!(lines.len(), 1 + 4, "{}", listed.stdout);
    let short = |of: &Candidate| sha256(of)[..12].to_owned();
    for (of, standing) in [
        (tool("add", "Adds."), "approved"),
        (tool("add", "Adds all."), "quarantined: changed"),
        (tool("sub", "Subtracts."), "quarantined: new"),
        (tool("evil\\u001b[31m", "x"), "quarantined: suspicious (hidden \\u{1b}text)"),
    ] {
        let line = listed.stdout.lines().find(|line| line.ends_with(&short(&of)));
        assert!(line.is_some_and(|line| line.contains(standing)), "{standing}: {}", listed.stdout);
    }
    let empty = dir_with(&embedded(8080, 9090));
    assert_eq!(pins(&empty, &["list"]).code, Some(0));
    let left: Vec<_> = fs::read_dir(empty.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["gateway.yaml"], "looking writes nothing");
}

#[test]
fn what_differs_is_shown_with_the_hash_to_approve() {
    let dir = place();
    let all = pins(&dir, &["diff"]);
    assert_eq!(all.code, Some(0), "{all:?}");
    assert_eq!(all.stdout.matches("=== demo ").count(), 3, "{}", all.stdout);
    let one = pins(&dir, &["diff", "demo", "add"]).stdout;
    for words in [
        &format!("--- approved: {}\n", sha256(&tool("add", "Adds."))),
        &format!("+++ found:    {}\n", sha256(&tool("add", "Adds all."))),
        "  - Adds.\n  + Adds all.\n",
    ] {
        assert!(one.contains(words), "{words}: {one}");
    }
    assert!(!one.contains("sub"), "{one}");
    assert_eq!(pins(&dir, &["diff", "demo", "mul"]).code, Some(1));
    assert_eq!(pins(&dir, &["diff", "other"]).code, Some(1));
}

#[test]
fn exactly_the_named_definition_is_approved() {
    let dir = place();
    let (good, other) = (sha256(&tool("add", "Adds all.")), sha256(&tool("add", "Adds none.")));
    for (args, says) in [
        (["approve", "demo", "add", "--sha256", &other], good.as_str()),
        (["approve", "demo", "add", "--sha256", &good[..12]], good.as_str()),
        (["approve", "demo", "mul", "--sha256", &good], "no such tool"),
        (["approve", "else", "add", "--sha256", &good], "no such tool"),
    ] {
        let refused = pins(&dir, &args);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(says), "{args:?}: {refused:?}");
    }
    let approved = pins(&dir, &["approve", "demo", "add", "--sha256", &good.to_uppercase()]);
    assert_eq!(approved.code, Some(0), "{approved:?}");
    assert_eq!(approved.stdout, format!("approved: demo add {good}\n"));
    let file = fs::read_to_string(dir.path().join("narthex.pins.json")).unwrap();
    assert!(file.contains("Adds all.") && !file.contains("Adds.\""), "{file}");
    assert!(!pins(&dir, &["diff"]).stdout.contains("demo add"));
}

#[test]
fn all_is_approved_only_when_confirmed_and_never_what_looks_like_an_attack() {
    let dir = place();
    let before = fs::read_to_string(dir.path().join("narthex.pins.json")).unwrap();
    let asked = pins(&dir, &["approve", "--all"]);
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(asked.stdout.contains("would approve: demo add") && asked.stderr.contains("--yes"), "{asked:?}");
    assert_eq!(fs::read_to_string(dir.path().join("narthex.pins.json")).unwrap(), before);
    let elsewhere = pins(&dir, &["approve", "--all", "--yes", "--upstream", "other"]);
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (Some(0), ""), "{elsewhere:?}");
    let done = pins(&dir, &["approve", "--all", "--yes", "--upstream", "demo"]);
    assert_eq!(done.stdout.matches("approved: demo ").count(), 2, "{done:?}");
    assert_eq!(done.code, Some(1), "something is left: {done:?}");
    assert!(done.stderr.contains("not approved: demo evil"), "{done:?}");
    let left = pins(&dir, &["check"]);
    assert_eq!((left.code, left.stderr.lines().count()), (Some(1), 1), "{left:?}");
}

#[test]
fn a_check_fails_while_anything_waits() {
    let dir = place();
    let failed = pins(&dir, &["check"]);
    assert_eq!((failed.code, failed.stderr.lines().count()), (Some(1), 3), "{failed:?}");
    let fine = pins(&dir_with(&embedded(8080, 9090)), &["check"]);
    assert_eq!((fine.code, fine.stdout.as_str()), (Some(0), "nothing is quarantined\n"), "{fine:?}");
}

#[test]
fn pins_of_what_is_gone_are_removed() {
    let dir = place();
    assert_eq!(pins(&dir, &["forget", "demo", "sub"]).code, Some(1));
    assert_eq!(pins(&dir, &["forget", "demo", "add"]).stdout, "removed 1 pin\n");
    assert_eq!(pins(&dir, &["forget", "other"]).code, Some(1));
    assert!(!pins(&dir, &["list"]).stdout.contains("approved"));
}

#[test]
fn files_that_make_no_sense_are_refused_with_their_place_by_every_command() {
    let dir = place();
    let file = dir.path().join("narthex.pins.json");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("Adds.", "Adds everything.")).unwrap();
    for args in [&["list"][..], &["diff"], &["check"], &["approve", "--all", "--yes"], &["forget", "demo"]] {
        let refused = pins(&dir, args);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains("narthex.pins.json: demo.add: `sha256`"), "{args:?}: {refused:?}");
    }
    let (check, run) = (narthex(dir.path(), &["check"]), narthex(dir.path(), &["run"]));
    assert_eq!((check.code, run.code), (Some(1), Some(1)), "{check:?} {run:?}");
    assert_eq!(narthex(dir.path(), &["check", "--no-environment"]).code, Some(0));
    fs::write(&file, "{\n  \"upstreams\": {,").unwrap();
    assert!(pins(&dir, &["check"]).stderr.contains("narthex.pins.json:2:17: "));
}

#[test]
fn a_command_line_that_is_not_clear_is_refused() {
    let dir = place();
    for args in [
        &["approve"][..],
        &["approve", "demo"],
        &["approve", "demo", "add"],
        &["approve", "--sha256", "00"],
        &["approve", "demo", "add", "--all", "--yes"],
        &["approve", "--all", "--sha256", "00"],
        &["approve", "demo", "add", "--sha256", "00", "--yes"],
        &["approve", "--upstream", "demo"],
        &["approve", "demo", "add", "--sha256", "00", "--upstream", "demo"],
        &["forget"],
        &["list", "demo"],
    ] {
        assert_eq!(pins(&dir, args).code, Some(2), "{args:?}");
    }
}
