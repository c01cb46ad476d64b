//! Secrets from a vault: a real OpenBao, and one of our own that answers as no good one would.

#[cfg(test)]
mod secrets {
    mod hostile;
    mod lease;
    mod login;
    mod outage;
    mod rotation;
    mod stage;
    mod start;
}
