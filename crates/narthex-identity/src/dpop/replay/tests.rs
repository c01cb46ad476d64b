use super::*;
use crate::fixtures::{later, now};
use narthex_store::{Capacity, KeyRing, Memory};
use proptest::prelude::*;

fn target(url: &str) -> Target {
    Target::new(url).unwrap()
}

fn id(number: usize) -> ProofId {
    ProofId::new(&Thumbprint::of(b"key"), &target("https://gw.example/a"), &number.to_string())
}

#[test]
fn a_proof_is_new_once_until_it_is_good_no_more() {
    let seen = Seen::new(100);
    assert_eq!(seen.note(&id(1), later(60), now()), Ok(true));
    assert_eq!(seen.note(&id(1), later(60), now()), Ok(false));
    assert_eq!(seen.note(&id(1), later(60), later(60)), Ok(false), "to the end of its last second");
    assert_eq!(seen.note(&id(2), later(60), now()), Ok(true));
    assert_eq!(seen.len(), 2);
}

#[test]
fn the_same_jti_of_another_key_or_for_another_url_is_another_proof() {
    let seen = Seen::new(100);
    for (key, url, is_new) in [
        ("mallory", "https://gw.example/a", true),
        ("alice", "https://gw.example/a", true),
        ("alice", "https://gw.example/b", true),
        ("alice", "https://gw.example/a", false),
    ] {
        let id = ProofId::new(&Thumbprint::of(key.as_bytes()), &target(url), "jti");
        assert_eq!(seen.note(&id, later(60), now()), Ok(is_new), "{key} {url}");
    }
}

/// One of `key`.
fn id_of(key: usize, number: usize) -> ProofId {
    let key = Thumbprint::of(key.to_string().as_bytes());
    ProofId::new(&key, &target("https://gw.example/a"), &number.to_string())
}

#[test]
fn a_full_memory_forgets_none_and_accepts_none_until_some_are_outdated() {
    let seen = Seen::new(2048);
    let accepted = (0..10_000).filter(|n| seen.note(&id_of(*n, 1), later(60), now()) == Ok(true)).count();
    assert_eq!((accepted, seen.len()), (2048, 2048));
    assert_eq!(seen.note(&id_of(10_000, 1), later(60), now()), Err(DpopError::Full));
    let known = (0..10_000).filter(|n| seen.note(&id_of(*n, 1), later(60), later(30)) == Ok(false)).count();
    assert_eq!(known, accepted, "each of them is still known");
    assert!((0..100).all(|n| seen.note(&id_of(20_000 + n, 1), later(200), later(62)).is_ok()));
}

#[test]
fn one_key_that_floods_the_memory_is_refused_and_others_are_not() {
    let seen = Seen::new(2000);
    let flood = |key| (0..5000).filter(|n| seen.note(&id_of(key, *n), later(60), now()) == Ok(true)).count();
    assert_eq!(flood(0), 1000, "half of the room");
    assert_eq!(seen.note(&id_of(0, 9999), later(60), now()), Err(DpopError::TooMany));
    assert_eq!(seen.note(&id_of(0, 1), later(60), now()), Ok(false), "what it used is still known");
    for key in 1..=100 {
        assert!((0..5).all(|n| seen.note(&id_of(key, n), later(60), now()) == Ok(true)), "{key}");
    }
    // Others that flood it have less and less, and there is still room for those that do not.
    for key in 1001..1005 {
        flood(key);
    }
    for key in 201..=210 {
        assert_eq!(seen.note(&id_of(key, 0), later(60), now()), Ok(true), "{key}");
    }
    assert!(seen.len() < 2000);
    // And once its proofs are outdated it is as any other.
    assert_eq!(seen.note(&id_of(0, 10_000), later(200), later(62)), Ok(true));
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_key_that_is_refused_takes_no_room_and_what_is_counted_is_what_is_there() {
    let seen = Seen::new(10);
    for key in 0..10_000 {
        let _ = seen.note(&id_of(key, 0), later(60), now());
        let _ = seen.note(&id_of(key, 0), later(60), now());
    }
    let shards = || seen.shards.iter().map(|shard| shard.lock());
    assert_eq!(shards().map(|shard| shard.proofs.len()).sum::<usize>(), 10);
    assert_eq!(shards().map(|shard| shard.keys.len()).sum::<usize>(), 10);
    // The same proof once more, when it is outdated and not swept yet.
    assert_eq!(seen.note(&id_of(0, 0), later(200), later(62)), Ok(true));
    assert_eq!(seen.len(), 10);
    (0..SHARDS / SWEPT).for_each(|_| seen.sweep(later(300)));
    assert!(seen.is_empty() && shards().all(|shard| shard.keys.is_empty()));
}

#[test]
fn outdated_proofs_are_swept_away_and_their_room_given_back() {
    let seen = Seen::new(1_000_000);
    (0..100_000).for_each(|n| assert_eq!(seen.note(&id_of(n % 1000, n), later(60), now()), Ok(true)));
    (0..SHARDS / SWEPT).for_each(|_| seen.sweep(later(62)));
    assert!(seen.is_empty());
    let room: usize = seen.shards.iter().map(|shard| shard.lock().proofs.capacity()).sum();
    assert_eq!(room, 0);
}

#[test]
fn of_many_at_once_one_is_the_first() {
    let seen = Seen::new(1000);
    let first = std::thread::scope(|scope| {
        let ask = || (0..200).filter(|n| seen.note(&id(*n), later(60), now()) == Ok(true)).count();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    assert_eq!(first, 200);
}

#[tokio::test]
async fn what_one_replica_has_seen_the_other_knows() {
    let capacity = Capacity { entries: 100.try_into().unwrap(), bytes: 1 << 16 };
    let clock = std::time::Instant::now();
    let store = Arc::new(Memory::new(capacity, Arc::new(move || clock)));
    let vault = Vault::new(store, KeyRing::new(vec![[7; 32]]));
    let replica = || SeenByAll::new(Arc::new(Seen::new(100)), vault.clone());
    let (one, other) = (replica(), replica());
    assert_eq!(one.first_use(&id(1), later(60), now()).await, Ok(true));
    assert_eq!(other.first_use(&id(1), later(60), now()).await, Ok(false));
    assert_eq!(one.first_use(&id(1), later(60), now()).await, Ok(false));
    assert_eq!(other.first_use(&id(2), later(60), now()).await, Ok(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_proof_is_twice_new_within_its_time(uses in prop::collection::vec((0usize..20, 0u64..100), 1..200)) {
        let seen = Seen::new(100_000);
        let mut known = HashMap::new();
        let mut clock = 0;
        for (proof, wait) in uses {
            clock += wait;
            let is_new = seen.note(&id(proof), later(clock + 60), later(clock)).unwrap();
            if known.get(&proof).is_some_and(|until| clock <= *until) {
                prop_assert!(!is_new);
            } else if known.get(&proof).is_none_or(|until| clock > *until + 1) {
                prop_assert!(is_new);
            }
            if is_new {
                known.insert(proof, clock + 60);
            }
        }
    }
}
