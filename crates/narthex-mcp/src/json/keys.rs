//! Keys that every parser behind the gateway reads alike.

use super::{Fault, Text};
use std::borrow::Cow;
use std::collections::HashSet;

const FEW: usize = 8;

/// The keys of one object so far.
///
/// Parsers differ on which of two equal keys wins, and Go's `encoding/json` also takes a key that is equal
/// but for its case. Either would let an upstream read another name than the one the gateway decided on.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    known: &'static [&'static str],
    /// One bit for each known key.
    seen: u32,
    few: [&'a str; FEW],
    count: usize,
    many: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Keys<'a> {
    /// For an object in which the gateway or an upstream may look up `known`, at most 32 of them.
    pub(crate) const fn new(known: &'static [&'static str]) -> Self {
        Self { known, seen: 0, few: [""; FEW], count: 0, many: None }
    }

    /// Takes the object's next key; returns the known one that it is, if any.
    #[inline]
    pub(crate) fn admit(&mut self, key: Text<'a>) -> Result<Option<&'static str>, Fault> {
        let key = key.decode();
        let Some(index) = self.known.iter().position(|known| *known == key) else {
            return self.admit_other(key).map(|()| None);
        };
        let bit = 1 << index;
        if self.seen & bit != 0 {
            return Err(Fault::DUPLICATE_KEY);
        }
        self.seen |= bit;
        Ok(Some(self.known[index]))
    }

    fn admit_other(&mut self, key: Cow<'a, str>) -> Result<(), Fault> {
        if self.known.iter().any(|known| folds_to(&key, known)) {
            return Err(Fault::KEY_CASE);
        }
        if self.insert(key) { Ok(()) } else { Err(Fault::DUPLICATE_KEY) }
    }

    /// Whether `key` is new. A few borrowed keys are kept without allocation; a hash set takes over beyond
    /// that, so that a body made of keys does not cost their number squared.
    fn insert(&mut self, key: Cow<'a, str>) -> bool {
        if let Some(many) = &mut self.many {
            return many.insert(key);
        }
        if self.few[..self.count].contains(&key.as_ref()) {
            return false;
        }
        match key {
            Cow::Borrowed(key) if self.count < FEW => {
                self.few[self.count] = key;
                self.count += 1;
                true
            }
            key => {
                let few = self.few[..self.count].iter().copied().map(Cow::Borrowed);
                self.many.get_or_insert_with(|| few.collect()).insert(key)
            }
        }
    }
}

/// Whether Go's `encoding/json` would take `key` for the ASCII name `known`: case ignored, U+017F read as
/// `s` and U+212A as `k`.
pub(crate) fn folds_to(key: &str, known: &str) -> bool {
    let mut known = known.bytes();
    let same = key.chars().all(|char| {
        let folded = match char {
            '\u{17F}' => 's',
            '\u{212A}' => 'k',
            char => char.to_ascii_lowercase(),
        };
        known.next().is_some_and(|byte| char::from(byte.to_ascii_lowercase()) == folded)
    });
    same && known.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(raw: &str) -> Text<'_> {
        Text { raw, escaped: raw.contains('\\') }
    }

    #[test]
    fn a_key_is_admitted_once_however_it_is_spelt() {
        let mut keys = Keys::new(&["name"]);
        assert_eq!(keys.admit(key("name")), Ok(Some("name")));
        assert_eq!(keys.admit(key(r"n\u0061me")), Err(Fault::DUPLICATE_KEY));
        assert_eq!(keys.admit(key("other")), Ok(None));
        assert_eq!(keys.admit(key(r"\u006fther")), Err(Fault::DUPLICATE_KEY));
    }

    #[test]
    fn many_keys_are_told_apart() {
        let names: Vec<String> = (0..100).map(|n| format!("key{n}")).collect();
        let mut keys = Keys::new(&[]);
        assert!(names.iter().all(|name| keys.admit(key(name)).is_ok()));
        assert!(names.iter().all(|name| keys.admit(key(name)).is_err()));
    }

    #[test]
    fn keys_that_go_would_take_for_a_known_one_are_refused() {
        let mut keys = Keys::new(&["params", "taskId"]);
        for odd in ["Params", "PARAMS", "param\u{17F}", "tas\u{212A}id", "taskID", r"\u0050arams"] {
            assert_eq!(keys.admit(key(odd)), Err(Fault::KEY_CASE), "{odd}");
        }
        for other in ["param", "paramss", "task_id", "\u{FB05}"] {
            assert_eq!(keys.admit(key(other)), Ok(None), "{other}");
        }
    }
}
