//! Why a text was refused.

/// A broken rule: a stable word for metrics and logs, and a sentence for the caller. Neither quotes input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fault {
    pub(crate) reason: &'static str,
    pub(crate) message: &'static str,
}

impl Fault {
    pub(crate) const EMPTY: Self = Self::new("empty_body", "the body is empty");
    pub(crate) const NOT_UTF8: Self = Self::new("not_utf8", "the body is not valid UTF-8");
    pub(crate) const BYTE_ORDER_MARK: Self =
        Self::new("byte_order_mark", "the body starts with a byte order mark");
    pub(crate) const MALFORMED: Self = Self::new("malformed", "the body is not valid JSON");
    pub(crate) const TRUNCATED: Self = Self::new("truncated", "the body ends in the middle of a JSON value");
    pub(crate) const CONTROL: Self =
        Self::new("control_character", "a string contains an unescaped control character");
    pub(crate) const ESCAPE: Self = Self::new("bad_escape", "a string contains an invalid escape sequence");
    pub(crate) const SURROGATE: Self =
        Self::new("lone_surrogate", "a string contains half of a surrogate pair");
    pub(crate) const RANGE: Self =
        Self::new("number_out_of_range", "a number is outside the range of a double");
    pub(crate) const TOO_DEEP: Self = Self::new("too_deep", "the body is nested too deeply");
    pub(crate) const TRAILING: Self = Self::new("trailing_data", "data follows the JSON value");
    pub(crate) const DUPLICATE_KEY: Self = Self::new("duplicate_key", "an object names a key twice");
    pub(crate) const KEY_CASE: Self =
        Self::new("key_case", "an object's key differs from a known one only in upper and lower case");

    pub(crate) const fn new(reason: &'static str, message: &'static str) -> Self {
        Self { reason, message }
    }
}
