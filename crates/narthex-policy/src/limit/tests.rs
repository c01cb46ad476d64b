use super::*;
use crate::denial::{Denial, Limited};
use crate::permit::Permit;
use narthex_config::model;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn limits(requests: Option<(u32, u64)>, burst: Option<u32>, concurrent: Option<u32>, per: Per) -> Limits {
    Limits {
        requests: requests.map(|(count, seconds)| model::Rate {
            count: NonZeroU32::new(count).unwrap(),
            window: Duration::from_secs(seconds),
        }),
        burst: burst.and_then(NonZeroU32::new),
        concurrent: concurrent.and_then(NonZeroU32::new),
        per,
    }
}

fn limit(limits: &Limits) -> Arc<Limit> {
    Arc::new(Limit::new(&Place::Route(RouteId::from("r")), limits))
}

fn caller(tenant: &str, subject: &str) -> Caller {
    Caller {
        subject: subject.into(),
        issuer: "https://idp".into(),
        ..Caller::anonymous(TenantId::from(tenant))
    }
}

fn at_secs(seconds: f64) -> Nanos {
    nanos(Duration::from_secs_f64(seconds))
}

/// One call of `tool` by `caller`, counted for `limit` alone.
fn call(limit: &TenantLimit, caller: &Caller, tool: Option<&str>, now: Nanos) -> Result<Permit, Denial> {
    let mut charge = Charge::default();
    charge.add(limit, caller, tool);
    charge.take(now)
}

fn limited(result: Result<Permit, Denial>) -> Limited {
    match result {
        Err(Denial::Limited(limited)) => limited,
        other => panic!("not limited: {other:?}"),
    }
}

#[test]
fn the_burst_may_come_at_once_and_then_the_rate() {
    let limit = limit(&limits(Some((60, 60)), Some(3), None, Per::Tenant)).of_tenant(&TenantId::from("a"));
    let a = caller("a", "s");
    for remaining in [2, 1, 0] {
        let permit = call(&limit, &a, None, at_secs(10.0)).unwrap();
        let state = permit.limit().unwrap();
        assert_eq!(
            (state.remaining, state.reset),
            (remaining, Duration::from_secs(u64::from(3 - remaining)))
        );
        assert_eq!((state.count, state.window, &*state.policy), (60, Duration::from_secs(60), "route"));
    }
    let refused = limited(call(&limit, &a, None, at_secs(10.25)));
    assert_eq!(refused.retry_after, Duration::from_millis(750));
    assert_eq!(refused.window, Some(Duration::from_secs(60)));
    assert!(call(&limit, &a, None, at_secs(11.0)).is_ok());
    assert!(call(&limit, &a, None, at_secs(11.9)).is_err());
    assert!(call(&limit, &a, None, at_secs(12.0)).is_ok());
}

#[test]
fn the_wait_that_is_told_is_enough() {
    let limit = limit(&limits(Some((7, 60)), None, None, Per::Tenant)).of_tenant(&TenantId::from("a"));
    let a = caller("a", "s");
    let mut now = Duration::from_secs(1);
    for _ in 0..100 {
        match call(&limit, &a, None, nanos(now)) {
            Ok(_) => {}
            Err(Denial::Limited(refused)) => {
                now += refused.retry_after;
                assert!(call(&limit, &a, None, nanos(now)).is_ok());
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn whom_a_limit_is_counted_for_is_as_configured() {
    let (alice, bob) = (caller("a", "alice"), caller("a", "bob"));
    let other_issuer = Caller { issuer: "https://other".into(), ..alice.clone() };
    let with_client = Caller { client: Some("c1".into()), ..alice.clone() };
    // After alice has called `x`: who may still call, and which tool?
    let cases: [(Per, &Caller, Option<&str>, bool); 13] = [
        (Per::Tenant, &bob, Some("y"), false),
        (Per::Subject, &alice, Some("y"), false),
        (Per::Subject, &bob, Some("x"), true),
        (Per::Subject, &other_issuer, Some("x"), true),
        (Per::Subject, &with_client, Some("x"), false),
        (Per::Client, &bob, Some("x"), false),
        (Per::Client, &with_client, Some("x"), true),
        (Per::Client, &other_issuer, Some("x"), true),
        (Per::Tool, &bob, Some("x"), false),
        (Per::Tool, &other_issuer, Some("x"), false),
        (Per::Tool, &alice, Some("y"), true),
        (Per::Tool, &alice, None, true),
        (Per::Tool, &alice, Some(""), true),
    ];
    for (per, who, tool, allowed) in cases {
        let limit = limit(&limits(Some((1, 60)), None, None, per)).of_tenant(&TenantId::from("a"));
        assert!(call(&limit, &alice, Some("x"), at_secs(1.0)).is_ok());
        assert_eq!(call(&limit, who, tool, at_secs(1.0)).is_ok(), allowed, "{per:?} {who:?} {tool:?}");
    }
}

#[test]
fn calls_without_a_tool_are_counted_together() {
    let limit = limit(&limits(Some((1, 60)), None, None, Per::Tool)).of_tenant(&TenantId::from("a"));
    let a = caller("a", "s");
    assert!(call(&limit, &a, None, at_secs(1.0)).is_ok());
    assert!(call(&limit, &a, Some(""), at_secs(1.0)).is_err());
    assert!(call(&limit, &a, None, at_secs(1.0)).is_err());
}

#[test]
fn calls_in_flight_are_capped_and_freed() {
    let limit = limit(&limits(None, None, Some(2), Per::Subject)).of_tenant(&TenantId::from("a"));
    let (a, b) = (caller("a", "s"), caller("a", "t"));
    let one = call(&limit, &a, None, at_secs(1.0)).unwrap();
    let two = call(&limit, &a, None, at_secs(1.0)).unwrap();
    assert!(one.counts_in_flight() && one.limit().is_none());
    let refused = limited(call(&limit, &a, None, at_secs(1.0)));
    assert_eq!((refused.count, refused.window), (2, None));
    assert_eq!(Denial::Limited(refused).reason(), "concurrency_limited");
    assert!(call(&limit, &b, None, at_secs(1.0)).is_ok());
    drop(one);
    let three = call(&limit, &a, None, at_secs(1.0)).unwrap();
    assert!(call(&limit, &a, None, at_secs(1.0)).is_err());
    drop((two, three));
    let both = [(); 2].map(|()| call(&limit, &a, None, at_secs(1.0)));
    assert!(both.iter().all(Result::is_ok));
}

#[test]
fn a_call_refused_by_one_limit_takes_nothing_from_the_others() {
    let wide = limit(&limits(Some((2, 60)), None, Some(9), Per::Tenant)).of_tenant(&TenantId::from("a"));
    let narrow = limit(&limits(Some((1, 60)), None, None, Per::Tenant)).of_tenant(&TenantId::from("a"));
    let a = caller("a", "s");
    let both = |now| {
        let mut charge = Charge::default();
        charge.add(&wide, &a, None);
        charge.add(&narrow, &a, None);
        charge.take(now)
    };
    let permit = both(at_secs(1.0)).unwrap();
    assert_eq!(permit.limit().unwrap().remaining, 0, "the tightest is told");
    for _ in 0..10 {
        assert!(both(at_secs(1.0)).is_err());
    }
    drop(permit);
    assert!(call(&wide, &a, None, at_secs(1.0)).is_ok());
    assert!(wide.all.begin(9, 9).is_some(), "no call in flight is left over");
}

#[test]
fn a_batch_is_counted_call_by_call() {
    let limit = limit(&limits(Some((4, 60)), None, None, Per::Tool)).of_tenant(&TenantId::from("a"));
    let a = caller("a", "s");
    let batch = |tools: &[&str]| {
        let mut charge = Charge::default();
        tools.iter().for_each(|tool| charge.add(&limit, &a, Some(tool)));
        charge.merge();
        charge.take(at_secs(1.0))
    };
    assert!(batch(&["x", "y", "x", "x"]).is_ok());
    assert!(batch(&["y", "x", "x"]).is_err(), "one x is left");
    assert!(batch(&["y", "x", "y", "y"]).is_ok(), "and the refused batch took nothing");
    assert!(batch(&["y"]).is_err());
}

#[test]
fn a_batch_larger_than_the_burst_never_passes() {
    let limit = limit(&limits(Some((3, 3)), None, None, Per::Tenant)).of_tenant(&TenantId::from("a"));
    let a = caller("a", "s");
    let mut charge = Charge::default();
    (0..1000).for_each(|_| charge.add(&limit, &a, None));
    charge.merge();
    assert_eq!(limited(charge.take(at_secs(1.0))).retry_after, Duration::from_secs(3));
    assert!(call(&limit, &a, None, at_secs(1.0)).is_ok());
}

#[test]
fn extreme_numbers_do_not_overflow() {
    let a = caller("a", "s");
    for (count, window, burst) in [
        (1, u64::MAX / 2_000_000_000, u32::MAX),
        (1, u64::MAX, u32::MAX),
        (u32::MAX, 1, u32::MAX),
        (u32::MAX, u64::MAX, 1),
    ] {
        let limit = limit(&limits(Some((count, window)), Some(burst), None, Per::Tenant))
            .of_tenant(&TenantId::from("a"));
        for now in [Nanos::from(0), at_secs(1.0), Nanos::from(1 << 60)] {
            let _ = call(&limit, &a, None, now);
            let mut charge = Charge::default();
            (0..100).for_each(|_| charge.add(&limit, &a, None));
            charge.merge();
            let _ = charge.take(now);
        }
    }
}

#[test]
fn keys_like_new_are_forgotten_and_used_ones_are_not() {
    let limit = limit(&limits(Some((1, 10)), None, Some(5), Per::Subject));
    let of_a = limit.of_tenant(&TenantId::from("a"));
    drop(call(&of_a, &caller("a", "done"), None, at_secs(1.0)).unwrap());
    let running = call(&of_a, &caller("a", "running"), None, at_secs(1.0)).unwrap();
    assert_eq!((limit.len(), of_a.keys.load(Ordering::Relaxed)), (3, 2));
    limit.evict_idle(at_secs(10.9));
    assert_eq!(limit.len(), 3, "their rate is not whole again");
    limit.evict_idle(at_secs(11.0));
    assert_eq!((limit.len(), of_a.keys.load(Ordering::Relaxed)), (2, 1), "one call is in flight");
    drop(running);
    limit.evict_idle(at_secs(11.0));
    assert_eq!((limit.len(), of_a.keys.load(Ordering::Relaxed)), (1, 0), "the tenant's own stays");
    drop(of_a);
    limit.evict_idle(at_secs(11.0));
    assert_eq!((limit.len(), limit.keys.lock().len()), (0, 0), "until no policy knows the tenant");
}

#[test]
fn where_there_are_many_keys_they_are_looked_at_less_often() {
    let limit = limit(&limits(Some((1, 10)), None, None, Per::Subject));
    let of_a = limit.of_tenant(&TenantId::from("a"));
    for number in 0..2 * LOOKED_AT {
        drop(call(&of_a, &caller("a", &number.to_string()), None, at_secs(1.0)).unwrap());
    }
    let all = limit.len();
    limit.evict_idle(at_secs(10.5));
    limit.evict_idle(at_secs(12.4));
    assert_eq!(limit.len(), all, "they were looked at two seconds ago");
    limit.evict_idle(at_secs(12.5));
    assert_eq!(limit.len(), 1);
}

#[test]
fn keys_beyond_the_most_share_one_bucket_and_harm_no_other_tenant() {
    let numbers = limits(Some((1, 60)), None, None, Per::Tool);
    let limit = Arc::new(Limit::with_max_keys(&Place::Route(RouteId::from("r")), &numbers, 3));
    let (of_a, of_b) = (limit.of_tenant(&TenantId::from("a")), limit.of_tenant(&TenantId::from("b")));
    let (a, b) = (caller("a", "s"), caller("b", "s"));
    let passed = (0..100).filter(|i| call(&of_a, &a, Some(&format!("t{i}")), at_secs(1.0)).is_ok()).count();
    assert_eq!(passed, 4, "three keys of their own and one for all others");
    assert_eq!(limit.take_overflows(), 97);
    assert_eq!(limit.take_overflows(), 0);
    assert!(call(&of_b, &b, Some("t99"), at_secs(1.0)).is_ok());
    assert!(limit.len() <= 3 + 1 + 1 + 1);
}

#[test]
fn many_threads_together_get_no_more_than_the_burst() {
    let limit = limit(&limits(Some((50, 3600)), None, None, Per::Subject)).of_tenant(&TenantId::from("a"));
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let a = caller("a", "s");
                let mine = (0..100).filter(|_| call(&limit, &a, None, at_secs(1.0)).is_ok()).count();
                passed.fetch_add(mine, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(passed.load(Ordering::Relaxed), 50);
}

#[test]
fn limits_are_named_after_their_place() {
    let route = RouteId::from("r");
    assert_eq!(Place::Tenant(TenantId::from("a")).name(), "tenant");
    assert_eq!(Place::Route(route.clone()).name(), "route");
    assert_eq!(Place::Tool(route, "create_*,delete_*".to_owned(), 1).name(), "tool:create_*,delete_*");
}

proptest! {
    #[test]
    fn never_more_than_burst_and_rate_in_any_window(
        count in 1u32..50,
        window in 1u64..120,
        burst in proptest::option::of(1u32..60),
        gaps in prop::collection::vec(0u64..5_000, 1..200),
    ) {
        let limit = limit(&limits(Some((count, window)), burst, None, Per::Tenant)).of_tenant(&TenantId::from("a"));
        let a = caller("a", "s");
        let mut now = Duration::from_secs(1);
        let mut passed = Vec::new();
        for gap in gaps {
            now += Duration::from_millis(gap);
            if call(&limit, &a, None, nanos(now)).is_ok() {
                passed.push(now);
            }
        }
        for (i, from) in passed.iter().enumerate() {
            for (j, to) in passed.iter().enumerate().skip(i) {
                let came_back = (*to - *from).as_nanos() * u128::from(count) / Duration::from_secs(window).as_nanos();
                let most = u128::from(burst.unwrap_or(count)) + came_back;
                prop_assert!((j - i + 1) as u128 <= most, "{} in {:?}, most {}", j - i + 1, *to - *from, most);
            }
        }
    }

    #[test]
    fn tenants_never_share_a_key(
        one in "[a-z/:-]{1,8}", two in "[a-z/:-]{1,8}", name in ".{0,8}", per in 0usize..4,
    ) {
        prop_assume!(one != two);
        let per = [Per::Tenant, Per::Subject, Per::Client, Per::Tool][per];
        let limit = limit(&limits(Some((1, 60)), None, None, per));
        for tenant in [&one, &two] {
            let who = Caller { client: Some(name.as_str().into()), ..caller(tenant, &name) };
            let limit = limit.of_tenant(&TenantId::from(tenant.as_str()));
            prop_assert!(call(&limit, &who, Some(&name), at_secs(1.0)).is_ok());
            prop_assert!(call(&limit, &who, Some(&name), at_secs(1.0)).is_err());
        }
    }

    #[test]
    fn calls_in_flight_return_to_none(most in 1u32..5, steps in prop::collection::vec(any::<(bool, u8)>(), 0..60)) {
        let limit = limit(&limits(None, None, Some(most), Per::Tenant)).of_tenant(&TenantId::from("a"));
        let a = caller("a", "s");
        let mut held = Vec::new();
        for (begin, which) in steps {
            if begin {
                let permit = call(&limit, &a, None, at_secs(1.0));
                prop_assert_eq!(permit.is_ok(), held.len() < most as usize);
                held.extend(permit.ok());
            } else if !held.is_empty() {
                drop(held.swap_remove(usize::from(which) % held.len()));
            }
        }
        held.clear();
        prop_assert!(limit.all.begin(most, most).is_some());
    }
}
