//! What can be used, but is probably not what was meant.

use super::mistakes::{route, upstream, with};
use super::*;

/// The only warning of `text`: its message, its line and its help.
fn warned(text: &str) -> (String, usize, String) {
    let (_, warnings) = parsed(text).unwrap_or_else(|found| panic!("{found}\nof:\n{text}"));
    assert_eq!(warnings.len(), 1, "{warnings}\nof:\n{text}");
    let only = warnings.iter().next().unwrap();
    (only.message.clone(), only.line, only.help.clone().unwrap_or_default())
}

fn is_silent(text: &str) {
    let (_, warnings) = parsed(text).unwrap_or_else(|found| panic!("{found}\nof:\n{text}"));
    assert!(warnings.is_empty(), "{warnings}\nof:\n{text}");
}

/// `GOOD` with a second upstream, and a route over both with these keys.
fn merged(keys: &str) -> String {
    let text = with("routes:\n", "  docs: { url: https://docs/ }\nroutes:\n");
    text.replace("    upstream: demo\n", &format!("    upstreams: [demo, docs]\n    {keys}\n"))
}

#[test]
fn the_examples_of_the_page_load_without_a_warning() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 6, "{examples:?}");
    examples.into_iter().for_each(is_silent);
}

#[test]
fn an_upstream_that_no_route_uses_is_a_warning() {
    let text = with("routes:\n", "  docs: { url: https://docs/ }\nroutes:\n");
    let (message, line, _) = warned(&text);
    assert_eq!((message.as_str(), line), ("no route uses upstream `docs`", 7));
    is_silent(&merged(""));
    let broken = refused(&text.replace("path: /mcp", "path: mcp"));
    assert_eq!(broken.len(), 1, "what is wrong comes first: {broken}");
}

#[test]
fn a_pattern_that_lacks_the_prefix_is_a_warning() {
    let lacking = [
        "tools: [{ match: ['create_*'], deny: true }]",
        "expose: { include: ['create_*', '*'] }",
        "expose: { exclude: ['create_*'] }",
        "expose: { prompts: { exclude: ['create_*'] } }",
    ];
    for keys in lacking {
        let (message, _, help) = warned(&merged(keys));
        assert_eq!(message, "nothing on this route matches `create_*`", "{keys}");
        assert_eq!(help, "did you mean `*__create_*`?", "{keys}");
    }
    let (_, _, help) = warned(&merged("names: { separator: . }\n    expose: { exclude: [delete] }"));
    assert_eq!(help, "did you mean `*.delete`?");
    let tenant = |shown: &str| {
        let tenant = format!("{{ routes: [demo], expose: {{ demo: {{ {shown} }} }} }}");
        merged("").replace("{ routes: [demo] }", &tenant)
    };
    assert_eq!(warned(&tenant("exclude: ['create_*']")).1, 3);
    assert_eq!(warned(&tenant("prompts: { include: [help] }")).1, 3);
}

#[test]
fn a_pattern_that_can_match_is_no_warning() {
    let good = [
        "tools: [{ match: ['demo__create_*', '*__create_*', '*', 'd*', '*create'], deny: true }]",
        "names: { prefix: none }\n    tools: [{ match: ['create_*'], deny: true }]",
        "names: { aliases: { demo: gh } }\n    tools: [{ match: ['gh__x'], deny: true }]",
        "expose: { rename: { demo__a: create }, include: ['create*'], describe: { create: Makes. } }",
        "expose: { resources: { include: ['file:*'] } }",
    ];
    for keys in good {
        is_silent(&merged(keys));
    }
    is_silent(&route("tools: [{ match: ['create_*'], deny: true }]"));
}

#[test]
fn a_name_that_no_tool_has_is_a_warning() {
    let (message, _, help) = warned(&merged("expose: { rename: { create: make } }"));
    assert_eq!(message, "no tool on this route has the name `create`");
    assert_eq!(help, "names begin with `demo__` or `docs__`");
    let (_, _, help) = warned(&merged("expose: { describe: { create: Makes. } }"));
    assert_eq!(help, "did you mean `*__create`?");
    let (_, _, help) = warned(&route("expose: { rename: { a: b }, describe: { a: Makes. } }"));
    assert_eq!(help, "did you mean `b`, to which it is renamed?");
    let (message, ..) = warned(&route("expose: { rename: { a: b }, exclude: [a] }"));
    assert_eq!(message, "nothing on this route matches `a`");
    is_silent(&route("expose: { rename: { a: b, b: a }, describe: { a: Makes. } }"));
    let (message, ..) = warned(&route("expose: { describe: { 'a*': Makes. } }"));
    assert_eq!(message, "here `*` stands for itself");
}

#[test]
fn a_list_that_includes_nothing_is_a_warning() {
    for (keys, what) in [
        ("include: []", "tools"),
        ("prompts: { include: [] }", "prompts"),
        ("resources: { include: [] }", "resources"),
    ] {
        let (message, _, help) = warned(&route(&format!("expose: {{ {keys} }}")));
        assert_eq!(message, format!("this shows no {what}"));
        assert_eq!(help, "say `exclude: [\"*\"]` if that is meant");
    }
    is_silent(&route("expose: { prompts: { exclude: ['*'] } }"));
}

#[test]
fn a_process_for_each_caller_where_all_are_one_is_a_warning() {
    let command = |instances: &str| {
        let command = format!("command: [server]\n    instances: {instances}");
        let text = with("url: http://127.0.0.1:9001/mcp", &command);
        format!("{text}    auth: none\n    tenant: acme\n")
    };
    assert!(warned(&command("per_caller")).0.contains("all callers share one process of upstream `demo`"));
    is_silent(&command("shared"));
}

#[test]
fn a_credential_without_a_variable_is_a_warning() {
    let command = "command: [server]\n    credential: { env: {} }";
    let (message, ..) = warned(&with("url: http://127.0.0.1:9001/mcp", command));
    assert_eq!(message, "this names no environment variable");
}

#[test]
fn health_of_one_endpoint_is_a_warning() {
    let message = "`health` chooses among several endpoints, and there is one";
    assert_eq!(warned(&upstream("health: { interval: 1s }")).0, message);
    let one = with("url: http://127.0.0.1:9001/mcp", "urls: [http://127.0.0.1:9001/mcp]\n    health: {}");
    assert_eq!(warned(&one).0, message);
}

#[test]
fn a_plain_variable_with_the_name_of_a_secret_is_a_warning_that_does_not_show_it() {
    for name in ["API_TOKEN", "github_token", "DB_PASSWORD", "SECRET"] {
        let keys = format!("command: [server]\n    env: {{ {name}: hunter2 }}");
        let text = with("url: http://127.0.0.1:9001/mcp", &keys);
        assert!(warned(&text).0.contains(name));
        let (_, warnings) = parsed(&text).unwrap();
        assert!(!format!("{warnings} {warnings:?}").contains("hunter2"), "{warnings}");
    }
    let keys = "command: [server]\n    env: { MAX_TOKENS: '5', TOKEN_FILE: /run/t, TZ: UTC }";
    is_silent(&with("url: http://127.0.0.1:9001/mcp", keys));
}
