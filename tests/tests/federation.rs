//! Several upstreams on one route, from outside: the real binary, clients of both eras, and servers of both
//! eras whose every word the test decides.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot set its stage has to fail at once, with the reason"
)]

mod federation {
    mod asks;
    mod bounds;
    mod caching;
    mod changes;
    mod client;
    mod credentials;
    mod cursors;
    mod endpoints;
    mod expose;
    mod lists;
    mod names;
    mod outages;
    mod peer;
    mod records;
    mod reload;
    mod resources;
    mod security;
    mod stage;
    mod streams;
    mod subscriptions;
    mod tasks;
}
