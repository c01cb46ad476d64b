//! The names that a merged route shows: the upstream's, a separator, the tool's or prompt's own.
//!
//! 2026-07-28, server/tools#tool-names, wants 1 to 128 letters, digits, `_`, `-` and `.`. Clients want less:
//! the interfaces of language models that they hand the names to take 64 at most, some of them no dots. So
//! what is shown is at most 64 long, and an own name that does not fit is made to, with a hash of the whole
//! at its end: other originals have other names, and the same original has the same after a restart.

use aws_lc_rs::digest::{SHA256, digest};
use std::borrow::Cow;
use std::fmt::Write;

/// Longest name that is shown with a prefix, in bytes.
pub const LONGEST_SHOWN: usize = 64;
/// Longest name that is shown as it is, in characters (2026-07-28, server/tools#tool-names).
pub const LONGEST_NAME: usize = 128;
/// Longest separator, in bytes.
pub const LONGEST_SEPARATOR: usize = 4;
/// The separator that is used where none is named.
pub const DEFAULT_SEPARATOR: &str = "__";

/// How much of the hash is shown, in bytes.
const HASH: usize = 4;
/// What is left of a name that a hash is put after: `_` and two digits a byte are its own.
pub(super) const KEPT: usize = LONGEST_SHOWN - 1 - 2 * HASH;

/// A separator that is empty, longer than [`LONGEST_SEPARATOR`], or of other characters than names have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a separator is one to four of the letters, digits, `_`, `-` and, where names may have it, `.`")]
pub struct BadSeparator;

/// How the things of several upstreams are named on one route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Naming {
    separator: String,
    prefixing: bool,
    strict: bool,
}

impl Naming {
    /// Names made of prefix and `separator`, or, without `prefixing`, the upstreams' own. `strict` leaves no
    /// dots in what is made.
    ///
    /// # Errors
    /// See [`BadSeparator`].
    pub fn new(separator: &str, prefixing: bool, strict: bool) -> Result<Self, BadSeparator> {
        let fits = (1..=LONGEST_SEPARATOR).contains(&separator.len())
            && separator.bytes().all(|byte| is_plain(byte, strict));
        fits.then(|| Self { separator: separator.to_owned(), prefixing, strict }).ok_or(BadSeparator)
    }

    /// Whether names have the upstream's before them.
    #[must_use]
    pub const fn is_prefixing(&self) -> bool {
        self.prefixing
    }

    /// What stands between prefix and name.
    #[must_use]
    pub fn separator(&self) -> &str {
        &self.separator
    }

    /// The name shown for `name` of the upstream known as `prefix`.
    ///
    /// With a prefix, what is shown is 1 to 64 letters, digits, `_`, `-` and, unless strict, `.`; a name that
    /// fits is not changed. Without one, names stay as they are, up to 128 printable characters. One that had
    /// to be changed ends in `_` and eight digits of a SHA-256 hash. An upstream can give another of its tools
    /// just that name, which is why whoever merges looks for [collisions](super::collide::losses) as well.
    #[must_use]
    pub fn shown<'n>(&self, prefix: &str, name: &'n str) -> Cow<'n, str> {
        if self.prefixing {
            return Cow::Owned(self.fitted([prefix, &self.separator, name].concat()));
        }
        let is_fit =
            !name.is_empty() && name.chars().count() <= LONGEST_NAME && name.chars().all(is_printable);
        if is_fit { Cow::Borrowed(name) } else { Cow::Owned(self.hashed(name)) }
    }

    /// Whether `name` may be shown as it is, with a prefix or as an alias.
    #[must_use]
    pub fn is_fit(&self, name: &str) -> bool {
        (1..=LONGEST_SHOWN).contains(&name.len()) && name.bytes().all(|byte| is_plain(byte, self.strict))
    }

    fn fitted(&self, whole: String) -> String {
        if self.is_fit(&whole) { whole } else { self.hashed(&whole) }
    }

    fn hashed(&self, whole: &str) -> String {
        let mut shown = self.start(whole);
        shown.push('_');
        for byte in digest(&SHA256, whole.as_bytes()).as_ref().iter().take(HASH) {
            // Writing to a string does not fail.
            let _ = write!(shown, "{byte:02x}");
        }
        shown
    }

    /// How a name that does not fit starts: `_` for each character that it may not have, cut to [`KEPT`].
    pub(super) fn start(&self, whole: &str) -> String {
        let fit = |c: char| u8::try_from(c).is_ok_and(|byte| is_plain(byte, self.strict));
        whole.chars().map(|c| if fit(c) { c } else { '_' }).take(KEPT).collect()
    }

    /// What all names of an upstream start with.
    pub(super) fn prefix(&self, prefix: &str) -> String {
        self.start(&[prefix, &self.separator].concat())
    }
}

const fn is_plain(byte: u8, strict: bool) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && !strict)
}

/// Not what a user would not see, or would see the rest of a line differently for.
pub(super) fn is_printable(c: char) -> bool {
    let hidden = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naming(strict: bool) -> Naming {
        Naming::new("__", true, strict).unwrap()
    }

    fn passing() -> Naming {
        Naming::new("__", false, false).unwrap()
    }

    #[test]
    fn a_name_that_fits_has_its_upstream_before_it_and_is_not_changed() {
        let longest = "x".repeat(LONGEST_SHOWN - 4);
        for name in ["create_issue", "a", "a.b-c", "X", "", "a__b", &longest] {
            assert_eq!(naming(false).shown("gh", name), format!("gh__{name}"));
        }
        let dotted = Naming::new(".", true, false).unwrap();
        assert_eq!(dotted.shown("gh", "issue"), "gh.issue");
    }

    #[test]
    fn what_does_not_fit_ends_in_a_hash_that_is_the_same_for_ever() {
        for (name, shown) in
            [("a b", "gh__a_b_522c2ceb"), ("a/b", "gh__a_b_545d113b"), ("größe", "gh__gr__e_9305165f")]
        {
            assert_eq!(naming(false).shown("gh", name), shown, "{name}");
        }
        let long = "x".repeat(LONGEST_SHOWN - 3);
        let shown = naming(false).shown("gh", &long).into_owned();
        assert_eq!(shown.len(), LONGEST_SHOWN);
        assert!(shown.starts_with(&format!("gh__{}_", "x".repeat(KEPT - 4))), "{shown}");
    }

    #[test]
    fn strict_names_have_no_dots() {
        assert_eq!(naming(false).shown("gh", "a.b"), "gh__a.b");
        let shown = naming(true).shown("gh", "a.b").into_owned();
        assert!(shown.starts_with("gh__a_b_") && shown.len() == 16, "{shown}");
        assert_ne!(shown, naming(true).shown("gh", "a_b"));
        assert_eq!(Naming::new(".", true, true), Err(BadSeparator));
    }

    #[test]
    fn without_prefixes_names_stay_as_they_are_if_they_can_be_read() {
        let longest = "é".repeat(LONGEST_NAME);
        for name in ["create_issue", "search documents", "größe", "工具", "a/b", "🔧", &longest] {
            assert!(matches!(passing().shown("gh", name), Cow::Borrowed(same) if same == name), "{name}");
        }
        for name in ["", "a\nb", "a\0", "a\u{202e}b", "zero\u{200b}width", &"x".repeat(LONGEST_NAME + 1)] {
            let shown = passing().shown("gh", name);
            assert!(passing().is_fit(&shown), "{shown}");
            assert_ne!(shown, passing().shown("gh", &format!("{name}\n")));
        }
    }

    #[test]
    fn separators_are_short_and_of_what_names_are_of() {
        for good in ["__", "_", "-", ".", "a1_-"] {
            assert!(Naming::new(good, true, false).is_ok(), "{good}");
        }
        for bad in ["", "_____", "/", "::", " ", "é", "_\n"] {
            assert_eq!(Naming::new(bad, true, false), Err(BadSeparator), "{bad}");
        }
    }

    #[test]
    fn a_long_prefix_leaves_no_less_of_a_difference() {
        let prefix = "p".repeat(100);
        let names = ["a", "b", "c"].map(|name| naming(false).shown(&prefix, name).into_owned());
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
        assert!(names.iter().all(|name| naming(false).is_fit(name)));
    }

    fn any_name() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[a-c._ /é-]{0,12}", "[a-b]{50,140}", "\\PC{0,90}"]
    }

    proptest! {
        #[test]
        fn shown_names_always_fit_and_stay_the_same(
            prefix in any_name(), name in any_name(), strict: bool, separator in "[A-Za-z0-9_-]{1,4}",
        ) {
            let naming = Naming::new(&separator, true, strict).unwrap();
            let shown = naming.shown(&prefix, &name).into_owned();
            prop_assert!((1..=64).contains(&shown.len()), "{}", shown);
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || (c == '.' && !strict);
            prop_assert!(shown.chars().all(plain), "{}", shown);
            let again = Naming::new(&separator, true, strict).unwrap();
            prop_assert_eq!(&shown, &again.shown(&prefix, &name));
        }

        #[test]
        fn no_two_names_of_an_upstream_are_shown_alike(
            one in any_name(), other in any_name(), prefix in "[a-z]{1,8}", strict: bool,
        ) {
            prop_assume!(one != other);
            let naming = naming(strict);
            prop_assert_ne!(naming.shown(&prefix, &one), naming.shown(&prefix, &other));
            prop_assert_ne!(passing().shown("", &one), passing().shown("", &other));
        }

        #[test]
        fn names_of_upstreams_with_unlike_prefixes_are_unlike(
            one in any_name(), other in any_name(),
        ) {
            prop_assert_ne!(naming(false).shown("ab", &one), naming(false).shown("ac", &other));
        }
    }
}
