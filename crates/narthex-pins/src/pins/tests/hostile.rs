//! Files and catalogues that mean harm.

use super::*;
use crate::Mode::{Locked, TrustOnFirstUse};

fn entry(definition: &str, sha256: &str) -> String {
    format!(
        r#"{{"upstreams":{{"up":{{"a":{{"definition":{definition},"sha256":"{sha256}"}}}}}},"version":1}}"#
    )
}

fn each_is_refused(cases: &[(&str, &str)]) {
    for (text, says) in cases {
        let place = Place::new();
        place.write(text);
        let refused = place.try_open().unwrap_err().to_string();
        assert!(refused.contains(says), "{says}: {refused}");
        assert!(refused.len() < 1000 && !refused.contains(char::is_control), "{refused:?}");
    }
}

#[test]
fn a_definition_that_is_not_the_approved_one_is_refused_and_named() {
    let sha = definition("a", "1").sha256();
    each_is_refused(&[
        (&entry(r#"{"name":"a","description":"2"}"#, &sha), "up.a: `sha256` is not that of the definition"),
        (&entry(r#"{"name":"a","description":"1"}"#, &sha.to_uppercase()), "up.a: `sha256` is not"),
        (&entry(r#"{"name":"b"}"#, "00"), "up.a: `sha256` is not"),
        (
            &entry(r#"{"name":"b","description":"1"}"#, &definition("b", "1").sha256()),
            "up.a: the definition is that of `b`",
        ),
        (&entry(r#"{"name":"a","description":"1","icons":[]}"#, &sha), "up.a: the definition has a member"),
        (&entry(r#"{"name":"a","Description":"1"}"#, &sha), "up.a: a member differs from `description`"),
        (&entry(r#"{"description":"1"}"#, &sha), "up.a: `name`"),
        (&entry("null", &sha), "up.a: `definition` must be an object"),
    ]);
}

#[test]
fn a_file_that_is_not_as_it_should_be_is_refused_with_the_place() {
    each_is_refused(&[
        (
            r#"{"upstreams":{"up":{"a":{"definition":{"name":"a"}}}},"version":1}"#,
            "up.a: `sha256` is missing",
        ),
        (r#"{"upstreams":{"up":{"a":7}},"version":1}"#, "up.a: expected an object"),
        (r#"{"upstreams":{"up":[]},"version":1}"#, "up: expected an object"),
        (r#"{"upstreams":[],"version":1}"#, "`upstreams` must be an object"),
        (r#"{"upstreams":{}}"#, "`version` must be 1"),
        (r#"{"upstreams":{},"version":2}"#, "`version` must be 1"),
        (r#"{"upstreams":{},"version":1,"mode":"off"}"#, "unknown member `mode`"),
        ("[]", "pins are an object"),
        ("{\n\"version\":1,\n \"version\":1}", "pins.json:3:2: this member is given twice"),
        ("{\"upstreams\":{\"up\":{\"a\":{},\n\"a\":{}}}}", "pins.json:2:1: this member is given twice"),
        ("{\"upstreams\": nope}", "pins.json:1:15: expected a value"),
        (&"[".repeat(1 << 20), "nested too deeply"),
        ("\n\n\u{0}", "pins.json:3:1: "),
        // Names cannot write to a terminal.
        ("{\"upstreams\":{\"\\u001b[31m\":7},\"version\":1}", "\\u{1b}[31m: expected an object"),
    ]);
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_its_line() {
    let place = Place::new();
    fs::write(place.file(), b"{\n\xff}").unwrap();
    assert!(place.try_open().unwrap_err().to_string().contains("line 2 is not UTF-8"));
}

#[test]
fn a_huge_file_is_refused() {
    let place = Place::new();
    let file = fs::File::create(place.file()).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(place.try_open().unwrap_err().to_string().contains("larger than 64 MiB"));
}

#[test]
fn the_file_of_what_waits_is_held_to_the_same() {
    let place = Place::new();
    let pins = place.open();
    judge(&pins, Locked, &[tool("a", "1")]);
    pins.housekeep(at(0));
    let path = place.state().join("quarantine.json");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("\"1\"", "\"2\""),
        ("\"unpinned\"", "\"trusted\""),
        ("\"upstream\": \"up\"", "\"upstream\": 7"),
        ("\"since\": ", "\"since\": -"),
        ("\"seen\": ", "\"Seen\": "),
        ("\"version\": 1", "\"version\": 1, \"more\": 2"),
        ("[", "{"),
    ] {
        assert!(good.contains(from), "{from}: {good}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        assert!(place.try_open().is_err(), "{to}");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(place.open().quarantined().len(), 1);
}

#[test]
fn an_upstream_that_changes_all_the_time_cannot_fill_the_memory_and_is_never_trusted() {
    let place = Place::new();
    let pins = place.open();
    judge(&pins, TrustOnFirstUse, &[tool("a", "0")]);
    for round in 1..50 {
        let shown = [tool("a", &round.to_string())];
        assert_eq!(pins.judge("up", TrustOnFirstUse, true, &shown, at(round)), [Hidden(Changed)]);
    }
    let kept = pins.quarantined();
    assert_eq!(kept.len(), 4);
    assert!(kept.iter().any(|q| q.found == definition("a", "49")), "the newest");
    let many: Vec<_> = (0..3000).map(|n| tool(&format!("t{n}"), "x")).collect();
    let standings = pins.judge("up", TrustOnFirstUse, true, &many, at(100));
    assert!(standings.iter().all(|standing| *standing == Hidden(New)));
    assert_eq!(pins.quarantined().len(), 1024);
    // What is stale makes room.
    pins.judge("up", TrustOnFirstUse, true, &[tool("late", "x")], at(2 * HOUR));
    assert_eq!(waiting(&pins), [("late".to_owned(), New, definition("late", "x").sha256())]);
}

#[test]
fn large_definitions_are_bounded_by_their_bytes() {
    let place = Place::new();
    let pins = place.open();
    let text = "x".repeat(1_000_000);
    let many: Vec<_> = (0..20).map(|n| tool(&format!("t{n}"), &text)).collect();
    assert_eq!(judge(&pins, Locked, &many), [Hidden(Unpinned); 20]);
    let kept: usize = pins.quarantined().iter().map(|q| q.found.canonical().len()).sum();
    assert!((1..=8 << 20).contains(&kept), "{kept}");
}
