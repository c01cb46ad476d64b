//! Users who have to connect an upstream first: the gateway on real sockets, clients of every revision, upstreams of
//! both eras, and an authorization server that the test decides for. What a browser would do, the test does.

#[cfg(test)]
mod asking {
    mod changes;
    mod client;
    mod consents;
    mod hostile;
    mod legacy;
    mod lists;
    mod modern;
    mod peer;
    mod stage;
}
