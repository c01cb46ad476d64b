//! Results of servers.

use super::{CLEAN_META, crowded_meta, object};
use crate::bridge::result::{Answer, BadResult, is_cacheable, to_legacy, to_modern};
use std::time::Duration;

const METHODS: [(&str, bool); 9] = [
    ("server/discover", true),
    ("tools/list", true),
    ("prompts/list", true),
    ("resources/list", true),
    ("resources/templates/list", true),
    ("resources/read", true),
    ("tools/call", false),
    ("prompts/get", false),
    ("completion/complete", false),
];

fn legacy(method: &str, result: &str) -> String {
    match to_legacy(method, &object(result)) {
        Ok(Answer::Complete(result)) => result.to_json(),
        other => panic!("{method} {result}: {other:?}"),
    }
}

#[test]
fn a_modern_client_is_told_that_a_result_is_complete_and_how_long_it_is_good() {
    for (method, cacheable) in METHODS {
        assert_eq!(is_cacheable(method), cacheable, "{method}");
        let lasts = if cacheable { r#","ttlMs":1500,"cacheScope":"private""# } else { "" };
        for (answered, kept) in [
            (r#"{"a":[1 , 2]}"#, r#"{"a":[1 , 2]"#),
            (r#"{"a":1,"resultType":"complete"}"#, r#"{"a":1"#),
            // Nobody but the gateway says for whom a legacy server's results are good.
            (r#"{"ttlMs":9,"a":1,"cacheScope":"public"}"#, r#"{"a":1"#),
        ] {
            let made = to_modern(method, &object(answered), None, Duration::from_millis(1500)).expect("one");
            assert_eq!(made.to_json(), format!(r#"{kept},"resultType":"complete"{lasts}}}"#), "{method}");
        }
    }
}

#[test]
fn a_modern_client_is_told_who_answers_beside_what_the_server_says() {
    let info = object(r#"{"name":"s","version":"1"}"#);
    let answered = object(&format!(r#"{{"_meta":{}}}"#, crowded_meta()));
    let others = CLEAN_META.strip_suffix('}').expect("an object");
    let made = to_modern("tools/call", &answered, Some(&info), Duration::ZERO).expect("one");
    let expected = format!(
        r#"{{"_meta":{others},"io.modelcontextprotocol/serverInfo":{}}},"resultType":"complete"}}"#,
        info.to_json()
    );
    assert_eq!(made.to_json(), expected);
    let made = to_modern("tools/call", &answered, None, Duration::ZERO).expect("one");
    assert_eq!(made.object("_meta"), Some(object(CLEAN_META)));
}

#[test]
fn a_legacy_server_cannot_ask_or_start_tasks_by_a_result() {
    for kind in [r#""input_required""#, r#""task""#, r#""Complete""#, "null", "1", "{}"] {
        let result = object(&format!(r#"{{"resultType":{kind},"inputRequests":{{}},"requestState":"s"}}"#));
        assert_eq!(to_modern("tools/call", &result, None, Duration::ZERO), Err(BadResult::Type), "{kind}");
    }
}

#[test]
fn the_longest_time_is_still_a_number() {
    let made = to_modern("tools/list", &object("{}"), None, Duration::MAX).expect("one");
    assert_eq!(made.get("ttlMs"), Some(u64::MAX.to_string().as_str()));
}

#[test]
fn a_legacy_client_reads_nothing_of_what_only_2026_07_28_has() {
    let meta = crowded_meta();
    for (method, cacheable) in METHODS {
        for kind in ["", r#""resultType":"complete","#] {
            let result = format!(r#"{{{kind}"a":[1 , 2],"ttlMs":1,"cacheScope":"public","_meta":{meta}}}"#);
            // Of a tool's own result they are nothing but the server's words.
            let kept = if cacheable { "" } else { r#""ttlMs":1,"cacheScope":"public","# };
            let expected = format!(r#"{{"a":[1 , 2],{kept}"_meta":{CLEAN_META}}}"#);
            assert_eq!(legacy(method, &result), expected, "{method}");
        }
    }
}

#[test]
fn a_result_of_an_unknown_type_does_not_reach_a_legacy_client() {
    for kind in [r#""tasks""#, r#""Complete""#, r#""""#, "null", "1", "{}"] {
        let result = object(&format!(r#"{{"resultType":{kind}}}"#));
        assert_eq!(to_legacy("tools/call", &result), Err(BadResult::Type), "{kind}");
    }
    // Only tools run as tasks.
    let task = object(r#"{"resultType":"task"}"#);
    assert_eq!(to_legacy("prompts/get", &task), Err(BadResult::Type));
    assert_eq!(to_legacy("tools/call", &task), Ok(Answer::Task(task.clone())));
    assert_eq!(BadResult::Type.to_error().code, -32603);
}

#[test]
fn only_calls_prompts_and_reads_may_ask_for_something() {
    let asks = object(r#"{"resultType":"input_required","requestState":"s"}"#);
    for (method, _) in METHODS {
        let may = matches!(method, "tools/call" | "prompts/get" | "resources/read");
        match to_legacy(method, &asks) {
            Ok(Answer::Asks(asked)) => assert!(may && asked.state.as_deref() == Some("s"), "{method}"),
            other => assert!(!may && other == Err(BadResult::Type), "{method}: {other:?}"),
        }
    }
    let senseless = object(r#"{"resultType":"input_required"}"#);
    assert!(matches!(to_legacy("tools/call", &senseless), Err(BadResult::Ask(_))));
}

#[test]
fn structured_content_of_a_call_is_an_object_for_a_legacy_client() {
    for (content, kept) in [
        (r#"{"x":1}"#, true),
        ("[1]", false),
        ("1", false),
        (r#""x""#, false),
        ("null", false),
        ("true", false),
    ] {
        let result = format!(r#"{{"content":[],"structuredContent":{content}}}"#);
        let expected = if kept { result.clone() } else { r#"{"content":[]}"#.to_owned() };
        assert_eq!(legacy("tools/call", &result), expected, "{content}");
        assert_eq!(legacy("prompts/get", &result), result, "of nothing but calls");
    }
}

#[test]
fn lists_keep_their_cursor_and_every_unknown_member() {
    for method in ["prompts/list", "resources/list", "resources/templates/list", "tools/list"] {
        let family = method.split('/').next().unwrap_or_default();
        let list = format!(
            r#"{{"{family}":[{{"name":"n","x":{{"y":1.0}}}}],"nextCursor":"c","com.example/x":[true , null]}}"#
        );
        assert_eq!(legacy(method, &list), list, "{method}");
    }
}
