//! What servers say of themselves.

use super::object;
use crate::Revision;
use crate::bridge::discover::{Account, negotiate, without_reserved};
use std::time::Duration;

const OFFERED: &str = concat!(
    r#"{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true},"completions":{ },"logging":{},"#,
    r#""tasks":{},"extensions":{"x":{}},"experimental":{}}"#,
);
const BRIDGED: &str = concat!(
    r#"{"tools":{"listChanged":true},"prompts":{},"resources":{"subscribe":true},"completions":{ },"#,
    r#""logging":{}}"#,
);

fn discovered() -> Account {
    let result = format!(
        r#"{{"supportedVersions":["2026-07-28","later"],"capabilities":{OFFERED},"instructions":"do\u00e9",
            "_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"s","version":"1"}}}}}}"#
    );
    Account::from_discover(&object(&result)).expect("an account")
}

fn initialized() -> Account {
    let result = format!(
        r#"{{"protocolVersion":"2025-06-18","capabilities":{OFFERED},"instructions":"do\u00e9",
            "serverInfo":{{"name":"s","version":"1"}}}}"#
    );
    Account::from_initialize(&object(&result)).expect("an account")
}

#[test]
fn both_eras_say_the_same_of_a_server_but_for_the_revisions() {
    let (modern, legacy) = (discovered(), initialized());
    assert_eq!(modern.versions, ["2026-07-28", "later"]);
    assert_eq!(legacy.versions, ["2025-06-18"]);
    assert_eq!(Account { versions: Vec::new(), ..modern }, Account { versions: Vec::new(), ..legacy });
}

#[test]
fn a_legacy_client_is_told_what_it_can_understand() {
    let made = discovered().to_initialize(Revision::V2025_06_18).to_json();
    let expected = format!(
        r#"{{"protocolVersion":"2025-06-18","capabilities":{BRIDGED},"serverInfo":{{"name":"s","version":"1"}},"instructions":"do\u00e9"}}"#
    );
    assert_eq!(made, expected);
}

#[test]
fn a_server_without_a_name_gets_one_as_legacy_clients_insist() {
    for (info, expected) in [
        (None, r#"{"name":"unknown","version":"0"}"#),
        (Some(r#"{"title":"S"}"#), r#"{"title":"S","name":"unknown","version":"0"}"#),
        (Some(r#"{"version":1,"name":"s"}"#), r#"{"version":"0","name":"s"}"#),
    ] {
        let account = Account { server_info: info.map(object), ..Account::default() };
        let made = account.to_initialize(Revision::V2025_11_25);
        assert_eq!(made.object("serverInfo"), Some(object(expected)), "{info:?}");
        assert!(made.get("instructions").is_none());
    }
}

#[test]
fn a_modern_client_is_told_what_it_can_understand() {
    let made = initialized().to_discover(Duration::from_secs(60)).to_json();
    let expected = format!(
        concat!(
            r#"{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{},"#,
            r#""instructions":"do\u00e9","ttlMs":60000,"cacheScope":"private","#,
            r#""_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"s","version":"1"}}}}}}"#,
        ),
        BRIDGED
    );
    assert_eq!(made, expected);
    let nameless = Account { server_info: None, ..initialized() }.to_discover(Duration::ZERO);
    assert!(nameless.get("_meta").is_none() && nameless.get("ttlMs") == Some("0"));
}

#[test]
fn an_account_that_cannot_be_read_is_refused() {
    for result in [
        "{}",
        r#"{"capabilities":{}}"#,
        r#"{"supportedVersions":["2026-07-28"]}"#,
        r#"{"supportedVersions":"2026-07-28","capabilities":{}}"#,
        r#"{"supportedVersions":[7],"capabilities":{}}"#,
        r#"{"supportedVersions":[],"capabilities":[]}"#,
    ] {
        assert!(Account::from_discover(&object(result)).is_err(), "{result}");
    }
    for result in [
        "{}",
        r#"{"capabilities":{}}"#,
        r#"{"protocolVersion":"2025-11-25"}"#,
        r#"{"protocolVersion":7,"capabilities":{}}"#,
        r#"{"protocolVersion":"2025-11-25","capabilities":null}"#,
    ] {
        assert!(Account::from_initialize(&object(result)).is_err(), "{result}");
    }
}

#[test]
fn instructions_that_are_no_text_are_left_out() {
    for instructions in ["null", "7", "{}", "[]"] {
        let text = format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{{}},"instructions":{instructions}}}"#
        );
        assert_eq!(
            Account::from_initialize(&object(&text)).expect("one").instructions,
            None,
            "{instructions}"
        );
    }
}

#[test]
fn a_legacy_client_gets_the_revision_that_it_asks_for_or_the_newest_it_may_know() {
    for (requested, expected) in [
        ("2025-03-26", Revision::V2025_03_26),
        ("2025-06-18", Revision::V2025_06_18),
        ("2025-11-25", Revision::V2025_11_25),
        ("2026-07-28", Revision::V2025_11_25),
        ("2024-10-07", Revision::V2025_11_25),
        ("", Revision::V2025_11_25),
    ] {
        assert_eq!(negotiate(requested), expected, "{requested}");
    }
}

#[test]
fn only_true_is_an_offer() {
    let account = initialized();
    assert!(account.offers("tools", "listChanged") && account.offers("resources", "subscribe"));
    assert!(!account.offers("resources", "listChanged") && !account.offers("none", "listChanged"));
    let odd = object(r#"{"tools":{"listChanged":"true"},"prompts":true}"#);
    let odd = Account { capabilities: odd, ..Account::default() };
    assert!(!odd.offers("tools", "listChanged") && !odd.offers("prompts", "listChanged"));
}

#[test]
fn reserved_keys_leave_a_notification_and_nothing_else_does() {
    let params = object(&format!(r#"{{"level":"info","data":[1 , 2],"_meta":{}}}"#, super::crowded_meta()));
    let expected = format!(r#"{{"level":"info","data":[1 , 2],"_meta":{}}}"#, super::CLEAN_META);
    assert_eq!(without_reserved(&params).to_json(), expected);
}
