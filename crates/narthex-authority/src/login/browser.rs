//! Which browser it is: a cookie of random bits that is there before anybody logs in.
//!
//! It binds what one browser began (a consent, a login) to that browser, and its value is the key of the
//! tokens against cross-site request forgery: who cannot read the cookie cannot make one. Nothing is kept on
//! the gateway's side, so a flood of new browsers costs no memory.

use super::cookie::Cookies;
use super::problem::Problem;
use crate::Response;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::SET_COOKIE;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a browser keeps the cookie: as long as the longest login.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// One browser. Debug does not show its secret.
#[derive(Clone)]
pub struct Browser {
    secret: Zeroizing<String>,
    cookies: Cookies,
    is_new: bool,
}

impl Browser {
    /// The browser that sent `headers`; a new one if it has no (well-formed) cookie yet.
    pub(super) fn of(headers: &HeaderMap, cookies: Cookies) -> Result<Self, Problem> {
        match cookies.browser.read(headers) {
            Some(secret) => Ok(Self { secret, cookies, is_new: false }),
            None => Ok(Self { secret: random()?, cookies, is_new: true }),
        }
    }

    /// What others may keep to know the browser again: never the cookie itself.
    #[must_use]
    pub fn id(&self) -> String {
        self.mac("id", "")
    }

    /// The token that a form for `purpose` must send back. `purpose` says what the form does and to what, so
    /// that a token for one thing is none for another.
    #[must_use]
    pub fn csrf(&self, purpose: &str) -> String {
        self.mac("csrf", purpose)
    }

    /// Whether `token` is this browser's for `purpose`. Takes as long for a wrong one as for a good one.
    #[must_use]
    pub fn accepts(&self, purpose: &str, token: &str) -> bool {
        !self.is_new && verify_slices_are_equal(self.csrf(purpose).as_bytes(), token.as_bytes()).is_ok()
    }

    /// Has `response` give the browser its cookie, if it has none yet.
    pub fn remember(&self, response: &mut Response) {
        if self.is_new
            && let Some(value) = self.cookies.browser.set(&self.secret, LIFE)
        {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }

    fn mac(&self, kind: &str, text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let message = format!("narthex browser {kind}\n{text}");
        BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()))
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").field("is_new", &self.is_new).finish_non_exhaustive()
    }
}

/// 256 random bits, base64url.
pub(super) fn random() -> Result<Zeroizing<String>, Problem> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(&mut *bytes).map_err(|_| Problem::Randomness)?;
    Ok(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::cookie;
    use http::HeaderValue;
    use http::header::COOKIE;

    fn with(cookie: &str) -> Browser {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(cookie).unwrap());
        Browser::of(&headers, cookie::SECURE).unwrap()
    }

    fn known(letter: &str) -> Browser {
        with(&format!("__Host-narthex-browser={}", letter.repeat(43)))
    }

    #[test]
    fn a_token_is_good_for_its_browser_and_its_purpose_only() {
        let (one, other) = (known("a"), known("b"));
        let token = one.csrf("logout");
        assert!(one.accepts("logout", &token));
        assert!(!one.accepts("revoke", &token));
        assert!(!other.accepts("logout", &token));
        for wrong in ["", "x", &token[1..], &one.id()] {
            assert!(!one.accepts("logout", wrong), "{wrong}");
        }
    }

    #[test]
    fn a_browser_without_a_cookie_has_no_good_token_and_gets_a_cookie() {
        let new = Browser::of(&HeaderMap::new(), cookie::SECURE).unwrap();
        assert!(!new.accepts("logout", &new.csrf("logout")));
        let mut response = Response::default();
        new.remember(&mut response);
        let set = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(set.starts_with("__Host-narthex-browser="), "{set}");
        for word in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(set.split("; ").any(|part| part == word), "{word} in {set}");
        }
        let again = with(set.split(';').next().unwrap());
        assert_eq!(again.id(), new.id());
        assert!(again.accepts("logout", &new.csrf("logout")));
    }

    #[test]
    fn a_cookie_that_is_not_ours_is_as_none() {
        let long = format!("__Host-narthex-browser={}", "a".repeat(44));
        let twice =
            format!("__Host-narthex-browser={}; __Host-narthex-browser={}", "a".repeat(43), "b".repeat(43));
        let plain = format!("narthex-browser={}", "a".repeat(43));
        let odd = format!("__Host-narthex-browser={}", "é".repeat(21) + "a");
        for cookie in ["__Host-narthex-browser=", "x=y", &long, &twice, &plain] {
            assert!(with(cookie).is_new, "{cookie}");
        }
        assert!(HeaderValue::from_str(&odd).is_err() || with(&odd).is_new);
    }

    #[test]
    fn neither_debug_nor_the_id_shows_the_cookie() {
        let browser = known("k");
        assert!(!format!("{browser:?}").contains("kkk"));
        assert!(!browser.id().contains("kkk"));
    }
}
