//! In a file.

use super::stage::{Another, WRITES, call, check, eventually, key, start, state, yaml};
use narthex_testkit::{Place, Signal};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

#[tokio::test]
async fn without_anything_to_keep_there_is_no_file() {
    let (gateway, _upstream) = start(|_| String::new()).await.unwrap();
    assert_eq!(state(gateway.place()), ["seal.key"], "{}", gateway.output());
    assert_eq!(gateway.metric("narthex_store_entries").await, Some(0.0));
}

#[tokio::test]
async fn the_file_and_its_key_are_made_at_the_first_start_for_their_owner_alone() {
    let (gateway, _upstream) = start(|_| "  file: {}".to_owned()).await.unwrap();
    gateway.wait_for_metric(WRITES, |writes| writes == 1.0).await;
    assert_eq!(state(gateway.place()), ["seal.key", "store.key", "store.redb", "store.redb.lock"]);
    for name in state(gateway.place()) {
        let found = fs::metadata(gateway.place().dir().join("state").join(&name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
    gateway.wait_for_metric("narthex_store_entries", |entries| entries == 1.0).await;
    let file = fs::read(gateway.place().dir().join("state/store.redb")).unwrap();
    let key = fs::read(gateway.place().dir().join("state/store.key")).unwrap();
    assert!(!file.windows(key.len()).any(|window| window == key));
}

#[tokio::test]
async fn checking_a_configuration_makes_no_file_and_no_key() {
    let (gateway, upstream) = start(|_| String::new()).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let text = yaml(gateway.place(), &upstream, "  file: {}");
    let state = gateway.place().dir().join("state").display().to_string();
    fs::write(other.path().join("gateway.yaml"), text.replace(&state, "state")).unwrap();
    let (code, said) = check(other.path());
    assert_eq!(code, Some(0), "{said}");
    let left: Vec<_> = fs::read_dir(other.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["gateway.yaml"]);
}

#[tokio::test]
async fn a_file_that_another_gateway_has_is_not_opened() {
    let (first, _upstream) = start(|_| "  file: {}".to_owned()).await.unwrap();
    let state = first.place().dir().join("state");
    let shared =
        format!("  file: {{ path: {0}/store.redb }}\n  keys: [{{ file: {0}/store.key }}]", state.display());
    let Err(failure) = start(|_| shared.clone()).await else { panic!("two have it") };
    assert!(failure.status.is_some_and(|status| !status.success()));
    assert!(failure.output.contains("store.redb is in use by another process"), "{}", failure.output);
    assert_eq!(call(&first).await, 200);
}

#[tokio::test]
async fn a_file_that_is_no_store_stops_the_start_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    for content in [b"".as_slice(), b"not a store", &[0; 70_000]] {
        fs::write(&path, content).unwrap();
        let store = format!("  file: {{ path: {} }}\n  keys: [{{ file: key }}]", path.display());
        let with_key = |place: &Place| {
            let _ = place.file("key", key('a'));
            store.clone()
        };
        let Err(failure) = start(with_key).await else { panic!("{} bytes", content.len()) };
        assert!(failure.output.contains("cannot be read as a store"), "{}", failure.output);
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_file_whose_key_is_lost_stops_the_start() {
    let (mut gateway, _upstream) = start(|_| "  file: {}".to_owned()).await.unwrap();
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.wait_for_exit(Duration::from_secs(10)).await.is_some());
    fs::remove_file(gateway.place().dir().join("state/store.key")).unwrap();
    let (code, said) = check(gateway.place().dir());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("has no store.key to open what is in it"), "{said}");
}

#[tokio::test]
async fn a_killed_gateway_finds_its_file_again() {
    let (mut gateway, _upstream) = start(|_| "  file: {}".to_owned()).await.unwrap();
    gateway.wait_for_metric(WRITES, |writes| writes == 1.0).await;
    gateway.signal(Signal::SIGKILL);
    assert!(gateway.wait_for_exit(Duration::from_secs(10)).await.is_some());
    let _again = Another::start(gateway.place(), &[]);
    let ready = async || gateway.admin("/readyz").await.is_ok_and(|ready| ready.status == 200);
    assert!(eventually(ready).await);
    gateway.wait_for_metric(WRITES, |writes| writes == 1.0).await;
    gateway.wait_for_metric("narthex_store_entries", |entries| entries == 1.0).await;
}

#[tokio::test]
async fn a_new_binary_takes_the_file_over_while_the_old_one_ends() {
    let (mut gateway, _upstream) = start(|_| "  file: {}".to_owned()).await.unwrap();
    gateway.wait_for_metric(WRITES, |writes| writes == 1.0).await;
    let _successor = Another::start(gateway.place(), &["--upgrade"]);
    gateway.signal(Signal::SIGQUIT);
    assert!(gateway.wait_for_exit(Duration::from_secs(25)).await.is_some(), "{}", gateway.output());
    assert!(eventually(async || call(&gateway).await == 200).await);
    gateway.wait_for_metric("narthex_store_entries", |entries| entries == 1.0).await;
    // And nobody else has it.
    let shared = gateway.place().dir().join("state");
    let store =
        format!("  file: {{ path: {0}/store.redb }}\n  keys: [{{ file: {0}/store.key }}]", shared.display());
    let Err(failure) = start(|_| store.clone()).await else { panic!("two have it") };
    assert!(failure.output.contains("in use by another process"), "{}", failure.output);
}
