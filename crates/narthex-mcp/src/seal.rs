//! Handles that only the caller they were given to can use.
//!
//! A handle is an AES-256-GCM ciphertext (NIST SP 800-38D) whose associated data names what it is for and
//! whom it was given to, so a handle shown by anyone else, or for anything else, does not open. Nothing is
//! stored: any replica with the same key opens it.
//!
//! Layout before base64url: version (1 byte), key id (4), nonce (12), ciphertext of expiry (8) and payload,
//! tag (16). Nonces are random, so one key is good for 2^32 handles (SP 800-38D §8.3); rotate it before.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroize;

/// Longest handle that is sealed or opened, in characters; but see [`LONGEST_STATE`].
pub const LONGEST_HANDLE: usize = 4 << 10;

/// Longest handle of a `requestState`, in characters: servers without a store keep all they know in it.
pub const LONGEST_STATE: usize = 256 << 10;

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
const EXPIRY_LEN: usize = 8;

/// What a handle is for. One made for one purpose does not open for another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Purpose {
    /// `Mcp-Session-Id`.
    Session,
    /// `id` of an SSE event.
    EventId,
    /// `cursor` and `nextCursor` of lists.
    Cursor,
    /// `requestState` of 2026-07-28.
    RequestState,
    /// `taskId`.
    Task,
}

impl Purpose {
    const fn longest(self) -> usize {
        match self {
            Self::RequestState => LONGEST_STATE,
            _ => LONGEST_HANDLE,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::EventId => "event-id",
            Self::Cursor => "cursor",
            Self::RequestState => "request-state",
            Self::Task => "task",
        }
    }
}

/// Whom, and where, a handle was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Binding<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The issuer of the caller's token: `sub` is unique for one issuer only (RFC 7519 §4.1.2).
    pub issuer: &'a str,
    /// The caller's `sub`.
    pub subject: &'a str,
    /// The route.
    pub route: &'a str,
    /// The upstream.
    pub upstream: &'a str,
}

impl Binding<'_> {
    /// Each part with its length before it, so that no two bindings read the same.
    fn associated_data(&self, purpose: Purpose, header: &[u8]) -> Vec<u8> {
        let parts = [purpose.label(), self.tenant, self.issuer, self.subject, self.route, self.upstream];
        let len = parts.iter().map(|part| part.len() + 8).sum::<usize>() + header.len();
        let mut data = Vec::with_capacity(len);
        data.extend_from_slice(header);
        for part in parts {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// Why something could not be sealed. Never the caller's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// No key was given.
    #[error("no key to seal with")]
    NoKey,
    /// The handle would be longer than [`LONGEST_HANDLE`] or [`LONGEST_STATE`].
    #[error("too long to be sealed")]
    TooLong,
    /// The cryptographic library failed.
    #[error("the cryptographic library failed")]
    Crypto,
}

/// Why a handle was refused. The caller is told the same in every case: it does not exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HandleError {
    /// Not the form of a handle.
    #[error("not a handle")]
    Malformed,
    /// Sealed by another gateway or for another caller, route, upstream or purpose, or tampered with.
    #[error("not a handle of this caller")]
    Foreign,
    /// Past its expiry.
    #[error("an expired handle")]
    Expired,
}

impl HandleError {
    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "handle_malformed",
            Self::Foreign => "handle_foreign",
            Self::Expired => "handle_expired",
        }
    }
}

/// Seals handles with one key and opens those of several.
pub struct Sealer {
    first: SealKey,
    others: Vec<SealKey>,
}

struct SealKey {
    id: [u8; KEY_ID_LEN],
    /// aws-lc zeroises it when it is freed.
    key: LessSafeKey,
}

impl Sealer {
    /// The first key seals, all open. The given bytes are zeroised.
    ///
    /// # Errors
    /// [`SealError::NoKey`] if there is none.
    pub fn new(mut keys: Vec<[u8; 32]>) -> Result<Self, SealError> {
        let made: Result<Vec<_>, _> = keys.iter().map(SealKey::new).collect();
        keys.zeroize();
        let mut made = made?.into_iter();
        let first = made.next().ok_or(SealError::NoKey)?;
        Ok(Self { first, others: made.collect() })
    }

    /// A handle for `payload` that opens for the same purpose and binding until `expires`
    /// (seconds are cut off, and times before 1970 are 1970).
    ///
    /// # Errors
    /// The handle would be too long, or there is no randomness.
    pub fn seal(
        &self,
        purpose: Purpose,
        binding: &Binding<'_>,
        payload: &[u8],
        expires: SystemTime,
    ) -> Result<String, SealError> {
        let len = HEADER_LEN + EXPIRY_LEN + payload.len() + AES_256_GCM.tag_len();
        if base64::encoded_len(len, false).is_none_or(|len| len > purpose.longest()) {
            return Err(SealError::TooLong);
        }
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::Crypto)?;
        let mut handle = Vec::with_capacity(len);
        handle.push(VERSION);
        handle.extend_from_slice(&self.first.id);
        let associated = binding.associated_data(purpose, &handle);
        handle.extend_from_slice(&nonce);
        handle.extend_from_slice(&unix_seconds(expires).to_be_bytes());
        handle.extend_from_slice(payload);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let (_, plain) = handle.split_at_mut(HEADER_LEN);
        let tag = self
            .first
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(associated), plain)
            .map_err(|_| SealError::Crypto)?;
        handle.extend_from_slice(tag.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(handle))
    }

    /// The payload of a handle, if it was sealed for the same purpose and binding and `now` is before its
    /// expiry.
    ///
    /// # Errors
    /// See [`HandleError`].
    pub fn open(
        &self,
        purpose: Purpose,
        binding: &Binding<'_>,
        handle: &str,
        now: SystemTime,
    ) -> Result<Vec<u8>, HandleError> {
        if handle.len() > purpose.longest() {
            return Err(HandleError::Malformed);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(handle).map_err(|_| HandleError::Malformed)?;
        if bytes.len() < HEADER_LEN + EXPIRY_LEN + AES_256_GCM.tag_len() || bytes[0] != VERSION {
            return Err(HandleError::Malformed);
        }
        let (header, sealed) = bytes.split_at_mut(HEADER_LEN);
        let (clear, nonce) = header.split_at(1 + KEY_ID_LEN);
        let nonce = <[u8; NONCE_LEN]>::try_from(nonce).map_err(|_| HandleError::Malformed)?;
        let associated = binding.associated_data(purpose, clear);
        let key = self.key(&clear[1..]).ok_or(HandleError::Foreign)?;
        let plain = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(associated), sealed)
            .map_err(|_| HandleError::Foreign)?;
        let (expiry, payload) = plain.split_first_chunk().ok_or(HandleError::Malformed)?;
        if unix_seconds(now) >= u64::from_be_bytes(*expiry) {
            return Err(HandleError::Expired);
        }
        Ok(payload.to_vec())
    }

    /// Key ids are 32 bits of a hash: two of an operator's few keys sharing one is not a case to handle.
    fn key(&self, id: &[u8]) -> Option<&LessSafeKey> {
        std::iter::once(&self.first).chain(&self.others).find(|key| key.id == id).map(|key| &key.key)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keys", &(1 + self.others.len())).finish_non_exhaustive()
    }
}

impl SealKey {
    fn new(bytes: &[u8; 32]) -> Result<Self, SealError> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"narthex seal key id\0");
        context.update(bytes);
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&context.finish().as_ref()[..KEY_ID_LEN]);
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::Crypto)?;
        Ok(Self { id, key: LessSafeKey::new(key) })
    }
}

/// A name that nobody can guess: 128 random bits, base64url.
///
/// # Errors
/// There is no randomness.
pub fn random_id() -> Result<String, SealError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| SealError::Crypto)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BINDING: Binding<'_> =
        Binding { tenant: "acme", issuer: "https://idp", subject: "ann", route: "github", upstream: "gh" };

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn sealer(keys: &[u8]) -> Sealer {
        Sealer::new(keys.iter().map(|key| [*key; 32]).collect()).unwrap()
    }

    fn sealed(keys: &[u8], payload: &[u8]) -> String {
        sealer(keys).seal(Purpose::Session, &BINDING, payload, at(1000)).unwrap()
    }

    fn open(keys: &[u8], handle: &str) -> Result<Vec<u8>, HandleError> {
        sealer(keys).open(Purpose::Session, &BINDING, handle, at(999))
    }

    #[test]
    fn another_replica_with_the_same_key_opens_it() {
        assert_eq!(open(&[1], &sealed(&[1], b"upstream")), Ok(b"upstream".to_vec()));
    }

    #[test]
    fn a_rotated_key_still_opens_what_it_sealed() {
        assert_eq!(open(&[2, 1], &sealed(&[1], b"x")), Ok(b"x".to_vec()));
        assert_eq!(open(&[2], &sealed(&[1], b"x")), Err(HandleError::Foreign));
        assert_eq!(open(&[1], &sealed(&[2, 1], b"x")), Err(HandleError::Foreign));
    }

    #[test]
    fn it_expires_at_the_second_that_was_said() {
        let handle = sealed(&[1], b"x");
        let open = |now| sealer(&[1]).open(Purpose::Session, &BINDING, &handle, now);
        assert!(open(at(999)).is_ok());
        assert_eq!(open(at(1000)), Err(HandleError::Expired));
    }

    #[test]
    fn anyone_else_is_refused() {
        let handle = sealed(&[1], b"x");
        for other in [
            Binding { tenant: "globex", ..BINDING },
            Binding { issuer: "https://other", ..BINDING },
            Binding { subject: "bob", ..BINDING },
            Binding { route: "docs", ..BINDING },
            Binding { upstream: "docs", ..BINDING },
            Binding { tenant: "acmea", subject: "nn", ..BINDING },
            Binding { tenant: "", subject: "acmeann", ..BINDING },
        ] {
            let opened = sealer(&[1]).open(Purpose::Session, &other, &handle, at(0));
            assert_eq!(opened, Err(HandleError::Foreign), "{other:?}");
        }
        for other in [Purpose::EventId, Purpose::Cursor, Purpose::RequestState, Purpose::Task] {
            let opened = sealer(&[1]).open(other, &BINDING, &handle, at(0));
            assert_eq!(opened, Err(HandleError::Foreign), "{other:?}");
        }
    }

    #[test]
    fn what_is_not_a_handle_is_refused() {
        let long = "A".repeat(LONGEST_HANDLE + 1);
        for text in ["", "x", "AQ", "!!!!", &long, &format!("{}=", sealed(&[1], b""))] {
            assert_eq!(open(&[1], text), Err(HandleError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_handle_is_never_longer_than_what_opens() {
        let seal = |len| sealer(&[1]).seal(Purpose::Task, &BINDING, &vec![0; len], at(1));
        let longest = LONGEST_HANDLE / 4 * 3 - HEADER_LEN - EXPIRY_LEN - 16;
        assert_eq!(seal(longest).unwrap().len(), LONGEST_HANDLE);
        assert_eq!(seal(longest + 1), Err(SealError::TooLong));
    }

    #[test]
    fn a_sealer_needs_a_key_and_does_not_print_it() {
        assert_eq!(Sealer::new(Vec::new()).unwrap_err(), SealError::NoKey);
        assert_eq!(format!("{:?}", sealer(&[7, 8])), "Sealer { keys: 2, .. }");
    }

    proptest! {
        #[test]
        fn no_changed_bit_goes_unnoticed(
            payload in prop::collection::vec(any::<u8>(), 0..64),
            bit in any::<prop::sample::Index>(),
        ) {
            let handle = sealed(&[1], &payload);
            prop_assert_eq!(open(&[1], &handle), Ok(payload));
            let mut bytes = URL_SAFE_NO_PAD.decode(&handle).unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&[1], &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn no_changed_character_goes_unnoticed(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
            let mut handle = sealed(&[1], b"payload");
            let at = at.index(handle.len());
            prop_assume!(handle[at..=at] != to);
            handle.replace_range(at..=at, &to);
            prop_assert!(open(&[1], &handle).is_err());
        }

        #[test]
        fn no_two_bindings_share_their_associated_data(
            one in prop::array::uniform5("[a-c]{0,3}"),
            other in prop::array::uniform5("[a-c]{0,3}"),
        ) {
            prop_assume!(one != other);
            let data = |[tenant, issuer, subject, route, upstream]: &[String; 5]| {
                Binding { tenant, issuer, subject, route, upstream }.associated_data(Purpose::Task, &[])
            };
            prop_assert_ne!(data(&one), data(&other));
        }
    }
}
