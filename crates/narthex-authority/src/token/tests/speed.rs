//! How fast tokens are issued. No tests:
//! `cargo test --release -p narthex-authority -- --ignored --nocapture tokens_a_second`.

use super::*;
use narthex_store::{Capacity, File, KeyRing, Sharing};
use std::sync::Arc;
use std::time::Instant;

/// How many tokens a second the core issues on one thread, with its vault in memory.
#[tokio::test]
#[ignore = "a measurement"]
async fn tokens_a_second() {
    const COUNT: u32 = 10_000;
    for algorithm in ["ES256", "EdDSA"] {
        let authority = authority(&format!("    algorithm: {algorithm}")).await;
        let mut token = tokens(&authority).await["refresh_token"].clone();
        let begun = Instant::now();
        for _ in 0..COUNT {
            token = fixtures::json(&refresh(&authority, &token, &[], now()).await)["refresh_token"].clone();
        }
        println!("{algorithm} refresh: {:.0} tokens/s", f64::from(COUNT) / begun.elapsed().as_secs_f64());
    }
    let idp = Idp::new();
    let authority = idp.authority().await;
    let signed: Vec<String> = (0..COUNT).map(|_| idp.assertion(ID_JAG, &json!({}))).collect();
    let begun = Instant::now();
    for assertion in &signed {
        assert_eq!(exchange(&authority, assertion, &[]).await.status(), StatusCode::OK);
    }
    println!("ES256 ID-JAG: {:.0} tokens/s", f64::from(COUNT) / begun.elapsed().as_secs_f64());
}

/// How many it issues with its vault in a file, on two threads, for so many clients at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn tokens_a_second_from_a_file() {
    const COUNT: usize = 8_000;
    for at_once in [1, 8, 64, 256] {
        let dir =
            tempfile::tempdir_in(std::env::var("MEASURE_IN").unwrap_or_else(|_| "/tmp".to_owned())).unwrap();
        let capacity = Capacity { entries: 1_000_000.try_into().unwrap(), bytes: 1 << 30 };
        let clock = Arc::new(SystemTime::now);
        let file = File::open(&dir.path().join("store.redb"), capacity, clock, Sharing::Alone).unwrap();
        let vault = Vault::new(Arc::new(file), KeyRing::new(vec![[7; 32]]));
        let idp = Idp::new();
        let authority = Arc::new(idp.authority_with(vault, |_| {}).await);
        let count = if at_once == 1 { COUNT / 8 } else { COUNT };
        let signed: Arc<Vec<String>> =
            Arc::new((0..count).map(|_| idp.assertion(ID_JAG, &json!({}))).collect());
        let begun = Instant::now();
        let clients = (0..at_once).map(|client| {
            let (authority, signed) = (Arc::clone(&authority), Arc::clone(&signed));
            tokio::spawn(async move {
                for assertion in signed.iter().skip(client).step_by(at_once) {
                    assert_eq!(exchange(&authority, assertion, &[]).await.status(), StatusCode::OK);
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        println!("ID-JAG, in a file, {at_once} at once: {rate:.0} tokens/s");
    }
}
