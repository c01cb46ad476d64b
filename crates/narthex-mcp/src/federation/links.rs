//! The URIs that a result mentions. What a server links to need not be in its lists (2026-07-28,
//! server/tools#resource-links), so a merged route can tell only from the result whom to ask for it later.
//!
//! A server can mention any URI. What is found here may fill gaps, but not take a URI from the server that
//! lists it, or is known to have it.

use crate::json::{Cursor, Fault, Shape};
use std::borrow::Cow;

/// Most URIs that are found in one result.
pub const MOST_LINKS: usize = 256;
/// Longest URI that is found, in bytes.
pub const LONGEST_LINK: usize = 2 << 10;

/// Results are deep; this is as deep as the reader goes.
const DEPTH: u16 = 256;
const ENOUGH: Fault = Fault::new("many_links", "the result mentions many URIs");

/// Calls `found` with the URIs that `result`, a JSON object, mentions, in order and as often as it does; at
/// most the first [`MOST_LINKS`], and none longer than [`LONGEST_LINK`].
///
/// They are `uri` of `resource_link` contents and of embedded resources, of tools' results and of prompts'
/// messages (server/tools, server/prompts), `uri` of what `resources/read` gives (server/resources), and
/// `resourceUri` of user interfaces, in `_meta` of results, contents and listed tools (the extension
/// `io.modelcontextprotocol/ui`, SEP-1865; the key `ui/resourceUri` is its older form). A task's `result` is
/// looked into as well (SEP-2663). Reading ends where the text is malformed.
pub fn uris(result: &str, found: impl FnMut(&str)) {
    let Ok(mut cursor) = Cursor::new(result.as_bytes(), DEPTH) else { return };
    let mut links = Links { found, left: MOST_LINKS };
    // What was found before a fault, or before there was enough, is found.
    let _ = links.result(&mut cursor, true);
}

struct Links<F> {
    found: F,
    left: usize,
}

impl<F: FnMut(&str)> Links<F> {
    fn result(&mut self, cursor: &mut Cursor<'_>, may_nest: bool) -> Result<(), Fault> {
        object(cursor, |cursor, key| match key {
            "content" => self.contents(cursor),
            "contents" => each(cursor, |cursor| self.content(cursor)),
            "messages" => each(cursor, |cursor| self.message(cursor)),
            "tools" => each(cursor, |cursor| self.tool(cursor)),
            "_meta" => self.meta(cursor),
            "result" if may_nest => self.result(cursor, false),
            _ => cursor.skip(),
        })
    }

    /// Contents come in arrays, but for those of prompts' messages.
    fn contents(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        if cursor.peek() == Some(b'[') {
            each(cursor, |cursor| self.content(cursor))
        } else {
            self.content(cursor)
        }
    }

    /// A `resource_link`, an embedded resource, or what a resource is read to have in it.
    fn content(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        object(cursor, |cursor, key| match key {
            "uri" => self.uri(cursor),
            "resource" => self.resource(cursor),
            "_meta" => self.meta(cursor),
            _ => cursor.skip(),
        })
    }

    fn resource(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        object(cursor, |cursor, key| match key {
            "uri" => self.uri(cursor),
            "_meta" => self.meta(cursor),
            _ => cursor.skip(),
        })
    }

    fn message(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        object(cursor, |cursor, key| match key {
            "content" => self.contents(cursor),
            _ => cursor.skip(),
        })
    }

    fn tool(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        object(cursor, |cursor, key| match key {
            "_meta" => self.meta(cursor),
            _ => cursor.skip(),
        })
    }

    fn meta(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        object(cursor, |cursor, key| match key {
            "ui/resourceUri" => self.uri(cursor),
            "ui" => object(cursor, |cursor, key| match key {
                "resourceUri" => self.uri(cursor),
                _ => cursor.skip(),
            }),
            _ => cursor.skip(),
        })
    }

    fn uri(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let Shape::String(text) = cursor.value()?.shape else { return Ok(()) };
        let uri = text.decode();
        if uri.is_empty() || uri.len() > LONGEST_LINK {
            return Ok(());
        }
        self.left = self.left.checked_sub(1).ok_or(ENOUGH)?;
        (self.found)(&uri);
        Ok(())
    }
}

/// Walks the members of an object; reads over what is none.
fn object<'a>(
    cursor: &mut Cursor<'a>,
    mut member: impl FnMut(&mut Cursor<'a>, &str) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if cursor.peek() != Some(b'{') {
        return cursor.skip();
    }
    cursor.object(|cursor, key| {
        let key: Cow<'_, str> = key.decode();
        member(cursor, &key)
    })
}

/// Walks the elements of an array; reads over what is none.
fn each<'a>(
    cursor: &mut Cursor<'a>,
    element: impl FnMut(&mut Cursor<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if cursor.peek() == Some(b'[') { cursor.array(element) } else { cursor.skip() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn found(result: &str) -> Vec<String> {
        let mut all = Vec::new();
        uris(result, |uri| all.push(uri.to_owned()));
        all
    }

    #[test]
    fn whatever_a_result_links_to_is_found() {
        let link = json!({"type": "resource_link", "uri": "a:1", "name": "n"});
        let embedded = json!({"type": "resource", "resource": {"uri": "a:2", "text": "t"}});
        for (result, expected) in [
            (json!({"content": [{"type": "text", "text": "a:0"}, link, embedded]}), vec!["a:1", "a:2"]),
            (
                json!({"contents": [{"uri": "a:1", "text": "t"}, {"uri": "a:2", "blob": ""}]}),
                vec!["a:1", "a:2"],
            ),
            (
                json!({"messages": [{"role": "user", "content": link}, {"role": "user", "content": embedded}]}),
                vec!["a:1", "a:2"],
            ),
            (json!({"messages": [{"role": "user", "content": [link, embedded]}]}), vec!["a:1", "a:2"]),
            (json!({"_meta": {"ui": {"resourceUri": "ui://x"}}}), vec!["ui://x"]),
            (json!({"_meta": {"ui/resourceUri": "ui://x"}}), vec!["ui://x"]),
            (json!({"tools": [{"name": "t", "_meta": {"ui": {"resourceUri": "ui://x"}}}]}), vec!["ui://x"]),
            (
                json!({"content": [{"type": "text", "_meta": {"ui": {"resourceUri": "ui://x"}}}]}),
                vec!["ui://x"],
            ),
            (json!({"taskId": "1", "result": {"content": [link]}}), vec!["a:1"]),
        ] {
            assert_eq!(found(&result.to_string()), expected, "{result}");
        }
        assert_eq!(found(r#"{"\u0063ontent":[{"ur\u0069":"a:\u0031"}]}"#), ["a:1"]);
    }

    #[test]
    fn what_is_no_link_is_not_found() {
        for result in [
            json!({"uri": "a:1"}),
            json!({"structuredContent": {"content": [{"uri": "a:1"}]}}),
            json!({"content": [{"text": {"uri": "a:1"}}]}),
            json!({"content": {"content": [{"uri": "a:1"}]}}),
            json!({"content": [{"uri": 1}, {"uri": null}, {"uri": ["a:1"]}, {"uri": ""}, [], 1, "a:1"]}),
            json!({"content": "a:1", "contents": {"uri": "a:1"}, "messages": 1, "_meta": [], "tools": null}),
            json!({"tools": [{"name": "t", "inputSchema": {"_meta": {"ui": {"resourceUri": "ui://x"}}}}]}),
            json!({"result": {"result": {"content": [{"uri": "a:1"}]}}}),
            json!([{"content": [{"uri": "a:1"}]}]),
        ] {
            assert!(found(&result.to_string()).is_empty(), "{result}");
        }
        for text in ["", "{", "null", r#"{"content":[{"uri""#, r#"{"content":[{"uri":"a:1"#] {
            assert!(found(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn no_more_is_found_than_can_be_kept() {
        let links: Vec<_> = (0..=MOST_LINKS).map(|n| json!({"uri": format!("a:{n}")})).collect();
        let all = found(&json!({"content": links}).to_string());
        assert_eq!(all.len(), MOST_LINKS);
        assert_eq!(all.last().unwrap(), "a:255");
        let (fits, long) = ("x".repeat(LONGEST_LINK), "x".repeat(LONGEST_LINK + 1));
        let result = json!({"contents": [{"uri": fits}, {"uri": long}, {"uri": "a:1"}]});
        assert_eq!(found(&result.to_string()), [fits, "a:1".to_owned()]);
        let deep = "[".repeat(100_000);
        assert!(found(&format!(r#"{{"content":{deep}"#)).is_empty());
    }

    proptest! {
        #[test]
        fn links_are_found_in_order_among_whatever_else(
            links in prop::collection::vec("[a-z]{1,4}:[a-z\"\\\\é]{0,8}", 0..8), text: String,
        ) {
            let contents = links.iter().flat_map(|uri| {
                let resource = json!({"text": text, "uri": uri});
                [json!({"type": "text", "text": text}), json!({"resource": resource})]
            });
            let result = json!({"x": text, "content": contents.collect::<Vec<_>>()});
            prop_assert_eq!(found(&result.to_string()), links);
        }

        #[test]
        fn no_text_panics(text in "[{}\\[\\]\",: ]{0,20}(\"content\":\\[|\"_meta\":\\{|\"uri\":\"a\"|[{}\\[\\],]){0,10}") {
            assert!(found(&text).len() <= MOST_LINKS);
        }
    }
}
