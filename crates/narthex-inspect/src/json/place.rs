//! Where in a text something was found, said without quoting what may be secret.

use smallvec::SmallVec;

/// Bytes of a place at most.
const LONGEST: usize = 128;
/// Bytes of a key that is named at most.
const LONGEST_KEY: usize = 40;

/// The containers that enclose a string, outermost first.
#[derive(Debug, Default)]
pub(crate) struct Place<'a> {
    pub(super) steps: SmallVec<[Step<'a>; 24]>,
}

/// A container, and which of its elements the reader is at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) object: bool,
    /// Offset of its bracket.
    pub(super) start: usize,
    /// Of an object: the key, as it stands between its quotes.
    pub(super) key: &'a str,
    /// Of an array.
    pub(super) index: u32,
    /// Of an object: whether the key may be named.
    pub(super) named: bool,
}

impl<'a> Place<'a> {
    /// The key that the value here has in its object; `None` in an array and at the root.
    pub(crate) fn key(&self) -> Option<&'a str> {
        self.steps.last().filter(|step| step.object).map(|step| step.key)
    }

    /// Whether the value here is the whole text.
    pub(crate) fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// Offset of the innermost container, which tells it from all others.
    pub(crate) fn container(&self) -> Option<usize> {
        self.steps.last().map(|step| step.start)
    }

    /// From now on the key here is not named: it has something that must not be in a log.
    pub(crate) fn hide_key(&mut self) {
        if let Some(step) = self.steps.last_mut() {
            step.named = false;
        }
    }

    /// As a JSON pointer (RFC 6901) of the plain keys, with `*` for those that are not.
    ///
    /// What was found in a key itself is at that key's place, which never names it.
    pub(crate) fn pointer(&self) -> String {
        let mut out = String::new();
        for step in &self.steps {
            let before = out.len();
            out.push('/');
            if !step.object {
                out.push_str(&step.index.to_string());
            } else if step.named && is_plain(step.key) {
                out.push_str(step.key);
            } else {
                out.push('*');
            }
            if out.len() > LONGEST - "/…".len() {
                out.truncate(before);
                out.push_str("/…");
                break;
            }
        }
        out
    }
}

/// A word such as a schema's author writes, not data used as a key.
fn is_plain(key: &str) -> bool {
    (1..=LONGEST_KEY).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$' | b'.'))
        && key.bytes().filter(u8::is_ascii_digit).count() <= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(keys: &[&'a str]) -> Place<'a> {
        let step = |key: &&'a str| Step { object: true, start: 0, key, index: 0, named: true };
        Place { steps: keys.iter().map(step).collect() }
    }

    #[test]
    fn keys_that_look_like_data_are_not_named() {
        assert_eq!(place(&["a", "", "alice@example.com", "4111111111111111", "b"]).pointer(), "/a/*/*/*/b");
        let mut hidden = place(&["a", "b"]);
        hidden.hide_key();
        assert_eq!(hidden.pointer(), "/a/*");
    }

    #[test]
    fn a_place_is_short_however_deep_it_is() {
        let deep = place(&["properties"; 200]).pointer();
        assert!(deep.len() <= LONGEST && deep.ends_with("/properties/…"), "{deep}");
    }
}
