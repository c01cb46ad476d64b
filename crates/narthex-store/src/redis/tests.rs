//! Against a real `redis-server`.

mod failover;

use super::*;
use crate::testing::contract;
use narthex_testkit::{Pki, RedisServer};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use zeroize::Zeroizing;

const LONG: Duration = Duration::from_secs(600);

fn settings(server: &RedisServer) -> RedisSettings {
    RedisSettings {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        database: 0,
        tls: None,
        username: None,
        password: None,
        prefix: "narthex:".to_owned(),
        timeout: Duration::from_secs(2),
    }
}

fn redis(server: &RedisServer) -> Redis {
    Redis::new(&settings(server)).unwrap()
}

fn key(at: usize) -> Key {
    Key::new("k", &[&at.to_string()])
}

async fn put(store: &Redis, at: usize) -> Result<(), Error> {
    store.put(&key(at), at.to_string().into(), LONG).await
}

/// What it takes to be told that the server does not answer.
async fn refused(store: &Redis) -> Duration {
    let start = Instant::now();
    let error = put(store, 0).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    start.elapsed()
}

async fn until_it_answers(store: &Redis) {
    let end = Instant::now() + Duration::from_secs(10);
    while let Err(error) = store.probe().await {
        assert!(Instant::now() < end, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_keeps_the_contract() {
    let server = RedisServer::start();
    let store: Arc<dyn Store> = Arc::new(redis(&server));
    contract(async || store.clone(), async |time| tokio::time::sleep(time).await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_keep_the_contract() {
    let server = RedisServer::start();
    let turn = AtomicUsize::new(0);
    let replicas: [Arc<dyn Store>; 2] = [Arc::new(redis(&server)), Arc::new(redis(&server))];
    // Each promise is tried on one or the other; what one wrote the other has to heed.
    let next = async || replicas[turn.fetch_add(1, Ordering::Relaxed) % 2].clone();
    contract(next, async |time| tokio::time::sleep(time).await).await.unwrap();
    let [one, other] = &replicas;
    one.put(&key(1), Bytes::from_static(b"1"), LONG).await.unwrap();
    assert!(!other.put_if_absent(&key(1), Bytes::new(), LONG).await.unwrap());
    assert_eq!(other.take(&key(1)).await.unwrap().as_deref(), Some(b"1".as_slice()));
    assert_eq!(one.get(&key(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_kept_for_others_is_left_alone() {
    let server = RedisServer::start();
    let store = redis(&server);
    let other = Redis::new(&RedisSettings { prefix: "other:".to_owned(), ..settings(&server) }).unwrap();
    let database = Redis::new(&RedisSettings { database: 5, ..settings(&server) }).unwrap();
    put(&store, 1).await.unwrap();
    for apart in [&other, &database] {
        assert_eq!(apart.get(&key(1)).await.unwrap(), None);
        assert!(!apart.remove(&key(1)).await.unwrap());
    }
    assert!(store.get(&key(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn nothing_is_kept_without_an_end() {
    let server = RedisServer::start();
    let store = redis(&server);
    put(&store, 1).await.unwrap();
    assert!(store.put_if_absent(&key(2), Bytes::from_static(b"2"), Duration::from_nanos(1)).await.unwrap());
    store.write(&key(3), &[key(4)], Bytes::new(), Duration::MAX, Condition::Always).await.unwrap();
    for at in [1, 3] {
        let left: i64 = store.ask(cmd("PTTL").arg(store.name(&key(at)))).await.unwrap();
        assert!(left > 0 && left <= 366 * 24 * 3_600_000, "{at}: {left}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_of_at_once_and_found_when_it_is() {
    let mut server = RedisServer::start();
    server.kill();
    let store = redis(&server);
    assert!(refused(&store).await < Duration::from_secs(1), "refused connections are known at once");
    assert!(store.probe().await.is_err());
    server.start_again();
    until_it_answers(&store).await;
    put(&store, 1).await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_told_of_within_the_time_for_it() {
    let server = RedisServer::start();
    let quick = RedisSettings { timeout: Duration::from_millis(300), ..settings(&server) };
    let store = Arc::new(Redis::new(&quick).unwrap());
    put(&store, 1).await.unwrap();
    server.hang();
    let asking = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { refused(&store).await })
    });
    for asking in asking.collect::<Vec<_>>() {
        let taken = asking.await.unwrap();
        assert!(taken < Duration::from_millis(900), "{taken:?}");
    }
    // A new connection hangs as well: the system takes it, nobody answers.
    assert!(refused(&store).await < Duration::from_millis(900));
    server.go_on();
    until_it_answers(&store).await;
    assert!(store.get(&key(1)).await.unwrap().is_some());
}

/// What was answered is there afterwards, what was not is an error, and all of it goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restart_under_load_loses_nothing_that_was_answered() {
    let mut server = RedisServer::start();
    let store = Arc::new(redis(&server));
    let failed = Arc::new(AtomicUsize::new(0));
    let writing = (0..8).map(|writer| {
        let (store, failed) = (store.clone(), failed.clone());
        tokio::spawn(async move {
            let (mut written, end) = (Vec::new(), Instant::now() + Duration::from_secs(4));
            for at in (writer..).step_by(8) {
                if Instant::now() > end {
                    break;
                }
                match put(&store, at).await {
                    Ok(()) => written.push(at),
                    Err(Error::Unavailable(_)) => {
                        failed.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            written
        })
    });
    let writing: Vec<_> = writing.collect();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.start_again();
    }
    let mut all = 0;
    for writing in writing {
        let written = writing.await.unwrap();
        let last = *written.last().unwrap();
        for at in &written {
            assert_eq!(store.get(&key(*at)).await.unwrap(), Some(at.to_string().into()), "{at}");
        }
        assert!(put(&store, last).await.is_ok());
        all += written.len();
    }
    assert!(all > 500 && failed.load(Ordering::Relaxed) > 0, "{all} written, {failed:?} not");
}

/// The library tells when an idle connection is lost, so the next call does not find out by failing.
#[tokio::test]
async fn a_restart_while_nothing_is_asked_is_not_noticed() {
    let mut server = RedisServer::start();
    let store = redis(&server);
    put(&store, 1).await.unwrap();
    server.start_again();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(store.take(&key(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn the_password_and_the_user_are_shown_and_can_be_changed() {
    let users = ["user default off", "user narthex on >first >second ~narthex:* &* +@all"];
    let server = RedisServer::start_with(&users);
    let with = |password: &str| RedisSettings {
        username: Some("narthex".to_owned()),
        password: Some(Zeroizing::new(password.to_owned())),
        ..settings(&server)
    };
    assert!(matches!(put(&redis(&server), 1).await, Err(Error::Unavailable(_))), "the default user is off");
    let store = Redis::new(&with("wrong")).unwrap();
    let error = put(&store, 1).await.unwrap_err();
    let Error::Unavailable(cause) = &error else { panic!("{error}") };
    assert!(!format!("{cause} {cause:?}").contains("wrong"), "{cause:?}");
    store.set_client(with("first").client().unwrap());
    until_it_answers(&store).await;
    put(&store, 1).await.unwrap();
    store.set_client(with("second").client().unwrap());
    put(&store, 2).await.unwrap();
    let outside = Redis::new(&RedisSettings { prefix: "other:".to_owned(), ..with("first") }).unwrap();
    assert!(matches!(put(&outside, 1).await, Err(Error::Unavailable(_))), "other names are not this user's");
    let shown = format!("{:?} {store:?}", with("first"));
    assert!(!shown.contains("first"), "{shown}");
}

#[tokio::test]
async fn the_least_rights_that_docs_store_md_names_are_enough() {
    let rights = "+get +mget +getdel +set +del +eval +evalsha +script|load +ping";
    let user = format!("user narthex on >password ~narthex:* {rights}");
    let server = RedisServer::start_with(&["user default off", &user]);
    let page = include_str!("../../../../docs/store.md");
    assert!(page.contains(rights), "docs/store.md");
    let store: Arc<dyn Store> = Arc::new(
        Redis::new(&RedisSettings {
            username: Some("narthex".to_owned()),
            password: Some(Zeroizing::new("password".to_owned())),
            ..settings(&server)
        })
        .unwrap(),
    );
    store.probe().await.unwrap();
    contract(async || store.clone(), async |time| tokio::time::sleep(time).await).await.unwrap();
}

#[tokio::test]
async fn with_tls_only_the_server_that_was_meant_is_talked_to() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    let server = RedisServer::start_with_tls(&pki, &[]);
    let with = |pki: &Pki, host: &str| RedisSettings {
        host: host.to_owned(),
        tls: Some(RedisTls { ca: Some(pki.ca_pem().into_bytes()) }),
        ..settings(&server)
    };
    put(&Redis::new(&with(&pki, "localhost")).unwrap(), 1).await.unwrap();
    put(&Redis::new(&with(&pki, "127.0.0.1")).unwrap(), 1).await.unwrap();
    refused(&Redis::new(&with(&stranger, "localhost")).unwrap()).await;
    refused(&Redis::new(&with(&pki, "127.0.0.2")).unwrap()).await;
    let system = RedisSettings { tls: Some(RedisTls::default()), ..settings(&server) };
    refused(&Redis::new(&system).unwrap()).await;
    refused(&redis(&server)).await;
    let broken = RedisSettings { tls: Some(RedisTls { ca: Some(b"no PEM".to_vec()) }), ..settings(&server) };
    let error = Redis::new(&broken).unwrap_err();
    assert!(error.to_string().contains("no certificate"), "{error}");
}

#[tokio::test]
async fn a_full_server_refuses_and_forgets_nothing() {
    let server = RedisServer::start_with(&["maxmemory 3mb", "maxmemory-policy noeviction"]);
    let store = redis(&server);
    let value = Bytes::from(vec![7; 64 << 10]);
    let mut written = 0;
    let refused = loop {
        match store.put(&key(written), value.clone(), LONG).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100);
    };
    assert!(matches!(refused, Error::Full), "{refused}");
    let swapped = store.compare_and_swap(&key(0), Some(&value), value.clone(), LONG).await;
    assert!(matches!(swapped, Err(Error::Full)), "{swapped:?}");
    for at in 0..written {
        assert!(store.get(&key(at)).await.unwrap().is_some(), "{at}");
    }
    assert!(store.take(&key(0)).await.unwrap().is_some(), "what makes room is done");
}
