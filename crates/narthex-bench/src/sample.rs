//! Latencies of one round, and medians over rounds.

use std::time::Duration;

/// Latencies of single calls, kept one by one: a round is bounded, so exact figures cost little.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    nanos: Vec<u32>,
}

impl Latencies {
    /// Adds one; over 4.29 s counts as 4.29 s.
    pub fn push(&mut self, latency: Duration) {
        self.nanos.push(u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.nanos.extend_from_slice(&other.nanos);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.nanos.len() as u64
    }

    /// The latency that `percent` of the calls did not exceed (nearest rank). Zero when there is none.
    #[must_use]
    pub fn percentile(&mut self, percent: usize) -> Duration {
        if self.nanos.is_empty() {
            return Duration::ZERO;
        }
        let rank = (self.nanos.len() * percent).div_ceil(100).max(1) - 1;
        let (_, nanos, _) = self.nanos.select_nth_unstable(rank);
        Duration::from_nanos(u64::from(*nanos))
    }
}

/// The middle and the ends of a figure over rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Median; the mean of the middle two for an even count.
    pub median: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Of `values`; `None` when there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), Duration::ZERO);
        for n in (1..=200).rev() {
            latencies.push(Duration::from_nanos(n));
        }
        for (percent, nanos) in [(0, 1), (1, 2), (50, 100), (99, 198), (100, 200)] {
            assert_eq!(latencies.percentile(percent), Duration::from_nanos(nanos), "{percent}");
        }
    }

    #[test]
    fn medians_stand_between_the_ends() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
    }
}
