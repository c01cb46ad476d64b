//! Mistakes in a file that is YAML: each is said, with its place, and together with all others.

use super::{GOOD, parsed, refused};
use crate::Severity;

/// `GOOD` with `from` replaced by `to`; `from` must be there.
pub(super) fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replace(from, to)
}

pub(super) fn upstream(keys: &str) -> String {
    with("    url: http://127.0.0.1:9001/mcp\n", &format!("    url: http://127.0.0.1:9001/mcp\n    {keys}\n"))
}

pub(super) fn route(keys: &str) -> String {
    format!("{GOOD}    {keys}\n")
}

fn auth(keys: &str) -> String {
    with("auth: { embedded: development }", &format!("auth:\n  embedded: development\n  {keys}"))
}

fn issuer(keys: &str) -> String {
    auth(&format!("issuers: [{{ {keys} }}]"))
}

fn server(keys: &str) -> String {
    with("{ public_url: http://localhost:8080 }", &format!("{{ public_url: http://localhost:8080, {keys} }}"))
}

/// Each text has one error, which contains the words.
pub(super) fn each_is_refused(cases: &[(String, &str)]) {
    for (text, words) in cases {
        let found = refused(text);
        let shown = found.to_string();
        assert!(shown.contains(words), "{words:?} is not in:\n{shown}\nof:\n{text}");
        assert_eq!(found.errors(), 1, "{shown}\nof:\n{text}");
    }
}

#[test]
fn a_mistake_under_server_is_refused() {
    let public_url = |url: &str| with("http://localhost:8080", url);
    each_is_refused(&[
        (public_url("'http://localhost:8080?x=1'"), "`public_url` has no query"),
        (public_url("'http://localhost:8080/#x'"), "no fragment"),
        (public_url("localhost:8080"), "not an `http` or `https` URL"),
        (public_url("'http:///mcp'"), "no host"),
        (public_url("'http://me:pw@host'"), "must not contain a user name or password"),
        (public_url("'http://host/a%2fb'"), "no percent-encoding"),
        (with("server: { public_url: http://localhost:8080 }\n", ""), "`server` is missing"),
        (with("{ public_url: http://localhost:8080 }", "{}"), "`public_url` is missing"),
        (server("listen: localhost:8080"), "not an address and port"),
        (server("listen: 8080"), "put it in quotes"),
        (server("listen: 0.0.0.0:8080"), "loopback address only"),
        (server("tls: { cert: { file: a } }"), "`key` is missing"),
        (server("tls: { cert: a.pem, key: { file: a } }"), "{ file: path }"),
        (server("tls: { cert: { env: A }, key: { file: a } }"), "expected `file`"),
        (server("allowed_origins: ['*']"), "not an origin"),
        (server("allowed_origins: https://a"), "expected a list"),
        (server("grace_period: 30"), "not a duration"),
        (server("threads: 0"), "at least 1"),
        (server("threads: 2000"), "more than 1024 threads"),
        (server("limits: { body: 0 }"), "a size of zero"),
        (server("limits: { body: 16MB }"), "not a size"),
        (server("limits: { json_depth: 1000 }"), "never read"),
        (server("limits: { header_timeout: 0s }"), "cannot be zero"),
        (server("limits: { body: 1GiB }"), "does not fit in `buffered`"),
        (server("limits: { suspended_calls: 0 }"), "at least 1"),
        (server("limits: { suspended_per_caller: many }"), "found text"),
        (server("limits: { suspend_timeout: 0s }"), "cannot be zero"),
        (server("limits: { sessions: -1 }"), "negative"),
        (server("limits: { sessions_per_caller: 0 }"), "at least 1"),
        (server("limits: { session_idle: 30 }"), "not a duration"),
        (server("limits: { session_idle: 0m }"), "cannot be zero"),
        (server("limits: { events_per_stream: 5000000000 }"), "too large"),
        (server("limits: { event_bytes_per_session: 0 }"), "a size of zero"),
        (server("limits: { suspend_calls: 5 }"), "did you mean `suspended_calls`?"),
        (server("state_dir: ''"), "not empty"),
    ]);
}

#[test]
fn a_mistake_under_auth_is_refused() {
    each_is_refused(&[
        (issuer("tenant: { value: acme }"), "`issuer` is missing"),
        (issuer("issuer: https://i"), "`tenant` is missing"),
        (issuer("issuer: https://i, tenant: { value: acne }"), "did you mean `acme`?"),
        (issuer("issuer: https://i, tenant: acme"), "{ claim: org_id }"),
        (issuer("issuer: https://i, tenant: { claim: a, value: acme }"), "exactly one of"),
        (issuer("issuer: http://i, tenant: { value: acme }"), "plain `http`"),
        (issuer("issuer: 'https://i?x', tenant: { value: acme }"), "no query"),
        (issuer("issuer: i, tenant: { value: acme }"), "not an `http` or `https` URL"),
        (issuer("issuer: https://i, tenant: { value: acme }, jwks_uri: http://k/"), "plain `http`"),
        (
            issuer("issuer: https://i, tenant: { value: acme }, jwks_uri: https://k/, jwks: { file: k }"),
            "not both",
        ),
        (issuer("issuer: https://i, tenant: { value: acme }, algorithms: []"), "without an algorithm"),
        (issuer("issuer: https://i, tenant: { value: acme }, algorithms: [none]"), "never accepted"),
        (issuer("issuer: https://i, tenant: { value: acme }, algorithms: [HS256]"), "never accepted"),
        (
            issuer(
                "issuer: https://i, tenant: { value: acme }, introspection: { url: https://i/x, client: { id: a } }",
            ),
            "clients that authenticate",
        ),
        (
            issuer("issuer: https://i, tenant: { value: acme } }, { issuer: https://i, tenant: { claim: a }"),
            "given twice",
        ),
        (auth("leeway: 6m"), "leeway over 5m"),
        (auth("token_cache: 0"), "at least 1"),
        (auth("scope_hierarchy: { a: [a] }"), "includes itself"),
        (auth("scope_hierarchy: { a: ['b c'] }"), "not a scope"),
        (with("embedded: development", "embedded: production"), "expected `development`"),
        (with("auth: { embedded: development }\n", ""), "nobody is trusted"),
    ]);
}

#[test]
fn a_mistake_under_tenants_is_refused() {
    let limits =
        |limits: &str| with("{ routes: [demo] }", &format!("{{ routes: [demo], limits: {limits} }}"));
    each_is_refused(&[
        (with("routes: [demo]", "routes: [demmo]"), "did you mean `demo`?"),
        (with("routes: [demo]", "routes: demo"), "expected a list"),
        (limits("{}"), "limit nothing"),
        (limits("{ burst: 3, concurrent: 1 }"), "`burst` needs `requests`"),
        (limits("{ requests: 0/1m }"), "a rate of zero"),
        (limits("{ requests: 5/0s }"), "cannot be zero"),
        (limits("{ requests: 600 }"), "a rate needs a window"),
        (limits("{ concurrent: -1 }"), "negative"),
        (limits("{ concurrent: 1, per: user }"), "expected `tenant`, `subject`, `client` or `tool`"),
        (limits("600/1m"), "limits: { requests: 600/1m"),
    ]);
}

#[test]
fn a_mistake_under_upstreams_is_refused() {
    let url = |url: &str| with("http://127.0.0.1:9001/mcp", url);
    let exchange = |keys: &str| upstream(&format!("credential: {{ token_exchange: {{ {keys} }} }}"));
    each_is_refused(&[
        (url("'http://'"), "no host"),
        (url("'http://:9001/mcp'"), "no host"),
        (url("'http:///mcp'"), "no host"),
        (url("'http://me:pw@127.0.0.1/'"), "must not contain a user name or password"),
        (url("ftp://127.0.0.1/"), "not an `http` or `https` URL"),
        (url("'http://127.0.0.1/#x'"), "no fragment"),
        (url("'http://127.0.0.1/?token=x'"), "must not contain a token or key"),
        (url("http://mcp.internal/mcp"), "plain `http`"),
        (url("https://169.254.169.254/mcp"), "link-local"),
        (url("https://[fe80::1]/mcp"), "link-local"),
        (with("    url: http://127.0.0.1:9001/mcp\n", "    http: h1\n"), "`url` is missing"),
        (upstream("timeout: 0s"), "cannot be zero"),
        (upstream("breaker: { failures: 0 }"), "at least 1"),
        (upstream("http: h3"), "expected `auto`, `h1` or `h2`"),
        (upstream("insecure: 'yes'"), "expected a boolean, found text"),
        (upstream("credential: nothing"), "expected `none`, `header`"),
        (upstream("credential: { none: x }"), "takes no value"),
        (upstream("credential: header"), "needs a value"),
        (upstream("credential: { header: { name: 'a b', value: { env: A } } }"), "not a header name"),
        (upstream("credential: { header: { value: { env: A } } }"), "`name` is missing"),
        (upstream("credential: { header: { name: a } }"), "`value` is missing"),
        (upstream("credential: { header: { name: a, value: { env: '' } } }"), "environment variable"),
        (upstream("credential: { basic: { username: 'a:b', password: { env: A } } }"), "no colon"),
        (exchange("client: { id: a }"), "`token_url` is missing"),
        (exchange("token_url: https://i/token"), "`client` is missing"),
        (exchange("token_url: http://i/token, client: { id: a }"), "plain `http`"),
        (exchange("token_url: https://i/token, client: { secret: { env: A } }"), "`id` is missing"),
        (exchange("token_url: https://i/token, client: { id: a, method: post }"), "there is none"),
        (exchange("token_url: https://i/token, client: { id: a, key_id: b }"), "there is none"),
        (
            exchange(
                "token_url: https://i/token, client: { id: a, secret: { env: A }, private_key: { env: B } }",
            ),
            "either a `secret` or a `private_key`",
        ),
        (
            exchange("token_url: https://i/token, client: { id: a, private_key: { env: B } }"),
            "`algorithm` is missing",
        ),
        (exchange("token_url: https://i/token, client: { id: a }, scopes: ['a\"b']"), "not a scope"),
        (exchange("token_url: https://i/token, client: { id: a }, resource: 'mcp'"), "absolute URI"),
        (exchange("token_url: https://i/token, client: { id: a }, subject_token_type: jwt"), "is a URI"),
        (
            upstream("credential: { client_credentials: { token_url: https://i/token, client: { id: a } } }"),
            "clients that authenticate",
        ),
    ]);
}

#[test]
fn a_mistake_in_what_an_upstream_speaks_is_refused() {
    let protocol = |value: &str| upstream(&format!("protocol: {value}"));
    each_is_refused(&[
        (protocol("2025-11-26"), "expected `auto`, `2026-07-28`, `2025-11-25`"),
        (protocol("Auto"), "not a revision of MCP"),
        (protocol("2025"), "expected `auto`, a revision of MCP or a list of them, found a number"),
        (protocol("true"), "found true or false"),
        (protocol("{ revision: 2025-11-25 }"), "found a mapping"),
        (protocol("~"), "no value"),
        (protocol("[]"), "speaks nothing"),
        (protocol("[auto]"), "`auto` stands alone"),
        (protocol("[auto, 2025-11-25]"), "`auto` stands alone"),
        (protocol("[2025-11-25, latest]"), "expected `2026-07-28`, `2025-11-25`"),
        (protocol("[[2025-11-25]]"), "found a list"),
        (protocol("[2025-11-25, 2025-11-25]"), "listed twice"),
        (protocol("[2025-11-25, 2024-11-05]"), "`2024-11-05` (HTTP+SSE) stands alone"),
        (protocol("[2025-11-25, 2025-03-26, 1]"), "expected a revision of MCP, found a number"),
    ]);
}

#[test]
fn a_mistake_about_pins_is_refused() {
    let pins = |value: &str| format!("{GOOD}pins: {value}\n");
    each_is_refused(&[
        (pins("{ mode: lock }"), "expected `trust-on-first-use`, `locked` or `off`"),
        (pins("{ mode: Off }"), "expected `trust-on-first-use`, `locked` or `off`"),
        (pins("{ mode: false }"), "true or false"),
        (pins("{ mode: [locked] }"), "found a list"),
        (pins("{ file: '' }"), "not empty"),
        (pins("{ file: { file: pins.json } }"), "found a mapping"),
        (pins("{ flie: pins.json }"), "did you mean `file`?"),
        (pins("locked"), "found text"),
        (pins(""), "no value"),
        (upstream("pins: on"), "expected `trust-on-first-use`, `locked` or `off`"),
        (upstream("pins: { mode: locked }"), "found a mapping"),
        (upstream("pins: ~"), "no value"),
    ]);
}

#[test]
fn a_credential_cannot_take_a_header_that_is_the_gateways() {
    let names = [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "connection",
        "Accept",
        "content-type",
        "Cookie",
        "Mcp-Session-Id",
        "mcp-protocol-version",
        "mcp_method",
        "X-Request-Id",
        "traceparent",
        "tracestate",
        "TE",
        "Upgrade",
        "Proxy-Authorization",
        "X-Forwarded-For",
        "Expect",
        "Origin",
        "Last-Event-ID",
    ];
    let header =
        |name: &str| upstream(&format!("credential: {{ header: {{ name: {name}, value: {{ env: A }} }} }}"));
    let cases: Vec<_> = names.iter().map(|name| (header(name), "is the gateway's own")).collect();
    each_is_refused(&cases);
    assert!(parsed(&header("Authorization")).is_ok());
}

#[test]
fn a_mistake_under_routes_is_refused() {
    let path = |path: &str| with("path: /mcp", &format!("path: {path}"));
    each_is_refused(&[
        (path("mcp"), "begins with `/`"),
        (path("/mcp/"), "does not end"),
        (path("/a/../b"), "`..`"),
        (path("/a//b"), "empty segments"),
        (path("/a%2fb"), "percent-encoding"),
        (path("'/a?b'"), "no query"),
        (path("/.well-known/x"), "the gateway itself"),
        (path("/oauth/token"), "the gateway itself"),
        (with("    path: /mcp\n", ""), "`path` is missing"),
        (with("    upstream: demo\n", ""), "`upstream` is missing"),
        (with("upstream: demo", "upstream: deno"), "did you mean `demo`?"),
        (route("auth: none"), "needs a `tenant`"),
        (route("tenant: acme"), "goes with `auth: none` only"),
        (
            route("{}").replace("    {}\n", "    auth: none\n    tenant: globex\n"),
            "there is no tenant `globex`",
        ),
        (route("auth: optional"), "expected `none`"),
        (route("auth: none\n    tenant: acme\n    scopes: [a]"), "no caller has a scope"),
        (route("scopes: a b"), "expected a list"),
        (route("scopes: ['a b']"), "not a scope"),
        (route("tools: [{ match: [], deny: true }]"), "matches no tool"),
        (route("tools: [{ match: [''], deny: true }]"), "an empty pattern"),
        (route("tools: [{ deny: true }]"), "`match` is missing"),
        (route("tools: [{ match: [a] }]"), "changes nothing"),
        (route("tools: [{ match: [a], limits: {} }]"), "limit nothing"),
    ]);
}

#[test]
fn token_exchange_needs_a_caller_with_a_token() {
    let text = upstream("credential: { token_exchange: { token_url: https://i/t, client: { id: a } } }");
    each_is_refused(&[(
        format!("{text}    auth: none\n    tenant: acme\n"),
        "no caller's token to make the credential",
    )]);
}

#[test]
fn two_routes_on_one_path_are_refused_and_both_places_named() {
    let text = format!("{GOOD}  again:\n    path: /mcp\n    upstream: demo\n");
    let found = refused(&text);
    assert_eq!(found.len(), 1 + 1, "the second route is also of no use: {found}");
    let shown = found.to_string();
    assert!(shown.contains("two routes have the path `/mcp`"), "{shown}");
    assert!(
        shown.contains("conf/gateway.yaml:12:11\n") && shown.contains("conf/gateway.yaml:9:11\n"),
        "{shown}"
    );
}

#[test]
fn a_path_that_is_another_routes_behind_public_url_is_refused() {
    let behind = |path: &str| {
        let text = with("public_url: http://localhost:8080", "public_url: http://localhost:8080/a");
        format!("{text}  other:\n    path: {path}\n    upstream: demo\n")
    };
    each_is_refused(&[(behind("/a/mcp"), "`/a/mcp` is also where another route is behind `public_url`")]);
    for path in ["/a", "/a/other", "/b/mcp", "/amcp"] {
        let found = parsed(&behind(path));
        assert!(found.is_ok(), "{path}: {found:?}");
    }
}

#[test]
fn a_duplicate_key_is_refused_and_both_places_named() {
    let shown = refused(&format!("{GOOD}    path: /other\n")).to_string();
    assert!(shown.contains("duplicate key `path`"), "{shown}");
    assert!(shown.contains("gateway.yaml:11:5\n") && shown.contains("gateway.yaml:9:5\n"), "{shown}");
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    let found = refused(&with("    path: /mcp", "    paht: /mcp"));
    let shown = found.to_string();
    let expected = "\
error: unknown key `paht`
 --> conf/gateway.yaml:9:5
  |
9 |     paht: ***
  |     ^^^^
  = help: did you mean `path`?
";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn a_key_without_a_value_is_not_taken_for_an_absent_one() {
    for (text, line) in [("routes: null", 1), ("routes:\n", 1), ("routes: ~", 1)] {
        let found = refused(&format!("{text}\nserver: {{ public_url: http://localhost:8080 }}\n"));
        let first = found.iter().next().unwrap();
        assert_eq!((first.line, first.message.as_str()), (line, "this key has no value"), "{found}");
    }
    each_is_refused(&[(route("limits:"), "no value"), (route("auth: ~\n    tenant: acme"), "no value")]);
}

#[test]
fn all_mistakes_are_reported_at_once_and_in_order() {
    let found = refused(
        "\
server: { listen: nowhere, public_url: ftp://x, colour: blue }
auth: { leeway: 10m, issuers: [{ issuer: http://idp.example.com, algorithms: [none, HS256] }] }
tenants: { acme: { routes: [a, b], limits: {} } }
upstreams:
  x: { url: 'http:///x', timeout: soon, credential: { header: { name: Host, value: hunter2 } } }
routes:
  one: { path: one, upstream: y, scopes: ['a b'], auth: none }
  two: { path: /two, upstreams: [x, z] }
  two: { path: /two, upstream: x }
",
    );
    let shown = found.to_string();
    let expected = [
        "not an address",
        "not an `http` or `https` URL",
        "unknown key `colour`",
        "leeway over 5m",
        "plain `http`",
        "`tenant` is missing",
        "unsigned token",
        "HMAC",
        "there is no route `a`",
        "there is no route `b`",
        "limit nothing",
        "no host",
        "not a duration",
        "is the gateway's own",
        "must not be written",
        "begins with `/`",
        "there is no upstream `y`",
        "not a scope",
        "needs a `tenant`",
        "there is no upstream `z`",
        "duplicate key `two`",
    ];
    for words in expected {
        assert!(shown.contains(words), "{words:?} is not in:\n{shown}");
    }
    assert_eq!(found.errors(), expected.len(), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let lines: Vec<usize> =
        found.iter().filter(|found| found.severity == Severity::Error).map(|found| found.line).collect();
    assert!(lines.is_sorted(), "{lines:?}");
}

#[test]
fn the_log_line_names_the_first_error_and_counts_the_others() {
    let found = refused(&with("/mcp\n    upstream: demo", "mcp\n    upstream: nowhere"));
    assert_eq!(found.one_line(), "conf/gateway.yaml:9:11: a path begins with `/` (and 1 more)");
}
