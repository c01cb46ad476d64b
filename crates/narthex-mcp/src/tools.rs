//! `tools/list` results: what they name, and leaving out what a caller may not see.

use crate::json::{Cursor, Fault, Keys, Shape};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Schemas are deep; this is as deep as the reader goes.
const DEPTH: u16 = 256;
const RESPONSE: [&str; 5] = ["jsonrpc", "id", "result", "error", "method"];
const RESULT: [&str; 6] = ["tools", "nextCursor", "cacheScope", "ttlMs", "resultType", "_meta"];
const TOOL: [&str; 1] = ["name"];

const NOT_A_RESPONSE: Fault = Fault::new("not_a_response", "the answer is not a JSON-RPC message");
const BAD_TOOLS: Fault = Fault::new("bad_tools", "the tools of the result are not an array of named tools");
const RESULT_AND_ERROR: Fault = Fault::new("result_and_error", "the answer has both a result and an error");

/// An upstream's answer that cannot be filtered with certainty, and so must not reach the client.
///
/// Displays as a sentence for the log that quotes nothing of the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToolsError(Fault);

impl ToolsError {
    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.0.reason
    }
}

impl fmt::Display for ToolsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message)
    }
}

impl std::error::Error for ToolsError {}

/// Calls `f` with the name of each tool in a `tools/list` response, in order.
///
/// `body` is one JSON-RPC message or, in 2025-03-26, an array of them; those without tools are passed over.
///
/// # Errors
/// The answer is malformed, or names a key twice where two readers could differ. `f` is not called then.
pub fn tool_names(body: &[u8], mut f: impl FnMut(&str)) -> Result<(), ToolsError> {
    let listings = read(body).map_err(ToolsError)?;
    listings.iter().flat_map(|listing| &listing.tools).for_each(|tool| f(&tool.name));
    Ok(())
}

/// A `tools/list` response without the tools that `keep` refuses; `None` if nothing is to change.
///
/// The kept tools' bytes, their order and all other members stay as they are. Call it whenever a filter
/// applies, even to a caller who may see everything: a `cacheScope` of the result becomes `"private"` in any
/// case, since a list that differs between callers must not be shared by a cache
/// (MCP 2026-07-28, server/utilities/caching).
///
/// # Errors
/// As [`tool_names`]: the answer is to be withheld.
pub fn retain_tools(body: &[u8], keep: impl Fn(&str) -> bool) -> Result<Option<Vec<u8>>, ToolsError> {
    let listings = read(body).map_err(ToolsError)?;
    let mut edits: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
    for listing in listings {
        if let Some(scope) = listing.cache_scope {
            edits.push((scope, br#""private""#.to_vec()));
        }
        let kept: Vec<&[u8]> = listing
            .tools
            .iter()
            .filter(|tool| keep(&tool.name))
            .map(|tool| &body[tool.span.clone()])
            .collect();
        if kept.len() != listing.tools.len() {
            edits.push((listing.array, [&b"["[..], &kept.join(&b','), b"]"].concat()));
        }
    }
    Ok((!edits.is_empty()).then(|| apply(body, edits)))
}

/// `body` with each range, none of which overlap, replaced.
fn apply(body: &[u8], mut edits: Vec<(Range<usize>, Vec<u8>)>) -> Vec<u8> {
    edits.sort_unstable_by_key(|(span, _)| span.start);
    let mut out = Vec::with_capacity(body.len());
    let mut done = 0;
    for (span, replacement) in edits {
        out.extend_from_slice(&body[done..span.start]);
        out.extend_from_slice(&replacement);
        done = span.end;
    }
    out.extend_from_slice(&body[done..]);
    out
}

/// What one response lists, and where in the body.
#[derive(Debug, Default)]
struct Listing<'a> {
    tools: Vec<Tool<'a>>,
    /// The whole array of tools.
    array: Range<usize>,
    /// The value of `cacheScope`, unless it says `"private"` already.
    cache_scope: Option<Range<usize>>,
}

#[derive(Debug)]
struct Tool<'a> {
    name: Cow<'a, str>,
    span: Range<usize>,
}

fn read(body: &[u8]) -> Result<Vec<Listing<'_>>, Fault> {
    let mut cursor = Cursor::new(body, DEPTH)?;
    let mut listings = Vec::new();
    if cursor.peek() == Some(b'[') {
        cursor.array(|cursor| {
            listings.push(response(cursor)?);
            Ok(())
        })?;
    } else {
        listings.push(response(&mut cursor)?);
    }
    cursor.finish()?;
    Ok(listings)
}

fn response<'a>(cursor: &mut Cursor<'a>) -> Result<Listing<'a>, Fault> {
    if cursor.peek() != Some(b'{') {
        return Err(NOT_A_RESPONSE);
    }
    let mut listing = Listing::default();
    let mut keys = Keys::new(&RESPONSE);
    let (mut has_result, mut has_error) = (false, false);
    cursor.object(|cursor, key| {
        let key = keys.admit(key)?;
        has_result |= key == Some("result");
        has_error |= key == Some("error");
        if key == Some("result") && cursor.peek() == Some(b'{') {
            result(cursor, &mut listing)
        } else {
            cursor.skip()
        }
    })?;
    if has_result && has_error { Err(RESULT_AND_ERROR) } else { Ok(listing) }
}

fn result<'a>(cursor: &mut Cursor<'a>, listing: &mut Listing<'a>) -> Result<(), Fault> {
    let mut keys = Keys::new(&RESULT);
    cursor.object(|cursor, key| {
        let key = keys.admit(key)?;
        let start = cursor.offset();
        match key {
            Some("tools") => {
                tools(cursor, &mut listing.tools)?;
                listing.array = start..cursor.offset();
            }
            Some("cacheScope") => {
                let is_private = cursor.value()?.raw == r#""private""#;
                listing.cache_scope = (!is_private).then(|| start..cursor.offset());
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })
}

fn tools<'a>(cursor: &mut Cursor<'a>, tools: &mut Vec<Tool<'a>>) -> Result<(), Fault> {
    if cursor.peek() != Some(b'[') {
        return Err(BAD_TOOLS);
    }
    cursor.array(|cursor| {
        let start = cursor.offset();
        let name = tool(cursor)?.ok_or(BAD_TOOLS)?;
        tools.push(Tool { name, span: start..cursor.offset() });
        Ok(())
    })
}

fn tool<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Cow<'a, str>>, Fault> {
    if cursor.peek() != Some(b'{') {
        return Ok(None);
    }
    let mut keys = Keys::new(&TOOL);
    let mut name = None;
    cursor.object(|cursor, key| {
        let key = keys.admit(key)?;
        if let (Some("name"), Shape::String(text)) = (key, cursor.value()?.shape) {
            name = Some(text.decode());
        }
        Ok(())
    })?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const LIST: &str = r#"{ "jsonrpc":"2.0", "id":1, "x-odd": [1.0e2],
        "result": {"nextCursor":"c", "tools": [ {"name":"a", "n":1.50} ,{"d":{"name":"b"},"name":"\u0062"},
        {"inputSchema":{"$defs":{}}, "name":"c"}], "cacheScope" : "public", "new":true} }"#;

    fn retain(body: &str, kept: &[&str]) -> Option<String> {
        let kept = retain_tools(body.as_bytes(), |name| kept.contains(&name)).unwrap();
        kept.map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn names_come_in_order_and_unescaped() {
        let mut names = Vec::new();
        tool_names(LIST.as_bytes(), |name| names.push(name.to_owned())).unwrap();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn kept_tools_and_all_else_stay_byte_for_byte() {
        assert_eq!(
            retain(LIST, &["a", "c"]).unwrap(),
            r#"{ "jsonrpc":"2.0", "id":1, "x-odd": [1.0e2],
        "result": {"nextCursor":"c", "tools": [{"name":"a", "n":1.50},{"inputSchema":{"$defs":{}}, "name":"c"}], "cacheScope" : "private", "new":true} }"#
        );
        assert!(retain(LIST, &[]).unwrap().contains(r#""tools": [],"#));
    }

    #[test]
    fn a_filtered_list_is_private_even_for_the_caller_who_sees_all_of_it() {
        let all = ["a", "b", "c"];
        assert_eq!(retain(LIST, &all).unwrap(), LIST.replace(r#""public""#, r#""private""#));
        assert_eq!(retain(&LIST.replace("public", "private"), &all), None);
    }

    #[test]
    fn answers_without_tools_are_left_alone() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"tools"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"tools":[{"name":"x"}]}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#,
        ] {
            assert_eq!(retain(body, &[]), None, "{body}");
        }
    }

    #[test]
    fn each_answer_of_a_batch_is_filtered() {
        let one = r#"{"id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#;
        let kept = r#"{"id":1,"result":{"tools":[{"name":"b"}]}}"#;
        assert_eq!(retain(&format!("[{one}, {one}]"), &["b"]).unwrap(), format!("[{kept}, {kept}]"));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_withheld() {
        for (result, reason) in [
            (r#"{"tools":[],"tools":[{"name":"x"}]}"#, "duplicate_key"),
            (r#"{"tools":[],"\u0074ools":[{"name":"x"}]}"#, "duplicate_key"),
            (r#"{"tools":[],"Tools":[{"name":"x"}]}"#, "key_case"),
            (r#"{"tools":[{"name":"a","name":"x"}]}"#, "duplicate_key"),
            (r#"{"tools":[{"name":"a","NAME":"x"}]}"#, "key_case"),
            (r#"{"tools":[{"name":1}]}"#, "bad_tools"),
            (r#"{"tools":[{}]}"#, "bad_tools"),
            (r#"{"tools":["x"]}"#, "bad_tools"),
            (r#"{"tools":{"name":"x"}}"#, "bad_tools"),
            (r#"{"tools":[]},"result":{}"#, "duplicate_key"),
            (r#"{"tools":[]},"error":{}"#, "result_and_error"),
            (r#"{"tools":[]}} "#, "trailing_data"),
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
            let refused = retain_tools(body.as_bytes(), |_| true).unwrap_err();
            assert_eq!(refused.reason(), reason, "{body}");
            assert!(tool_names(body.as_bytes(), |_| panic!()).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_was_kept(names in prop::collection::vec("[a-d\"é]{0,2}", 0..8)) {
            let list = |names: &[&String]| -> Value {
                let tools: Vec<_> = names.iter().map(|name| json!({"name": name, "more": [name]})).collect();
                json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}})
            };
            let keep = |name: &str| name.contains('a');
            let body = list(&names.iter().collect::<Vec<_>>()).to_string();
            let left = retain_tools(body.as_bytes(), keep).unwrap();
            let left = left.unwrap_or_else(|| body.into_bytes());
            let expected = list(&names.iter().filter(|name| keep(name)).collect::<Vec<_>>());
            prop_assert_eq!(serde_json::from_slice::<Value>(&left).unwrap(), expected);
        }
    }
}
