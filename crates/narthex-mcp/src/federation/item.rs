//! Items of lists, tools above all, with another name: every other byte stays as the upstream wrote it, as
//! schemas mean what they say to the byte (2026-07-28, server/tools).

use crate::json::{Cursor, Fault, Keys, Shape};
use crate::rpc::quote;
use std::borrow::Cow;
use std::ops::Range;

/// Schemas are deep; this is as deep as the reader goes.
const DEPTH: u16 = 256;
const SHOWN: [&str; 2] = ["name", "description"];
const NAME: [&str; 1] = ["name"];
const URI: [&str; 1] = ["uri"];
const URI_TEMPLATE: [&str; 1] = ["uriTemplate"];

/// `item` with `name` in the place of its own, and with `description` in the place of its own, or behind the
/// name where it had none. Members of members are not touched.
///
/// `None` if it is not a JSON object with a string for a name, or two readers could read it differently: it
/// names a member twice, or one that differs from `name` or `description` in case only.
#[must_use]
pub fn rename(item: &str, name: &str, description: Option<&str>) -> Option<String> {
    let found = find(item).ok()??;
    let name = quote(name);
    let mut edits = vec![(found.name.clone(), name)];
    if let Some(description) = description.map(quote) {
        edits.push(match found.description {
            Some(span) => (span, description),
            None => (found.name.end..found.name.end, format!(",\"description\":{description}")),
        });
        // Equal only where a description is put behind the name.
        edits.sort_by_key(|(span, _)| (span.start, span.end));
    }
    apply(item, &edits)
}

/// The item's `name`; `None` as for [`rename`], where only names count.
#[must_use]
pub fn name_of(item: &str) -> Option<String> {
    text_of(item, &NAME)
}

/// The same of a resource's `uri`.
#[must_use]
pub fn uri_of(item: &str) -> Option<String> {
    text_of(item, &URI)
}

/// The same of a resource template's `uriTemplate`.
#[must_use]
pub fn uri_template_of(item: &str) -> Option<String> {
    text_of(item, &URI_TEMPLATE)
}

#[derive(Debug)]
struct Found {
    name: Range<usize>,
    description: Option<Range<usize>>,
}

fn find(item: &str) -> Result<Option<Found>, Fault> {
    let (mut name, mut description) = (None, None);
    members(item, &SHOWN, |key, span, shape| match (key, shape) {
        ("name", Shape::String(_)) => name = Some(span),
        ("description", _) => description = Some(span),
        _ => {}
    })?;
    Ok(name.map(|name| Found { name, description }))
}

fn text_of(item: &str, key: &'static [&'static str; 1]) -> Option<String> {
    let mut found = None;
    let read = members(item, key, |_, _, shape| {
        if let Shape::String(text) = shape {
            found = Some(text.decode());
        }
    });
    read.ok()?;
    found.map(Cow::into_owned)
}

/// Calls `f` with each member of the object that is named in `known`: key, place and value.
fn members<'a>(
    item: &'a str,
    known: &'static [&'static str],
    mut f: impl FnMut(&'static str, Range<usize>, Shape<'a>),
) -> Result<(), Fault> {
    let mut cursor = Cursor::new(item.as_bytes(), DEPTH)?;
    let mut keys = Keys::new(known);
    cursor.object(|cursor, key| {
        let Some(key) = keys.admit(key)? else { return cursor.skip() };
        let start = cursor.offset();
        let value = cursor.value()?;
        f(key, start..cursor.offset(), value.shape);
        Ok(())
    })?;
    cursor.finish()
}

/// `text` with each range replaced. They are in order and do not overlap.
fn apply(text: &str, edits: &[(Range<usize>, String)]) -> Option<String> {
    let more = edits.iter().map(|(_, replacement)| replacement.len()).sum::<usize>();
    let mut out = String::with_capacity(text.len() + more);
    let mut done = 0;
    for (span, replacement) in edits {
        out.push_str(text.get(done..span.start)?);
        out.push_str(replacement);
        done = span.end;
    }
    out.push_str(text.get(done..)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn only_the_name_changes() {
        for (item, renamed) in [
            (r#"{"name":"a"}"#, r#"{"name":"b\"c"}"#),
            (r#" { "name" : "\u0061" } "#, r#" { "name" : "b\"c" } "#),
            (
                r#"{"title":"a","n":1.50,"inputSchema":{"name":"a","description":"a"},"name":"a","_meta":{"name":"a"}}"#,
                r#"{"title":"a","n":1.50,"inputSchema":{"name":"a","description":"a"},"name":"b\"c","_meta":{"name":"a"}}"#,
            ),
            (r#"{"n\u0061me":"a","description":"d"}"#, r#"{"n\u0061me":"b\"c","description":"d"}"#),
        ] {
            assert_eq!(rename(item, "b\"c", None).as_deref(), Some(renamed));
        }
    }

    #[test]
    fn a_description_changes_or_is_added() {
        for (item, renamed) in [
            (r#"{"name":"a"}"#, r#"{"name":"b","description":"D"}"#),
            (r#"{"name":"a" ,"x":1}"#, r#"{"name":"b","description":"D" ,"x":1}"#),
            (r#"{"description":"d","name":"a"}"#, r#"{"description":"D","name":"b"}"#),
            (r#"{"name":"a","description":null}"#, r#"{"name":"b","description":"D"}"#),
            (
                r#"{"x":{"description":"d"},"name":"a"}"#,
                r#"{"x":{"description":"d"},"name":"b","description":"D"}"#,
            ),
        ] {
            assert_eq!(rename(item, "b", Some("D")).as_deref(), Some(renamed));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_renamed() {
        for item in [
            "",
            "null",
            "[]",
            r#"["name","a"]"#,
            "{}",
            r#"{"name":1}"#,
            r#"{"name":null}"#,
            r#"{"Name":"a"}"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","n\u0061me":"b"}"#,
            r#"{"name":"a","NAME":"b"}"#,
            r#"{"name":"a","description":"d","description":"e"}"#,
            r#"{"name":"a","Description":"d"}"#,
            r#"{"name":"a","x":1,"x":2}"#,
            r#"{"name":"a"}{"name":"b"}"#,
            r#"{"name":"a"} x"#,
            r#"{"name":"a""#,
            r#"{"name":"a",}"#,
            r#"{"name":"\ud800"}"#,
        ] {
            assert_eq!(rename(item, "b", None), None, "{item}");
            assert_eq!(rename(item, "b", Some("D")), None, "{item}");
        }
        let deep = format!(r#"{{"name":"a","x":{}{}}}"#, "[".repeat(300), "]".repeat(300));
        assert_eq!(rename(&deep, "b", None), None);
    }

    #[test]
    fn items_say_what_they_are_called() {
        let item = r#"{"name":"n\u0061","uri":"file:///a","uriTemplate":"file:///{x}","x":{"uri":"no"}}"#;
        assert_eq!(name_of(item).as_deref(), Some("na"));
        assert_eq!(uri_of(item).as_deref(), Some("file:///a"));
        assert_eq!(uri_template_of(item).as_deref(), Some("file:///{x}"));
        for item in
            ["{}", "[]", r#"{"uri":1}"#, r#"{"uri":"a","uri":"b"}"#, r#"{"uri":"a"} x"#, r#"{"URI":"a"}"#]
        {
            assert_eq!(uri_of(item), None, "{item}");
        }
    }

    proptest! {
        #[test]
        fn a_renamed_item_is_the_same_but_for_its_name(
            name: String, other: String, had: Option<String>, given: Option<String>, turn in 0_usize..3,
            text: String, number: i64,
        ) {
            let schema = json!({"name": text, "description": {}, "x": [number]});
            let mut members = vec![format!("\"name\" : {}", json!(name)), format!("\"inputSchema\":{schema}")];
            members.extend(had.as_ref().map(|text| format!("\"description\":{}", json!(text))));
            let count = members.len();
            members.rotate_left(turn % count);
            let item = format!("{{ {}\n}}", members.join(" ,"));
            let renamed = rename(&item, &other, given.as_deref()).unwrap();
            let mut expected = json!({"name": other, "inputSchema": schema});
            if let Some(description) = given.as_ref().or(had.as_ref()) {
                expected["description"] = json!(description);
            }
            prop_assert_eq!(serde_json::from_str::<Value>(&renamed).unwrap(), expected);
            prop_assert_eq!(name_of(&renamed), Some(other));
            if had.is_some() || given.is_none() {
                prop_assert_eq!(rename(&renamed, &name, had.as_deref()), Some(item), "and back to the byte");
            }
        }

        #[test]
        fn no_text_panics(item in "[{}\\[\\]\",:name\\\\u0 ]{0,40}") {
            let _ = (rename(&item, "x", Some("y")), name_of(&item), uri_of(&item));
        }
    }
}
