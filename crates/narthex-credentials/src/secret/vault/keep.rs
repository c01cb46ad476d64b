//! What is done while the values are in use: the login is renewed, and it is looked whether they have changed.

use super::api::random;
use super::fetch::{Fetched, Reading};
use std::time::{Duration, Instant};

/// How soon it is looked again after the vault could not be asked; twice as long each time, up to `refresh`.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

impl Fetched {
    /// Comes back when the vault has another value for one of the references than the one in use. What cannot be
    /// read meanwhile is logged and counted, and changes nothing.
    pub(in crate::secret) async fn changed(&self) {
        let mut failures = 0;
        let mut look = Instant::now() + self.pause(failures);
        loop {
            let renewal = self.vault.due().await;
            let due = renewal.map_or(look, |renewal| renewal.min(look));
            tokio::time::sleep_until(due.into()).await;
            if let Err(problem) = self.vault.renew().await {
                tracing::warn!(%problem, "the login at the vault cannot be renewed");
            }
            if Instant::now() >= look {
                match self.look().await {
                    Look::Changed => return,
                    Look::Same => failures = 0,
                    Look::Failed => failures += 1,
                }
                look = Instant::now() + self.pause(failures);
            }
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        pause(self.vault.settings.refresh, failures, random())
    }

    async fn look(&self) -> Look {
        let references: Vec<_> = self.values.keys().cloned().collect();
        let reading = Reading::of(&self.vault, &references).await;
        reading.count(&self.vault.events);
        for (reference, problem) in &reading.problems {
            tracing::warn!(%reference, %problem, "a secret cannot be read again, its last value counts on");
        }
        let mut changed =
            reading.values.iter().filter(|(reference, value)| self.values.get(reference) != Some(value));
        if let Some((reference, _)) = changed.next() {
            let place = (reference.mount.clone(), reference.path.clone());
            let (before, now) = (self.versions.get(&place), reading.versions.get(&place));
            tracing::info!(%reference, ?before, ?now, others = changed.count(), "a secret has changed in the vault");
            return Look::Changed;
        }
        if reading.problems.is_empty() { Look::Same } else { Look::Failed }
    }
}

enum Look {
    Changed,
    Same,
    Failed,
}

/// The time until the next look: nine tenths to all of `refresh`, by `random`, so that replicas do not come all
/// at once; less after `failures` in a row.
fn pause(refresh: Duration, failures: u32, random: u8) -> Duration {
    let usual = refresh - refresh / 10 * u32::from(random) / 255;
    match failures {
        0 => usual,
        some => FIRST_PAUSE.saturating_mul(1 << (some - 1).min(16)).min(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_within_refresh_and_sooner_after_a_failure() {
        let refresh = Duration::from_secs(300);
        let seconds = |failures, random| pause(refresh, failures, random).as_secs();
        assert_eq!((seconds(0, 0), seconds(0, 255)), (300, 270));
        assert_eq!([1, 2, 3, 7].map(|failures| seconds(failures, 0)), [2, 4, 8, 128]);
        assert_eq!((seconds(8, 0), seconds(u32::MAX, 255)), (256, 270));
        assert_eq!(pause(Duration::from_secs(1), 5, 0), Duration::from_secs(1));
    }
}
