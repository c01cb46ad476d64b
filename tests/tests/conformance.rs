//! .
//! The conformance suite of the MCP project, held against the gateway with tokens, scopes, limits and
//! header checks on: what passes without the gateway passes through it.

#[cfg(test)]
mod conformance {
    mod client;
    mod clients;
    mod expected;
    mod same_era;
}
