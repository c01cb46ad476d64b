//! What clients want to be told of.

use super::{CLEAN_META, crowded_meta, object};
use crate::bridge::discover::Account;
use crate::bridge::listen::{Filter, stamp};

fn filter(wanted: &str) -> Filter {
    Filter::parse(&object(&format!(r#"{{"notifications":{wanted}}}"#))).expect("a filter")
}

const ALL: &str = r#"{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["a:b","c:d"]}"#;

#[test]
fn a_filter_is_read_and_written() {
    for (wanted, written) in [
        ("{}", "{}"),
        (r#"{"toolsListChanged":true}"#, r#"{"toolsListChanged":true}"#),
        (r#"{"promptsListChanged":true,"toolsListChanged":false}"#, r#"{"promptsListChanged":true}"#),
        (r#"{"resourcesListChanged":true,"toolsListChanged":null}"#, r#"{"resourcesListChanged":true}"#),
        (r#"{"resourceSubscriptions":[]}"#, "{}"),
        (r#"{"resourceSubscriptions":null}"#, "{}"),
        (r#"{"resourceSubscriptions":["b:\u0041","a:","a:"]}"#, r#"{"resourceSubscriptions":["a:","b:A"]}"#),
        (r#"{"unknown":[1]}"#, "{}"),
        (ALL, ALL),
    ] {
        let read = filter(wanted);
        assert_eq!(read.to_params().to_json(), format!(r#"{{"notifications":{written}}}"#), "{wanted}");
        assert_eq!(read.is_empty(), written == "{}", "{wanted}");
        assert_eq!(Filter::parse(&read.to_params()), Ok(read));
    }
}

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    for params in [
        "{}",
        r#"{"notifications":null}"#,
        r#"{"notifications":[]}"#,
        r#"{"notifications":{"toolsListChanged":"true"}}"#,
        r#"{"notifications":{"promptsListChanged":1}}"#,
        r#"{"notifications":{"resourcesListChanged":{}}}"#,
        r#"{"notifications":{"resourceSubscriptions":"a:b"}}"#,
        r#"{"notifications":{"resourceSubscriptions":[7]}}"#,
        r#"{"notifications":{"toolsListChanged":true,"toolsListChanged":false}}"#,
    ] {
        assert!(Filter::parse(&object(params)).is_err(), "{params}");
    }
}

#[test]
fn only_what_the_server_tells_of_is_acknowledged() {
    for (offered, left) in [
        ("{}", "{}"),
        (r#"{"tools":{"listChanged":true}}"#, r#"{"toolsListChanged":true}"#),
        (r#"{"prompts":{"listChanged":true},"tools":{}}"#, r#"{"promptsListChanged":true}"#),
        (r#"{"resources":{"listChanged":true}}"#, r#"{"resourcesListChanged":true}"#),
        (
            r#"{"resources":{"subscribe":true,"listChanged":false}}"#,
            r#"{"resourceSubscriptions":["a:b","c:d"]}"#,
        ),
    ] {
        let account = Account { capabilities: object(offered), ..Account::default() };
        assert_eq!(filter(ALL).within(&account), filter(left), "{offered}");
        assert_eq!(Filter::default().within(&account), Filter::default(), "{offered}");
    }
}

#[test]
fn what_is_wanted_passes_and_nothing_else() {
    let lists = [
        (r#"{"toolsListChanged":true}"#, "notifications/tools/list_changed"),
        (r#"{"promptsListChanged":true}"#, "notifications/prompts/list_changed"),
        (r#"{"resourcesListChanged":true}"#, "notifications/resources/list_changed"),
    ];
    for (wanted, of) in lists {
        for (_, method) in lists {
            assert_eq!(filter(wanted).wants(method, &object("{}")), of == method, "{wanted} {method}");
        }
        assert!(!filter(wanted).wants("notifications/resources/updated", &object(r#"{"uri":"a:b"}"#)));
    }
    let updates = filter(r#"{"resourceSubscriptions":["a:b"]}"#);
    for (params, expected) in [
        (r#"{"uri":"a:b"}"#, true),
        (r#"{"uri":"a:\u0062"}"#, true),
        (r#"{"uri":"a:c"}"#, false),
        ("{}", false),
    ] {
        assert_eq!(updates.wants("notifications/resources/updated", &object(params)), expected, "{params}");
    }
    for other in ["notifications/message", "notifications/progress", "notifications/roots/list_changed", ""] {
        assert!(!filter(ALL).wants(other, &object(r#"{"uri":"a:b"}"#)), "{other}");
    }
}

#[test]
fn after_a_gap_all_that_is_wanted_may_have_changed() {
    let all = filter(ALL);
    let told: Vec<_> =
        all.everything().into_iter().map(|(method, params)| (method, params.to_json())).collect();
    let expected = [
        ("notifications/tools/list_changed", "{}"),
        ("notifications/prompts/list_changed", "{}"),
        ("notifications/resources/list_changed", "{}"),
        ("notifications/resources/updated", r#"{"uri":"a:b"}"#),
        ("notifications/resources/updated", r#"{"uri":"c:d"}"#),
    ];
    assert_eq!(told, expected.map(|(method, params)| (method, params.to_owned())));
    assert!(all.everything().iter().all(|(method, params)| all.wants(method, params)));
    assert!(Filter::default().everything().is_empty());
}

#[test]
fn a_notification_names_the_subscription_that_it_belongs_to() {
    for id in ["7", r#""a\u0062""#] {
        let stamped = stamp(&object(r#"{"uri":"a:b"}"#), id);
        let expected =
            format!(r#"{{"uri":"a:b","_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#);
        assert_eq!(stamped.to_json(), expected);
    }
    let stamped = stamp(&object(&format!(r#"{{"_meta":{}}}"#, crowded_meta())), "1");
    let others = CLEAN_META.strip_suffix('}').expect("an object");
    let expected = format!(r#"{{"_meta":{others},"io.modelcontextprotocol/subscriptionId":1}}}}"#);
    assert_eq!(stamped.to_json(), expected);
}
