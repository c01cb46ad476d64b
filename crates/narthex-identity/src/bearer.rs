//! Where a request may carry its token: one `Authorization: Bearer` or `DPoP` header, nowhere else.

use crate::{Scheme, TokenError};

/// Longest token that is looked at, bytes.
pub(crate) const TOKEN_CAP: usize = 16 * 1024;

/// Query parameters that clients are known to put tokens into, lower case.
const TOKEN_PARAMETERS: [&str; 8] = [
    "access_token",
    "auth_token",
    "authorization",
    "bearer_token",
    "id_token",
    "jwt",
    "refresh_token",
    "token",
];

/// The token of a request and how it came, from the values of all its `Authorization` headers (RFC 6750 §2.1,
/// RFC 9449 §7.1).
///
/// # Errors
/// [`TokenError::Missing`] without a header, [`TokenError::AuthScheme`] for another scheme,
/// [`TokenError::Malformed`] for several headers or a bad one, [`TokenError::TooLarge`] over 16 KiB.
pub fn access_token<'h>(
    mut authorization: impl Iterator<Item = &'h [u8]>,
) -> Result<(Scheme, &'h str), TokenError> {
    let value = authorization.next().ok_or(TokenError::Missing)?;
    if authorization.next().is_some() {
        return Err(TokenError::Malformed);
    }
    let scheme_end = value.iter().position(|b| !is_token_char(*b)).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_end);
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case(b"Bearer") => Scheme::Bearer,
        _ if scheme.eq_ignore_ascii_case(b"DPoP") => Scheme::Dpop,
        [] => return Err(TokenError::Malformed),
        _ => return Err(TokenError::AuthScheme),
    };
    let token = trim_spaces(rest);
    if token.len() == rest.len() {
        return Err(TokenError::Malformed);
    }
    if token.len() > TOKEN_CAP {
        return Err(TokenError::TooLarge);
    }
    if !is_b64token(token) {
        return Err(TokenError::Malformed);
    }
    std::str::from_utf8(token).map(|token| (scheme, token)).map_err(|_| TokenError::Malformed)
}

/// Whether a URL's query has a parameter that is, by its name, a token. Names are compared decoded
/// and without regard to case.
#[must_use]
pub fn query_has_token(query: &str) -> bool {
    url::form_urlencoded::parse(query.as_bytes())
        .any(|(key, _)| TOKEN_PARAMETERS.iter().any(|name| key.trim().eq_ignore_ascii_case(name)))
}

/// Without leading SP; a tab is none of the grammar's separators.
fn trim_spaces(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| *b != b' ').unwrap_or(bytes.len());
    &bytes[start..]
}

/// `tchar` (RFC 9110 §5.6.2), which schemes are made of.
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_b64token(token: &[u8]) -> bool {
    let padding = token.iter().rev().take_while(|b| **b == b'=').count();
    let body = &token[..token.len() - padding];
    !body.is_empty() && body.iter().fold(true, |all, b| all & is_b64(*b))
}

/// Asked of every byte of every token: without a branch or a table, so that it is asked of many at once.
const fn is_b64(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // "-", ".", "/" and the digits stand in a row.
    let row = byte.wrapping_sub(b'-') < 13;
    letter | row | (byte == b'_') | (byte == b'~') | (byte == b'+')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(value: &[u8]) -> Result<&str, TokenError> {
        access_token(std::iter::once(value)).map(|(_, token)| token)
    }

    #[test]
    fn a_token_is_made_of_what_rfc_6750_says() {
        for byte in 0..=u8::MAX {
            let said = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_b64(byte), said, "{byte}");
        }
    }

    #[test]
    fn the_scheme_may_be_in_any_case_and_followed_by_spaces() {
        for value in ["Bearer abc.d-e_f", "bearer abc.d-e_f", "BEARER   abc.d-e_f"] {
            assert_eq!(one(value.as_bytes()), Ok("abc.d-e_f"), "{value}");
        }
        assert_eq!(one(b"Bearer a+/~=="), Ok("a+/~=="));
    }

    #[test]
    fn the_scheme_is_told() {
        for (value, scheme) in
            [("Bearer abc", Scheme::Bearer), ("DPoP abc", Scheme::Dpop), ("dpop  abc", Scheme::Dpop)]
        {
            assert_eq!(access_token(std::iter::once(value.as_bytes())), Ok((scheme, "abc")), "{value}");
        }
    }

    #[test]
    fn no_header_is_missing_and_two_are_malformed() {
        assert_eq!(access_token(std::iter::empty()), Err(TokenError::Missing));
        for two in [[&b"Bearer a"[..], b"Bearer a"], [b"Bearer a", b"DPoP a"], [b"DPoP a", b"DPoP a"]] {
            assert_eq!(access_token(two.into_iter()), Err(TokenError::Malformed));
        }
    }

    #[test]
    fn another_scheme_is_no_attempt_at_a_token() {
        for value in ["Basic dTpw", "DPoPx abc", "Negotiate", "Bearerx abc", "token abc"] {
            assert_eq!(one(value.as_bytes()), Err(TokenError::AuthScheme), "{value}");
        }
    }

    #[test]
    fn what_is_not_one_token_is_malformed() {
        let bad: [&[u8]; 17] = [
            b"",
            b" ",
            b" Bearer abc",
            b"Bearer",
            b"Bearer ",
            b"Bearer  ",
            b"Bearer\tabc",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer \"abc\"",
            b"Bearer abc ",
            b"Bearer =",
            b"Bearer a=b",
            b"Bearer a\0b",
            b"DPoP",
            b"DPoP a, Bearer a",
            b"DPoP token=a",
        ];
        for value in bad {
            assert_eq!(one(value), Err(TokenError::Malformed), "{value:?}");
        }
        assert_eq!(one(b"Bearer \xc3\xa9"), Err(TokenError::Malformed));
    }

    #[test]
    fn a_token_over_the_cap_is_too_large() {
        let at_cap = format!("Bearer {}", "a".repeat(TOKEN_CAP));
        assert_eq!(one(at_cap.as_bytes()).map(str::len), Ok(TOKEN_CAP));
        assert_eq!(one(format!("{at_cap}a").as_bytes()), Err(TokenError::TooLarge));
    }

    #[test]
    fn a_token_in_the_query_is_seen_through_case_and_escapes() {
        for query in [
            "access_token=x",
            "a=b&Access_Token=x",
            "access%5Ftoken=x",
            "%61ccess_token",
            "token=",
            "ID_TOKEN=x",
            "x&jwt=1",
            "+access_token=x",
        ] {
            assert!(query_has_token(query), "{query}");
        }
        for query in ["", "a=access_token", "tokens=3", "cursor=token", "accesstoken=1"] {
            assert!(!query_has_token(query), "{query}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_ends_the_header_and_is_of_the_grammar(value in "([Bb]earer|DPoP) {0,3}[ -~]{0,20}") {
            if let Ok(token) = one(value.as_bytes()) {
                prop_assert!(value.ends_with(token) && is_b64token(token.as_bytes()));
            }
        }
    }
}
