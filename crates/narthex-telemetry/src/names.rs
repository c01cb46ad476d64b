//! The names of the metrics, as constants, for code and tests that refer to them.
//!
//! They are part of the gateway's public interface: renaming one is a breaking change.

/// Requests to the gateway's own authorization server, by `endpoint` and `result`.
pub const AUTHORITY_REQUESTS: &str = "narthex_authority_requests_total";
/// Finished requests, by `tenant`, `route`, `method`, `upstream` and `code`.
pub const HTTP_REQUESTS: &str = "narthex_http_requests_total";
/// Time from the first byte of a request to the last of its answer, by `route` and `method`.
pub const HTTP_REQUEST_DURATION: &str = "narthex_http_request_duration_seconds";
/// Time that an upstream took to begin its answer, by `upstream`.
pub const UPSTREAM_DURATION: &str = "narthex_upstream_duration_seconds";
/// Requests being worked on, by `route`.
pub const INFLIGHT_REQUESTS: &str = "narthex_inflight_requests";
/// Requests refused, by `route` and `reason`.
pub const DENIED: &str = "narthex_denied_total";
/// Requests refused because a limit was reached, by `tenant` and `limit`.
pub const RATE_LIMITED: &str = "narthex_rate_limited_total";
/// Tool calls, by `tenant`, `route`, `tool` and `code`.
pub const TOOL_CALLS: &str = "narthex_tool_calls_total";
/// 1 while an upstream answers, 0 while it does not, by `upstream`.
pub const UPSTREAM_UP: &str = "narthex_upstream_up";
/// 1 while an upstream's circuit breaker is open, by `upstream`.
pub const UPSTREAM_BREAKER_OPEN: &str = "narthex_upstream_breaker_open";
/// 1 while an endpoint of an upstream that has several answers, 0 while it does not, by `upstream` and `endpoint`.
pub const UPSTREAM_ENDPOINT_UP: &str = "narthex_upstream_endpoint_up";
/// Requests in flight to an endpoint of an upstream that has several, by `upstream` and `endpoint`.
pub const UPSTREAM_ENDPOINT_IN_FLIGHT: &str = "narthex_upstream_endpoint_in_flight";
/// What content inspection found, by `route`, `upstream`, `kind` and `action`.
pub const INSPECTION_FINDINGS: &str = "narthex_inspection_findings_total";
/// Definitions of tools that wait until somebody approves them, by `upstream`.
pub const QUARANTINED_TOOLS: &str = "narthex_quarantined_tools";
/// Requests sent to an upstream a second time, by `upstream`.
pub const UPSTREAM_RETRIES: &str = "narthex_upstream_retries_total";
/// Credentials renewed because an upstream answered 401, by `upstream`.
pub const CREDENTIAL_RENEWALS: &str = "narthex_credential_renewals_total";
/// Users asked to connect an upstream that wants their consent, by `route`, `upstream` and `how` (`input_required`,
/// `url_elicitation_required`, `tool_result`, `error`).
pub const CONSENT_ASKED: &str = "narthex_consent_asked_total";
/// 1 if the last reload of the configuration succeeded.
pub const CONFIG_LAST_RELOAD_SUCCESSFUL: &str = "narthex_config_last_reload_successful";
/// Unix time of the last successful load of the configuration.
pub const CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP: &str = "narthex_config_last_reload_success_timestamp_seconds";
/// Loads of the configuration, by `result`.
pub const CONFIG_RELOADS: &str = "narthex_config_reloads_total";
/// Tokens found in the cache of verified tokens.
pub const TOKEN_CACHE_HITS: &str = "narthex_token_cache_hits_total";
/// Tokens that had to be verified.
pub const TOKEN_CACHE_MISSES: &str = "narthex_token_cache_misses_total";
/// Streams open to clients, by `route`.
pub const OPEN_STREAMS: &str = "narthex_open_streams";
/// Open client connections.
pub const CONNECTIONS: &str = "narthex_connections";
/// Bytes of request bodies held in memory.
pub const BUFFERED_BYTES: &str = "narthex_buffered_bytes";
/// Requests answered by a server of another era than the client's. Labels: `route`, `client`.
pub const BRIDGED_REQUESTS: &str = "narthex_bridged_requests_total";
/// Calls that wait until their client brings what it was asked for.
pub const SUSPENDED_CALLS: &str = "narthex_suspended_calls";
/// Sessions that the bridge keeps. Label: `side`.
pub const BRIDGE_SESSIONS: &str = "narthex_bridge_sessions";
/// Bytes of pages of merged lists that are kept.
pub const KEPT_PAGES_BYTES: &str = "narthex_kept_pages_bytes";
/// Child processes started. Labels: `upstream`, `again`.
pub const CHILD_STARTS: &str = "narthex_child_starts_total";
/// Child processes that have ended, or could not be started. Labels: `upstream`, `reason`.
pub const CHILD_EXITS: &str = "narthex_child_exits_total";
/// Resident bytes of child processes, with all that they have started. Label: `upstream`.
pub const CHILD_RESIDENT_BYTES: &str = "narthex_child_resident_bytes";
/// Calls of the store. Labels: `operation`, `result`.
pub const STORE_OPERATIONS: &str = "narthex_store_operations_total";
/// Values in the store, where that is known.
pub const STORE_ENTRIES: &str = "narthex_store_entries";
/// Bytes of the names and values in the store, where that is known.
pub const STORE_BYTES: &str = "narthex_store_bytes";
/// Access log lines that could not be written.
pub const ACCESS_LOG_DROPPED: &str = "narthex_access_log_dropped_total";
/// Proofs of possession that are remembered as used.
pub const DPOP_PROOFS: &str = "narthex_dpop_proofs";
/// Keys (subjects, clients, tools) that limits keep state for.
pub const LIMIT_KEYS: &str = "narthex_limit_keys";
/// Keys that had to share one state because their limit keeps too many already.
pub const LIMIT_KEY_OVERFLOWS: &str = "narthex_limit_key_overflows_total";
/// Label sets counted as `other` because their metric has too many series already, by `metric`.
pub const SERIES_DROPPED: &str = "narthex_metric_series_dropped_total";
/// Always 1; `version` and `revision` say what is running.
pub const BUILD_INFO: &str = "narthex_build_info";

/// The label value that stands for everything that is not known by name.
pub const OTHER: &str = "other";
/// The `tenant` of a request whose caller has no configured tenant.
pub const UNKNOWN: &str = "unknown";
