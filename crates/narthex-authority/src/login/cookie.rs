//! The cookies: their names, how they are read and set (RFC 6265).

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use std::time::Duration;
use zeroize::Zeroizing;

/// Length of a value: 256 bits in base64url.
const VALUE_LEN: usize = 43;

/// The cookies of one gateway.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cookies {
    /// Which browser it is.
    pub(super) browser: Cookie,
    /// Who is logged in.
    pub(super) session: Cookie,
}

/// Over TLS. The prefix has browsers take it from this very host only, with `Secure` and `Path=/`, so
/// that neither a sibling domain nor a plain-text page can plant one.
pub(super) const SECURE: Cookies = Cookies {
    browser: Cookie { name: "__Host-narthex-browser", secure: true },
    session: Cookie { name: "__Host-narthex", secure: true },
};

/// For `http://localhost`, where browsers take no `Secure` cookies.
pub(super) const LOOPBACK: Cookies = Cookies {
    browser: Cookie { name: "narthex-browser", secure: false },
    session: Cookie { name: "narthex", secure: false },
};

/// One cookie by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cookie {
    name: &'static str,
    secure: bool,
}

impl Cookie {
    /// Its value, if there is one, it has the form that we give it, and it is there once.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<Zeroizing<String>> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.name).map(|(_, value)| value);
        let value = values.next().filter(|value| is_ours(value))?;
        values.next().is_none().then(|| Zeroizing::new(value.to_owned()))
    }

    /// `Set-Cookie` with `value` for `life`.
    pub(super) fn set(self, value: &str, life: Duration) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let (name, life) = (self.name, life.as_secs());
        let line = format!("{name}={value}; Path=/; Max-Age={life}{secure}; HttpOnly; SameSite=Lax");
        let mut value = HeaderValue::from_str(&line).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// `Set-Cookie` that has the browser forget it.
    pub(super) fn clear(self) -> Option<HeaderValue> {
        self.set("", Duration::ZERO)
    }
}

fn is_ours(value: &str) -> bool {
    value.len() == VALUE_LEN && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
