//! Credentials that are the same for every call: a header, or HTTP Basic.

use crate::credential::sensitive;
use crate::error::BuildProblem;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// `credential: { header: … }`.
pub(crate) fn header(name: &str, value: &Secret) -> Result<(HeaderName, HeaderValue), BuildProblem> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| BuildProblem::Header("the header's name is not an HTTP field name"))?;
    let value = sensitive(Zeroizing::new(value.expose().as_bytes().to_vec()))
        .ok_or(BuildProblem::Header("the secret holds control characters"))?;
    Ok((name, value))
}

/// `credential: { basic: … }`: RFC 7617, as UTF-8.
pub(crate) fn basic(username: &str, password: &Secret) -> Result<(HeaderName, HeaderValue), BuildProblem> {
    if username.contains(':') {
        return Err(BuildProblem::Header("a user name of HTTP Basic holds no colon (RFC 7617)"));
    }
    if username.chars().chain(password.expose().chars()).any(char::is_control) {
        return Err(BuildProblem::Header("HTTP Basic takes no control characters (RFC 7617)"));
    }
    Ok((AUTHORIZATION, basic_value(username, password.expose())?))
}

/// `Basic ` and base64 of `id:password`.
pub(crate) fn basic_value(id: &str, password: &str) -> Result<HeaderValue, BuildProblem> {
    let mut pair = Zeroizing::new(Vec::with_capacity(id.len() + 1 + password.len()));
    pair.extend_from_slice(id.as_bytes());
    pair.push(b':');
    pair.extend_from_slice(password.as_bytes());
    let mut value = Zeroizing::new(vec![0; "Basic ".len() + pair.len().div_ceil(3) * 4]);
    value[..6].copy_from_slice(b"Basic ");
    STANDARD
        .encode_slice(pair.as_slice(), &mut value[6..])
        .map_err(|_| BuildProblem::Header("the user name and password are too long"))?;
    sensitive(value).ok_or(BuildProblem::Header("the user name and password make no header"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_and_password_become_a_basic_header() {
        for (username, password, expected) in [
            ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", "123\u{a3}", "Basic dGVzdDoxMjPCow=="), // RFC 7617 §2.1
            ("u", "a:b%c", "Basic dTphOmIlYw=="),
            ("", "p", "Basic OnA="),
        ] {
            let (name, value) = basic(username, &password.into()).unwrap();
            assert_eq!((name, value.as_bytes()), (AUTHORIZATION, expected.as_bytes()));
            assert!(value.is_sensitive());
        }
    }

    #[test]
    fn what_http_basic_cannot_carry_is_refused() {
        assert!(basic("a:b", &"p".into()).is_err());
        assert!(basic("a\u{7}", &"p".into()).is_err());
        assert!(basic("a", &"p\u{7f}".into()).is_err());
    }

    #[test]
    fn what_is_no_header_is_refused_without_showing_it() {
        for (name, value) in
            [("x key", "canary"), ("x-key", "canary\u{1}"), ("", "canary"), ("x-key", "canary\u{7f}")]
        {
            let error = header(name, &value.into()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
        let (name, value) = header("x-api-key", &"canary".into()).unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-api-key", &b"canary"[..]));
        assert!(value.is_sensitive() && !format!("{value:?}").contains("canary"));
    }
}
