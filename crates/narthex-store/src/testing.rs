//! What every home of [`Store`] must keep to, as a test.

use crate::{Condition, Error, Key, Store};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Long enough that nothing ends during the test.
const LONG: Duration = Duration::from_secs(600);

/// Short, but long enough for a home that is asked over a network and goes by its own clock.
const SHORT: Duration = Duration::from_millis(500);

/// Tries every promise of [`Store`] on stores that `make_store` makes. They may hold the same values, as
/// connections to one server do, if nothing of an earlier run is left; they need room for a hundred values
/// and 2 MiB. `pass` lets time go by for them: by stepping an injected clock, or by sleeping. Some promises
/// are tried by many tasks at once, so this must run on tokio, best with several threads.
///
/// # Errors
/// Whatever a store could not do.
///
/// # Panics
/// If a promise is broken.
pub async fn contract(
    make_store: impl AsyncFn() -> Arc<dyn Store>,
    pass: impl AsyncFn(Duration),
) -> Result<(), Error> {
    what_was_put_is_there(&*make_store().await).await?;
    no_key_is_another(&*make_store().await).await?;
    the_last_put_counts(&*make_store().await, &pass).await?;
    only_what_is_absent_is_put(&*make_store().await, &pass).await?;
    what_was_removed_is_gone(&*make_store().await, &pass).await?;
    everything_has_an_end(&*make_store().await, &pass).await?;
    no_time_is_no_value(&*make_store().await).await?;
    what_was_taken_is_gone(&*make_store().await, &pass).await?;
    only_what_was_expected_is_swapped(&*make_store().await, &pass).await?;
    a_former_key_counts_as_the_key(&*make_store().await).await?;
    a_former_key_gives_way(&*make_store().await).await?;
    one_of_many_wins(&make_store().await).await?;
    one_of_many_takes(&make_store().await).await?;
    no_swap_is_lost(&make_store().await).await?;
    a_value_on_the_move_is_never_missed(&make_store().await).await
}

async fn what_was_put_is_there(store: &dyn Store) -> Result<(), Error> {
    let key = Key::new("there", &["key"]);
    assert_eq!(store.get(&key).await?, None);
    let long = vec![0xa5; 1 << 20];
    for value in [b"value".as_slice(), b"", b"\0\xff\r\n", &long] {
        store.put(&key, Bytes::copy_from_slice(value), LONG).await?;
        assert_eq!(store.get(&key).await?.as_deref(), Some(value));
    }
    // Longer than any store's own clock may count.
    store.put(&key, Bytes::from_static(b"for ever"), Duration::MAX).await?;
    assert_eq!(store.get(&key).await?.as_deref(), Some(b"for ever".as_slice()));
    Ok(())
}

async fn no_key_is_another(store: &dyn Store) -> Result<(), Error> {
    let long = "x".repeat(1000);
    let keys = [
        Key::new("one", &["a", "b"]),
        Key::new("other", &["a", "b"]),
        Key::new("one", &["a:b"]),
        Key::new("one", &["A", "b"]),
        Key::new("one", &["a", "b", ""]),
        Key::new("one", &["a", "b "]),
        Key::new("one", &["a*", "ä\0\n"]),
        Key::new("one", &[&long]),
        Key::new("one", &[&long[1..]]),
    ];
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(store.get(key).await?, None, "{}", key.as_str());
        store.put(key, at.to_string().into(), LONG).await?;
    }
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(store.get(key).await?, Some(at.to_string().into()), "{}", key.as_str());
    }
    Ok(())
}

async fn the_last_put_counts(store: &dyn Store, pass: &impl AsyncFn(Duration)) -> Result<(), Error> {
    let [longer, shorter] = ["longer", "shorter"].map(|part| Key::new("last", &[part]));
    store.put(&longer, Bytes::from_static(b"1"), SHORT).await?;
    store.put(&longer, Bytes::from_static(b"2"), LONG).await?;
    store.put(&shorter, Bytes::from_static(b"1"), LONG).await?;
    store.put(&shorter, Bytes::from_static(b"2"), SHORT).await?;
    pass(2 * SHORT).await;
    assert_eq!(store.get(&longer).await?.as_deref(), Some(b"2".as_slice()), "its time is the last one's");
    assert_eq!(store.get(&shorter).await?, None, "its time is the last one's");
    Ok(())
}

async fn only_what_is_absent_is_put(store: &dyn Store, pass: &impl AsyncFn(Duration)) -> Result<(), Error> {
    let key = Key::new("absent", &["key"]);
    assert!(store.put_if_absent(&key, Bytes::from_static(b"1"), SHORT).await?);
    assert!(!store.put_if_absent(&key, Bytes::from_static(b"2"), LONG).await?);
    assert_eq!(store.get(&key).await?.as_deref(), Some(b"1".as_slice()));
    pass(2 * SHORT).await;
    assert!(store.put_if_absent(&key, Bytes::from_static(b"3"), LONG).await?, "its time was not prolonged");
    assert!(store.remove(&key).await?);
    assert!(store.put_if_absent(&key, Bytes::from_static(b"4"), LONG).await?);
    assert_eq!(store.get(&key).await?.as_deref(), Some(b"4".as_slice()));
    Ok(())
}

async fn what_was_removed_is_gone(store: &dyn Store, pass: &impl AsyncFn(Duration)) -> Result<(), Error> {
    let key = Key::new("removed", &["key"]);
    assert!(!store.remove(&key).await?);
    store.put(&key, Bytes::from_static(b""), LONG).await?;
    assert!(store.remove(&key).await?, "an empty value is one");
    assert_eq!(store.get(&key).await?, None);
    assert!(!store.remove(&key).await?);
    store.put(&key, Bytes::from_static(b"1"), SHORT).await?;
    pass(2 * SHORT).await;
    assert!(!store.remove(&key).await?, "what has ended cannot be removed");
    Ok(())
}

async fn everything_has_an_end(store: &dyn Store, pass: &impl AsyncFn(Duration)) -> Result<(), Error> {
    let keys: Vec<Key> = (0..20).map(|at| Key::new("end", &[&at.to_string()])).collect();
    for (at, key) in keys.iter().enumerate() {
        let ttl = if at % 2 == 0 { SHORT } else { LONG };
        store.put(key, Bytes::from_static(b"value"), ttl).await?;
    }
    pass(2 * SHORT).await;
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(store.get(key).await?.is_none(), at % 2 == 0, "{}", key.as_str());
    }
    Ok(())
}

async fn no_time_is_no_value(store: &dyn Store) -> Result<(), Error> {
    let key = Key::new("zero", &["key"]);
    assert!(store.put_if_absent(&key, Bytes::from_static(b"1"), Duration::ZERO).await?);
    assert_eq!(store.get(&key).await?, None);
    store.put(&key, Bytes::from_static(b"2"), LONG).await?;
    assert!(!store.put_if_absent(&key, Bytes::from_static(b"3"), Duration::ZERO).await?);
    assert_eq!(store.get(&key).await?.as_deref(), Some(b"2".as_slice()));
    store.put(&key, Bytes::from_static(b"4"), Duration::ZERO).await?;
    assert_eq!(store.get(&key).await?, None);
    Ok(())
}

async fn what_was_taken_is_gone(store: &dyn Store, pass: &impl AsyncFn(Duration)) -> Result<(), Error> {
    let key = Key::new("taken", &["key"]);
    assert_eq!(store.take(&key).await?, None);
    store.put(&key, Bytes::from_static(b"1"), LONG).await?;
    assert_eq!(store.take(&key).await?.as_deref(), Some(b"1".as_slice()));
    assert_eq!(store.take(&key).await?, None);
    assert_eq!(store.get(&key).await?, None);
    assert!(store.put_if_absent(&key, Bytes::from_static(b""), SHORT).await?);
    assert_eq!(store.take(&key).await?.as_deref(), Some(b"".as_slice()), "an empty value is one");
    store.put(&key, Bytes::from_static(b"2"), SHORT).await?;
    pass(2 * SHORT).await;
    assert_eq!(store.take(&key).await?, None, "what has ended cannot be taken");
    Ok(())
}

async fn only_what_was_expected_is_swapped(
    store: &dyn Store,
    pass: &impl AsyncFn(Duration),
) -> Result<(), Error> {
    let key = Key::new("swapped", &["key"]);
    let [one, two, none] = [b"1".as_slice(), b"2", b""].map(Bytes::from_static);
    assert!(!store.compare_and_swap(&key, Some(&one), two.clone(), LONG).await?);
    assert!(!store.compare_and_swap(&key, Some(&none), two.clone(), LONG).await?, "an empty value is one");
    assert!(store.compare_and_swap(&key, None, one.clone(), LONG).await?);
    assert!(!store.compare_and_swap(&key, None, two.clone(), LONG).await?);
    assert!(!store.compare_and_swap(&key, Some(&two), two.clone(), LONG).await?);
    assert_eq!(store.get(&key).await?, Some(one.clone()));
    assert!(store.compare_and_swap(&key, Some(&one), two.clone(), SHORT).await?);
    assert_eq!(store.get(&key).await?, Some(two.clone()));
    pass(2 * SHORT).await;
    assert!(
        !store.compare_and_swap(&key, Some(&two), one.clone(), LONG).await?,
        "its time is the last one's"
    );
    assert!(store.compare_and_swap(&key, None, one.clone(), LONG).await?);
    assert!(!store.compare_and_swap(&key, None, two.clone(), Duration::ZERO).await?);
    assert!(store.compare_and_swap(&key, Some(&one), two, Duration::ZERO).await?);
    assert_eq!(store.get(&key).await?, None, "no time is no value");
    Ok(())
}

async fn a_former_key_counts_as_the_key(store: &dyn Store) -> Result<(), Error> {
    let keys = ["new", "old", "older"].map(|part| Key::new("former", &[part]));
    let [new, former @ ..] = &keys;
    let [one, two] = [b"1".as_slice(), b"2"].map(Bytes::from_static);
    assert_eq!(store.read(new, former).await?, None);
    assert_eq!(store.withdraw(new, former).await?, None);
    store.put(&former[1], one.clone(), LONG).await?;
    assert_eq!(store.read(new, former).await?, Some(one.clone()));
    assert!(!store.write(new, former, two.clone(), LONG, Condition::Absent).await?);
    assert!(!store.write(new, former, two.clone(), LONG, Condition::Is(b"2")).await?);
    store.put(&former[0], two.clone(), LONG).await?;
    assert_eq!(store.read(new, former).await?, Some(two.clone()), "the first counts");
    assert_eq!(store.withdraw(new, former).await?, Some(two), "the first counts");
    for key in &keys {
        assert_eq!(store.get(key).await?, None, "{}", key.as_str());
    }
    Ok(())
}

async fn a_former_key_gives_way(store: &dyn Store) -> Result<(), Error> {
    let keys = ["new", "old", "older"].map(|part| Key::new("gives way", &[part]));
    let [new, former @ ..] = &keys;
    for condition in [Condition::Always, Condition::Is(b"1")] {
        for old in former {
            store.put(old, Bytes::from_static(b"1"), LONG).await?;
        }
        assert!(store.write(new, former, Bytes::from_static(b"2"), LONG, condition).await?);
        assert_eq!(store.get(new).await?.as_deref(), Some(b"2".as_slice()));
        for old in former {
            assert_eq!(store.get(old).await?, None, "{}", old.as_str());
        }
        store.put(&former[0], Bytes::from_static(b"1"), LONG).await?;
        assert!(store.write(new, former, Bytes::new(), Duration::ZERO, Condition::Always).await?);
        assert_eq!(store.read(new, former).await?, None);
    }
    Ok(())
}

async fn one_of_many_wins(store: &Arc<dyn Store>) -> Result<(), Error> {
    for round in 0..20 {
        let key = Key::new("many", &[&round.to_string()]);
        let putting: Vec<_> = (0..16)
            .map(|at| {
                let (store, key) = (store.clone(), key.clone());
                tokio::spawn(async move { store.put_if_absent(&key, at.to_string().into(), LONG).await })
            })
            .collect();
        let put = winners(putting).await?;
        assert_eq!(put.len(), 1, "who put: {put:?}");
        assert_eq!(store.get(&key).await?, Some(put[0].to_string().into()));
        let removing = (0..16).map(|_| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move { store.remove(&key).await })
        });
        let removed = winners(removing.collect()).await?;
        assert_eq!(removed.len(), 1, "who removed: {removed:?}");
    }
    Ok(())
}

async fn one_of_many_takes(store: &Arc<dyn Store>) -> Result<(), Error> {
    for round in 0..20 {
        let keys = ["new", "old"].map(|part| Key::new("many take", &[part, &round.to_string()]));
        store.put(&keys[round % 2], Bytes::from_static(b"1"), LONG).await?;
        let taking = (0..16).map(|at| {
            let (store, [new, old]) = (store.clone(), keys.clone());
            // Some know the one key as the new one, some the other, as where a change of keys is going on.
            let (key, former) = if at % 2 == 0 { (new, [old]) } else { (old, [new]) };
            tokio::spawn(async move { Ok(store.withdraw(&key, &former).await?.is_some()) })
        });
        let took = winners(taking.collect()).await?;
        assert_eq!(took.len(), 1, "who took: {took:?}");
    }
    Ok(())
}

async fn no_swap_is_lost(store: &Arc<dyn Store>) -> Result<(), Error> {
    let key = Key::new("counter", &[]);
    let counting = (0..8).map(|_| {
        let (store, key) = (store.clone(), key.clone());
        tokio::spawn(async move {
            for _ in 0..10 {
                loop {
                    let seen = store.get(&key).await?;
                    let next = seen.as_ref().map_or(1, |seen| number(seen) + 1);
                    if store.compare_and_swap(&key, seen.as_ref(), next.to_string().into(), LONG).await? {
                        break;
                    }
                }
            }
            Ok(true)
        })
    });
    assert_eq!(winners(counting.collect()).await?.len(), 8);
    assert_eq!(store.get(&key).await?.as_deref().map(number), Some(80));
    Ok(())
}

fn number(text: &[u8]) -> u32 {
    String::from_utf8_lossy(text).parse().unwrap_or_default()
}

async fn a_value_on_the_move_is_never_missed(store: &Arc<dyn Store>) -> Result<(), Error> {
    let [one, other] = ["one", "other"].map(|part| Key::new("on the move", &[part]));
    store.put(&one, Bytes::from_static(b"1"), LONG).await?;
    let moving = {
        let (store, one, other) = (store.clone(), one.clone(), other.clone());
        tokio::spawn(async move {
            for at in 0..100 {
                let (to, from) = if at % 2 == 0 { (&other, &one) } else { (&one, &other) };
                let from = std::slice::from_ref(from);
                if !store.write(to, from, Bytes::from_static(b"1"), LONG, Condition::Is(b"1")).await? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    };
    while !moving.is_finished() {
        assert!(store.read(&one, std::slice::from_ref(&other)).await?.is_some());
        assert!(store.read(&other, std::slice::from_ref(&one)).await?.is_some());
        tokio::task::yield_now().await;
    }
    assert_eq!(winners(vec![moving]).await?.len(), 1);
    Ok(())
}

/// Which of the tasks were told `true`.
async fn winners(tasks: Vec<tokio::task::JoinHandle<Result<bool, Error>>>) -> Result<Vec<usize>, Error> {
    let mut winners = Vec::new();
    for (at, task) in tasks.into_iter().enumerate() {
        if task.await.map_err(|failed| Error::Unavailable(failed.into()))?? {
            winners.push(at);
        }
    }
    Ok(winners)
}
