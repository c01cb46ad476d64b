//! The ground proof: every way that one exchange can go, over real sockets.
//!
//! A [`Door`](ground::door::Door) does with the forward loop exactly what the pipeline does, and
//! nothing else. What is proven here holds for everything that is built on the loop, and is proven
//! again at each upgrade of pingora.

#[cfg(test)]
mod ground {
    mod aborts;
    mod answers;
    mod bodies;
    mod bounds;
    mod client;
    mod door;
    mod health;
    mod limits;
    mod stale;
    mod streams;
    mod tls;
    mod upstream;
    mod wire;
}
