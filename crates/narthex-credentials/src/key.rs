//! Whom a cached credential was obtained for.

use crate::authorization_code::Person;
use crate::error::BuildProblem;
use highway::{HighwayHash, HighwayHasher};
use narthex_identity::Caller;
use std::hash::{BuildHasherDefault, Hasher};

/// Names one caller with one inbound token: 128 bits of a keyed hash over both.
///
/// The token is part of it, so a caller's new token with fewer rights never gets the credential of the
/// old one. Neither the token nor the caller can be read from it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Key(u64, u64);

/// Makes [`Key`]s with a random key of its own, so that nobody can prepare two callers that collide.
pub(crate) struct Keys(highway::Key);

/// Takes a [`Key`], which is a hash already, as its own hash.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

/// Builds [`KeyHasher`]s.
pub(crate) type BuildKeyHasher = BuildHasherDefault<KeyHasher>;

impl Key {
    /// The only key of a source whose credential is the same for all callers.
    pub(crate) const EVERYONE: Self = Self(0, 0);

    /// A few of its bits, to choose entries by.
    pub(crate) fn bits(self) -> u64 {
        self.1
    }
}

impl Keys {
    pub(crate) fn random() -> Result<Self, BuildProblem> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| BuildProblem::Random)?;
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(Self(highway::Key(words)))
    }

    pub(crate) fn of(&self, caller: &Caller, subject_token: &str) -> Key {
        let client = caller.client.as_deref();
        let parts: [&str; 5] = [
            caller.tenant.as_str(),
            &caller.issuer,
            &caller.subject,
            client.unwrap_or_default(),
            subject_token,
        ];
        self.hash(parts, client.is_some())
    }

    /// Names one person, whatever token they come with.
    pub(crate) fn person(&self, person: Person<'_>) -> Key {
        self.hash([person.tenant, person.issuer, person.subject, "", ""], false)
    }

    fn hash(&self, parts: [&str; 5], client: bool) -> Key {
        let mut hasher = HighwayHasher::new(self.0);
        // The lengths first: no two lists of parts run together to the same bytes.
        let mut lengths = [0; 6 * 8];
        let counts = parts.map(str::len).into_iter().chain([usize::from(client)]);
        for (slot, count) in lengths.as_chunks_mut::<8>().0.iter_mut().zip(counts) {
            *slot = (count as u64).to_le_bytes();
        }
        hasher.append(&lengths);
        for part in parts {
            hasher.append(part.as_bytes());
        }
        let [low, high] = hasher.finalize128();
        Key(low, high)
    }
}

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached: a `Key` writes two `u64`.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn caller(parts: &[String; 4], client: bool) -> Caller {
        let mut caller = Caller::anonymous(parts[0].as_str().into());
        caller.issuer = parts[1].as_str().into();
        caller.subject = parts[2].as_str().into();
        caller.client = client.then(|| parts[3].as_str().into());
        caller
    }

    fn parts(text: [&str; 4]) -> [String; 4] {
        text.map(ToOwned::to_owned)
    }

    #[test]
    fn parts_that_run_together_are_not_the_same_caller() {
        let keys = Keys::random().unwrap();
        let seen = [
            keys.of(&caller(&parts(["ab", "c", "", ""]), true), "t"),
            keys.of(&caller(&parts(["a", "bc", "", ""]), true), "t"),
            keys.of(&caller(&parts(["a", "b", "c", ""]), true), "t"),
            keys.of(&caller(&parts(["a", "b", "", "c"]), true), "t"),
            keys.of(&caller(&parts(["ab", "c", "", ""]), false), "t"),
            keys.of(&caller(&parts(["ab", "c", "", "t"]), true), ""),
        ];
        for (i, one) in seen.iter().enumerate() {
            assert!(seen[i + 1..].iter().all(|other| other != one), "{i}");
        }
    }

    proptest! {
        #[test]
        fn callers_share_a_key_only_if_all_is_the_same(
            a in [".{0,3}", ".{0,3}", ".{0,3}", ".{0,3}"], at in any::<bool>(), token_a in "[ab]{0,3}",
            b in [".{0,3}", ".{0,3}", ".{0,3}", ".{0,3}"], bt in any::<bool>(), token_b in "[ab]{0,3}",
        ) {
            let keys = Keys::random().unwrap();
            let (a, b) = (caller(&a, at), caller(&b, bt));
            let same = a == b && token_a == token_b;
            prop_assert_eq!(keys.of(&a, &token_a) == keys.of(&b, &token_b), same);
        }
    }

    #[test]
    fn two_sources_make_different_keys() {
        let caller = caller(&parts(["acme", "https://idp", "alice", "cli"]), true);
        assert_ne!(Keys::random().unwrap().of(&caller, "t"), Keys::random().unwrap().of(&caller, "t"));
    }
}
