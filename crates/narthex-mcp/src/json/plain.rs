//! The fast way over the plain part of a JSON string.

use memchr::memchr2;

const WORD: usize = size_of::<u64>();
/// Words looked at one by one before the vector search is worth its set-up.
const SHORT: usize = 4;

/// How many bytes at the start of `bytes` are neither `"`, `\` nor a control character.
#[inline]
#[must_use]
pub fn plain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    for word in bytes.as_chunks().0.iter().take(SHORT) {
        let special = specials(word);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += WORD;
    }
    if at == SHORT * WORD { at + long_plain_len(&bytes[at..]) } else { at + tail_len(&bytes[at..]) }
}

fn long_plain_len(bytes: &[u8]) -> usize {
    let span = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    let plain = &bytes[..span];
    // Without an early exit, so that the compiler can vectorise it.
    let clean = plain.iter().fold(true, |clean, byte| clean & (*byte >= 0x20));
    if clean { span } else { tail_len(plain) }
}

fn tail_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)).unwrap_or(bytes.len())
}

/// The high bit of each special byte. Bits above the lowest one set may be wrong (a borrow runs upwards
/// through the word), so only the lowest may be used.
fn specials(word: &[u8; WORD]) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let word = u64::from_le_bytes(*word);
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_way_stops_where_the_slow_way_does(
            mut bytes in prop::collection::vec(0x20..=255_u8, 0..200),
            at in any::<prop::sample::Index>(),
            special in prop_oneof![Just(b'"'), Just(b'\\'), 0..0x20_u8, Just(b'x'), Just(0x7f), Just(0xa2)],
        ) {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = special;
            }
            prop_assert_eq!(plain_len(&bytes), tail_len(&bytes));
        }
    }
}
