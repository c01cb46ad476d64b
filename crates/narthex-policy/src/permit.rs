//! The proof that a request may be made.

use crate::limit::InFlight;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// The policy's consent to one request. Only [`crate::RoutePolicy::permit`] makes one.
///
/// It holds the request's places among the calls in flight: keep it until the request is over.
#[derive(Debug)]
#[must_use = "dropping it frees the request's places among the calls in flight"]
pub struct Permit {
    pub(crate) in_flight: SmallVec<[InFlight; 2]>,
    pub(crate) tightest: Option<LimitState>,
}

/// How a limit stands after a request, for `RateLimit` and `RateLimit-Policy`
/// (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LimitState {
    /// The limit's name: `tenant`, `route`, or `tool:` and the rule's patterns.
    pub policy: Arc<str>,
    /// Requests per `window`.
    pub count: u32,
    /// The window.
    pub window: Duration,
    /// Requests that could follow at once.
    pub remaining: u32,
    /// Time until as many as possible could follow at once.
    pub reset: Duration,
}

impl Permit {
    /// The rate limit that leaves the caller the fewest requests; `None` if none applies.
    #[must_use]
    pub fn limit(&self) -> Option<&LimitState> {
        self.tightest.as_ref()
    }

    /// Whether the request holds a place in any cap on calls in flight.
    #[must_use]
    pub fn counts_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }
}
