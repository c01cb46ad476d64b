//! A login that has been, as the gateway remembers it.

use narthex_store::{Capacity, File, Key, KeyRing, Sharing, Vault};
use narthex_testkit::Place;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Leaves `id_token` in the store of a gateway that has yet to start, as if the login of `subject` (of `tenant`) had
/// ended with it: for identity providers at which nobody can log in.
///
/// # Panics
/// The store cannot be written.
pub fn remember(place: &Place, tenant: &str, subject: &str, id_token: &str) {
    let state = place.dir().join("state");
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&state);
    let written = made.and_then(|()| fs::write(state.join("store.key"), "07".repeat(32)));
    let path = state.join("store.redb");
    let (key, id_token) = (Key::new("id-token", &[tenant, subject]), id_token.as_bytes().to_vec());
    // The caller is in a runtime, which may not wait.
    let kept = std::thread::spawn(move || {
        let capacity = Capacity { entries: NonZeroUsize::MAX, bytes: usize::MAX };
        let file = File::open(&path, capacity, Arc::new(SystemTime::now), Sharing::Alone).ok()?;
        let vault = Vault::new(Arc::new(file), KeyRing::new(vec![[7; 32]]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(vault.put(&key, &id_token, LIFE)).ok()
    });
    let kept = kept.join().ok().flatten();
    assert!(written.is_ok() && kept.is_some(), "cannot write {}", state.display());
}

const LIFE: Duration = Duration::from_secs(600);
