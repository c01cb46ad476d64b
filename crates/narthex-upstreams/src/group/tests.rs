use super::*;
use crate::fixtures::{COOLDOWN, FAILURES, settings};
use proptest::prelude::*;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

fn urls(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("http://127.0.0.1:{}/mcp", 9000 + i)).collect()
}

fn build(settings: &Settings, previous: Option<&Group>, now: Instant) -> Group {
    Group::build(&"m".into(), settings, previous, &RandomState::new(), now).unwrap()
}

fn group(count: usize, now: Instant) -> Group {
    build(&settings(&urls(count)), None, now)
}

fn at(group: &Group, index: usize) -> &Arc<Upstream> {
    group.iter().nth(index).unwrap()
}

fn index(group: &Group, endpoint: &Arc<Upstream>) -> usize {
    group.iter().position(|known| Arc::ptr_eq(known, endpoint)).unwrap()
}

/// Opens the endpoint's breaker.
fn break_it(endpoint: &Upstream, now: Instant) {
    (0..FAILURES).for_each(|_| endpoint.enter(now).unwrap().passage.failed(now));
}

fn find_down(endpoint: &Upstream) {
    (0..2).for_each(|_| _ = endpoint.health().note(false));
}

/// How often each endpoint is picked in `rounds` of equal chances.
fn shares(group: &Group, now: Instant, rounds: u64) -> Vec<u64> {
    let mut counts = vec![0; group.iter().count()];
    (0..rounds).for_each(|random| counts[index(group, group.pick(now, random))] += 1);
    counts
}

fn assert_even(counts: &[u64], total: u64) {
    let fair = total / counts.len() as u64;
    assert!(counts.iter().all(|count| count.abs_diff(fair) < fair / 20), "{counts:?}");
}

#[test]
fn idle_endpoints_share_evenly() {
    let now = Instant::now();
    for count in 2..=7 {
        assert_even(&shares(&group(count, now), now, 70_000), 70_000);
    }
}

#[test]
fn the_share_of_one_left_out_is_spread_over_all_others() {
    let now = Instant::now();
    let group = group(4, now);
    break_it(at(&group, 1), now);
    let mut counts = shares(&group, now, 60_000);
    assert_eq!(counts.remove(1), 0);
    assert_even(&counts, 60_000);
}

#[test]
fn the_one_with_the_fewest_requests_in_flight_is_picked() {
    let now = Instant::now();
    let group = group(3, now);
    let _busy = [at(&group, 0).enter(now).unwrap(), at(&group, 0).enter(now).unwrap()];
    let _less = at(&group, 2).enter(now).unwrap();
    assert_eq!(shares(&group, now, 100), [0, 100, 0]);
    let _busiest: Vec<_> = (0..3).map(|_| at(&group, 1).enter(now).unwrap()).collect();
    assert_eq!(shares(&group, now, 100), [0, 0, 100]);
}

#[test]
fn those_with_equally_few_share_evenly_wherever_the_others_are() {
    let now = Instant::now();
    let group = group(4, now);
    let _busy = [at(&group, 0).enter(now).unwrap(), at(&group, 1).enter(now).unwrap()];
    let counts = shares(&group, now, 40_000);
    assert_eq!(counts[..2], [0, 0]);
    assert_even(&counts[2..], 40_000);
}

#[test]
fn calls_that_last_end_up_spread_out() {
    let now = Instant::now();
    let group = group(4, now);
    let held: Vec<_> = (0..20).map(|random| group.pick(now, random).enter(now).unwrap()).collect();
    assert!(group.iter().all(|endpoint| endpoint.in_flight() == 5), "{}", held.len());
}

#[test]
fn an_endpoint_found_down_by_checks_is_left_out_until_one_succeeds() {
    let now = Instant::now();
    let group = group(2, now);
    at(&group, 0).health().note(false);
    assert!(at(&group, 0).is_up(), "one failure is nothing");
    at(&group, 0).health().note(false);
    assert!(!at(&group, 0).is_up() && group.is_up());
    assert_eq!(shares(&group, now, 100), [0, 100]);
    assert!(at(&group, 0).health().note(true));
    assert!(shares(&group, now, 100)[0] > 0);
}

#[test]
fn a_failed_endpoint_comes_back_by_one_probe_after_its_cooldown() {
    let now = Instant::now();
    let group = group(2, now);
    break_it(at(&group, 0), now);
    let _busy = at(&group, 1).enter(now).unwrap();
    let later = now + COOLDOWN;
    assert_eq!(shares(&group, later - Duration::from_millis(1), 100), [0, 100]);
    let probed = group.pick(later, 0);
    assert_eq!(index(&group, probed), 0, "idle, and may be probed");
    let mut probe = probed.enter(later).unwrap();
    assert_eq!(shares(&group, later, 100), [0, 100], "one probe is enough");
    probe.passage.succeeded();
    drop(probe);
    assert_eq!(shares(&group, later, 100), [100, 0]);
}

#[test]
fn one_that_is_found_down_is_not_probed_with_a_callers_request() {
    let now = Instant::now();
    let group = group(2, now);
    break_it(at(&group, 0), now);
    find_down(at(&group, 0));
    assert_eq!(shares(&group, now + 2 * COOLDOWN, 100), [0, 100]);
}

#[test]
fn if_none_is_healthy_it_is_the_one_whose_probe_is_due_first() {
    let now = Instant::now();
    let group = group(3, now);
    for (i, wait) in [(0, 2), (1, 0), (2, 1)] {
        break_it(at(&group, i), now + Duration::from_secs(wait));
    }
    let later = now + Duration::from_secs(3);
    assert_eq!(shares(&group, later, 100), [0, 100, 0]);
    assert_eq!(index(&group, group.stick(b"alice", later)), 1);
    assert!(!group.is_up() && group.is_refusing());
}

#[test]
fn if_checks_find_all_of_them_down_they_are_all_tried() {
    let now = Instant::now();
    let group = group(3, now);
    group.iter().for_each(|endpoint| find_down(endpoint));
    assert_even(&shares(&group, now, 30_000), 30_000);
    assert!(!group.is_up() && !group.is_refusing());
}

#[test]
fn a_call_that_comes_second_to_a_probe_goes_elsewhere() {
    let now = Instant::now();
    let group = group(3, now);
    break_it(at(&group, 0), now);
    let later = now + COOLDOWN;
    let chosen = at(&group, 0);
    let (first, _probe) = group.enter(chosen, later).unwrap();
    let (second, _slot) = group.enter(chosen, later).unwrap();
    assert_eq!((index(&group, first), index(&group, second)), (0, 1));
}

#[test]
fn a_call_to_a_saturated_endpoint_goes_elsewhere_but_never_to_an_unhealthy_one() {
    let now = Instant::now();
    let one_each = Settings { max_concurrent: NonZeroU32::MIN, ..settings(&urls(4)) };
    let group = build(&one_each, None, now);
    break_it(at(&group, 0), now);
    find_down(at(&group, 3));
    let (first, _slot) = group.enter(at(&group, 2), now).unwrap();
    let (second, _slot) = group.enter(at(&group, 2), now).unwrap();
    assert_eq!((index(&group, first), index(&group, second)), (2, 1));
    assert!(matches!(group.enter(at(&group, 2), now), Err(Busy::Saturated)));
}

fn homes(group: &Group, now: Instant) -> HashMap<u32, String> {
    (0..2000).map(|who: u32| (who, group.stick(&who.to_le_bytes(), now).origin.clone())).collect()
}

#[test]
fn callers_are_spread_and_each_stays_where_it_is() {
    let now = Instant::now();
    let group = group(4, now);
    let _busy: Vec<_> = (0..5).map(|_| at(&group, 0).enter(now).unwrap()).collect();
    let homes = homes(&group, now);
    for endpoint in group.iter() {
        let here = homes.values().filter(|origin| **origin == endpoint.origin).count();
        assert!((400..600).contains(&here), "{here} at {}", endpoint.origin);
    }
}

#[test]
fn only_the_callers_of_a_failed_endpoint_move_and_they_come_back() {
    let now = Instant::now();
    let group = group(4, now);
    let before = homes(&group, now);
    let gone = at(&group, 2);
    find_down(gone);
    let after = homes(&group, now);
    let mut refuges: HashMap<&str, usize> = HashMap::new();
    for (who, home) in &before {
        if *home == gone.origin {
            *refuges.entry(&after[who]).or_default() += 1;
        } else {
            assert_eq!(home, &after[who]);
        }
    }
    assert_eq!(refuges.len(), 3, "not all to one: {refuges:?}");
    assert!(!refuges.contains_key(gone.origin.as_str()));
    gone.health().note(true);
    assert_eq!(homes(&group, now), before);
}

#[test]
fn a_caller_stays_through_reloads_restarts_and_another_order() {
    let now = Instant::now();
    let before = homes(&group(5, now), now);
    let mut turned = urls(5);
    turned.rotate_left(2);
    assert_eq!(homes(&build(&settings(&turned), None, now), now), before);
    let wider = homes(&group(6, now), now);
    let moved = before.iter().filter(|(who, home)| wider[who] != **home).count();
    assert!((200..470).contains(&moved), "about a sixth: {moved}");
    assert!(before.iter().all(|(who, home)| wider[who] == *home || wider[who].ends_with(":9005")));
}

#[test]
fn a_session_finds_its_endpoint() {
    let now = Instant::now();
    let group = build(&settings(&["http://127.0.0.1:1/a", "http://127.0.0.1:1/b?x=1"]), None, now);
    for endpoint in group.iter() {
        let found = group.by_origin_path(&endpoint.origin, &endpoint.path).unwrap();
        assert!(Arc::ptr_eq(found, endpoint));
    }
    for (origin, path) in
        [("http://127.0.0.1:1", "/c"), ("http://127.0.0.1:1", "/b"), ("http://127.0.0.1:2", "/a"), ("", "")]
    {
        assert!(group.by_origin_path(origin, path).is_none());
    }
}

#[test]
fn a_single_endpoint_is_always_the_one() {
    let now = Instant::now();
    let group = group(1, now);
    break_it(group.first(), now);
    assert!(Arc::ptr_eq(group.pick(now, 7), group.first()));
    assert!(Arc::ptr_eq(group.stick(b"alice", now), group.first()));
    assert!(group.checks_due(now, 7).next().is_none(), "and is not checked");
    assert!(matches!(group.enter(group.first(), now), Err(Busy::BreakerOpen { .. })));
}

#[test]
fn endpoints_that_stay_keep_their_state_wherever_they_are_named() {
    let now = Instant::now();
    let old = group(3, now);
    break_it(at(&old, 0), now);
    find_down(at(&old, 2));
    let new = build(
        &settings(&["http://127.0.0.1:9002/mcp", "http://127.0.0.1:9009/mcp", &urls(1)[0]]),
        Some(&old),
        now,
    );
    assert!(Arc::ptr_eq(at(&new, 0), at(&old, 2)) && Arc::ptr_eq(at(&new, 2), at(&old, 0)));
    assert_eq!(new.iter().map(|endpoint| endpoint.is_up()).collect::<Vec<_>>(), [false, true, false]);
    assert!(at(&new, 2).is_refusing() && !at(&new, 0).is_refusing());
}

#[test]
fn the_last_endpoint_left_is_not_down_for_ever() {
    let now = Instant::now();
    let old = group(2, now);
    find_down(at(&old, 0));
    let new = build(&settings(&urls(1)), Some(&old), now);
    assert!(Arc::ptr_eq(new.first(), at(&old, 0)) && new.is_up());
}

#[test]
fn an_endpoint_named_twice_is_one() {
    let now = Instant::now();
    let [a, b] = ["http://127.0.0.1:1/", "http://127.0.0.1:2/"];
    let group = build(&settings(&[a, b, a, b, b]), None, now);
    let origins: Vec<_> = group.iter().map(|endpoint| endpoint.origin.as_str()).collect();
    assert_eq!(origins, ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
    assert!(!build(&settings(&[a, a]), None, now).has_several());
}

#[test]
fn a_label_names_an_endpoint_without_what_may_be_secret() {
    let now = Instant::now();
    let group = build(&settings(&["https://a.example/mcp?key=canary", "http://[::1]:8080"]), None, now);
    let labels: Vec<_> = group.iter().map(|endpoint| &*endpoint.label).collect();
    assert_eq!(labels, ["https://a.example/mcp", "http://[::1]:8080/"]);
}

proptest! {
    #[test]
    fn an_unhealthy_endpoint_is_never_chosen_while_a_healthy_one_is_there(
        states in prop::collection::vec((any::<bool>(), any::<bool>(), 0usize..6), 1..12),
        later in 0u64..25,
        random in any::<u64>(),
        key in any::<[u8; 8]>(),
    ) {
        let start = Instant::now();
        let group = group(states.len(), start);
        let now = start + Duration::from_secs(later);
        let mut slots = Vec::new();
        for (endpoint, (broken, down, load)) in group.iter().zip(states) {
            slots.extend((0..load).map(|_| endpoint.enter(start).unwrap()));
            if broken { break_it(endpoint, start) }
            if down { find_down(endpoint) }
        }
        let picked = group.pick(now, random);
        let healthy: Vec<_> = group.iter().filter(|endpoint| endpoint.is_healthy(now)).collect();
        prop_assert_eq!(picked.is_healthy(now), !healthy.is_empty());
        prop_assert_eq!(group.stick(&key, now).is_healthy(now), !healthy.is_empty());
        prop_assert!(Arc::ptr_eq(group.stick(&key, now), group.stick(&key, now)));
        let least = healthy.iter().map(|endpoint| endpoint.in_flight()).min();
        prop_assert!(least.is_none_or(|least| picked.in_flight() == least));
        if let Ok((entered, _slot)) = group.enter(picked, now) {
            prop_assert!(healthy.is_empty() || healthy.iter().any(|known| Arc::ptr_eq(known, entered)));
        }
    }

    #[test]
    fn whoever_is_not_at_the_failed_endpoint_stays(
        keys in prop::collection::vec(any::<Vec<u8>>(), 1..50),
        count in 2usize..9,
        failed in any::<prop::sample::Index>(),
    ) {
        let now = Instant::now();
        let group = group(count, now);
        let before: Vec<_> = keys.iter().map(|key| index(&group, group.stick(key, now))).collect();
        let failed = failed.index(count);
        break_it(at(&group, failed), now);
        for (key, before) in keys.iter().zip(before) {
            let after = index(&group, group.stick(key, now));
            prop_assert_eq!(after == before, before != failed);
        }
    }
}
