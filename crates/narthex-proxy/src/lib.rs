//! The data path: pingora in front and behind, the pipeline between.

mod asking;
mod authority;
pub mod body;
mod bridge;
mod client;
mod client_certificate;
mod cors;
mod facts;
pub mod forward;
mod gateway;
mod judge;
mod leak;
mod listing;
mod pipeline;
mod proving;
mod record;
mod refusal;
mod reply;
mod request_id;
mod serve;
mod service;
mod snapshot;
mod stage;
mod streams;
mod strict;
mod tls;
mod trace;

pub use gateway::Gateway;
pub use service::{ServiceError, service};
pub use snapshot::{BuildError, Content, Document, Parts, Snapshot};
pub use tls::{CertificateError, Certificates, Certified};
