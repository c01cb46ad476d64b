//! SHA-256 thumbprints of keys and certificates: what a bound token names instead of the whole.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// The SHA-256 thumbprint of a JWK (RFC 7638) or of a certificate's DER (RFC 8705 §3.1).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// That of `bytes`: a certificate's DER, or a JWK in the form of RFC 7638 §3.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(sum)
    }

    /// A digest that somebody else has made.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Reads base64url without padding, as `cnf` and `dpop_jkt` have it. `None`: it is no such thing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Base64url without padding.
impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_bytes_of_base64url_are_a_thumbprint() {
        let text = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(Thumbprint::parse(text).unwrap().to_string(), text);
        for bad in [
            "",
            "NzbLsXh8uDCcd",
            &format!("{text}="),
            &format!("{text}A"),
            &text.replace('_', "/"),
            &text[1..],
        ] {
            assert_eq!(Thumbprint::parse(bad), None, "{bad}");
        }
        // The last character has two bits to spare, which must be zero: one thumbprint has one spelling.
        assert_eq!(Thumbprint::parse(&text.replace("9Xs", "9Xt")), None);
    }
}
