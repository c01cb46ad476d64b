use super::*;
use std::collections::BTreeMap;

fn metrics() -> Metrics {
    Metrics::new("1.2.3", "abc").unwrap()
}

fn call<'a>() -> FinishedCall<'a> {
    FinishedCall {
        tenant: "acme",
        route: "github",
        method: "tools/call",
        upstream: "gh",
        code: 200,
        tool: Some("echo"),
        duration: Duration::from_millis(3),
        upstream_duration: Some(Duration::from_millis(2)),
    }
}

/// Uses every metric at least once, so that each has a series to show.
fn everything() -> Metrics {
    let metrics = metrics();
    metrics.bridged("r", true);
    metrics.bridge(1, 2, 3);
    metrics.kept_pages(4);
    metrics.finished(&call());
    let route = metrics.route("github");
    drop((route.request(), route.stream()));
    metrics.denied("github", "rate_limited");
    metrics.rate_limited("acme", "tenant");
    metrics.upstream_up("gh", true);
    metrics.breaker_open("gh", false);
    metrics.endpoint("gh", "http://10.0.0.1:9001/mcp", true, 3);
    metrics.quarantined_tools("gh", 2);
    metrics.inspected("main", "gh", "ansi_escape", "redact");
    metrics.upstream_retried("gh");
    metrics.child_started("main", true);
    metrics.child_ended("main", "exited");
    metrics.child_resident("main", 4096);
    metrics.credential_renewed("gh");
    metrics.authority("token", "ok");
    metrics.consent_asked("main", "gh", "input_required");
    metrics.store_operation("read", "ok");
    metrics.store_usage(1, 100);
    metrics.config_loaded(true, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    metrics.token_cache(true);
    metrics.token_cache(false);
    metrics.events().jwks_refreshed("https://idp", true);
    metrics.events().introspected("https://idp", "active");
    metrics.events().token_exchanged("gh", true, Duration::from_millis(10));
    metrics
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|have| have == line), "no line {line:?} in:\n{text}");
}

#[test]
fn a_finished_call_is_counted_under_its_labels() {
    let metrics = metrics();
    metrics.finished(&call());
    metrics.finished(&call());
    metrics.finished(&FinishedCall { code: 429, tool: None, upstream_duration: None, ..call() });
    let text = metrics.encode().unwrap();
    let labels = r#"method="tools/call",route="github",tenant="acme",upstream="gh""#;
    has(&text, &format!(r#"narthex_http_requests_total{{code="200",{labels}}} 2"#));
    has(&text, &format!(r#"narthex_http_requests_total{{code="429",{labels}}} 1"#));
    has(&text, r#"narthex_tool_calls_total{code="200",route="github",tenant="acme",tool="echo"} 2"#);
    has(&text, r#"narthex_http_request_duration_seconds_count{method="tools/call",route="github"} 3"#);
    has(&text, r#"narthex_upstream_duration_seconds_count{upstream="gh"} 2"#);
    has(&text, r#"narthex_upstream_duration_seconds_bucket{upstream="gh",le="0.0025"} 2"#);
}

#[test]
fn two_gateways_in_one_process_do_not_share_counters() {
    let (one, two) = (metrics(), metrics());
    one.denied("r", "no_token");
    two.denied("r", "no_token");
    one.denied("r", "no_token");
    has(&one.encode().unwrap(), r#"narthex_denied_total{reason="no_token",route="r"} 2"#);
    has(&two.encode().unwrap(), r#"narthex_denied_total{reason="no_token",route="r"} 1"#);
}

#[test]
fn calls_of_all_threads_add_up() {
    let metrics = metrics();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| metrics.rate_limited("acme", "route")));
        }
    });
    has(&metrics.encode().unwrap(), r#"narthex_rate_limited_total{limit="route",tenant="acme"} 4000"#);
}

#[test]
fn gauges_fall_back_when_what_they_count_ends() {
    let metrics = metrics();
    let route = metrics.route("r");
    let held = (route.request(), route.request(), route.stream());
    has(&metrics.encode().unwrap(), r#"narthex_inflight_requests{route="r"} 2"#);
    has(&metrics.encode().unwrap(), r#"narthex_open_streams{route="r"} 1"#);
    drop(held);
    has(&metrics.encode().unwrap(), r#"narthex_inflight_requests{route="r"} 0"#);
    has(&metrics.encode().unwrap(), r#"narthex_open_streams{route="r"} 0"#);
}

#[test]
fn a_failed_reload_keeps_the_time_of_the_last_good_one() {
    let metrics = metrics();
    metrics.config_loaded(true, UNIX_EPOCH + Duration::from_secs(1000));
    metrics.config_loaded(false, UNIX_EPOCH + Duration::from_secs(2000));
    let text = metrics.encode().unwrap();
    has(&text, "narthex_config_last_reload_successful 0");
    has(&text, "narthex_config_last_reload_success_timestamp_seconds 1000");
    has(&text, r#"narthex_config_reloads_total{result="ok"} 1"#);
    has(&text, r#"narthex_config_reloads_total{result="error"} 1"#);
}

#[test]
fn an_upstream_no_longer_configured_leaves_the_gauges() {
    let metrics = metrics();
    metrics.upstream_up("gone", true);
    metrics.quarantined_tools("gone", 1);
    metrics.upstream_removed("gone");
    assert!(!metrics.encode().unwrap().contains("gone"));
}

#[test]
fn an_endpoint_no_longer_configured_leaves_the_gauges_and_the_others_stay() {
    let metrics = metrics();
    metrics.endpoint("m", "http://gone/mcp", true, 1);
    metrics.endpoint("m", "http://kept/mcp", false, 2);
    metrics.endpoint_removed("m", "http://gone/mcp");
    let text = metrics.encode().unwrap();
    assert!(!text.contains("gone"));
    has(&text, r#"narthex_upstream_endpoint_up{endpoint="http://kept/mcp",upstream="m"} 0"#);
    has(&text, r#"narthex_upstream_endpoint_in_flight{endpoint="http://kept/mcp",upstream="m"} 2"#);
}

#[test]
fn the_build_is_named() {
    has(&metrics().encode().unwrap(), r#"narthex_build_info{revision="abc",version="1.2.3"} 1"#);
}

#[test]
fn the_documentation_lists_exactly_the_metrics_there_are() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md")).unwrap();
    let documented: BTreeMap<String, (String, String)> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `narthex_")?.split('|').map(str::trim);
            let name = format!("narthex_{}", cells.next()?.trim_end_matches('`'));
            Some((name, (cells.next()?.to_owned(), cells.next()?.replace(['`', ' '], ""))))
        })
        .collect();
    let registered: BTreeMap<String, (String, String)> = everything()
        .registry
        .gather()
        .iter()
        .filter(|family| family.name().starts_with("narthex_"))
        .map(|family| {
            let kind = format!("{:?}", family.get_field_type()).to_lowercase();
            let mut labels: Vec<&str> = family.get_metric()[0].get_label().iter().map(|l| l.name()).collect();
            labels.sort_unstable();
            (family.name().to_owned(), (kind, labels.join(",")))
        })
        .collect();
    assert_eq!(documented, registered);
}

/// Not a test of speed but a way to see it: run with `--ignored --nocapture`, optimised.
#[test]
#[ignore = "prints a measurement"]
fn cost_of_counting_a_call() {
    let metrics = metrics();
    let route = metrics.route("github");
    let began = std::time::Instant::now();
    let rounds = 1_000_000;
    for _ in 0..rounds {
        let _request = route.request();
        metrics.finished(std::hint::black_box(&call()));
    }
    println!("{} ns", began.elapsed().as_nanos() / rounds);
}
