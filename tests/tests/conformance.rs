//! The conformance suite of the MCP project, held against the gateway with tokens, scopes, limits and
//! header checks on: what passes without the gateway passes through it.

#[cfg(test)]
mod conformance {
    mod client;
    mod client_cross_era;
    mod clients;
    mod cross_era;
    mod expected;
    mod merged;
    mod same_era;
}
