//! What a child says on its standard error, into the gateway's log.

use super::lines::{Lines, Overlong};
use super::process::Shared;
use super::trickle::{Trickle, printable};
use std::sync::Arc;
use std::time::Instant;
use tokio::process::ChildStderr;
use zeroize::Zeroizing;

/// Bytes of a line that are looked at.
const LONGEST: usize = 8 * 1024;
/// Secrets shorter than this stand in too many words that are none.
const SHORTEST_SECRET: usize = 4;

/// Logs line by line, until the pipe is closed. `secrets` are not logged, should the child say them.
pub(super) async fn log(stderr: ChildStderr, shared: Arc<Shared>, secrets: Vec<Zeroizing<String>>) {
    let mut lines = Lines::new(stderr, LONGEST, Overlong::Cut);
    let mut trickle = Trickle::new(Instant::now());
    let (upstream, pid) = (&shared.upstream, shared.pid);
    while let Ok(Some(line)) = lines.next().await {
        let Some(unlogged) = trickle.admit(Instant::now()) else { continue };
        let line = printable(without(&line, &secrets).as_bytes());
        if unlogged > 0 {
            tracing::warn!(%upstream, pid, unlogged, "lines of stderr were not logged");
        }
        tracing::info!(%upstream, pid, line, "stderr");
    }
    if trickle.dropped() > 0 {
        tracing::warn!(%upstream, pid, unlogged = trickle.dropped(), "lines of stderr were not logged");
    }
}

fn without(line: &[u8], secrets: &[Zeroizing<String>]) -> String {
    let mut text = String::from_utf8_lossy(line).into_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), "***");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_the_child_says_is_not_logged() {
        let secrets = ["canary-1", "ab", "two"].map(|s| Zeroizing::new(s.to_owned()));
        let line = without(b"KEY=canary-1 canary-1x ab two", &secrets);
        assert_eq!(line, "KEY=*** ***x ab two");
    }
}
