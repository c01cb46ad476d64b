//! The files: what they look like, what others do to them, and what happens where they cannot be written.

use super::*;
use crate::Mode::{Locked, TrustOnFirstUse};
use std::os::unix::fs::{MetadataExt, symlink};

const EMPTY: &str = "{\"upstreams\":{},\"version\":1}";

#[test]
fn the_file_is_made_to_be_reviewed() {
    let place = Place::new();
    let pins = place.open();
    pins.judge("zeta", TrustOnFirstUse, true, &[tool("b", "line\\n\u{202e}"), tool("a", "x")], at(0));
    pins.judge("alpha", TrustOnFirstUse, true, &[suspicious("c", "y")], at(0));
    let expected = format!(
        r#"{{
  "upstreams": {{
    "alpha": {{}},
    "zeta": {{
      "a": {{
        "definition": {{
          "description": "x",
          "name": "a"
        }},
        "sha256": "{}"
      }},
      "b": {{
        "definition": {{
          "description": "line\n\u202e",
          "name": "b"
        }},
        "sha256": "{}"
      }}
    }}
  }},
  "version": 1
}}
"#,
        definition("a", "x").sha256(),
        definition("b", "line\\n\u{202e}").sha256(),
    );
    assert_eq!(place.text(), expected);
    assert_eq!(fs::metadata(place.file()).unwrap().mode() & 0o777, 0o600);
    let again = place.open();
    assert_eq!(again.pinned().len(), 2);
    again.judge("alpha", TrustOnFirstUse, true, &[tool("c", "z")], at(0));
    assert_eq!(place.text(), expected, "nothing to write, nothing written");
}

#[test]
fn pins_and_what_waits_outlive_a_restart() {
    let place = Place::new();
    let pins = place.open();
    judge(&pins, TrustOnFirstUse, &[tool("a", "1")]);
    judge(&pins, TrustOnFirstUse, &[suspicious("a", "2")]);
    pins.housekeep(at(2));
    let again = place.open();
    assert_eq!(judge(&again, Locked, &[tool("a", "1")]), [Trusted]);
    let (before, after) = (pins.quarantined(), again.quarantined());
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!(after[0].suspicion.as_deref(), Some("hidden characters"));
    assert_eq!(fs::metadata(place.state()).unwrap().mode() & 0o777, 0o700);
    again.approve("up", "a", &after[0].found.sha256(), at(3)).unwrap();
    assert_eq!(judge(&place.open(), Locked, &[tool("a", "2")]), [Trusted]);
    assert!(place.open().quarantined().is_empty(), "though the file of what waits still has it");
}

#[test]
fn an_edit_by_somebody_else_is_taken_up_and_kept() {
    let place = Place::new();
    let (gateway, other, late) = (place.open(), place.open(), place.open());
    judge(&gateway, TrustOnFirstUse, &[tool("a", "1")]);
    assert_eq!(other.judge("down", TrustOnFirstUse, true, &[tool("d", "1")], at(0)), [Trusted]);
    assert!(gateway.reread().unwrap());
    assert_eq!(gateway.pinned().len(), 2);
    assert!(!gateway.reread().unwrap());
    // Another process was first: what it saw is what counts.
    assert_eq!(judge(&late, TrustOnFirstUse, &[tool("a", "2")]), [Hidden(Changed)]);
    assert_eq!(late.pinned().len(), 2);
}

#[test]
fn a_file_that_goes_or_breaks_changes_nothing() {
    let place = Place::new();
    let pins = place.open();
    judge(&pins, TrustOnFirstUse, &[tool("a", "1")]);
    let (good, generation) = (place.text(), pins.generation());
    for bad in ["", "{}", &good[..good.len() / 2]] {
        place.write(bad);
        assert!(pins.reread().is_err(), "{bad}");
        assert!(place.try_open().is_err(), "{bad}");
        // It is not overwritten either.
        pins.judge("new", TrustOnFirstUse, true, &[tool("b", "1")], at(0));
        assert!(pins.forget("up", None).is_err(), "{bad}");
        assert_eq!(place.text(), bad);
    }
    fs::remove_file(place.file()).unwrap();
    assert!(matches!(pins.reread(), Err(PinsError::Gone { .. })));
    assert_eq!(pins.generation(), generation);
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("a", "2")]), [Hidden(Changed)]);
    place.write(EMPTY);
    assert!(pins.reread().unwrap());
}

#[test]
fn another_file_can_be_used_from_now_on() {
    let place = Place::new();
    let pins = place.open();
    judge(&pins, TrustOnFirstUse, &[tool("a", "1")]);
    let other = place.0.path().join("other.json");
    assert!(pins.use_file(&other).unwrap());
    assert!(pins.pinned().is_empty());
    judge(&pins, TrustOnFirstUse, &[tool("a", "2")]);
    assert!(fs::read_to_string(other).unwrap().contains("\"2\""));
    assert!(!place.text().contains("\"2\""));
}

#[test]
fn a_half_written_file_beside_it_does_no_harm() {
    let place = Place::new();
    let pins = place.open();
    for left in [".narthex-abc123.tmp", ".narthex.pins.json.lock"] {
        fs::write(place.0.path().join(left), "{\"upstre").unwrap();
    }
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("a", "1")]), [Trusted]);
    assert_eq!(place.open().pinned().len(), 1);
    let files = fs::read_dir(place.0.path()).unwrap().count();
    assert_eq!(files, 3, "it leaves nothing of its own but the lock");
}

#[test]
fn the_mode_of_the_file_is_kept() {
    let place = Place::new();
    place.write(EMPTY);
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o640)).unwrap();
    judge(&place.open(), TrustOnFirstUse, &[tool("a", "1")]);
    assert_eq!(fs::metadata(place.file()).unwrap().mode() & 0o777, 0o640);
}

#[test]
fn a_link_is_read_and_never_written_through() {
    let place = Place::new();
    let target = place.0.path().join("target.json");
    fs::write(&target, EMPTY).unwrap();
    symlink(&target, place.file()).unwrap();
    let pins = place.open();
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("a", "1")]), [Hidden(New)]);
    assert!(pins.trouble().unwrap().contains("symbolic link"), "{:?}", pins.trouble());
    assert!(fs::symlink_metadata(place.file()).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(target).unwrap(), EMPTY);
}

#[test]
fn what_cannot_be_written_down_is_not_trusted() {
    let place = Place::new();
    let missing = place.0.path().join("no/such/dir/pins.json");
    let pins = Pins::open(&missing, &place.state()).unwrap();
    let tools = [tool("a", "1")];
    assert_eq!(judge(&pins, TrustOnFirstUse, &tools), [Hidden(New)]);
    assert!(pins.trouble().unwrap().contains("no/such/dir"), "{:?}", pins.trouble());
    assert!(matches!(approve(&pins, &tools[0]), Err(ApproveError::File(_))));
    assert_eq!(pins.generation(), 0);
    // Not tried again at once, but by and by.
    fs::create_dir_all(missing.parent().unwrap()).unwrap();
    assert_eq!(judge(&pins, TrustOnFirstUse, &tools), [Hidden(New)]);
    assert_eq!(pins.judge("up", TrustOnFirstUse, true, &tools, at(31)), [Trusted]);
    assert_eq!(pins.trouble(), None);
}

#[test]
fn what_waits_is_written_when_it_changes_and_once_an_hour() {
    let place = Place::new();
    let pins = place.open();
    let file = place.state().join("quarantine.json");
    pins.housekeep(at(0));
    assert!(!file.exists());
    judge(&pins, Locked, &[tool("a", "1")]);
    pins.housekeep(at(1));
    let written = || fs::read_to_string(&file).unwrap();
    let first = written();
    pins.judge("up", Locked, true, &[tool("a", "1")], at(600));
    pins.housekeep(at(601));
    assert_eq!(written(), first);
    pins.housekeep(at(1 + HOUR));
    assert_ne!(written(), first, "seen at another time");
    approve(&pins, &tool("a", "1")).unwrap();
    pins.housekeep(at(2 + HOUR));
    assert_eq!(written(), "{\n  \"quarantined\": [],\n  \"version\": 1\n}\n");
}
