//! Products that others made, around the real binary with tokens, scopes and limits on: an identity
//! provider, MCP servers, MCP clients; and the walk-through of the documentation, as it is written.

#[cfg(test)]
mod real {
    mod bound;
    mod clients;
    mod hosts;
    mod http_sse;
    mod http_sse_hostile;
    mod introspection;
    mod matrix;
    mod matrix_cross_era;
    mod merged;
    mod merged_outage;
    mod peers;
    mod sessions;
    mod stage;
    mod stdio;
    mod tasks;
    mod tokens;
    mod visitors;
    mod walkthrough;
}
