//! Tasks through the real binary: the core of 2025-11-25 (basic/utilities/tasks) on one side, the extension
//! of 2026-07-28 (`io.modelcontextprotocol/tasks`, SEP-2663) on the other.

#[cfg(test)]
mod tasks {
    mod legacy_asked;
    mod legacy_client;
    mod legacy_server;
    mod modern_asked;
    mod modern_client;
    mod modern_handles;
    mod modern_server;
    mod stage;
}
