//! What honest text needs of characters that are not seen.

use unicode_properties::UnicodeEmoji;

const JOINER: char = '\u{200D}';
/// Between letters of one of these scripts joiners change how a word is written.
const JOINING: [(char, char); 17] = [
    ('\u{600}', '\u{6FF}'),     // Arabic
    ('\u{700}', '\u{77F}'),     // Syriac, Arabic
    ('\u{7C0}', '\u{7FF}'),     // N'Ko
    ('\u{840}', '\u{8FF}'),     // Mandaic, Syriac, Arabic
    ('\u{900}', '\u{DFF}'),     // Devanagari to Sinhala
    ('\u{F00}', '\u{FFF}'),     // Tibetan
    ('\u{1000}', '\u{109F}'),   // Myanmar
    ('\u{1780}', '\u{17FF}'),   // Khmer
    ('\u{1800}', '\u{18AF}'),   // Mongolian
    ('\u{1A20}', '\u{1AAF}'),   // Tai Tham
    ('\u{1B00}', '\u{1C4F}'),   // Balinese to Lepcha
    ('\u{1CD0}', '\u{1CFF}'),   // Vedic signs
    ('\u{A840}', '\u{A8FF}'),   // Phags-pa, Saurashtra, Devanagari
    ('\u{A980}', '\u{A9DF}'),   // Javanese
    ('\u{ABC0}', '\u{ABFF}'),   // Meetei Mayek
    ('\u{FB50}', '\u{FEFC}'),   // Arabic presentation forms
    ('\u{11000}', '\u{11FFF}'), // Brahmi and its children
];
/// The viramas of Indic scripts, behind which a joiner has a meaning whatever follows (RFC 5892, appendix A).
const VIRAMAS: [char; 11] = [
    '\u{94D}', '\u{9CD}', '\u{A4D}', '\u{ACD}', '\u{B4D}', '\u{BCD}', '\u{C4D}', '\u{CCD}', '\u{D4D}',
    '\u{DCA}', '\u{1039}',
];
/// Tags of a subdivision's flag at most.
const SUBDIVISION: usize = 6;

/// Whether the joiner `char` between the character `before` that stays and `rest` is hidden text.
pub(super) fn joins(before: Option<char>, char: char, rest: &str) -> bool {
    let (Some(before), after) = (before, rest.chars().next()) else {
        return true;
    };
    let in_word = is_joining(before) && after.is_some_and(is_joining);
    let in_emoji = char == JOINER && is_emoji_part(before) && after.is_some_and(is_emoji);
    !(in_word || in_emoji || VIRAMAS.contains(&before))
}

/// Whether the selector `char` behind the character `before` that stays is hidden text.
pub(super) fn varies(before: Option<char>, char: char) -> bool {
    let Some(before) = before else {
        return true;
    };
    let allowed = match char {
        // Text or emoji, and keycaps.
        '\u{FE0E}' | '\u{FE0F}' => is_emoji(before) || matches!(before, '0'..='9' | '#' | '*' | '©' | '®'),
        '\u{FE00}' => is_ideograph(before) || has_variant(before) || is_wide_mark(before),
        '\u{FE01}' => is_ideograph(before) || is_wide_mark(before),
        '\u{FE02}' => is_ideograph(before),
        // Of 240 selectors, those that registered sequences of names and places use.
        '\u{E0100}'..='\u{E011F}' => is_ideograph(before),
        '\u{180B}'..='\u{180F}' => matches!(before, '\u{1820}'..='\u{18AA}'),
        _ => false,
    };
    !allowed
}

/// How many bytes of `rest`, behind a black flag, make it the flag of a subdivision.
pub(super) fn subdivision_len(rest: &str) -> usize {
    let is_tag = |char: &char| matches!(char, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}');
    let tags = rest.chars().take_while(is_tag).take(SUBDIVISION + 1).count();
    let len = tags * '\u{E0061}'.len_utf8();
    let ends = rest.get(len..).is_some_and(|rest| rest.starts_with('\u{E007F}'));
    if (3..=SUBDIVISION).contains(&tags) && ends { len + '\u{E007F}'.len_utf8() } else { 0 }
}

fn is_joining(char: char) -> bool {
    JOINING.iter().any(|(first, last)| (*first..=*last).contains(&char)) && !is_variation(char)
}

/// Those within the ranges of [`JOINING`] that may themselves be taken out.
fn is_variation(char: char) -> bool {
    matches!(char, '\u{61C}' | '\u{180B}'..='\u{180F}' | '\u{17B4}' | '\u{17B5}' | '\u{FE00}'..='\u{FE0F}')
        || matches!(char, '\u{FDD0}'..='\u{FDEF}')
}

fn is_emoji(char: char) -> bool {
    !char.is_ascii() && char.is_emoji_char()
}

/// What may stand before a joiner: an emoji, its skin tone, or its selector.
fn is_emoji_part(char: char) -> bool {
    is_emoji(char) || char == '\u{FE0F}'
}

fn is_ideograph(char: char) -> bool {
    matches!(char, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFD}')
}

/// Mathematical operators, Myanmar, Phags-pa.
fn has_variant(char: char) -> bool {
    matches!(char, '\u{2205}'..='\u{22FF}' | '\u{2A00}'..='\u{2AFF}' | '\u{1000}'..='\u{109F}' | '\u{A840}'..='\u{A877}')
}

/// Punctuation of East Asia.
fn is_wide_mark(char: char) -> bool {
    matches!(char, '\u{3001}' | '\u{3002}' | '\u{FF01}'..='\u{FF1F}')
}
