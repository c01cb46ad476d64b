//! The data path: pingora in front and behind, the pipeline between.

pub mod body;
#[cfg(feature = "wip")]
mod cors;
#[cfg(feature = "wip")]
mod facts;
pub mod forward;
#[cfg(feature = "wip")]
mod gateway;
#[cfg(feature = "wip")]
mod judge;
#[cfg(feature = "wip")]
mod listing;
#[cfg(feature = "wip")]
mod pipeline;
#[cfg(feature = "wip")]
mod record;
#[cfg(feature = "wip")]
mod refusal;
#[cfg(feature = "wip")]
mod reply;
#[cfg(feature = "wip")]
mod request_id;
#[cfg(feature = "wip")]
mod service;
#[cfg(feature = "wip")]
mod snapshot;
#[cfg(feature = "wip")]
mod stage;
#[cfg(feature = "wip")]
mod streams;
#[cfg(feature = "wip")]
mod strict;
#[cfg(feature = "wip")]
mod tls;

#[cfg(feature = "wip")]
pub use gateway::Gateway;
#[cfg(feature = "wip")]
pub use service::{ServiceError, service};
#[cfg(feature = "wip")]
pub use snapshot::{BuildError, Document, Parts, Snapshot};
#[cfg(feature = "wip")]
pub use tls::{CertificateError, Certificates};
