//! A process that is killed in the middle of writing loses nothing that it was told is written.

use super::*;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Where the child is told which file, and which numbers are its.
const FILE: &str = "NARTHEX_STORE_TEST_FILE";
const FROM: &str = "NARTHEX_STORE_TEST_FROM";

/// Writers at once in the child.
const WRITERS: usize = 16;

/// Not a test: what the child does. Values by number, as fast as it can, each told of when it is written.
#[test]
#[ignore = "the child of another test"]
fn child() {
    let Ok(path) = std::env::var(FILE) else { return };
    let from: usize = std::env::var(FROM).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(Path::new(&path)).unwrap());
        let writing = (0..WRITERS).map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for at in (from + writer..).step_by(WRITERS) {
                    put(&store, at, at % 700).await.unwrap();
                    // Every third goes again, so that pages are freed and used anew.
                    if at % 3 == 0 {
                        assert!(store.remove(&key(at)).await.unwrap());
                    }
                    println!("written {at}");
                }
            })
        });
        for writing in writing.collect::<Vec<_>>() {
            writing.await.unwrap();
        }
    });
}

fn start(path: &Path, from: usize) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "file::tests::killed::child", "--ignored", "--nocapture"]);
    command.env(FILE, path).env(FROM, from.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The numbers that the child says are written, the first so many of them, then it is killed.
fn written(mut child: Child, most: usize) -> BTreeSet<usize> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut written = BTreeSet::new();
    let mut alive = true;
    for line in lines {
        // What it managed to say before it was killed counts as well; half a line does not.
        let Ok(line) = line else { break };
        let Some((_, number)) = line.split_once("written ") else { continue };
        written.extend(number.parse::<usize>().ok());
        if alive && written.len() >= most {
            alive = false;
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    // The last line may have been cut within its number.
    written.pop_last();
    written
}

#[tokio::test]
async fn what_was_written_survives_a_kill_in_the_middle_of_writing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let (mut all, mut from) = (BTreeSet::new(), 0);
    for round in 0..8 {
        let written = written(start(&path, from), 37 + 61 * round);
        assert!(written.len() > 30, "the child wrote {} values", written.len());
        all.extend(written);
        let store = open(&path).unwrap();
        for at in &all {
            let value = store.get(&key(*at)).await.unwrap();
            let expected = (at % 3 != 0).then(|| at % 700);
            assert_eq!(value.map(|value| value.len()), expected, "value {at} after round {round}");
        }
        // What the child was about to write may be there too, but each once.
        let (usage, kept) = (store.usage().unwrap(), all.iter().filter(|at| *at % 3 != 0).count());
        assert!(usage.entries >= kept && usage.entries <= kept + 9 * (round + 1) * WRITERS, "{usage:?}");
        from = all.last().unwrap() + 10 * WRITERS;
    }
}
