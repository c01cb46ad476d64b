//! The Model Context Protocol as the gateway speaks it: bytes in, decisions out.
//!
//! Nothing here opens a socket, reads a clock or knows a tenant's configuration; time and names are
//! arguments. What a request means is read from its body by [`envelope::scan`], and only from there:
//! the `Mcp-*` headers of a 2026-07-28 request are checked against the body ([`headers`]), those of an
//! older one are ignored.

pub mod bridge;
pub mod envelope;
pub mod federation;
pub mod headers;
mod json;
pub mod request_state;
pub mod revision;
pub mod rpc;
pub mod seal;
pub mod session;
pub mod sse;
pub mod tools;

pub use envelope::{Body, Kind, Message, Meta, ScanError, ScanLimits, scan};
pub use json::plain_len;
pub use revision::Revision;
