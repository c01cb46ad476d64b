//! What was damaged is said to be, and never begun anew in silence.

use super::*;

/// A store with some values, closed, and its bytes.
async fn made(path: &Path) -> Vec<u8> {
    let store = open(path).unwrap();
    for at in 0..20 {
        put(&store, at, 300).await.unwrap();
    }
    drop(store);
    std::fs::read(path).unwrap()
}

fn is_damaged(path: &Path) -> bool {
    match open(path) {
        Err(OpenError::Damaged { path: named, .. }) => named == path.display().to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => false,
    }
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    for content in [b"".as_slice(), b"hello", &[0; 100_000], &[0xff; 100_000]] {
        std::fs::write(&path, content).unwrap();
        assert!(is_damaged(&path), "{} bytes", content.len());
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
    let other = Database::create(dir.path().join("other.redb")).unwrap();
    drop(other);
    assert!(is_damaged(&dir.path().join("other.redb")), "a database of something else");
    std::fs::create_dir(dir.path().join("dir.redb")).unwrap();
    assert!(matches!(open(&dir.path().join("dir.redb")), Err(OpenError::Io { .. })));
}

#[tokio::test]
async fn a_file_that_was_cut_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let whole = made(&path).await;
    for len in [1, 64, 512, 4096, whole.len() / 2, whole.len() - 4096] {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(is_damaged(&path), "{len} of {} bytes", whole.len());
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(open(&path).unwrap().usage().unwrap().entries, 20);
}

/// Either it is noticed, or nothing that counts was hit and all is there.
#[tokio::test]
async fn a_file_with_a_changed_byte_is_refused_or_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let whole = made(&path).await;
    let (mut refused, step) = (0, whole.len() / 97);
    for at in (0..whole.len()).step_by(step).chain(0..320) {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        std::fs::write(&path, changed).unwrap();
        if let Ok(store) = open(&path) {
            for at in 0..20 {
                let value = store.get(&key(at)).await.unwrap();
                assert_eq!(value.as_deref(), Some([b'v'; 300].as_slice()), "value {at}");
            }
        } else {
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused}");
}
