//! Keys of the store, through reloads.

use super::stage::{WRITES, call, key, start, yaml};
use narthex_testkit::Place;

const FOREIGN: &str = "last sealed with a key that is not among its keys";

/// `store:` with the keys of these files.
fn with_keys(place: &Place, home: &str, digits: &[char]) -> String {
    let keys: Vec<String> = digits
        .iter()
        .map(|digit| format!("{{ file: {} }}", place.file(&format!("key-{digit}"), key(*digit)).display()))
        .collect();
    format!("  {home}\n  keys: [{}]", keys.join(", "))
}

#[tokio::test]
async fn keys_are_rotated_by_reloads() {
    let (gateway, upstream) = start(|place| with_keys(place, "file: {}", &['a'])).await.unwrap();
    let place = gateway.place();
    gateway.wait_for_metric(WRITES, |writes| writes == 1.0).await;
    for (at, digits) in [['a', 'b'].as_slice(), &['b', 'a'], &['b']].into_iter().enumerate() {
        let store = with_keys(place, "file: {}", digits);
        assert!(gateway.reload(&yaml(place, &upstream, &store)).await, "{}", gateway.output());
        gateway.wait_for_metric(WRITES, |writes| writes == at as f64 + 2.0).await;
    }
    assert!(!gateway.output().contains(FOREIGN), "{}", gateway.output());
    let store = with_keys(place, "file: {}", &['c']);
    assert!(gateway.reload(&yaml(place, &upstream, &store)).await);
    gateway.wait_for_output(FOREIGN, 1).await;
    assert_eq!(call(&gateway).await, 200);
}

#[tokio::test]
async fn another_content_of_a_keys_file_is_taken_up_by_itself() {
    let (gateway, _upstream) = start(|place| with_keys(place, "file: {}", &['a'])).await.unwrap();
    gateway.wait_for_metric(WRITES, |writes| writes == 1.0).await;
    let _ = gateway.place().file("key-a", key('b'));
    gateway.wait_for_output(FOREIGN, 1).await;
}

#[tokio::test]
async fn a_bad_key_stops_the_start_and_a_reload_with_one_changes_nothing() {
    let bad = |place: &Place| format!("  keys: [{{ file: {} }}]", place.file("bad", "abc").display());
    let Err(failure) = start(bad).await else { panic!("started") };
    assert!(failure.output.contains("store.keys: a key must be 64 hexadecimal digits"), "{}", failure.output);
    let missing = |_: &Place| "  keys: [{ file: missing }]".to_owned();
    let Err(failure) = start(missing).await else { panic!("started") };
    assert!(failure.output.contains("store.keys: secret file "), "{}", failure.output);

    let (gateway, upstream) = start(|place| with_keys(place, "file: {}", &['a'])).await.unwrap();
    gateway.wait_for_metric(WRITES, |writes| writes == 1.0).await;
    assert!(!gateway.reload(&yaml(gateway.place(), &upstream, &bad(gateway.place()))).await);
    let good = with_keys(gateway.place(), "file: {}", &['a']);
    assert!(gateway.reload(&yaml(gateway.place(), &upstream, &good)).await);
    gateway.wait_for_metric(WRITES, |writes| writes == 2.0).await;
    assert!(!gateway.output().contains(FOREIGN), "{}", gateway.output());
}

#[tokio::test]
async fn another_place_is_for_the_next_start_and_that_is_said() {
    let (gateway, upstream) = start(|place| with_keys(place, "file: {}", &['a'])).await.unwrap();
    gateway.wait_for_metric(WRITES, |writes| writes == 1.0).await;
    let moved = with_keys(gateway.place(), "memory: {}", &['b']);
    assert!(gateway.reload(&yaml(gateway.place(), &upstream, &moved)).await);
    gateway.wait_for_output("a changed place of the store takes effect at the next start", 1).await;
    // Its keys go with it, so that what is in use is not sealed with them.
    let back = with_keys(gateway.place(), "file: {}", &['a', 'b']);
    assert!(gateway.reload(&yaml(gateway.place(), &upstream, &back)).await);
    gateway.wait_for_metric(WRITES, |writes| writes == 2.0).await;
    assert!(!gateway.output().contains(FOREIGN), "{}", gateway.output());
}

#[tokio::test]
async fn a_store_in_memory_lives_on_through_reloads() {
    let (gateway, upstream) = start(|_| "  memory: {}".to_owned()).await.unwrap();
    gateway.wait_for_metric(WRITES, |writes| writes == 1.0).await;
    let text = yaml(gateway.place(), &upstream, "  memory: {}") + "# changed\n";
    assert!(gateway.reload(&text).await);
    gateway.wait_for_metric("narthex_store_entries", |entries| entries == 1.0).await;
    assert_eq!(gateway.metric(WRITES).await, Some(1.0), "its key is the one of before");
}
