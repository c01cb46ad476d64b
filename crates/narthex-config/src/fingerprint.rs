//! Content hashes, by which a change of a file is told from a mere touch.

use aws_lc_rs::digest::{SHA256, digest};

/// Lower-case hex of the SHA-256 of `content`.
pub(crate) fn of(content: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let hash = digest(&SHA256, content);
    let nibbles = hash.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_fingerprint_is_the_sha256_in_hex() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(super::of(b""), empty);
    }
}
