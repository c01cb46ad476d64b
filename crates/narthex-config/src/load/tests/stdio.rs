//! Upstreams with several endpoints, and upstreams that are programs.

use super::mistakes::{each_is_refused, upstream, with};
use super::*;
use crate::model::{CatalogueLimits, Health, Transport};

/// `GOOD` with an upstream of these keys.
fn of(keys: &str) -> String {
    with("    url: http://127.0.0.1:9001/mcp\n", &format!("    {keys}\n"))
}

/// `GOOD` with an upstream that is a program, and these keys.
fn command(keys: &str) -> String {
    of(&format!("command: [server, --verbose]\n    {keys}"))
}

/// The upstream of `text`, which must be good and give no warning.
fn good(text: &str) -> crate::model::Upstream {
    let (config, warnings) = parsed(text).unwrap_or_else(|found| panic!("{found}\nof:\n{text}"));
    assert!(warnings.is_empty(), "{warnings}\nof:\n{text}");
    config.upstreams["demo"].clone()
}

#[test]
fn an_upstream_is_reached_in_exactly_one_way() {
    each_is_refused(&[
        (of("timeout: 5s"), "`url` is missing"),
        (upstream("command: [server]"), "exactly one of `url`, `urls` and `command`"),
        (upstream("urls: [http://127.0.0.1:1/]"), "exactly one of `url`, `urls` and `command`"),
        (of("urls: [http://127.0.0.1:1/]\n    command: [server]"), "exactly one of"),
    ]);
    let both = refused(&upstream("command: [server]")).to_string();
    assert!(both.contains("gateway.yaml:7:14\n") && both.contains("gateway.yaml:6:10\n"), "{both}");
    let three = refused(&upstream("urls: [http://127.0.0.1:1/]\n    command: [server]"));
    assert_eq!(three.errors(), 2, "{three}");
}

#[test]
fn a_mistake_in_one_of_several_endpoints_is_refused_at_its_place() {
    let urls = |urls: &str| of(&format!("urls: {urls}"));
    let many = |count: usize| {
        let urls: Vec<String> = (1..=count).map(|port| format!("http://127.0.0.1:{port}/")).collect();
        format!("[{}]", urls.join(", "))
    };
    each_is_refused(&[
        (urls("[]"), "without an endpoint"),
        (urls("http://127.0.0.1:1/"), "expected a list"),
        (urls("[http://127.0.0.1:1/, ftp://b/]"), "not an `http` or `https` URL"),
        (urls("[http://127.0.0.1:1/, http://b/]"), "plain `http`"),
        (urls("[https://a/, https://169.254.169.254/]"), "link-local"),
        (urls("[https://a/, https://b/, https://a]"), "listed twice"),
        (urls("[https://a/, 'https://me:pw@b/']"), "user name or password"),
        (urls("[https://a/, 7]"), "put it in quotes"),
        (urls(&many(33)), "more than 32"),
    ]);
    let found = refused(&urls("[https://a/, http://b/, http://c/]"));
    let columns: Vec<usize> = found.iter().map(|found| found.col).collect();
    assert_eq!(columns, [24, 35], "each at its own place: {found}");
    let twice = refused(&urls("[https://a/, https://a/]"));
    assert_eq!(twice.iter().next().unwrap().related[0].col, 12, "{twice}");
    assert_eq!(good(&urls(&many(32))).transport.endpoints().unwrap().iter().count(), 32);
    good(&of("urls: [http://a/, http://b/]\n    insecure: true"));
}

#[test]
fn a_mistake_under_health_or_catalogue_is_refused() {
    let urls = |keys: &str| of(&format!("urls: [https://a/, https://b/]\n    {keys}"));
    each_is_refused(&[
        (urls("health: { interval: 0s }"), "at least `100ms`"),
        (urls("health: { timeout: 0s }"), "cannot be zero"),
        (urls("health: 10s"), "expected a mapping"),
        (upstream("catalogue: { ttl: 999ms }"), "at least `1s`"),
        (upstream("catalogue: { timeout: 0s }"), "cannot be zero"),
        (upstream("catalogue: { items: 100001 }"), "at most 100000"),
        (upstream("catalogue: { items: 0 }"), "at least 1"),
        (upstream("catalogue: { bytes: 257MiB }"), "at most `256MiB`"),
        (upstream("catalogue: { item: 1 }"), "did you mean `items`?"),
    ]);
    let upstream = good(&upstream("catalogue: { items: 100000, bytes: 256MiB, ttl: 1s }"));
    assert_eq!((upstream.catalogue.items, upstream.catalogue.bytes), (100_000, 256 << 20));
    assert_eq!(upstream.health, Health::default());
    assert_eq!(good(GOOD).catalogue, CatalogueLimits::default());
}

#[test]
fn a_mistake_in_a_command_is_refused() {
    each_is_refused(&[
        (of("command: []"), "without a program"),
        (of("command: server --verbose"), "expected a list"),
        (of("command: ['']"), "not empty"),
        (of("command: [server, '']"), "not empty"),
        (of("command: [server, \"a\\0b\"]"), "NUL"),
        (of("command: [server, 8080]"), "put it in quotes"),
        (of("command: [server, ~]"), "no value"),
        (of("command: [server, [a]]"), "expected text, found a list"),
        (command("cwd: ''"), "path of a directory"),
        (command("env: { 1A: x }"), "not the name of an environment variable"),
        (command("env: { 'A=B': x }"), "not the name of an environment variable"),
        (command("env: { '': x }"), "not the name of an environment variable"),
        (command("env: { A: 1 }"), "put it in quotes"),
        (command("env: { A: \"x\\0\" }"), "NUL"),
        (command("env: { A: { file: a } }"), "expected text, found a mapping"),
        (command("env: [A]"), "a mapping of names"),
        (command("instances: per-caller"), "expected `shared` or `per_caller`"),
        (command("limits: { memory: 1KiB }"), "less than 1MiB"),
        (command("limits: { cpu: 500ms }"), "at least `1s`"),
        (command("limits: { files: 3 }"), "fewer than 16"),
        (command("limits: { message: 1GiB }"), "at most `256MiB`"),
        (command("limits: { requests: 1/1s }"), "unknown key `requests`"),
        (command("restart: { min: 0s }"), "cannot be zero"),
        (command("restart: { min: 2s, max: 1s }"), "shorter than the first"),
        (command("restart: { max: 100ms }"), "shorter than the first"),
        (command("protocol: 2024-11-05"), "HTTP+SSE transport"),
        (command("protocol: [2024-11-05]"), "HTTP+SSE transport"),
        (command("protocol: 2026-07-28"), "alone is not supported"),
        (command("protocol: [2026-07-28]"), "alone is not supported"),
    ]);
}

#[test]
fn keys_of_one_way_are_refused_with_another() {
    let of_urls = [
        "connect_timeout: 1s",
        "keepalive: 1s",
        "http: h2",
        "ca: { file: a }",
        "allow_link_local: true",
        "insecure: true",
        "insecure: false",
        "health: { interval: 1s }",
    ];
    for key in of_urls {
        each_is_refused(&[(command(key), "goes with `url` or `urls`")]);
    }
    for key in ["cwd: /", "env: { A: b }", "instances: shared", "limits: { cpu: 5s }", "restart: {}"] {
        each_is_refused(&[(upstream(key), "goes with `command`")]);
    }
}

#[test]
fn a_program_gets_variables_and_a_url_headers() {
    each_is_refused(&[
        (upstream("credential: { env: { A: { file: a } } }"), "goes with `command`"),
        (command("credential: { header: { name: x-key, value: { env: A } } }"), "a `command` gets none"),
        (command("credential: { basic: { username: a, password: { env: A } } }"), "a `command` gets none"),
        (
            command("credential: { token_exchange: { token_url: https://i/, client: { id: a } } }"),
            "a `command` gets none",
        ),
        (command("credential: { env: { A B: { file: a } } }"), "not the name of an environment variable"),
        (command("credential: { env: { A: { file: '' } } }"), "path of this secret is empty"),
        (command("credential: { env: { A: x } }"), "must not be written"),
        (command("credential: { env: [A] }"), "a mapping of names"),
        (command("credential: { env: { A: { vault: a } } }"), "names no field"),
    ]);
    let twice = refused(&command("env: { A: x }\n    credential: { env: { A: { file: a } } }"));
    assert_eq!(twice.errors(), 1, "{twice}");
    let first = twice.iter().next().unwrap();
    assert!(first.message.contains("`A` is set twice"), "{twice}");
    assert_eq!(((first.line, first.col), first.related[0].line), ((7, 12), 8), "{twice}");
}

#[test]
fn a_small_command_gets_all_defaults() {
    let upstream = good(&of("command: [server]"));
    let stdio = upstream.transport.stdio().unwrap();
    assert_eq!((stdio.program.as_str(), stdio.arguments.len(), &stdio.cwd), ("server", 0, &None));
    assert!(stdio.env.is_empty());
    assert_eq!(stdio.instances, Instances::Shared);
    assert_eq!((stdio.limits.memory, stdio.limits.cpu), (1 << 30, None));
    assert_eq!((stdio.limits.files.get(), stdio.limits.message), (1024, 16 << 20));
    assert_eq!((stdio.restart.min.as_millis(), stdio.restart.max.as_secs()), (500, 30));
    let patient = good(&command("restart: { min: 1m }"));
    assert_eq!(patient.transport.stdio().unwrap().restart.max.as_secs(), 60, "no shorter than the first");
    good(&command("protocol: [2026-07-28, 2025-06-18]"));
    good(&command("credential: none"));
}

#[test]
fn a_program_with_a_slash_begins_at_the_files_directory() {
    let program = |written: &str| match good(&of(&format!("command: [{written}]\n    cwd: /srv"))).transport {
        Transport::Stdio(stdio) => stdio.program,
        Transport::Http(_) => panic!("a command"),
    };
    assert_eq!(program("npx"), "npx");
    assert_eq!(program("/usr/bin/server"), "/usr/bin/server");
    let relative = program("bin/server");
    assert!(Path::new(&relative).is_absolute() && relative.ends_with("/conf/bin/server"), "{relative}");
}
