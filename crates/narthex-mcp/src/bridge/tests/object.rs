//! Objects whose members are not looked into.

use super::object;
use crate::bridge::Object;

#[test]
fn values_stay_byte_for_byte_and_in_order() {
    for text in [
        "{}",
        r#"{"b":1,"a":2}"#,
        r#"{"n":123456789012345678901234567890.10,"e":1E+400,"z":-0.0}"#,
        r#"{"s":"\u0041\/\ud83d\ude00\b","lone":"\ud800"}"#,
        r#"{"deep":[ { "a" : [ [ ] , { } ] } ]}"#,
        r#"{"":null,"é":true}"#,
    ] {
        assert_eq!(object(text).to_json(), text);
    }
}

#[test]
fn nesting_of_any_depth_is_read_without_recursion() {
    let text = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(object(&text).to_json(), text);
}

#[test]
fn names_are_compared_by_meaning() {
    assert_eq!(object(r#"{"\u0061":1}"#).get("a"), Some("1"));
    assert!(Object::parse(br#"{"a":1,"\u0061":2}"#).is_err());
}

#[test]
fn what_is_no_object_is_refused() {
    for text in [
        "",
        "[]",
        "null",
        "7",
        r#"{"a":1}}"#,
        r#"{"a":1} 2"#,
        r#"{"a":01}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{a:1}",
    ] {
        assert!(Object::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Object::parse(b"{\"a\":\"\xff\"}").is_err());
    assert!(Object::parse("\u{feff}{}".as_bytes()).is_err());
}

#[test]
fn a_value_is_given_only_as_what_it_is() {
    let holder = object(r#"{"s":"x\n","o":{"a":1},"l":[1 , "2"],"z":null}"#);
    assert_eq!(holder.string("s").as_deref(), Some("x\n"));
    assert_eq!(holder.object("o"), Some(object(r#"{"a":1}"#)));
    let items: Vec<_> =
        holder.array("l").expect("an array").iter().map(|item| item.get().to_owned()).collect();
    assert_eq!(items, ["1", "\"2\""]);
    for key in ["o", "l", "z", "none"] {
        assert_eq!(holder.string(key), None, "{key}");
    }
    for key in ["s", "l", "z", "none"] {
        assert_eq!(holder.object(key), None, "{key}");
    }
    for key in ["s", "o", "z", "none"] {
        assert!(holder.array(key).is_none(), "{key}");
    }
    assert!(holder.has("s") && !holder.has("z") && !holder.has("none"));
}

#[test]
fn a_member_is_set_where_it_stood_or_at_the_end() {
    let mut holder = object(r#"{"a":1,"b":2}"#);
    holder.set_number("a", u64::MAX);
    holder.set_string("c", "\"\u{1}");
    holder.set_json("b", "no JSON");
    holder.set_json("d", "1,\"e\":2");
    assert_eq!(holder.to_json(), r#"{"a":18446744073709551615,"b":null,"c":"\"\u0001","d":null}"#);
    assert_eq!(
        holder.remove("a").map(|value| value.get().to_owned()).as_deref(),
        Some("18446744073709551615")
    );
    assert!(holder.remove("a").is_none());
    holder.retain(|name| name == "c");
    assert_eq!(holder.iter().collect::<Vec<_>>(), [("c", r#""\"\u0001""#)]);
}

#[test]
fn what_is_shown_of_an_object_holds_none_of_its_values() {
    assert_eq!(format!("{:?}", object(r#"{"password":"hunter2"}"#)), r#"["password"]"#);
}
