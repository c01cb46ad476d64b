//! Traffic through the real binary: forwarding, failures of upstreams, limits, credentials, keys,
//! TLS and the way it ends.

#[path = "traffic/stage.rs"]
mod stage;

#[path = "traffic/answers.rs"]
mod answers;
#[path = "traffic/cancellation.rs"]
mod cancellation;
#[path = "traffic/credentials.rs"]
mod credentials;
#[path = "traffic/exchange.rs"]
mod exchange;
#[path = "traffic/failures.rs"]
mod failures;
#[path = "traffic/headers.rs"]
mod headers;
#[path = "traffic/issuers.rs"]
mod issuers;
#[path = "traffic/limits.rs"]
mod limits;
#[path = "traffic/revisions.rs"]
mod revisions;
#[path = "traffic/shutdown.rs"]
mod shutdown;
#[path = "traffic/tls.rs"]
mod tls;
