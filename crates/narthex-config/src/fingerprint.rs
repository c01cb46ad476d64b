//! Content hashes, by which a change of a file is told from a mere touch.

use aws_lc_rs::digest::{Context, Digest, SHA256, digest};
use std::io::{self, Read};

/// How much is read at once, bytes.
const PIECE: usize = 64 << 10;

/// Lower-case hex of the SHA-256 of `content`.
pub(crate) fn of(content: &[u8]) -> String {
    hex(digest(&SHA256, content))
}

/// The same of all that there is to read.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(mut content: impl Read) -> io::Result<String> {
    let (mut hash, mut piece) = (Context::new(&SHA256), vec![0; PIECE]);
    loop {
        match content.read(&mut piece) {
            Ok(0) => return Ok(hex(hash.finish())),
            Ok(length) => hash.update(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(hash: Digest) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = hash.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_fingerprint_is_the_sha256_in_hex() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(super::of(b""), empty);
        assert_eq!(super::read(&b""[..]).unwrap(), empty);
        let long = vec![7; 3 * super::PIECE + 1];
        assert_eq!(super::read(&long[..]).unwrap(), super::of(&long));
    }
}
