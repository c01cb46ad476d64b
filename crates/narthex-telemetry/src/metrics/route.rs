//! The gauges of one route.

use prometheus::IntGauge;

/// The gauges of one route, resolved once.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    // `None` only if the registry refused the labels, which it never does for a fixed set of them.
    inflight: Option<IntGauge>,
    streams: Option<IntGauge>,
}

/// One of the things that a gauge counts; it counts one less when this is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the counting"]
pub struct Tally(Option<IntGauge>);

impl RouteMetrics {
    pub(super) fn new(inflight: Option<IntGauge>, streams: Option<IntGauge>) -> Self {
        Self { inflight, streams }
    }

    /// A request on this route begins.
    pub fn request(&self) -> Tally {
        Tally::begin(self.inflight.as_ref())
    }

    /// A stream to a client of this route opens.
    pub fn stream(&self) -> Tally {
        Tally::begin(self.streams.as_ref())
    }
}

impl Tally {
    fn begin(gauge: Option<&IntGauge>) -> Self {
        if let Some(gauge) = gauge {
            gauge.inc();
        }
        Self(gauge.cloned())
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(gauge) = &self.0 {
            gauge.dec();
        }
    }
}
