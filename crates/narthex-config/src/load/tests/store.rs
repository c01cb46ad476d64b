//! `store:`.

use super::mistakes::each_is_refused;
use super::*;
use crate::model::{RedisHome, Store, StoreCapacity, StoreHome};

fn store(keys: &str) -> Store {
    let (config, warnings) = parsed(&with_store(keys)).unwrap_or_else(|found| panic!("{found}"));
    assert!(warnings.is_empty(), "{warnings}");
    config.store
}

fn with_store(keys: &str) -> String {
    format!("{GOOD}store: {keys}\n")
}

/// What `every-key.yaml` says.
pub(super) fn as_written(config: &Config) {
    let keys = vec![SecretRef::File("/run/secrets/store".into()), SecretRef::Env("OLD_STORE".into())];
    let home = StoreHome::Redis(Box::new(RedisHome {
        host: "redis.example.com".to_owned(),
        port: 6380,
        database: 3,
        tls: true,
        username: Some("narthex".to_owned()),
        password: Some(SecretRef::File("/run/secrets/redis".into())),
        ca: Some("conf/redis-ca.pem".into()),
        prefix: "narthex-prod:".to_owned(),
        timeout: Duration::from_millis(1500),
    }));
    assert_eq!(config.store, Store { is_given: true, home, keys });
}

#[test]
fn a_store_is_in_a_file_unless_it_says_where() {
    let (config, _) = parsed(GOOD).unwrap();
    let home = |path: &str, entries: u32, bytes| StoreHome::File {
        path: path.into(),
        capacity: StoreCapacity { entries: entries.try_into().unwrap(), bytes },
    };
    let default = home("conf/.narthex/store.redb", 1_000_000, 1 << 30);
    assert_eq!(config.store, Store { is_given: false, home: default.clone(), keys: Vec::new() });
    for keys in ["{}", "{ file: {} }"] {
        assert_eq!(store(keys), Store { is_given: true, home: default.clone(), keys: Vec::new() }, "{keys}");
    }
    let given = store("{ file: { path: data/s.redb, entries: 10, bytes: 1MiB }, keys: [{ env: K }] }");
    assert_eq!(given.home, home("conf/data/s.redb", 10, 1 << 20));
    assert_eq!(given.keys, [SecretRef::Env("K".into())]);
}

#[test]
fn a_store_in_memory_needs_no_keys() {
    let memory = |entries: u32, bytes| {
        StoreHome::Memory(StoreCapacity { entries: entries.try_into().unwrap(), bytes })
    };
    assert_eq!(store("{ memory: {} }").home, memory(100_000, 256 << 20));
    assert_eq!(store("{ memory: { entries: 5, bytes: 4KiB } }").home, memory(5, 4 << 10));
}

#[test]
fn a_store_in_redis_has_defaults_too() {
    let StoreHome::Redis(redis) = store("{ redis: { url: redis://localhost }, keys: [{ env: K }] }").home
    else {
        panic!("redis")
    };
    let RedisHome { host, port, database, tls, username, password, ca, prefix, timeout } = *redis;
    assert_eq!((host.as_str(), port, database, tls), ("localhost", 6379, 0, false));
    assert_eq!((username, password, ca), (None, None, None));
    assert_eq!((prefix.as_str(), timeout), ("narthex:", Duration::from_secs(2)));
    let insecure = "{ redis: { url: redis://redis.internal, insecure: true }, keys: [{ env: K }] }";
    assert!(matches!(store(insecure).home, StoreHome::Redis(_)));
}

#[test]
fn a_mistake_about_the_store_is_refused() {
    let redis = |keys: &str| with_store(&format!("{{ redis: {{ {keys} }}, keys: [{{ env: K }}] }}"));
    each_is_refused(&[
        (with_store("{ redis: { url: rediss://h } }"), "replicas that share a store must share its keys"),
        (with_store("{ keys: [] }"), "a store needs a key"),
        (with_store("{ keys: { file: a } }"), "found a mapping"),
        (with_store("{ file: {}, memory: {} }"), "a store is in one place"),
        (
            with_store("{ redis: { url: rediss://h }, memory: {}, keys: [{ env: K }] }"),
            "a store is in one place",
        ),
        (with_store("{ file: store.redb }"), "found text"),
        (with_store("{ file: { path: '' } }"), "not empty"),
        (with_store("{ file: { entries: 0 } }"), "0"),
        (with_store("{ valkey: { url: rediss://h } }"), "expected `file`, `redis`"),
        (with_store("redis"), "found text"),
        (redis(""), "`url` is missing"),
        (redis("url: http://h"), "not a `redis` or `rediss` URL"),
        (redis("url: rediss://me:pw@h"), "must not contain a user name or password"),
        (redis("url: rediss://h?x=1"), "more than a host, a port"),
        (redis("url: rediss://h/a"), "not the number of a database"),
        (redis("url: redis://redis.internal"), "would cross the network in the clear"),
        (redis("url: rediss://h, username: a"), "`password` is missing"),
        (redis("url: rediss://h, password: hunter2"), "a secret must not be written"),
        (redis("url: redis://localhost, ca: { file: a }"), "without TLS"),
        (redis("url: rediss://h, timeout: 31s"), "at most 30s"),
        (redis("url: rediss://h, timeout: 0s"), "cannot be zero"),
        (redis("url: rediss://h, prefix: '{a}'"), "no `{` and `}`"),
        (redis("url: rediss://h, prefix: ''"), "not empty"),
    ]);
}

#[test]
fn a_literal_key_or_password_of_the_store_is_not_shown() {
    for keys in [
        "{ keys: [hunter2] }",
        "{ keys: hunter2 }",
        "{ redis: { url: 'rediss://a:hunter2@h' }, keys: [{ env: K }] }",
        "{ redis: { url: rediss://h, password: hunter2 }, keys: [{ env: K }] }",
    ] {
        let found = refused(&with_store(keys));
        assert!(!found.to_string().contains("hunter2"), "{found}");
    }
}
