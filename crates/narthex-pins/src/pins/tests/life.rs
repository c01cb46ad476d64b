//! What is trusted, from the first look on.

use super::*;
use crate::Mode::{Locked, Off, TrustOnFirstUse};

#[test]
fn what_is_seen_first_is_trusted_and_nothing_that_comes_later() {
    let place = Place::new();
    let pins = place.open();
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("a", "1"), tool("b", "1")]), [Trusted, Trusted]);
    let later = [tool("a", "2"), tool("b", "1"), tool("c", "1")];
    assert_eq!(judge(&pins, TrustOnFirstUse, &later), [Hidden(Changed), Trusted, Hidden(New)]);
    let expected = [(&later[0], Changed), (&later[2], New)]
        .map(|(of, why)| (of.definition.name.clone(), why, of.definition.sha256()));
    assert_eq!(waiting(&pins), expected);
    let quarantined = pins.quarantined();
    assert_eq!(quarantined[0].approved, Some(definition("a", "1")));
    assert_eq!((quarantined[0].since, quarantined[0].seen), (at(0), at(0)));
    assert_eq!(quarantined[1].approved, None);
}

#[test]
fn exactly_what_is_approved_is_trusted() {
    let place = Place::new();
    let pins = &place.open();
    judge(pins, TrustOnFirstUse, &[tool("a", "1")]);
    judge(pins, TrustOnFirstUse, &[tool("a", "2")]);
    judge(pins, TrustOnFirstUse, &[tool("a", "3")]);
    let generation = pins.generation();
    assert!(matches!(approve(pins, &tool("a", "4")), Err(ApproveError::Other { found }) if found.len() == 2));
    assert!(matches!(pins.approve("up", "b", "00", at(1)), Err(ApproveError::NotFound)));
    assert!(matches!(pins.approve("down", "a", "00", at(1)), Err(ApproveError::NotFound)));
    let short = &definition("a", "2").sha256()[..12];
    assert!(matches!(pins.approve("up", "a", short, at(1)), Err(ApproveError::Other { .. })));
    assert_eq!(pins.generation(), generation);
    approve(pins, &tool("a", "2")).unwrap();
    assert!(pins.generation() > generation);
    approve(pins, &tool("a", "2")).unwrap();
    let shown = |text| judge(pins, TrustOnFirstUse, &[tool("a", text)])[0];
    assert_eq!([shown("2"), shown("1"), shown("3")], [Trusted, Hidden(Changed), Hidden(Changed)]);
}

#[test]
fn locked_trusts_and_writes_nothing_of_its_own() {
    let place = Place::new();
    let pins = place.open();
    let tools = [tool("a", "1"), tool("b", "1")];
    assert_eq!(judge(&pins, Locked, &tools), [Hidden(Unpinned), Hidden(Unpinned)]);
    assert!(!place.file().exists());
    approve(&pins, &tools[0]).unwrap();
    assert_eq!(judge(&pins, Locked, &tools), [Trusted, Hidden(Unpinned)]);
    assert_eq!(judge(&pins, Locked, &[tool("a", "2")]), [Hidden(Changed)]);
}

#[test]
fn a_suspicion_holds_in_every_mode_until_exactly_that_definition_is_approved() {
    for mode in [Off, TrustOnFirstUse, Locked] {
        let place = Place::new();
        let pins = place.open();
        let tools = [tool("a", "1"), suspicious("b", "1")];
        assert_eq!(judge(&pins, mode, &tools)[1], Hidden(Suspicious), "{mode:?}");
        assert_eq!(pins.quarantined().last().unwrap().suspicion.as_deref(), Some("hidden characters"));
        approve(&pins, &tools[1]).unwrap();
        assert_eq!(judge(&pins, mode, &tools)[1], Trusted, "{mode:?}");
        assert_eq!(judge(&pins, mode, &[suspicious("b", "2")]), [Hidden(Suspicious)], "{mode:?}");
    }
}

#[test]
fn off_trusts_what_is_not_suspicious_and_writes_nothing() {
    let place = Place::new();
    let pins = place.open();
    assert_eq!(judge(&pins, Off, &[tool("a", "1"), tool("a", "2")]), [Trusted, Trusted]);
    assert_eq!(judge(&pins, Off, &[tool("a", "3")]), [Trusted]);
    pins.housekeep(at(0));
    assert!(!place.file().exists() && !place.state().exists());
}

#[test]
fn a_first_look_at_a_part_trusts_nothing() {
    let place = Place::new();
    let pins = place.open();
    let tools = [tool("a", "1"), tool("b", "1")];
    let part = pins.judge("up", TrustOnFirstUse, false, &tools[..1], at(0));
    assert_eq!(part, [Hidden(New)]);
    assert!(!place.file().exists());
    assert!(judge(&pins, TrustOnFirstUse, &[]).is_empty(), "an empty catalogue is no first look");
    assert!(!place.file().exists());
    assert_eq!(judge(&pins, TrustOnFirstUse, &tools), [Trusted, Trusted]);
    assert!(waiting(&pins).is_empty(), "what is trusted now waits no more");
}

#[test]
fn a_first_look_with_nothing_but_suspicions_was_the_first_look() {
    let place = Place::new();
    let pins = place.open();
    assert_eq!(judge(&pins, TrustOnFirstUse, &[suspicious("a", "1")]), [Hidden(Suspicious)]);
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("b", "1")]), [Hidden(New)]);
}

#[test]
fn of_two_tools_with_one_name_the_later_one_is_never_trusted() {
    let place = Place::new();
    let pins = place.open();
    let twice = [tool("a", "1"), tool("a", "2"), tool("a", "1")];
    let expected = [Trusted, Hidden(Duplicate), Hidden(Duplicate)];
    assert_eq!(judge(&pins, TrustOnFirstUse, &twice), expected);
    assert_eq!(judge(&pins, TrustOnFirstUse, &twice), expected);
    assert_eq!(pins.pinned().len(), 1);
    assert_eq!(waiting(&pins).len(), 1, "the third is approved, so there is nothing to decide");
    let turned = [tool("a", "2"), tool("a", "1")];
    assert_eq!(judge(&pins, TrustOnFirstUse, &turned), [Hidden(Changed), Hidden(Duplicate)]);
}

#[test]
fn a_tool_that_went_and_comes_back_changed_is_caught() {
    let place = Place::new();
    let pins = place.open();
    judge(&pins, TrustOnFirstUse, &[tool("a", "1"), tool("b", "1")]);
    judge(&pins, TrustOnFirstUse, &[tool("b", "1")]);
    pins.housekeep(at(100 * HOUR));
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("a", "2")]), [Hidden(Changed)]);
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("a", "1")]), [Trusted]);
}

#[test]
fn what_another_credential_is_shown_keeps_waiting_and_is_forgotten_after_a_day_unseen() {
    let place = Place::new();
    let pins = place.open();
    judge(&pins, TrustOnFirstUse, &[tool("a", "1")]);
    pins.judge("up", TrustOnFirstUse, true, &[tool("a", "2"), tool("b", "1")], at(0));
    pins.judge("up", TrustOnFirstUse, true, &[tool("a", "1")], at(HOUR));
    assert_eq!(waiting(&pins).len(), 2);
    pins.judge("up", TrustOnFirstUse, true, &[tool("b", "1")], at(12 * HOUR));
    pins.housekeep(at(24 * HOUR));
    let left = waiting(&pins);
    assert_eq!(left, [("b".to_owned(), New, definition("b", "1").sha256())]);
    assert_eq!(pins.quarantined()[0].since, at(0));
    pins.housekeep(at(36 * HOUR));
    assert!(waiting(&pins).is_empty());
}

#[test]
fn pins_of_tools_that_are_gone_can_be_removed() {
    let place = Place::new();
    let pins = place.open();
    judge(&pins, TrustOnFirstUse, &[tool("a", "1"), tool("b", "1")]);
    assert_eq!(pins.forget("up", Some("c")).unwrap(), 0);
    assert_eq!(pins.forget("up", Some("a")).unwrap(), 1);
    assert_eq!(pins.forget("up", Some("b")).unwrap(), 1);
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("a", "1")]), [Hidden(New)], "it was looked at before");
    assert_eq!(pins.forget("up", None).unwrap(), 0);
    assert!(waiting(&pins).is_empty());
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("a", "2")]), [Trusted], "as if for the first time");
    assert_eq!(pins.forget("down", None).unwrap(), 0);
}

#[test]
fn upstreams_have_pins_of_their_own() {
    let place = Place::new();
    let pins = place.open();
    judge(&pins, TrustOnFirstUse, &[tool("a", "1")]);
    assert_eq!(pins.judge("other", TrustOnFirstUse, true, &[tool("a", "2")], at(0)), [Trusted]);
    assert_eq!(judge(&pins, TrustOnFirstUse, &[tool("a", "2")]), [Hidden(Changed)]);
}

#[test]
fn the_generation_grows_when_a_standing_may_have_changed_and_only_then() {
    let place = Place::new();
    let pins = place.open();
    let zero = pins.generation();
    judge(&pins, TrustOnFirstUse, &[tool("a", "1")]);
    let one = pins.generation();
    assert!(one > zero);
    judge(&pins, TrustOnFirstUse, &[tool("a", "1"), tool("b", "1")]);
    assert!(!pins.reread().unwrap());
    pins.housekeep(at(0));
    assert_eq!(pins.generation(), one);
    pins.forget("up", None).unwrap();
    assert!(pins.generation() > one);
}
