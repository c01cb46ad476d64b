//! Routes with several upstreams, and what routes and tenants are shown.

use super::mistakes::{each_is_refused, route, with};
use super::*;

/// `GOOD` with two upstreams more, and a route over `upstreams` that has these keys.
fn over(upstreams: &str, keys: &str) -> String {
    let more = "  docs: { url: https://docs/ }\n  files: { command: [files] }\nroutes:\n";
    let text = with("routes:\n", more);
    text.replace("    upstream: demo\n", &format!("    upstreams: {upstreams}\n    {keys}\n"))
}

fn merged(keys: &str) -> String {
    over("[demo, docs, files]", keys)
}

/// The first error's message and place, and the place that goes with it.
fn places(text: &str) -> (String, (usize, usize), (usize, usize)) {
    let found = refused(text);
    assert_eq!(found.errors(), 1, "{found}");
    let first = found.iter().next().unwrap();
    let related = first.related.first().unwrap_or_else(|| panic!("{found}"));
    (first.message.clone(), (first.line, first.col), (related.line, related.col))
}

/// `GOOD` with these keys for the tenant.
fn tenant(keys: &str) -> String {
    with("{ routes: [demo] }", &format!("{{ routes: [demo], {keys} }}"))
}

#[test]
fn a_route_has_one_upstream_or_several() {
    each_is_refused(&[
        (with("    upstream: demo\n", ""), "`upstream` is missing"),
        (route("upstreams: [demo]"), "either an `upstream` or `upstreams`"),
        (route("names: { separator: _ }"), "goes with `upstreams`"),
        (with("upstream: demo", "upstreams: []"), "without an upstream"),
        (with("upstream: demo", "upstreams: demo"), "expected a list"),
        (with("upstream: demo", "upstreams: [demmo]"), "did you mean `demo`?"),
        (with("upstream: demo", "upstreams: [demo, demo]"), "listed twice"),
        (with("upstream: demo", &format!("upstreams: [{}]", "demo, ".repeat(257))), "more than 256"),
    ]);
    assert!(parsed(&with("upstream: demo", "upstreams: [demo]")).is_ok());
}

#[test]
fn a_mistake_under_names_is_refused() {
    each_is_refused(&[
        (merged("names: { prefix: route }"), "expected `upstream` or `none`"),
        (merged("names: { separator: '' }"), "a separator is 1 to 4"),
        (merged("names: { separator: _____ }"), "a separator is 1 to 4"),
        (merged("names: { separator: / }"), "a separator is 1 to 4"),
        (merged("names: { separator: ü }"), "a separator is 1 to 4"),
        (merged("names: { aliases: { github: gh } }"), "is not on this route"),
        (merged("names: { aliases: { demo: '' } }"), "cannot be a prefix"),
        (merged("names: { aliases: { demo: a.b } }"), "cannot be a prefix"),
        (merged(&format!("names: {{ aliases: {{ demo: {} }} }}", "x".repeat(33))), "cannot be a prefix"),
        (merged("names: { prefix: none, aliases: { demo: a } }"), "`aliases` are prefixes"),
        (merged("names: { prefix: none, separator: _ }"), "`separator` goes with prefixes"),
    ]);
    let odd = |keys: &str| {
        over("[demo, 'a/b']", keys).replace("  docs: {", "  'a/b': { url: https://ab/ }\n  docs: {")
    };
    each_is_refused(&[(odd(""), "`a/b` cannot be a prefix")]);
    assert!(parsed(&odd("names: { aliases: { 'a/b': ab } }")).is_ok(), "an alias is used instead");
    assert!(parsed(&odd("names: { prefix: none }")).is_ok(), "there are no prefixes");
}

#[test]
fn prefixes_that_could_give_two_tools_one_name_are_refused_and_both_places_named() {
    for (separator, demo, docs) in
        [("__", "a", "a"), ("__", "a", "a__b"), ("__", "a__b", "a"), ("_", "a", "a_b"), ("__", "a", "a_")]
    {
        let text = merged(&format!(
            "names: {{ separator: {separator}, aliases: {{ demo: {demo}, docs: {docs} }} }}"
        ));
        let (message, at, first) = places(&text);
        assert!(message.contains("could have the same name"), "{message}");
        assert!(at.0 == first.0 && at.1 > first.1, "{at:?} {first:?}");
    }
    // An alias that is another upstream's name.
    let (_, at, first) = places(&merged("names: { aliases: { demo: docs } }"));
    assert_eq!((at, first), ((12, 23), (13, 31)), "the list's place, and the alias's");
    for aliases in ["{ demo: a, docs: ab }", "{ demo: a, docs: a_b }", "{ demo: a, docs: A }"] {
        assert!(parsed(&merged(&format!("names: {{ aliases: {aliases} }}"))).is_ok(), "{aliases}");
    }
}

#[test]
fn a_mistake_under_expose_is_refused() {
    let expose = |keys: &str| route(&format!("expose: {{ {keys} }}"));
    each_is_refused(&[
        (expose("include: a"), "expected a list"),
        (expose("include: ['']"), "an empty pattern"),
        (expose("exclude: [1]"), "put it in quotes"),
        (expose("tools: [a]"), "unknown key `tools`"),
        (expose("prompts: [a]"), "expected a mapping"),
        (expose("prompts: { include: [''] }"), "an empty pattern"),
        (expose("resources: { includes: [a] }"), "did you mean `include`?"),
        (expose("rename: { a: '' }"), "a new name is 1 to 64"),
        (expose("rename: { a: b/c }"), "a new name is 1 to 64"),
        (expose("rename: { a: \"b\\n\" }"), "a new name is 1 to 64"),
        (expose(&format!("rename: {{ a: {} }}", "b".repeat(65))), "a new name is 1 to 64"),
        (expose("rename: { '': b }"), "the name of a tool"),
        (expose("rename: [a, b]"), "a mapping of names"),
        (expose("describe: { a: '' }"), "not empty"),
        (expose("describe: { a: \"b\\e[2J\" }"), "control characters"),
        (expose(&format!("describe: {{ a: {} }}", "b".repeat((16 << 10) + 1))), "over 16 KiB"),
        (route("instructions: ''"), "not empty"),
        (route(&format!("instructions: {}", "b".repeat((16 << 10) + 1))), "over 16 KiB"),
        (route("instructions: [a]"), "expected text"),
        (route("page_size: 0"), "at least 1"),
        (route("page_size: 10001"), "at most 10000"),
    ]);
    let longest = format!("instructions: {}\n    page_size: 10000", "b".repeat(16 << 10));
    assert!(parsed(&route(&longest)).is_ok());
}

#[test]
fn renames_that_collide_are_refused_and_both_places_named() {
    let (message, at, first) = places(&route("expose: { rename: { a: c, b: c } }"));
    assert_eq!(message, "two tools are renamed to `c`");
    assert_eq!((at, first), ((11, 34), (11, 28)));
    let (message, at, first) = places(&route("expose: { rename: { a: a } }"));
    assert_eq!((message.as_str(), at, first), ("this renames `a` to itself", (11, 28), (11, 25)));
    assert!(parsed(&route("expose: { rename: { a: b, b: a } }")).is_ok(), "two can change places");
    each_is_refused(&[(
        merged("expose: { rename: { demo__a: docs__b } }"),
        "`docs__b` is the name of a tool of another upstream, `docs`",
    )]);
    assert!(parsed(&merged("expose: { rename: { demo__a: demo__b, docs__a: b } }")).is_ok());
}

#[test]
fn a_tenant_is_shown_something_of_a_route_that_it_may_use() {
    each_is_refused(&[
        (tenant("expose: { demmo: { include: [a] } }"), "did you mean `demo`?"),
        (tenant("expose: { demo: { rename: { a: b } } }"), "unknown key `rename`"),
        (tenant("expose: { demo: [a] }"), "expected a mapping"),
        (tenant("expose: { demo: { include: [''] } }"), "an empty pattern"),
        (
            tenant("expose: { other: { include: [a] } }")
                + "  other: { path: /o, upstream: demo, auth: none, tenant: acme }\n",
            "route `other` is not granted to this tenant",
        ),
    ]);
    let (config, _) = parsed(&tenant("expose: { demo: { exclude: ['*_admin'] } }")).unwrap();
    let shown = &config.tenants["acme"].expose["demo"];
    assert!(shown.tools.has("a") && !shown.tools.has("a_admin") && shown.resources.is_everything());
}

#[test]
fn token_exchange_among_several_needs_a_caller_with_a_token() {
    let exchange = "credential: { token_exchange: { token_url: https://i/t, client: { id: a } } }";
    let text = merged("auth: none\n    tenant: acme")
        .replace("https://docs/", &format!("https://docs/, {exchange}"));
    each_is_refused(&[(text, "no caller's token to make the credential of upstream `docs` from")]);
}
