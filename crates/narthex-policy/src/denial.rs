//! Why a request is refused.

use narthex_config::model::ScopeName;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// A refusal by policy.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Denial {
    /// The caller's tenant is not configured.
    #[error("the caller's tenant is not configured")]
    UnknownTenant,
    /// The tenant may not use this route.
    #[error("the route is not granted to the caller's tenant")]
    RouteNotGranted,
    /// The caller's token lacks a scope (RFC 6750 §3.1 `insufficient_scope`).
    #[error("the caller does not hold all scopes that are needed")]
    MissingScopes {
        /// All scopes that the request needs, held or not, so that one new token is enough. Sorted.
        required: Vec<ScopeName>,
    },
    /// A rule denies the tool, or it is not among those that the tenant is shown. To the caller it must look like a tool that does not exist.
    #[error("a rule denies the tool")]
    HiddenTool {
        /// The tool's name, as the caller gave it.
        name: String,
    },
    /// The prompt is not among those that the tenant is shown. To the caller it does not exist.
    #[error("the prompt is not shown to the caller's tenant")]
    HiddenPrompt {
        /// The prompt's name, as the caller gave it.
        name: String,
    },
    /// The resource is not among those that the tenant is shown. To the caller it does not exist.
    #[error("the resource is not shown to the caller's tenant")]
    HiddenResource {
        /// The resource's URI, as the caller gave it.
        uri: String,
    },
    /// A limit is reached.
    #[error("the limit `{}` is reached", .0.policy)]
    Limited(Limited),
}

/// Which limit is reached, and until when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limited {
    /// The limit's name: `tenant`, `route`, or `tool:` and the rule's patterns.
    pub policy: Arc<str>,
    /// Requests per `window`, or calls in flight at one time.
    pub count: u32,
    /// The window of a rate; `None` for a cap on calls in flight.
    pub window: Option<Duration>,
    /// When to try again, from now; never zero. For calls in flight, a guess.
    pub retry_after: Duration,
}

impl Denial {
    /// The stable name that metrics, logs and audit use.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownTenant => "unknown_tenant",
            Self::RouteNotGranted => "route_not_granted",
            Self::MissingScopes { .. } => "insufficient_scope",
            Self::HiddenTool { .. } => "tool_denied",
            Self::HiddenPrompt { .. } => "prompt_denied",
            Self::HiddenResource { .. } => "resource_denied",
            Self::Limited(Limited { window: Some(_), .. }) => "rate_limited",
            Self::Limited(Limited { window: None, .. }) => "concurrency_limited",
        }
    }
}
