//! Traffic through the real binary: forwarding, failures of upstreams, limits, credentials, keys,
//! TLS and the way it ends.

#[cfg(test)]
mod traffic {
    mod answers;
    mod between_eras;
    mod cancellation;
    mod credentials;
    mod exchange;
    mod failures;
    mod headers;
    mod issuers;
    mod limits;
    mod revisions;
    mod shutdown;
    mod stage;
    mod tls;
    mod unread;
}
