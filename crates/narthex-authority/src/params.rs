//! Parameters of requests: of a query, or of a form in a body.

use std::collections::HashSet;

/// Most parameters of one request.
const MOST: usize = 64;
/// Longest value, bytes: an assertion is the longest that there is.
const LONGEST: usize = 16 * 1024;

/// `application/x-www-form-urlencoded` parameters, each there once. Those without a value are as if they were
/// not there (RFC 6749 §3.1, §3.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    /// Names that came more than once.
    repeated: HashSet<String>,
}

/// There are too many parameters, or one is too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TooMuch;

impl Params {
    /// Reads `text`.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, TooMuch> {
        let mut params = Self::default();
        for (name, value) in url::form_urlencoded::parse(text) {
            if params.pairs.len() == MOST || value.len() > LONGEST {
                return Err(TooMuch);
            }
            if params.pairs.iter().any(|(known, _)| *known == name) {
                params.repeated.insert(name.clone().into_owned());
            }
            params.pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(params)
    }

    /// The value of a parameter. `None`: it is not there, is empty, or is there more than once.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        if self.repeated.contains(name) {
            return None;
        }
        let (_, value) = self.pairs.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// Whether any parameter is there more than once, which no OAuth request may have.
    pub(crate) fn has_repeated(&self) -> bool {
        !self.repeated.is_empty()
    }

    /// Whether this one is.
    pub(crate) fn is_repeated(&self, name: &str) -> bool {
        self.repeated.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_once_and_has_a_value() {
        let params = Params::parse(b"a=1&b=&c=x%20y+z&a2&d=1&d=1&e=%C3%A9").unwrap();
        assert_eq!(params.get("a"), Some("1"));
        assert_eq!((params.get("b"), params.get("a2"), params.get("z")), (None, None, None));
        assert_eq!((params.get("c"), params.get("e")), (Some("x y z"), Some("é")));
        assert_eq!(params.get("d"), None);
        assert!(params.has_repeated() && params.is_repeated("d") && !params.is_repeated("a"));
    }

    #[test]
    fn floods_are_refused() {
        let many: Vec<String> = (0..=MOST).map(|i| format!("k{i}=1")).collect();
        assert_eq!(Params::parse(many.join("&").as_bytes()).unwrap_err(), TooMuch);
        let long = format!("a={}", "x".repeat(LONGEST + 1));
        assert_eq!(Params::parse(long.as_bytes()).unwrap_err(), TooMuch);
        assert!(!Params::parse(b"").unwrap().has_repeated());
    }
}
