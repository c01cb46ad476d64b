use super::*;
use crate::testing::contract;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;

mod damage;
mod killed;
mod stolen;

const LONG: Duration = Duration::from_secs(600);

/// A clock that stands still unless it is told otherwise.
#[derive(Clone)]
struct Hand(Arc<Mutex<SystemTime>>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::now())))
    }

    fn pass(&self, time: Duration) {
        *self.0.lock() += time;
    }

    fn clock(&self) -> WallClock {
        let now = self.0.clone();
        Arc::new(move || *now.lock())
    }
}

fn capacity(entries: usize, bytes: usize) -> Capacity {
    Capacity { entries: NonZeroUsize::new(entries).unwrap(), bytes }
}

fn open(path: &Path) -> Result<File, OpenError> {
    File::open(path, capacity(100_000, 64 << 20), Arc::new(SystemTime::now), Sharing::Alone)
}

fn key(at: usize) -> Key {
    Key::new("k", &[&at.to_string()])
}

async fn put(store: &File, at: usize, len: usize) -> Result<(), Error> {
    store.put(&key(at), vec![b'v'; len].into(), LONG).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_keeps_the_contract() {
    let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let path = dir.path().join("store.redb");
    let store: Arc<dyn Store> =
        Arc::new(File::open(&path, capacity(1000, 8 << 20), hand.clock(), Sharing::Alone).unwrap());
    contract(async || store.clone(), async |time| hand.pass(time)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_file_of_a_process_that_ends_and_of_its_successor_keeps_the_contract() {
    let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let path = dir.path().join("store.redb");
    let open = |sharing| File::open(&path, capacity(1000, 8 << 20), hand.clock(), sharing).unwrap();
    let both = [open(Sharing::Alone), open(Sharing::Successor)];
    let store: Arc<dyn Store> = Arc::new(Turns(both, AtomicU64::new(0)));
    contract(async || store.clone(), async |time| hand.pass(time)).await.unwrap();
}

/// Asks one of two stores, then the other.
#[derive(Debug)]
struct Turns([File; 2], AtomicU64);

impl Turns {
    fn next(&self) -> &File {
        let [one, other] = &self.0;
        if self.1.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { one } else { other }
    }
}

#[async_trait]
impl Store for Turns {
    async fn read(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        self.next().read(key, former).await
    }

    async fn withdraw(&self, key: &Key, former: &[Key]) -> Result<Option<Bytes>, Error> {
        self.next().withdraw(key, former).await
    }

    async fn write(
        &self,
        key: &Key,
        former: &[Key],
        value: Bytes,
        ttl: Duration,
        condition: Condition<'_>,
    ) -> Result<bool, Error> {
        self.next().write(key, former, value, ttl, condition).await
    }
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_until_its_end() {
    let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let path = dir.path().join("deep/in/store.redb");
    let open = || File::open(&path, capacity(100, 1 << 20), hand.clock(), Sharing::Alone).unwrap();
    let store = open();
    put(&store, 1, 10).await.unwrap();
    store.put(&key(2), Bytes::from_static(b"short"), Duration::from_secs(10)).await.unwrap();
    let usage = store.usage();
    drop(store);
    let store = open();
    assert_eq!(store.usage(), usage);
    assert_eq!(store.get(&key(2)).await.unwrap().as_deref(), Some(b"short".as_slice()));
    drop(store);
    hand.pass(Duration::from_secs(10));
    let store = open();
    assert_eq!(store.get(&key(2)).await.unwrap(), None, "it ended while nobody looked");
    assert_eq!(store.get(&key(1)).await.unwrap().map(|value| value.len()), Some(10));
}

#[tokio::test]
async fn only_its_owner_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/store.redb");
    let store = open(&path).unwrap();
    put(&store, 1, 10).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let files: Vec<_> =
        std::fs::read_dir(path.parent().unwrap()).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[tokio::test]
async fn one_process_at_a_time_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store = open(&path).unwrap();
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    put(&store, 1, 10).await.unwrap();
    drop(store);
    assert!(open(&path).unwrap().get(&key(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_successor_has_it_beside_the_one_before_and_then_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let before = open(&path).unwrap();
    put(&before, 1, 10).await.unwrap();
    let clock: WallClock = Arc::new(SystemTime::now);
    let after = File::open(&path, capacity(100, 1 << 20), clock, Sharing::Successor).unwrap();
    assert!(after.get(&key(1)).await.unwrap().is_some());
    put(&after, 2, 10).await.unwrap();
    assert!(before.take(&key(2)).await.unwrap().is_some());
    assert!(after.get(&key(2)).await.unwrap().is_none());
    assert!(matches!(open(&path), Err(OpenError::InUse { .. })));
    drop(before);
    assert!(matches!(open(&path), Err(OpenError::InUse { .. })), "it has it still");
    assert!(after.get(&key(1)).await.unwrap().is_some());
    drop(after);
    assert!(open(&path).unwrap().get(&key(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_nothing_goes_before_its_time() {
    let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let path = dir.path().join("store.redb");
    let store = File::open(&path, capacity(3, 300), hand.clock(), Sharing::Alone).unwrap();
    for at in 0..3 {
        put(&store, at, 10 * at).await.unwrap();
    }
    let refused = put(&store, 3, 1).await.unwrap_err();
    assert!(matches!(refused, Error::Full) && refused.reason() == "store_full", "{refused}");
    assert!(matches!(store.put_if_absent(&key(3), Bytes::new(), LONG).await, Err(Error::Full)));
    assert!(!store.put_if_absent(&key(2), Bytes::new(), LONG).await.unwrap(), "it would not be written");
    put(&store, 2, 200).await.unwrap();
    assert!(matches!(put(&store, 1, 200).await, Err(Error::Full)));
    assert!(matches!(put(&store, 1, 298).await, Err(Error::TooLarge { size: 301, most: 300 })));
    put(&store, 2, 199).await.unwrap();
    for at in 0..3 {
        assert!(store.get(&key(at)).await.unwrap().is_some(), "{at}");
    }
    store.remove(&key(0)).await.unwrap();
    put(&store, 3, 1).await.unwrap();
    hand.pass(LONG);
    for at in 10..13 {
        put(&store, at, 1).await.unwrap();
    }
    assert_eq!(
        store.usage(),
        Some(Usage { entries: 3, bytes: 3 * 5, evicted: 0 }),
        "what has ended makes room"
    );
}

#[tokio::test]
async fn what_has_ended_is_swept_though_nobody_asks() {
    let (dir, hand) = (tempfile::tempdir().unwrap(), Hand::new());
    let path = dir.path().join("store.redb");
    let store = File::open(&path, capacity(5000, 1 << 20), hand.clock(), Sharing::Alone).unwrap();
    let store = Arc::new(store);
    let putting = (0..1200).map(|at| {
        let store = store.clone();
        tokio::spawn(async move { put(&store, at, 10).await })
    });
    for putting in putting.collect::<Vec<_>>() {
        putting.await.unwrap().unwrap();
    }
    assert_eq!(store.usage().unwrap().entries, 1200);
    hand.pass(LONG);
    let swept = || store.usage().unwrap().entries == 0;
    for _ in 0..100 {
        if swept() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(store.usage(), Some(Usage::default()));
}

/// The library reserves to panic over a file that somebody changed while it was open, and whatever does, the
/// thread that writes is the only one.
#[tokio::test]
async fn a_panic_of_the_thread_that_writes_is_not_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let panics = Arc::new(AtomicU64::new(0));
    let clock: WallClock = {
        let panics = Arc::clone(&panics);
        Arc::new(move || {
            let is_writer = std::thread::current().name() == Some("narthex-store");
            if is_writer && panics.fetch_add(1, Ordering::Relaxed) < 2 {
                panic!("on purpose");
            }
            SystemTime::now()
        })
    };
    let store = File::open(&dir.path().join("s.redb"), capacity(10, 1000), clock, Sharing::Alone).unwrap();
    // Once while it looks for what has ended, once while it writes.
    while panics.load(Ordering::Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(matches!(put(&store, 1, 10).await, Err(Error::Unavailable(_))));
    put(&store, 1, 10).await.unwrap();
    assert!(store.get(&key(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn debug_shows_neither_keys_nor_values() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store.redb")).unwrap();
    store.put(&Key::new("k", &["ann"]), Bytes::from_static(b"hunter2"), LONG).await.unwrap();
    let shown = format!("{store:?}");
    assert!(shown.contains("entries: 1") && !shown.contains("ann") && !shown.contains("hunter2"), "{shown}");
}
