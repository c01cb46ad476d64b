//! Whoever steals the file learns nothing from it.

use super::*;
use crate::{KeyRing, Vault};

const RING: [[u8; 32]; 2] = [*b"first key of the vault, 32 bytes", *b"other key of the vault, 32 bytes"];

/// What must not be in the file: tokens, names of people, upstreams and kinds, and the keys.
const SECRETS: [&str; 10] = [
    "refresh-token-7f3a",
    "access-token-91bc",
    "ann@example.com",
    "https://idp.example.com",
    "github",
    "mcp.github.internal",
    "consent",
    "refresh_token",
    "first key of the vault",
    "other key of the vault",
];

fn holds(file: &[u8], text: &[u8]) -> bool {
    file.windows(text.len()).any(|window| window == text)
}

async fn fill(vault: &Vault) {
    let consent = Key::new("consent", &["acme", "https://idp.example.com", "ann@example.com", "github"]);
    let value =
        br#"{"refresh_token":"refresh-token-7f3a","access":"access-token-91bc","at":"mcp.github.internal"}"#;
    vault.put(&consent, value, LONG).await.unwrap();
    vault.put(&Key::new("refresh_token", &["refresh-token-7f3a"]), value, LONG).await.unwrap();
    vault.put_if_absent(&Key::new("code", &["access-token-91bc"]), value, LONG).await.unwrap();
}

#[tokio::test]
async fn a_stolen_vault_file_reveals_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store: Arc<dyn Store> = Arc::new(open(&path).unwrap());
    let vault = Vault::new(store.clone(), KeyRing::new(RING.to_vec()));
    fill(&vault).await;
    vault.set_keys(KeyRing::new(vec![RING[1], RING[0]]));
    fill(&vault).await;
    assert!(vault.remove(&Key::new("code", &["access-token-91bc"])).await.unwrap());
    drop((vault, store));
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in SECRETS {
            assert!(!holds(&bytes, secret.as_bytes()), "{secret}");
        }
        for key in RING {
            assert!(!holds(&bytes, &key), "a key");
        }
    }
    // The same is found where it is not sealed, so the search is one.
    let plain = open(&dir.path().join("plain.redb")).unwrap();
    plain
        .put(&Key::new("consent", &["github"]), Bytes::from_static(b"refresh-token-7f3a"), LONG)
        .await
        .unwrap();
    drop(plain);
    let bytes = std::fs::read(dir.path().join("plain.redb")).unwrap();
    assert!(holds(&bytes, b"refresh-token-7f3a") && holds(&bytes, b"consent"));
}

#[tokio::test]
async fn a_stolen_vault_file_does_not_open_with_other_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let store: Arc<dyn Store> = Arc::new(open(&path).unwrap());
    fill(&Vault::new(store.clone(), KeyRing::new(vec![RING[0]]))).await;
    let thief = Vault::new(store.clone(), KeyRing::new(vec![[7; 32]]));
    let consent = Key::new("consent", &["acme", "https://idp.example.com", "ann@example.com", "github"]);
    assert!(thief.get(&consent).await.unwrap().is_none(), "not even whether it is there");
}

#[tokio::test]
async fn values_swapped_in_a_vault_file_do_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let [ann, bob] = ["ann", "bob"].map(|name| Key::new("consent", &[name]));
    {
        let vault = Vault::new(Arc::new(open(&path).unwrap()), KeyRing::new(vec![RING[0]]));
        vault.put(&ann, b"token of ann", LONG).await.unwrap();
        vault.put(&bob, b"token of bob", LONG).await.unwrap();
    }
    swap_values(&path);
    let vault = Vault::new(Arc::new(open(&path).unwrap()), KeyRing::new(vec![RING[0]]));
    for key in [ann, bob] {
        assert!(matches!(vault.get(&key).await, Err(Error::Damaged)));
    }
}

/// As somebody would who may write to the file.
fn swap_values(path: &Path) {
    use redb::{Database, ReadableTable, TableDefinition};
    let table: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("values");
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut values = transaction.open_table(table).unwrap();
        let mut found: Vec<(String, u64, Vec<u8>)> = Vec::new();
        for entry in values.iter().unwrap() {
            let (key, value) = entry.unwrap();
            found.push((key.value().to_owned(), value.value().0, value.value().1.to_vec()));
        }
        assert_eq!(found.len(), 2);
        values.insert(found[0].0.as_str(), (found[1].1, found[1].2.as_slice())).unwrap();
        values.insert(found[1].0.as_str(), (found[0].1, found[0].2.as_slice())).unwrap();
    }
    transaction.commit().unwrap();
}
