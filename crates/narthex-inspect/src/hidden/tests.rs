use super::*;
use proptest::prelude::*;

fn cleaned(text: &str) -> String {
    Hidden::find(text).strip(text).into_owned()
}

#[test]
fn every_kind_of_hidden_text_is_taken_out() {
    for (kind, hidden) in [
        (
            Kind::Invisible,
            "\u{200B}\u{2060}\u{FEFF}\u{180E}\u{AD}\u{34F}\u{2063}\u{3164}\u{115F}\u{FFF9}\u{FFFB}\u{206A}",
        ),
        (Kind::Invisible, "\u{200C}\u{200D}\u{FDD0}\u{FFFF}\u{10FFFE}"),
        (
            Kind::Bidi,
            "\u{202A}\u{202B}\u{202C}\u{202D}\u{202E}\u{2066}\u{2067}\u{2068}\u{2069}\u{200E}\u{200F}\u{61C}",
        ),
        (Kind::Tag, "\u{E0001}\u{E0068}\u{E0069}\u{E007F}\u{E0800}"),
        (Kind::Variation, "\u{FE00}\u{FE0F}\u{E0100}\u{E01EF}\u{180B}"),
        (Kind::Control, "\0\u{7}\u{8}\u{B}\u{C}\u{7F}\u{85}\u{1B}"),
    ] {
        for char in hidden.chars() {
            let text = format!("be{char}é");
            let found = Hidden::find(&text);
            assert_eq!(found.strip(&text), "beé", "{char:?}");
            assert_eq!(found.counts()[kind as usize], 1, "{char:?}");
        }
        assert_eq!(cleaned(&format!("a{hidden}é")), "aé", "{kind:?}");
    }
}

#[test]
fn terminal_sequences_go_as_a_whole() {
    for (text, left) in [
        ("\u{1B}[1;31mred\u{1B}[0m", "red"),
        ("\u{9B}8mhidden\u{9B}28m", "hidden"),
        ("\u{1B}]8;;http://evil.example\u{1B}\\link\u{1B}]8;;\u{1B}\\", "link"),
        ("\u{1B}]0;title\u{7}text", "text"),
        ("\u{9D}0;title\u{9C}text", "text"),
        ("\u{1B}P1$r0m\u{1B}\\x\u{1B}_Gf=100;AAAA\u{1B}\\y\u{1B}^pm\u{1B}\\z", "xyz"),
        ("\u{1B}c\u{1B}(Ba\u{1B}7b\u{1B}#8", "ab"),
        ("\u{1B}[?25l\u{1B}[2J\u{1B}[1;1Hx", "x"),
        ("a\u{1B}", "a"),
        ("\u{1B}[12;", "12;"),
        ("\u{1B}]8;;never closed", "8;;never closed"),
        ("\u{1B}]a\u{1B}]b\u{7}c", "ac"),
        ("\u{1B}é", "é"),
        ("\u{1B}\u{1B}[31m[31mx", "[31mx"),
        ("\u{1B}[3\u{200B}1mx", "31mx"),
    ] {
        assert_eq!(cleaned(text), left, "{text:?}");
    }
}

#[test]
fn honest_text_stays_as_it_is() {
    for text in [
        "👨‍👩‍👧 👩🏽‍💻 🏳️‍🌈 ❤️‍🔥 🏴‍☠️ 🧔🏻‍♂️ 🐻‍❄️ 👁️‍🗨️",
        "❤️ ☎︎ ✔️ ©️ 1️⃣ #️⃣ *️⃣ ⚠️ 🅰️",
        "🇩🇪🇫🇷🇺🇸",
        "🏴󠁧󠁢󠁥󠁮󠁧󠁿 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🏴󠁧󠁢󠁷󠁬󠁳󠁿",
        "می‌خواهم خانه‌ها نمی‌دانم",
        "क्‍ष क्‌ष श्री र्‍य",
        "ന്‍ ക്‍ अवन्‌",
        "العربية עברית فارسی اردو",
        "中文 日本語 葛\u{E0100}城 辻󠄀 한국어 ไทย ខ្មែរ မြန်မာ",
        "ᠮᠣᠩ᠋ᠭᠣᠯ ∩︀ 、︁",
        "Tabs\tand\nlines\r\n and nbsp\u{a0}thin\u{2009}em—dash…",
        "na\u{308}ive cafe\u{301} Ångström Zürich",
        "\u{f0c9} private use",
    ] {
        assert_eq!(cleaned(text), text);
    }
}

#[test]
fn what_emoji_and_scripts_need_is_no_cover() {
    for (text, left) in [
        ("🏴\u{E0067}\u{E0062}", "🏴"),
        ("🏴\u{E0069}\u{E0067}\u{E006E}\u{E006F}\u{E0072}\u{E0065}\u{E0061}\u{E007F}", "🏴"),
        ("🏴\u{200B}\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}", "🏴"),
        ("😀\u{FE0F}\u{FE0F}\u{FE0F}", "😀\u{FE0F}"),
        ("😀\u{E0100}\u{E0101}\u{E0102}", "😀"),
        ("a\u{FE0F}b\u{FE00}", "ab"),
        ("字\u{E0100}\u{E0101}\u{E0120}", "字\u{E0100}"),
        ("字\u{E01EF}", "字"),
        ("a\u{200D}b\u{200C}c", "abc"),
        ("😀\u{200D}\u{200D}😀", "😀\u{200D}😀"),
        ("😀\u{200D}a", "😀a"),
        ("م\u{200C}\u{200C}م", "م\u{200C}م"),
        ("م\u{200D}\u{200B}م", "مم"),
        ("क्\u{200D}\u{200D}\u{200C}", "क्\u{200D}"),
    ] {
        assert_eq!(cleaned(text), left, "{text:?}");
    }
}

#[test]
fn only_what_carries_bytes_is_smuggling() {
    let smuggled: String =
        "hi".chars().map(|char| char::from_u32(0xE0000 + u32::from(char)).unwrap()).collect();
    let varied: String = (0..8).map(|n| char::from_u32(0xE0100 + n).unwrap()).collect();
    let binary = "\u{200B}\u{200C}".repeat(8);
    for text in [format!("a{smuggled}"), format!("😀{varied}\u{FE01}"), format!("a{binary}b")] {
        assert!(Hidden::find(&text).smuggles(), "{text:?}");
    }
    for text in
        ["a\u{FE0F}b", "so\u{AD}ft\u{AD}en\u{AD}ed", "\u{FEFF}text", "\u{1B}[1mbold\u{1B}[0m", "plain"]
    {
        assert!(!Hidden::find(text).smuggles(), "{text:?}");
    }
}

/// Text in which the characters that matter come often.
fn odd_text() -> impl Strategy<Value = String> {
    let char = prop_oneof![
        any::<char>(),
        prop::sample::select(
            "a1 \u{200B}\u{200C}\u{200D}\u{FE0F}\u{FE00}\u{E0100}\u{E0067}\u{E0062}\u{E007F}🏴😀🏽म्کم字\u{1B}\u{9D}\u{9B}[]\\;m\u{7}\u{9C}\u{202E}\u{AD}"
                .chars()
                .collect::<Vec<_>>()
        ),
    ];
    prop::collection::vec(char, 0..40).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_has_nothing_more_to_find(text in odd_text()) {
        let once = cleaned(&text);
        prop_assert!(Hidden::find(&once).is_empty(), "{:?} {:?}", text, once);
    }

    #[test]
    fn a_part_of_what_is_left_is_found_again_in_the_text(text in odd_text(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let hidden = Hidden::find(&text);
        let stripped = hidden.strip(&text).into_owned();
        let bounds: Vec<usize> = stripped.char_indices().map(|(at, _)| at).chain([stripped.len()]).collect();
        let (a, b) = (*a.get(&bounds), *b.get(&bounds));
        prop_assume!(a != b);
        let part = a.min(b)..a.max(b);
        let mut restored = [part.clone()];
        hidden.restore(&mut restored);
        let restored = &text[restored[0].clone()];
        let mut left = restored.chars();
        // The part's characters are in it in order, and it begins and ends with them.
        prop_assert!(stripped[part.clone()].chars().all(|char| left.any(|other| other == char)), "{:?}", part);
        prop_assert_eq!(restored.chars().next(), stripped[part.clone()].chars().next());
        prop_assert_eq!(restored.chars().next_back(), stripped[part].chars().next_back());
    }
}
