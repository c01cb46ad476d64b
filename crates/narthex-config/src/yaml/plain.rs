//! Plain YAML → nodes, quickly: straight from the parser's events, without serde.
//!
//! Only what needs no second thought is read here: no anchors, aliases, tags or merge keys, and nothing that is too
//! deep, too much or wrong. Of all else, and of what any of it means, [`super::tree`] is the judge.

use super::Span;
use super::tree::{Kind, MAX_DEPTH, MAX_KEY, MAX_NODES, Node, scalar};
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, StrInput};

/// Reads `text` if it is one document of plain YAML and nothing about it is wrong.
pub(super) fn read(text: &str) -> Option<Node> {
    let mut reader = Reader { parser: Parser::new_from_str(text), nodes: 0 };
    while matches!(reader.peek()?, Event::StreamStart | Event::DocumentStart(..)) {
        reader.next()?;
    }
    let node = reader.node(0)?;
    let [Event::DocumentEnd, Event::StreamEnd] = [reader.next()?.0, reader.next()?.0] else { return None };
    Some(node)
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn peek(&mut self) -> Option<&Event<'t>> {
        self.parser.peek()?.ok().map(|(event, _)| event)
    }

    fn next(&mut self) -> Option<(Event<'t>, Span)> {
        let (event, span) = self.parser.next_event()?.ok()?;
        Some((event, place(&span)?))
    }

    fn node(&mut self, depth: usize) -> Option<Node> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return None;
        }
        let (event, span) = self.next()?;
        let kind = match event {
            Event::Scalar(text, style, 0, None) => value(&text, style)?,
            _ if depth == MAX_DEPTH => return None,
            Event::SequenceStart(_, 0, None) => self.list(depth)?,
            Event::MappingStart(_, 0, None) => self.map(depth)?,
            _ => return None,
        };
        Some(Node { kind, span, defined: span })
    }

    fn list(&mut self, depth: usize) -> Option<Kind> {
        let mut items = Vec::new();
        while !matches!(self.peek()?, Event::SequenceEnd) {
            items.push(self.node(depth + 1)?);
        }
        self.next()?;
        Some(Kind::List(items))
    }

    fn map(&mut self, depth: usize) -> Option<Kind> {
        let mut entries = Vec::new();
        while !matches!(self.peek()?, Event::MappingEnd) {
            let key = self.node(depth + 1)?;
            // A merge key, or one that is no text.
            if key.text().is_none_or(|key| key == "<<" || key.len() > MAX_KEY) {
                return None;
            }
            entries.push((key, self.node(depth + 1)?));
        }
        self.next()?;
        Some(Kind::Map(entries))
    }
}

/// What a scalar without a tag is.
fn value(text: &str, style: ScalarStyle) -> Option<Kind> {
    if style != ScalarStyle::Plain {
        return Some(Kind::Text(text.to_owned()));
    }
    if text.is_empty() {
        return Some(Kind::Null);
    }
    // What is like nothing but text, or a number that is written in one way only.
    if is_word(text) {
        return Some(Kind::Text(text.to_owned()));
    }
    let is_number = text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if is_number {
        return text.parse().ok().map(Kind::Int);
    }
    scalar(text)
}

/// Whether it begins as no number does, and is no word that means something else in any YAML.
fn is_word(text: &str) -> bool {
    const OTHERS: [&str; 13] =
        ["true", "false", "null", "nan", "inf", "infinity", "yes", "no", "on", "off", "y", "n", "none"];
    let begins = |b: &u8| b.is_ascii_alphabetic() || *b == b'/';
    text.as_bytes().first().is_some_and(begins)
        && !OTHERS.iter().any(|other| text.eq_ignore_ascii_case(other))
}

fn place(span: &granit_parser::Span) -> Option<Span> {
    let number = |n: usize| u32::try_from(n).ok();
    let (start, end) = (span.start.byte_offset()?, span.end.byte_offset()?);
    Some(Span {
        line: number(span.start.line())?,
        col: number(span.start.col() + 1)?,
        offset: number(start)?,
        len: number(end.saturating_sub(start))?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::{self, parse};
    use super::*;
    use crate::diagnostic::Report;
    use proptest::prelude::*;

    /// As [`super::super::tree`] reads it.
    fn judged(text: &str) -> Option<String> {
        let report = Report::default();
        tree::read(text, &report).filter(|_| !report.has_errors()).map(|node| format!("{node:?}"))
    }

    fn quick(text: &str) -> Option<String> {
        read(text).map(|node| format!("{node:?}"))
    }

    #[test]
    fn plain_yaml_is_read_and_all_else_is_left_to_the_judge() {
        for text in [
            "a: 1",
            "# x\na:\n  - b\n  - {c: d, e: [f, 'g', \"h\"]}\nöffnen: |\n  x\n  y\n",
            "- -1\n- 0\n- 1.5\n- 0x1f\n- 1e3\n- true\n- null\n- ~\n- \n- 30s\n- 127.0.0.1:80\n- 2026-07-28\n",
            "a: on\nb: yes\nc: n\nd: 'true'\ne: \"1\"\nf: 012\ng: 1_000\nh: +1\n",
            "---\na: b\n...\n",
            "a: x y\n  z\n",
            "a: -x\nb: -- x\nc: 1 2\nd: .5 x\n",
        ] {
            assert!(quick(text).is_some(), "{text}");
            assert_eq!(quick(text), judged(text), "{text}");
        }
        for text in [
            "",
            "a: &b 1\nc: *b",
            "a: !!str 1",
            "<<: {a: 1}",
            "1: a",
            "? [a]\n: b",
            "a: [",
            "a: b: c",
            "--- a\n--- b",
            "a:\n\tb: 1",
            "a: \"\\q\"",
            "a: .inf",
            "%YAML 1.2\n---\n!x a",
        ] {
            assert_eq!(quick(text), None, "{text}");
        }
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(quick(&deep(MAX_DEPTH)).is_some() && quick(&deep(MAX_DEPTH)) == judged(&deep(MAX_DEPTH)));
        assert_eq!([quick(&deep(MAX_DEPTH + 1)), judged(&deep(MAX_DEPTH + 1))], [None, None]);
    }

    #[test]
    fn marks_of_documents_within_one_are_text() {
        for text in [
            "a: ---", "a: --- x", "a: ...", "a: ...x", "- ---", "[---]", "a: -", "a: --", "a: ..", "a: .",
            "a: ?x", "a: :x",
        ] {
            if let Some(node) = quick(text) {
                assert_eq!(Some(node), judged(text), "{text}");
            }
        }
        assert_eq!(quick("a: ---"), None);
    }

    #[test]
    fn words_are_what_the_judge_takes_them_for() {
        for word in
            "true false null nan inf infinity yes no on off y n none nil undefined t f e x o b bench ~ NaN"
                .split(' ')
        {
            let mut first = word.chars();
            let title: String =
                first.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(first).collect();
            for word in [word.to_owned(), word.to_uppercase(), title] {
                let text = format!("a: {word}\n");
                assert_eq!(quick(&text), judged(&text), "{text}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_by_the_judge() {
        let report = Report::default();
        assert!(parse("a: [", &report).is_none() && report.has_errors());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_is_read_is_what_the_judge_reads(text in "([a-z]{1,3}: |- |  |\n|[{}\\[\\],:#'\"&*!<|>%@~ñ]|true|null|[0-9.+e_xo-]{1,4}|[A-Za-z/]{1,9}| |\n){0,16}") {
            if let Some(node) = quick(&text) {
                prop_assert_eq!(Some(node), judged(&text), "{}", text);
            }
        }
        #[test]
        fn a_scalar_is_what_the_judge_takes_it_for(text in "[A-Za-z0-9.+_~:/-]{1,10}") {
            let text = format!("a: {text}\n");
            if let Some(node) = quick(&text) {
                prop_assert_eq!(Some(node), judged(&text), "{}", text);
            }
        }
    }
}
