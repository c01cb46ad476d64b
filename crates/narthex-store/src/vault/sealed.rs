//! One sealed value.
//!
//! Layout: version (1 byte), key id (8), salt (16), nonce (12), ciphertext of the padded value, tag (16).
//! Associated data: all before the ciphertext, and the name it is stored under.
//!
//! Each value is sealed with a key of its own, HMAC-SHA256 of its salt, so that the bound on random nonces
//! under one key (2^32, NIST SP 800-38D §8.3) is never near: salt and nonce are 224 random bits, which after
//! 2^64 values are the same twice with a chance of 2^-97.

use super::ring::ID_LEN;
use crate::Error;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use bytes::Bytes;
use std::fmt;
use std::ops::Deref;
use zeroize::Zeroizing;

/// Longest value that a vault keeps, bytes.
pub const LONGEST_VALUE: usize = 1 << 20;

const VERSION: u8 = 1;
const SALT_LEN: usize = 16;
const HEADER_LEN: usize = 1 + ID_LEN + SALT_LEN + NONCE_LEN;
const TAG_LEN: usize = 16;

/// Values are padded to multiples of this, as lengths tell: of names, and of which kind a value is.
const BLOCK: usize = 64;

/// Ends the value, before zeros (ISO/IEC 7816-4).
const END: u8 = 0x80;

/// A value that was opened. Zeroised when it is dropped; Debug shows nothing of it.
pub struct Sealed {
    /// With its padding.
    value: Zeroizing<Vec<u8>>,
    len: usize,
    stored: Bytes,
}

/// What is before the ciphertext.
pub(super) struct Header {
    pub(super) key_id: [u8; ID_LEN],
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
}

// === impl Sealed ===

impl Sealed {
    /// As it was in the store. Never twice the same, whatever was sealed.
    pub(super) fn as_stored(&self) -> &[u8] {
        &self.stored
    }
}

impl Deref for Sealed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.value.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(***)")
    }
}

// === impl Header ===

impl Header {
    fn new(key_id: [u8; ID_LEN]) -> Result<Self, Error> {
        let (mut salt, mut nonce) = ([0; SALT_LEN], [0; NONCE_LEN]);
        rand::fill(&mut salt).map_err(|_| Error::Seal("no randomness"))?;
        rand::fill(&mut nonce).map_err(|_| Error::Seal("no randomness"))?;
        Ok(Self { key_id, salt, nonce })
    }

    pub(super) fn read(stored: &[u8]) -> Option<Self> {
        let (version, rest) = stored.split_first()?;
        let (key_id, rest) = rest.split_first_chunk()?;
        let (salt, rest) = rest.split_first_chunk()?;
        let (nonce, _) = rest.split_first_chunk()?;
        (*version == VERSION).then_some(Self { key_id: *key_id, salt: *salt, nonce: *nonce })
    }

    fn write(&self, to: &mut Vec<u8>) {
        to.push(VERSION);
        to.extend_from_slice(&self.key_id);
        to.extend_from_slice(&self.salt);
        to.extend_from_slice(&self.nonce);
    }

    /// The key of this one value.
    fn key(&self, values: &hmac::Key) -> Result<LessSafeKey, Error> {
        let key = UnboundKey::new(&AES_256_GCM, hmac::sign(values, &self.salt).as_ref());
        key.map(LessSafeKey::new).map_err(|_| Error::Seal("the cryptographic library failed"))
    }

    fn nonce(&self) -> Nonce {
        Nonce::assume_unique_for_key(self.nonce)
    }
}

pub(super) fn seal(
    values: &hmac::Key,
    key_id: [u8; ID_LEN],
    name: &[u8],
    value: &[u8],
) -> Result<Vec<u8>, Error> {
    if value.len() > LONGEST_VALUE {
        return Err(Error::TooLarge { size: value.len(), most: LONGEST_VALUE });
    }
    let header = Header::new(key_id)?;
    let padded = (value.len() + 1).next_multiple_of(BLOCK);
    let mut stored = Vec::with_capacity(HEADER_LEN + padded + TAG_LEN);
    header.write(&mut stored);
    let associated = associated(&stored, name);
    stored.extend_from_slice(value);
    stored.push(END);
    stored.resize(HEADER_LEN + padded, 0);
    let (_, plain) = stored.split_at_mut(HEADER_LEN);
    let tag = header
        .key(values)?
        .seal_in_place_separate_tag(header.nonce(), Aad::from(associated), plain)
        .map_err(|_| Error::Seal("the cryptographic library failed"))?;
    stored.extend_from_slice(tag.as_ref());
    Ok(stored)
}

pub(super) fn open(values: &hmac::Key, name: &[u8], stored: Bytes) -> Result<Sealed, Error> {
    let header = Header::read(&stored).ok_or(Error::Damaged)?;
    let (head, sealed) = stored.split_at_checked(HEADER_LEN).ok_or(Error::Damaged)?;
    let (sealed, tag) = sealed.split_at_checked(sealed.len().wrapping_sub(TAG_LEN)).ok_or(Error::Damaged)?;
    let mut value = Zeroizing::new(vec![0; sealed.len()]);
    header
        .key(values)?
        .open_separate_gather(header.nonce(), Aad::from(associated(head, name)), sealed, tag, &mut value)
        .map_err(|_| Error::Damaged)?;
    let len = value.iter().rposition(|byte| *byte != 0).ok_or(Error::Damaged)?;
    if value.get(len) != Some(&END) {
        return Err(Error::Damaged);
    }
    Ok(Sealed { value, len, stored })
}

/// The header has always the same length, so no two pairs make the same.
fn associated(header: &[u8], name: &[u8]) -> Vec<u8> {
    [header, name].concat()
}
