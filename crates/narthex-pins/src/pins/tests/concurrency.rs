//! Many at once: threads of one gateway, and several processes on one file.

use super::*;
use crate::Mode::{Locked, TrustOnFirstUse};
use std::thread;

#[test]
fn threads_that_look_first_at_once_trust_one_catalogue() {
    for _ in 0..10 {
        let place = Place::new();
        let pins = place.open();
        let catalogues: Vec<Vec<Candidate>> =
            (0..4).map(|n| vec![tool("a", &n.to_string()), tool("b", "same")]).collect();
        let look = |tools: &[Candidate]| pins.judge("up", TrustOnFirstUse, true, tools, at(0));
        let trusted = thread::scope(|scope| {
            let looks: Vec<_> = catalogues.iter().map(|tools| scope.spawn(move || look(tools))).collect();
            looks.into_iter().map(|look| look.join().unwrap()).filter(|of| of[0] == Trusted).count()
        });
        assert_eq!(trusted, 1);
        assert_eq!(pins.pinned().len(), 2);
        assert_eq!(waiting(&pins).len(), 3);
    }
}

#[test]
fn processes_that_look_first_at_once_trust_one_catalogue_and_lose_no_other_pin() {
    let place = Place::new();
    let processes: Vec<Pins> = (0..4).map(|_| place.open()).collect();
    thread::scope(|scope| {
        for (number, pins) in processes.iter().enumerate() {
            scope.spawn(move || {
                let text = number.to_string();
                pins.judge("shared", TrustOnFirstUse, true, &[tool("a", &text)], at(0));
                for own in 0..5 {
                    let upstream = format!("up-{number}-{own}");
                    let standing = pins.judge(&upstream, TrustOnFirstUse, true, &[tool("a", "1")], at(0));
                    assert_eq!(standing, [Trusted]);
                }
            });
        }
    });
    let written = place.open();
    assert_eq!(written.pinned().len(), 1 + 4 * 5);
    let shown = |n: u32| written.judge("shared", Locked, true, &[tool("a", &n.to_string())], at(0));
    assert_eq!((0..4).filter(|n| shown(*n) == [Trusted]).count(), 1);
}

#[test]
fn approving_while_others_judge_never_trusts_what_was_not_approved() {
    let place = Place::new();
    let pins = &place.open();
    judge(pins, TrustOnFirstUse, &[tool("a", "0")]);
    judge(pins, TrustOnFirstUse, &[tool("a", "1"), tool("evil", "1")]);
    thread::scope(|scope| {
        for n in 0..4 {
            scope.spawn(move || {
                for round in 0..200_u64 {
                    let shown = [tool("a", "1"), tool("evil", &n.to_string())];
                    let standings = pins.judge("up", TrustOnFirstUse, true, &shown, at(round));
                    assert_eq!(standings[1], Hidden(New));
                    if n == 0 && round % 20 == 0 {
                        pins.housekeep(at(round));
                    }
                }
            });
        }
        scope.spawn(|| approve(pins, &tool("a", "1")).unwrap());
    });
    assert_eq!(judge(pins, TrustOnFirstUse, &[tool("a", "1"), tool("a", "0")])[0], Trusted);
    assert!(!pins.quarantined().iter().any(|q| q.tool == "a" && q.found == definition("a", "1")));
}
