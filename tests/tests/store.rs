//! The store: the real binary on a file, on a real Redis and in memory.

#[cfg(test)]
mod store {
    mod file;
    mod keys;
    mod redis;
    mod stage;
}
