//! Keys that became one.

use crate::json::{Decoded, Strings};
use std::collections::HashSet;

/// Whether no object of `json` has two equal keys.
pub(super) fn unique(json: &str) -> bool {
    let mut strings = Strings::new(json);
    let mut keys = HashSet::new();
    while let Ok(Some(token)) = strings.next() {
        if token.is_key && !keys.insert((strings.place().container(), Decoded::new(token).text)) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::unique;

    #[test]
    fn equal_keys_of_one_object_are_found() {
        for json in [r#"{"a":1,"a":2}"#, r#"[{"a":{"b":1},"c":[],"\u0061":2}]"#] {
            assert!(!unique(json), "{json}");
        }
        for json in [r#"{"a":{"a":{"a":"a"}}}"#, r#"[{"a":1},{"a":1}]"#, r#"{"a":[{"b":1},{"b":1}],"b":1}"#] {
            assert!(unique(json), "{json}");
        }
    }
}
