use super::*;
use crate::testing::contract;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A clock that stands still unless it is told otherwise.
#[derive(Clone)]
struct Hand(Arc<Mutex<Instant>>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    fn pass(&self, time: Duration) {
        *self.0.lock() += time;
    }

    fn clock(&self) -> Clock {
        let now = self.0.clone();
        Arc::new(move || *now.lock())
    }
}

fn memory(entries: usize, bytes: usize) -> (Memory, Hand) {
    let hand = Hand::new();
    let capacity = Capacity { entries: NonZeroUsize::new(entries).unwrap(), bytes };
    (Memory::new(capacity, hand.clock()), hand)
}

/// A key of three bytes.
fn key(at: usize) -> Key {
    Key::new("k", &[&at.to_string()])
}

fn seconds(seconds: usize) -> Duration {
    Duration::from_secs(seconds as u64)
}

async fn put(memory: &Memory, at: usize, len: usize, ttl: usize) {
    memory.put(&key(at), vec![0; len].into(), seconds(ttl)).await.unwrap();
}

async fn held(memory: &Memory, keys: usize) -> Vec<usize> {
    let mut held = Vec::new();
    for at in 0..keys {
        if memory.get(&key(at)).await.unwrap().is_some() {
            held.push(at);
        }
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_the_contract() {
    let hand = Hand::new();
    let make = async || {
        let capacity = Capacity { entries: NonZeroUsize::new(100).unwrap(), bytes: 2 << 20 };
        let store: Arc<dyn Store> = Arc::new(Memory::new(capacity, hand.clock()));
        store
    };
    contract(make, async |time| hand.pass(time)).await.unwrap();
}

#[tokio::test]
async fn a_value_ends_at_the_moment_that_was_said() {
    let (memory, hand) = memory(10, 1000);
    put(&memory, 1, 5, 10).await;
    hand.pass(seconds(10) - Duration::from_nanos(1));
    assert_eq!(held(&memory, 2).await, [1]);
    hand.pass(Duration::from_nanos(1));
    assert_eq!(held(&memory, 2).await, [0; 0]);
    assert_eq!(memory.usage(), Usage::default());
}

#[tokio::test]
async fn when_full_what_ends_soonest_goes() {
    let (memory, _) = memory(3, 1000);
    for (at, ttl) in [(0, 30), (1, 10), (2, 20), (3, 40), (4, 50)] {
        put(&memory, at, 5, ttl).await;
    }
    assert_eq!(held(&memory, 5).await, [0, 3, 4]);
    assert_eq!(memory.usage(), Usage { entries: 3, bytes: 24, evicted: 2 });
}

#[tokio::test]
async fn what_was_just_put_stays_even_if_it_ends_soonest() {
    let (memory, _) = memory(2, 1000);
    for (at, ttl) in [(0, 30), (1, 20), (2, 10)] {
        put(&memory, at, 5, ttl).await;
    }
    assert_eq!(held(&memory, 3).await, [0, 2]);
}

#[tokio::test]
async fn what_has_ended_goes_before_what_has_not_and_is_not_called_evicted() {
    let (memory, hand) = memory(2, 1000);
    put(&memory, 0, 5, 10).await;
    put(&memory, 1, 5, 30).await;
    hand.pass(seconds(10));
    put(&memory, 2, 5, 5).await;
    assert_eq!(held(&memory, 3).await, [1, 2]);
    assert_eq!(memory.usage().evicted, 0);
}

#[tokio::test]
async fn bytes_are_bounded_too() {
    let (memory, _) = memory(100, 300);
    for at in 0..5 {
        put(&memory, at, 97, 10 + at).await;
    }
    assert_eq!(held(&memory, 5).await, [2, 3, 4]);
    put(&memory, 2, 297, 1).await;
    assert_eq!(held(&memory, 5).await, [2], "a large one costs as many as it takes");
    let refused = memory.put(&key(2), vec![0; 298].into(), seconds(9)).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { size: 301, most: 300 }));
    assert_eq!(refused.reason(), "store_too_large");
    assert_eq!(memory.usage().bytes, 300, "what was there is still there");
}

#[tokio::test]
async fn a_slice_does_not_keep_its_buffer() {
    let (memory, _) = memory(10, 1000);
    let buffer = Bytes::from(vec![7; 1 << 20]);
    memory.put(&key(0), buffer.slice(..10), seconds(10)).await.unwrap();
    let kept = memory.get(&key(0)).await.unwrap().unwrap();
    assert_eq!(kept, buffer.slice(..10));
    assert!(!buffer.as_ptr_range().contains(&kept.as_ptr()));
}

#[tokio::test]
async fn debug_shows_neither_keys_nor_values() {
    let (memory, _) = memory(10, 1000);
    memory.put(&Key::new("k", &["ann"]), Bytes::from_static(b"hunter2"), seconds(10)).await.unwrap();
    let shown = format!("{memory:?}");
    assert!(shown.contains("entries: 1") && !shown.contains("ann") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_bounds_hold_while_many_put_at_once() {
    let (memory, _) = memory(50, 2000);
    let memory = Arc::new(memory);
    let tasks = (0..8).map(|task| {
        let memory = memory.clone();
        tokio::spawn(async move {
            for at in 0..2000 {
                put(&memory, (at * 7 + task) % 300, at % 90, 1 + at % 50).await;
                let usage = memory.usage();
                // Eight tasks may each be a step ahead of making room, by a value of at most 95 bytes.
                assert!(usage.entries <= 58 && usage.bytes <= 2000 + 8 * 95, "{usage:?}");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let (usage, mut counted) = (memory.usage(), Usage::default());
    for at in held(&memory, 300).await {
        counted.entries += 1;
        counted.bytes += size_of(&key(at), &memory.get(&key(at)).await.unwrap().unwrap());
    }
    assert_eq!((usage.entries, usage.bytes), (counted.entries, counted.bytes));
}

/// What is done to a store.
#[derive(Clone, Debug)]
enum Step {
    Put { key: usize, len: usize, ttl: usize },
    PutIfAbsent { key: usize, len: usize, ttl: usize },
    Remove(usize),
    Pass(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let put = (0usize..10, 0usize..30, 0usize..20);
    prop_oneof![
        put.clone().prop_map(|(key, len, ttl)| Step::Put { key, len, ttl }),
        put.prop_map(|(key, len, ttl)| Step::PutIfAbsent { key, len, ttl }),
        (0usize..10).prop_map(Step::Remove),
        (0usize..10).prop_map(Step::Pass),
    ]
}

/// The same, written without care for speed: key → length and end, by a clock in seconds.
#[derive(Default)]
struct Plain {
    now: usize,
    values: BTreeMap<usize, (usize, usize)>,
}

impl Plain {
    fn put(&mut self, key: usize, len: usize, ttl: usize, most: (usize, usize)) {
        self.values.remove(&key);
        if ttl > 0 {
            self.values.insert(key, (len, self.now + ttl));
        }
        while self.values.len() > most.0
            || self.values.values().map(|(len, _)| len + 3).sum::<usize>() > most.1
        {
            let others = self.values.iter().filter(|(other, _)| **other != key);
            let soonest = others.min_by_key(|(other, (_, end))| (*end, **other)).map(|(other, _)| *other);
            self.values.remove(&soonest.unwrap());
        }
    }

    fn pass(&mut self, time: usize) {
        self.now += time;
        self.values.retain(|_, (_, end)| *end > self.now);
    }
}

proptest! {
    #[test]
    fn whatever_is_done_to_it_it_holds_what_a_plain_one_would(
        steps in prop::collection::vec(step(), 0..60),
        (entries, bytes) in (1usize..8, 40usize..150),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (memory, hand) = memory(entries, bytes);
        let mut plain = Plain::default();
        for (at, step) in steps.into_iter().enumerate() {
            // No two end at the same time, as then which goes first is by chance.
            let tick = |ttl: usize| if ttl == 0 { 0 } else { ttl * 100 + at };
            runtime.block_on(async {
                match step {
                    Step::Put { key, len, ttl } => {
                        put(&memory, key, len, tick(ttl)).await;
                        plain.put(key, len, tick(ttl), (entries, bytes));
                    }
                    Step::PutIfAbsent { key: at, len, ttl } => {
                        let (name, value) = (key(at), vec![0; len].into());
                        let done = memory.put_if_absent(&name, value, seconds(tick(ttl))).await.unwrap();
                        let absent = !plain.values.contains_key(&at);
                        assert_eq!(done, absent);
                        if absent {
                            plain.put(at, len, tick(ttl), (entries, bytes));
                        }
                    }
                    Step::Remove(at) => {
                        let removed = memory.remove(&key(at)).await.unwrap();
                        assert_eq!(removed, plain.values.remove(&at).is_some());
                    }
                    Step::Pass(time) => {
                        hand.pass(seconds(time * 100));
                        plain.pass(time * 100);
                    }
                }
            });
            let held = runtime.block_on(held(&memory, 10));
            prop_assert_eq!(held, plain.values.keys().copied().collect::<Vec<_>>());
        }
    }
}
