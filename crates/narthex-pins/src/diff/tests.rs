use super::*;

fn of(json: &str) -> Definition {
    Definition::of(json).unwrap()
}

#[test]
fn only_members_that_differ_are_shown_line_by_line() {
    let approved = of(r#"{"name":"add","description":"Adds two numbers.\nReturns the sum.",
        "inputSchema":{"type":"object","properties":{"a":{"type":"number"}}}}"#);
    let found = of(r#"{"name":"add","title":"Add","description":"Adds two numbers.\nReturns the whole sum.",
        "inputSchema":{"type":"object","properties":{"a":{"type":"string"}}}}"#);
    let expected = r#"title:
  + Add
description:
    Adds two numbers.
  - Returns the sum.
  + Returns the whole sum.
  ~ Returns the {+whole +}sum.
inputSchema:
    {
      "properties": {
        "a": {
  -       "type": "number"
  +       "type": "string"
  ~       "type": [-"number"-]{+"string"+}
        }
      },
      "type": "object"
"#;
    assert_eq!(diff(Some(&approved), &found), expected);
    assert_eq!(diff(Some(&found), &found), "");
}

#[test]
fn a_tool_that_is_new_is_shown_whole() {
    let found = of(r#"{"name":"add","annotations":{"readOnlyHint":true}}"#);
    let expected = "name:\n  + add\nannotations:\n  + {\n  +   \"readOnlyHint\": true\n  + }\n";
    assert_eq!(diff(None, &found), expected);
}

#[test]
fn a_member_that_becomes_another_kind_or_goes_is_shown() {
    let approved = of(r#"{"name":"a","description":"x","title":null}"#);
    let found = of(r#"{"name":"a","title":"null"}"#);
    // The same words, though one is text and the other none.
    assert_eq!(diff(Some(&approved), &found), "title:\n  (another kind of value)\ndescription:\n  - x\n");
}

#[test]
fn nothing_in_a_definition_can_hide_or_write_to_a_terminal() {
    let approved = of(r#"{"name":"a","description":"x"}"#);
    let found = of("{\"name\":\"a\",\"description\":\"x\\u001b[2K\\r\u{202e}\u{e0041}\",\
        \"annotations\":{\"\u{200b}\":\"\u{9b}\"}}");
    let shown = diff(Some(&approved), &found);
    assert!(shown.contains("x\\u{1b}[2K\\u{d}\\u{202e}\\u{e0041}"), "{shown}");
    assert!(shown.contains("\"\\u200b\": \"\\u009b\""), "{shown}");
    assert!(!shown.chars().any(|c| c != '\n' && crate::shown::is_unseen(c)), "{shown}");
}

#[test]
fn a_huge_difference_is_cut_and_does_not_take_long() {
    let text = |step: usize| (0..60_000).map(|n| format!("{}\\n", n * step % 9973)).collect::<String>();
    let (old, new) = (text(7), text(11));
    let definition = |text: &str| of(&format!(r#"{{"name":"a","description":"{text}"}}"#));
    let began = std::time::Instant::now();
    let shown = diff(Some(&definition(&old)), &definition(&new));
    assert!(shown.len() < MAX_BYTES + 100 && shown.ends_with("bytes more\n"), "{}", shown.len());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
