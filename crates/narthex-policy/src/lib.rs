//! Who may do what, and how often: tenants' grants, scopes, tool rules and limits.
//!
//! [`RoutePolicy::permit`] turns a caller and the calls of a request into a [`Permit`] or a [`Denial`].
//! Nothing else can make a [`Permit`], so whatever asks for one cannot be reached without the policy.
//! Decisions depend on nothing but the configuration, the arguments and the limits' state: no clock is
//! read and nothing is logged here.

mod denial;
mod limit;
mod permit;
mod policy;
mod route;

pub use denial::{Denial, Limited};
pub use permit::{LimitState, Permit};
pub use policy::{Housekeeping, Policy};
pub use route::{Call, RoutePolicy};
