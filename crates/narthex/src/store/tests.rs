use super::*;
use async_trait::async_trait;
use bytes::Bytes;
use narthex_store::{Condition, Error, File, Key};
use std::time::{Duration, SystemTime};

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new("0", "test").unwrap())
}

/// A configuration whose store is the file `name` of `directory`.
fn config(directory: &Path, name: &str) -> Config {
    let text = format!(
        "server: {{ public_url: 'http://127.0.0.1:1', listen: '127.0.0.1:1', state_dir: '{0}' }}\n\
         auth: {{ embedded: development }}\n\
         store: {{ file: {{ path: '{0}/{name}' }} }}\n\
         tenants: {{ acme: {{ routes: [docs] }} }}\n\
         upstreams: {{ docs: {{ url: 'http://127.0.0.1:2/mcp' }} }}\n\
         routes: {{ docs: {{ path: /docs, upstream: docs }} }}\n",
        directory.display()
    );
    narthex_config::parse(Path::new("gateway.yaml"), &text).unwrap_or_else(|found| panic!("{found}"))
}

fn is_free(path: &Path) -> bool {
    let capacity = narthex_store::Capacity { entries: std::num::NonZeroUsize::MIN, bytes: 1 };
    File::open(path, capacity, Arc::new(SystemTime::now), Sharing::Alone).is_ok()
}

#[tokio::test]
async fn a_store_of_a_configuration_that_is_not_used_is_closed_and_the_next_may_have_another() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = metrics();
    let keeper = Keeper::new(Arc::clone(&metrics), Sharing::Alone);
    let (wrong, right) = (config(dir.path(), "wrong.redb"), config(dir.path(), "right.redb"));
    let secrets = Secrets::fetch(&wrong, None, metrics.events()).await.unwrap();
    // Refused after all, for something that is wrong elsewhere.
    drop(keeper.vault(&wrong, &secrets).unwrap().unwrap());
    assert!(!is_free(&dir.path().join("wrong.redb")));
    keeper.discard();
    assert!(is_free(&dir.path().join("wrong.redb")), "nobody has it open");
    let vault = keeper.vault(&right, &secrets).unwrap().unwrap();
    keeper.take_up();
    vault.put(&Key::new("k", &[]), b"v", Duration::from_secs(60)).await.unwrap();
    assert!(!is_free(&dir.path().join("right.redb")));
    // From now on it is the same, whatever a configuration says.
    let same = keeper.vault(&wrong, &secrets).unwrap().unwrap();
    keeper.discard();
    assert_eq!(same.get(&Key::new("k", &[])).await.unwrap().as_deref(), Some(b"v".as_slice()));
    let change = keeper.change(&wrong, &secrets).unwrap().unwrap();
    assert!(keeper.use_change(change, &wrong.store.home), "it is somewhere else");
}

/// Reads, and does not write, as where the disk is full.
#[derive(Debug)]
struct Full;

#[async_trait]
impl Store for Full {
    async fn read(&self, _: &Key, _: &[Key]) -> Result<Option<Bytes>, Error> {
        Ok(None)
    }

    async fn withdraw(&self, _: &Key, _: &[Key]) -> Result<Option<Bytes>, Error> {
        Err(Error::Unavailable("full".into()))
    }

    async fn write(
        &self,
        _: &Key,
        _: &[Key],
        _: Bytes,
        _: Duration,
        _: Condition<'_>,
    ) -> Result<bool, Error> {
        Err(Error::Unavailable("full".into()))
    }
}

/// Else every request would write lines to the log, on the disk that is full.
#[tokio::test]
async fn a_store_that_only_reads_is_not_back_with_every_answer() {
    let counted = Counted::new(Arc::new(Full), metrics());
    let key = Key::new("k", &[]);
    for _ in 0..3 {
        assert!(counted.put(&key, Bytes::new(), Duration::from_secs(1)).await.is_err());
        assert!(counted.get(&key).await.is_ok());
        assert!(counted.take(&key).await.is_err());
        assert_eq!(counted.failing(), (false, true));
    }
}
