//! Which characters are looked at.

/// What a character may be in hidden text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    /// Nothing: it is seen.
    Plain,
    /// Never seen, and never needed.
    Invisible,
    /// A control of the direction of writing.
    Bidi,
    /// A tag character, or a code point of their plane without a meaning.
    Tag,
    /// U+200C and U+200D.
    Joiner,
    /// A selector of a variant of the character before it.
    Variation,
    /// The black flag, which begins the flags of subdivisions.
    Flag,
    /// C0 but for tab and line breaks, DEL, C1.
    Control,
}

impl Class {
    #[inline]
    pub(super) fn of(char: char) -> Self {
        match char {
            '\t' | '\n' | '\r' | ' '..='~' => Self::Plain,
            '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' => Self::Control,
            '\u{A0}'..='\u{AC}' | '\u{AE}'..='\u{34E}' => Self::Plain,
            _ => Self::of_rare(char),
        }
    }

    /// Default_Ignorable_Code_Point of Unicode (UAX #44) and noncharacters, by what they are good for.
    fn of_rare(char: char) -> Self {
        match char {
            // Soft hyphen, combining grapheme joiner.
            '\u{AD}' | '\u{34F}' => Self::Invisible,
            // Fillers of Hangul, vowels of Khmer that are not written.
            '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{17B4}' | '\u{17B5}' => Self::Invisible,
            // Vowel separator of Mongolian.
            '\u{180E}' => Self::Invisible,
            // Zero-width space, word joiner, invisible operators and what is reserved for their like.
            '\u{200B}' | '\u{2060}'..='\u{2065}' => Self::Invisible,
            // Deprecated format characters.
            '\u{206A}'..='\u{206F}' => Self::Invisible,
            // Zero-width no-break space (byte order mark), interlinear annotation and what is reserved.
            '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' => Self::Invisible,
            // Shorthand and musical format controls.
            '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' => Self::Invisible,
            '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
                Self::Bidi
            }
            '\u{200C}' | '\u{200D}' => Self::Joiner,
            '\u{180B}'..='\u{180D}' | '\u{180F}' => Self::Variation,
            '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' => Self::Variation,
            '\u{E0000}'..='\u{E0FFF}' => Self::Tag,
            '\u{1F3F4}' => Self::Flag,
            '\u{FDD0}'..='\u{FDEF}' => Self::Invisible,
            _ if u32::from(char) & 0xFFFE == 0xFFFE => Self::Invisible,
            _ => Self::Plain,
        }
    }
}
