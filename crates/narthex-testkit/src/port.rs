//! Ports for servers that must be told their port before they start.

use std::net::TcpListener;

/// A port of 127.0.0.1 that was free a moment ago. Another process may take it before its user does;
/// [`crate::GatewayProcess`] therefore tries again with others.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_bound() {
        TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    }
}
