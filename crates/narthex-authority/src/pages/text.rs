//! Text from elsewhere, made fit to be read by a person who is about to decide something.
//!
//! Markup is escaped where it is written (maud does that, always). What is left is text that looks like
//! something else than it is: letters that are not seen, that turn the direction of others, that pile up, or
//! that go on until what matters has left the screen.

use maud::{Markup, Render, html};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Most letters of a name that are shown.
const NAME_CAP: usize = 80;
/// Most letters of a URL, a host or an identifier that are shown.
const ADDRESS_CAP: usize = 200;
/// Most marks on top of one letter: what the languages that people write in need.
const MARKS: usize = 2;

/// A name that somebody else chose, set apart from the text around it whatever its direction.
pub(super) struct Name<'a>(pub(super) &'a str);

impl Render for Name<'_> {
    fn render(&self) -> Markup {
        html! { bdi.name { (name(self.0)) } }
    }
}

/// An address (a host, a URL, an identifier): every letter of it is shown as what it is.
pub(super) struct Address<'a>(pub(super) &'a str);

impl Render for Address<'_> {
    fn render(&self) -> Markup {
        html! { bdi.address dir="ltr" { (address(self.0)) } }
    }
}

/// `text` on one line, without what is not seen, at most [`NAME_CAP`] letters.
pub(super) fn name(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(4 * NAME_CAP));
    let (mut letters, mut marks, mut space) = (0, 0, false);
    // A name of megabytes is not looked at to its end; what is dropped is not looked at for ever.
    for char in text.chars().take(40 * NAME_CAP).nfc() {
        if char.is_whitespace() {
            space = letters > 0;
            continue;
        }
        if is_unseen(char) {
            continue;
        }
        if is_combining_mark(char) {
            marks += 1;
            if marks > MARKS || letters == 0 || space {
                continue;
            }
        } else {
            if letters == NAME_CAP {
                shown.push('…');
                return shown;
            }
            marks = 0;
            letters += 1;
        }
        if std::mem::take(&mut space) {
            shown.push(' ');
        }
        shown.push(char);
    }
    if shown.is_empty() { String::from("(no name)") } else { shown }
}

/// `text` with everything but visible ASCII written out as `\u{…}`, at most [`ADDRESS_CAP`] letters.
pub(super) fn address(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(2 * ADDRESS_CAP));
    for (at, char) in text.chars().enumerate() {
        if at == ADDRESS_CAP {
            shown.push('…');
            break;
        }
        match char {
            '!'..='~' => shown.push(char),
            other => shown.extend(other.escape_unicode()),
        }
    }
    shown
}

/// Controls, formatting characters (zero-width ones, those that turn the direction, tags), variation
/// selectors, letters that are blank, and what has no meaning that two programs agree on.
fn is_unseen(char: char) -> bool {
    const BLANK: [char; 8] =
        ['\u{034f}', '\u{115f}', '\u{1160}', '\u{17b4}', '\u{17b5}', '\u{2800}', '\u{3164}', '\u{ffa0}'];
    let is_selector =
        matches!(char, '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    let category = char.general_category();
    is_selector
        || BLANK.contains(&char)
        || matches!(
            category,
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::Surrogate
                | GeneralCategory::PrivateUse
                | GeneralCategory::Unassigned
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_people_have_stay_as_they_are() {
        for text in
            ["Claude Code", "Ångström & Söhne", "日本語クライアント", "שלום", "Việt Nam", "न्यूज़", "O'Brien <3"]
        {
            let composed: String = text.nfc().collect();
            assert_eq!(name(text), composed, "{text}");
        }
    }

    #[test]
    fn what_is_not_seen_is_not_there() {
        for (text, expected) in [
            ("Pay\u{202e}lap\u{202c}", "Paylap"),
            ("a\u{200b}b\u{200d}c\u{feff}d", "abcd"),
            ("\u{2066}x\u{2069}", "x"),
            ("\u{e0041}\u{e0042}x", "x"),
            ("x\u{fe0f}\u{e0100}", "x"),
            ("\u{3164}\u{2800}\u{115f}x", "x"),
            ("a\0b\u{7}c\u{1b}[31md", "abc[31md"),
            ("  a \r\n\t b\u{2028}c\u{a0} ", "a b c"),
            ("\u{e000}\u{f8ff}x", "x"),
        ] {
            assert_eq!(name(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_name_of_nothing_says_so() {
        for text in ["", " ", "\u{200b}\u{200b}", "\u{202e}", "\u{3164}", "\u{301}\u{301}"] {
            assert_eq!(name(text), "(no name)", "{text:?}");
        }
    }

    #[test]
    fn marks_do_not_pile_up() {
        let piled = format!("Z{}algo", "\u{336}\u{489}\u{35c}".repeat(50));
        assert!(name(&piled).chars().count() <= "Zalgo".len() + MARKS, "{}", name(&piled));
    }

    #[test]
    fn ten_thousand_letters_become_eighty() {
        assert_eq!(name(&"x".repeat(10_000)).chars().count(), NAME_CAP + 1);
        assert_eq!(address(&"x".repeat(10_000)).chars().count(), ADDRESS_CAP + 1);
        assert!(name(&"\u{200b}".repeat(10_000_000)).len() < 20);
    }

    #[test]
    fn an_address_is_written_out() {
        assert_eq!(address("https://x.example/cb?a=b"), "https://x.example/cb?a=b");
        assert_eq!(address("аpple.example"), "\\u{430}pple.example");
        assert_eq!(address("a b\u{202e}"), "a\\u{20}b\\u{202e}");
    }

    proptest! {
        #[test]
        fn no_text_brings_markup_or_hidden_letters_to_a_page(text in ".{0,300}|[<>&\"'a/=\u{202e}\u{200b}\0]{0,40}") {
            let html = html! { (Name(&text)) a title=(name(&text)) { (Address(&text)) } }.into_string();
            let inner = html
                .replace("<bdi class=\"name\">", "").replace("<bdi class=\"address\" dir=\"ltr\">", "")
                .replace("</bdi>", "").replace("<a title=\"", "").replace("\">", "").replace("</a>", "");
            prop_assert!(!inner.contains(['<', '>', '"']), "{}", inner);
            prop_assert!(!html.chars().any(|c| c.is_control() || is_unseen(c)));
            prop_assert!(name(&text).chars().count() <= (NAME_CAP + 1) * (MARKS + 1));
        }
    }
}
