//! A metric with labels that cannot grow without end.

use crate::names::OTHER;
use parking_lot::Mutex;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{IntCounter, Registry};
use std::collections::HashSet;

/// Series that one metric may have. A label value that a caller could make up is the caller's to bound
/// (see [`super::FinishedCall`]); this is the net below.
pub(super) const MAX_SERIES: usize = 10_000;

/// A metric with `N` labels. Label sets beyond the first `max` are counted with every label `other`.
pub(super) struct Family<M, const N: usize> {
    metric: M,
    max: usize,
    seen: Mutex<HashSet<[Box<str>; N]>>,
    dropped: IntCounter,
}

/// A metric that has a handle for each set of label values.
pub(super) trait Labelled: Collector + Clone + 'static {
    type Handle;

    fn labelled(&self, labels: &[&str]) -> prometheus::Result<Self::Handle>;
}

impl<B: MetricVecBuilder + 'static> Labelled for MetricVec<B>
where
    Self: Collector,
{
    type Handle = B::M;

    fn labelled(&self, labels: &[&str]) -> prometheus::Result<B::M> {
        self.get_metric_with_label_values(labels)
    }
}

impl<M: Labelled, const N: usize> Family<M, N> {
    /// Registers `metric`; `dropped` counts label sets beyond the first `max`.
    pub(super) fn register(
        registry: &Registry,
        metric: M,
        max: usize,
        dropped: IntCounter,
    ) -> prometheus::Result<Self> {
        registry.register(Box::new(metric.clone()))?;
        Ok(Self { metric, max, seen: Mutex::new(HashSet::new()), dropped })
    }

    /// The handle of one series. Takes a lock: handles are to be kept.
    pub(super) fn handle(&self, labels: [&str; N]) -> prometheus::Result<M::Handle> {
        if self.admits(labels) {
            self.metric.labelled(&labels)
        } else {
            self.dropped.inc();
            self.metric.labelled(&[OTHER; N])
        }
    }

    fn admits(&self, labels: [&str; N]) -> bool {
        let labels = labels.map(Box::from);
        let mut seen = self.seen.lock();
        let admitted = seen.contains(&labels) || seen.len() < self.max;
        if admitted {
            seen.insert(labels);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{IntCounterVec, Opts};

    #[test]
    fn label_sets_beyond_the_cap_are_counted_as_other() {
        let registry = Registry::new();
        let metric = IntCounterVec::new(Opts::new("m", "h"), &["a", "b"]).unwrap();
        let dropped = IntCounter::new("d", "h").unwrap();
        let family = Family::register(&registry, metric.clone(), 2, dropped.clone()).unwrap();
        for label in ["1", "2", "3", "4", "1"] {
            family.handle([label, "x"]).unwrap().inc();
        }
        assert_eq!(metric.with_label_values(&["1", "x"]).get(), 2);
        assert_eq!(metric.with_label_values(&["2", "x"]).get(), 1);
        assert_eq!(metric.with_label_values(&[OTHER, OTHER]).get(), 2);
        assert_eq!(dropped.get(), 2);
        assert_eq!(metric.collect()[0].get_metric().len(), 3);
    }
}
