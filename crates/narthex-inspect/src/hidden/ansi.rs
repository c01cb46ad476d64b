//! Sequences that terminals obey (ECMA-48).

/// Intermediate bytes of a sequence at most.
const INTERMEDIATES: usize = 4;

/// How many bytes of `rest` belong to the sequence that `char` begins; `None` if it begins none.
///
/// Of a string sequence without an end only its introducer is taken, so that what was to be hidden is seen.
pub(super) fn sequence_len(char: char, rest: &str) -> Option<usize> {
    match char {
        '\u{1B}' => escape_len(rest),
        '\u{9B}' => Some(control_len(rest)),
        '\u{90}' | '\u{98}' | '\u{9D}'..='\u{9F}' => Some(string_len(rest)),
        _ => None,
    }
}

/// Of what follows ESC.
fn escape_len(rest: &str) -> Option<usize> {
    match rest.bytes().next()? {
        b'[' => Some(1 + control_len(&rest[1..])),
        b'P' | b'X' | b']' | b'^' | b'_' => Some(1 + string_len(&rest[1..])),
        _ => {
            let intermediates = run(rest, |byte| matches!(byte, b' '..=b'/'));
            let end = rest.as_bytes().get(intermediates)?;
            (intermediates <= INTERMEDIATES && matches!(end, b'0'..=b'~')).then_some(intermediates + 1)
        }
    }
}

/// Of what follows CSI: parameters, intermediates and a final byte, or nothing.
fn control_len(rest: &str) -> usize {
    let parameters = run(rest, |byte| matches!(byte, b'0'..=b'?'));
    let intermediates = run(&rest[parameters..], |byte| matches!(byte, b' '..=b'/'));
    let end = parameters + intermediates;
    let is_final = rest.as_bytes().get(end).is_some_and(|byte| matches!(byte, b'@'..=b'~'));
    if intermediates <= INTERMEDIATES && is_final { end + 1 } else { 0 }
}

/// Of what follows OSC, DCS, SOS, PM or APC, up to BEL or ST. Any other control that may not be within ends the
/// search, which keeps all searches of a text together linear.
fn string_len(rest: &str) -> usize {
    let within = |char: char| !char.is_control() || matches!(char, '\u{8}'..='\u{D}');
    let Some((end, last)) = rest.char_indices().find(|(_, char)| !within(*char)) else {
        return 0;
    };
    match last {
        '\u{7}' | '\u{9C}' => end + last.len_utf8(),
        '\u{1B}' if rest[end + 1..].starts_with('\\') => end + 2,
        _ => 0,
    }
}

fn run(text: &str, of: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| of(*byte)).count()
}
