//! What a child says on its standard error, into the gateway's log.

use super::lines::{Lines, Overlong};
use super::process::Shared;
use super::trickle::{Trickle, printable};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::ChildStderr;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Bytes of a line that are looked at.
const LONGEST: usize = 8 * 1024;
/// How long nothing comes before it is told what was not logged.
const PAUSE: Duration = Duration::from_secs(1);
/// Secrets shorter than this stand in too many words that are none.
const SHORTEST_SECRET: usize = 4;

/// Logs line by line, until the pipe is closed. `secrets` are not logged, should the child say them.
pub(super) async fn log(stderr: ChildStderr, shared: Arc<Shared>, secrets: Vec<Zeroizing<String>>) {
    let mut lines = Lines::new(stderr, LONGEST, Overlong::Cut);
    let mut trickle = Trickle::new(Instant::now());
    let (upstream, pid) = (&shared.upstream, shared.pid);
    let tell = |unlogged: u64| {
        if unlogged > 0 {
            tracing::warn!(%upstream, pid, unlogged, "lines of stderr were not logged");
        }
    };
    loop {
        let next = match trickle.dropped() {
            0 => lines.next().await,
            // What was left out is told when there is a pause, too.
            _ => match timeout(PAUSE, lines.next()).await {
                Ok(next) => next,
                Err(_elapsed) => {
                    tell(trickle.tell_dropped());
                    continue;
                }
            },
        };
        let Ok(Some(line)) = next else { break };
        let Some(unlogged) = trickle.admit(Instant::now()) else { continue };
        tell(unlogged);
        let line = printable(without(&line, &secrets).as_bytes());
        tracing::info!(%upstream, pid, line, "stderr");
    }
    tell(trickle.tell_dropped());
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
