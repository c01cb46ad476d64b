//! Files that are not what a configuration looks like.

use super::*;
use proptest::prelude::*;
use std::io::Write;

/// Loads `bytes` from a file.
fn loaded(bytes: &[u8]) -> Result<Loaded, Diagnostics> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    load(file.path())
}

#[test]
fn a_yaml_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..=9 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", "));
    }
    let found = refused(&bomb);
    assert_eq!(found.len(), 1, "{found}");
    assert!(found.to_string().contains("alias"), "{found}");
}

#[test]
fn wide_aliases_are_refused() {
    let wide = format!(
        "a: &a [{}]\n{}",
        "x, ".repeat(5000),
        (0..1000).map(|n| format!("b{n}: *a\n")).collect::<String>()
    );
    assert_eq!(refused(&wide).len(), 1);
}

#[test]
fn deep_nesting_is_refused() {
    let nests = [
        "[".repeat(100_000),
        format!("{}{}", "[".repeat(200), "]".repeat(200)),
        "{a: ".repeat(50_000),
        "- ".repeat(100_000),
        (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect(),
        (0..200).map(|n| format!("a{n}: &a{n} [*a{}]\n", n.max(1) - 1)).collect(),
    ];
    for text in nests {
        assert!(!refused(&text).is_empty());
    }
}

#[test]
fn chained_aliases_do_not_nest_deeper_than_can_be_read() {
    // Each anchor holds the one before as deep as the budget allows.
    let (open, close) = ("[".repeat(20), "]".repeat(20));
    let mut text = format!("a0: &a0 {open}x{close}\n");
    for n in 1..100 {
        text += &format!("a{n}: &a{n} {open}*a{}{close}\n", n - 1);
    }
    assert!(!refused(&text).is_empty());
}

#[test]
fn a_file_over_sixteen_mebibytes_is_refused() {
    let big = format!("# {}\n{GOOD}", "x".repeat(17 << 20));
    assert!(loaded(big.as_bytes()).unwrap_err().to_string().contains("at most 16 MiB"));
    assert!(refused(&big).to_string().contains("at most 16 MiB"));
}

#[test]
fn a_file_that_is_not_utf8_is_refused_with_its_line() {
    let mut bytes = GOOD.as_bytes().to_vec();
    bytes.extend(b"# caf\xe9\n");
    assert!(loaded(&bytes).unwrap_err().to_string().contains("line 11 is not UTF-8"));
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(GOOD.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert!(loaded(&utf16).unwrap_err().to_string().contains("line 1 is not UTF-8"));
}

#[test]
fn a_byte_order_mark_is_skipped_and_does_not_move_places() {
    assert!(parsed(&format!("\u{feff}{GOOD}")).is_ok());
    let found = refused("\u{feff}servr: {}\n");
    assert_eq!(found.iter().next().map(|found| (found.line, found.col)), Some((1, 1)));
}

#[test]
fn crlf_line_ends_are_read() {
    assert!(parsed(&GOOD.replace('\n', "\r\n")).is_ok());
}

#[test]
fn tabs_for_indentation_are_refused_with_their_place() {
    let found = refused(&GOOD.replace("  demo:\n    url", "\tdemo:\n\t\turl"));
    assert_eq!(found.len(), 1, "{found}");
    assert!((4..=6).contains(&found.iter().next().unwrap().line), "{found}");
}

#[test]
fn several_documents_are_refused() {
    assert!(refused(&format!("{GOOD}---\n{GOOD}")).to_string().contains("one YAML document"));
    assert!(parsed(&format!("---\n{GOOD}")).is_ok());
}

#[test]
fn an_empty_file_is_refused() {
    for text in ["", "\n\n", "# nothing\n", "---\n", "~", "null"] {
        assert!(
            refused(text).to_string().contains("the configuration is empty"),
            "{text:?}: {}",
            refused(text)
        );
    }
}

#[test]
fn a_file_that_is_no_mapping_is_refused() {
    for text in ["[]", "hello", "4", "- server", "{}"] {
        assert!(!refused(text).is_empty(), "{text:?}");
    }
}

#[test]
fn anchors_and_merge_keys_may_be_used() {
    let text = GOOD.replace(
        "    url: http://127.0.0.1:9001/mcp\n",
        "    &demo\n    url: http://127.0.0.1:9001/mcp\n    timeout: 7s\n  other:\n    <<: *demo\n    timeout: 9s\n",
    );
    let text = text.replace("  demo:\n    &demo\n", "  demo: &demo\n");
    let (config, _) = parsed(&text).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(config.upstreams["demo"].timeout, Duration::from_secs(7));
    assert_eq!(config.upstreams["other"].timeout, Duration::from_secs(9));
    assert_eq!(config.upstreams["other"].transport, config.upstreams["demo"].transport);
}

#[test]
fn odd_keys_and_tags_are_refused() {
    for text in [
        "? [a]\n: b\n",
        "1: 2\n",
        "!!binary aGVsbG8=: x\n",
        "server: !!binary aGVsbG8=\n",
        "a: .nan\n",
        "*x : y",
        "server: !env X\n",
    ] {
        assert!(!refused(text).is_empty(), "{text:?}");
    }
}

#[test]
fn a_file_that_is_not_there_or_a_directory_is_said_to_be_so() {
    let dir = tempfile::tempdir().unwrap();
    let missing = load(&dir.path().join("gateway.yaml")).unwrap_err();
    assert!(missing.to_string().contains("there is no such file"), "{missing}");
    assert!(load(dir.path()).unwrap_err().to_string().contains("cannot be read"));
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in "\\PC{0,300}") {
        _ = parsed(&text).map_err(|found| found.to_string());
    }

    #[test]
    fn no_damage_to_a_good_file_makes_loading_panic(
        at in 0usize..EVERY_KEY.len(), cut in 0usize..40, put in "[ \\n:{}\\[\\]&*|>'\"#,a\\t-]{0,6}",
    ) {
        let end = (at + cut).min(EVERY_KEY.len());
        let damaged = format!("{}{put}{}", &EVERY_KEY[..at], &EVERY_KEY[end..]);
        _ = parsed(&damaged).map_err(|found| found.to_string());
    }
}
