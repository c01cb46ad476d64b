//! Measures a vault in a file: how many values a second, and how long one takes.
//!
//! `cargo run --release -p narthex-store --example measure -- [directory] [values]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "for development only")]

use narthex_store::{Capacity, File, Key, KeyRing, Sharing, Vault};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const LONG: Duration = Duration::from_secs(3600);

/// As long as the record of a refresh token.
const VALUE: [u8; 500] = [7; 500];

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let directory = PathBuf::from(args.next().unwrap_or_else(|| "/tmp".to_owned()));
    let values: usize = args.next().map_or(20_000, |values| values.parse().unwrap());
    let path = directory.join(format!("narthex-measure-{}.redb", std::process::id()));
    let capacity = Capacity { entries: NonZeroUsize::new(10_000_000).unwrap(), bytes: 4 << 30 };
    let store = File::open(&path, capacity, Arc::new(SystemTime::now), Sharing::Alone).unwrap();
    let vault = Vault::new(Arc::new(store), KeyRing::new(vec![[7; 32]]));
    for at_once in [1, 8, 64, 512] {
        run(&vault, "put", at_once, values.min(at_once * 400)).await;
    }
    run(&vault, "get", 1, values.min(25_600)).await;
    run(&vault, "get", 64, values.min(25_600)).await;
    run(&vault, "take", 64, values.min(25_600)).await;
    println!("file: {} MiB", std::fs::metadata(&path).unwrap().len() >> 20);
    drop(vault);
    let opening = Instant::now();
    drop(File::open(&path, capacity, Arc::new(SystemTime::now), Sharing::Alone).unwrap());
    println!("opening it again: {:?}", opening.elapsed());
    std::fs::remove_file(&path).unwrap();
}

async fn run(vault: &Vault, what: &'static str, at_once: usize, values: usize) {
    let start = Instant::now();
    let tasks = (0..at_once).map(|task| {
        let vault = vault.clone();
        tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            for at in (task..values).step_by(at_once) {
                let (key, start) = (Key::new("refresh", &[&at.to_string()]), Instant::now());
                match what {
                    "put" => vault.put(&key, &VALUE, LONG).await.unwrap(),
                    "get" => drop(vault.get(&key).await.unwrap().unwrap()),
                    _ => drop(vault.take(&key).await.unwrap().unwrap()),
                }
                longest = longest.max(start.elapsed());
            }
            longest
        })
    });
    let mut longest = Duration::ZERO;
    for task in tasks.collect::<Vec<_>>() {
        longest = longest.max(task.await.unwrap());
    }
    let taken = start.elapsed();
    let rate = values as f64 / taken.as_secs_f64();
    let each = taken.as_secs_f64() * 1e3 * at_once as f64 / values as f64;
    println!("{what}, {at_once} at once: {rate:.0}/s, {each:.2} ms each, {longest:?} the longest");
}
