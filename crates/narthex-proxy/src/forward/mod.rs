//! The forward loop: one exchange with an upstream, written anew from parts that we chose.
//!
//! The request body is whole before anything is sent, so there is no duplex. The rules that remain:
//! a connection whose answer was not read to its end is never released; the client is watched while
//! the upstream is waited for; 1xx answers are skipped; Content-Length is always ours; what may have
//! reached the upstream is sent again only if it is safe to repeat.

mod authorize;
mod error;
mod relay;
mod send;

pub(crate) use authorize::authorize;
pub use error::ForwardError;
pub use relay::{Early, Filter, Relay, RelayEnd, collect, next_chunk};
pub use send::{Answer, Outbound, send, send_unwatched};
