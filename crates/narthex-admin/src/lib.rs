//! The admin listener: metrics, health and pins, for operators and their machines.
//!
//! It is meant for a loopback or cluster-internal address and asks nobody who they are. It knows
//! nothing of the data path and serves nothing that a caller of the gateway has sent; of what upstreams have
//! sent, the definitions of their tools.

mod app;
mod pins;

pub use app::{Admin, Readiness};
pub use pins::{Approval, PinDesk};

use pingora::apps::http_app::HttpServer;
use pingora::services::listening::Service;
use std::net::SocketAddr;

/// The pingora service that serves `admin` on `listen` (HTTP/1.1), with one thread.
#[must_use]
pub fn service(listen: SocketAddr, admin: Admin) -> Service<HttpServer<Admin>> {
    let mut service = Service::new("admin".to_owned(), HttpServer::new_app(admin));
    service.threads = Some(1);
    service.add_tcp(&listen.to_string());
    service
}
