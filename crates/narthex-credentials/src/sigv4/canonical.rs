//! The one form of a request that both sides sign.

use http::{HeaderMap, Method};
use std::borrow::Cow;
use std::fmt::Write;
use url::form_urlencoded;

/// A canonical request.
pub(super) struct Canonical {
    pub(super) text: String,
    /// The names of the fields in it.
    pub(super) signed_headers: String,
}

impl Canonical {
    /// `body` is the hexadecimal hash of the body. `is_normalized` holds for every service but S3: the path is
    /// normalised, and encoded once more than it is sent.
    pub(super) fn of(
        method: &Method,
        target: &str,
        headers: &HeaderMap,
        body: &str,
        is_normalized: bool,
    ) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        let signed_headers = names.join(";");
        let mut text = String::with_capacity(1024);
        let path = if is_normalized { encoded(&normalized(path), true) } else { path.to_owned() };
        let _ = write!(text, "{method}\n{path}\n{}\n", sorted(query));
        for name in names {
            text.push_str(name);
            text.push(':');
            for (i, value) in headers.get_all(name).iter().enumerate() {
                text.push_str(if i > 0 { "," } else { "" });
                text.push_str(&trimmed(value.as_bytes()));
            }
            text.push('\n');
        }
        let _ = write!(text, "\n{signed_headers}\n{body}");
        Self { text, signed_headers }
    }
}

/// The path without `.`, `..` and empty segments (RFC 3986 §6.2.2.3).
fn normalized(path: &str) -> Cow<'_, str> {
    let is_normal = path.starts_with('/')
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".."));
    if is_normal {
        return path.into();
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let is_directory = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let end = if is_directory && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/")).into()
}

/// All but unreserved characters (RFC 3986 §2.3) percent-encoded.
fn encoded(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            b'/' if keep_slash => encoded.push('/'),
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

/// A query's parameters in order, encoded in one way.
fn sorted(query: &str) -> String {
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut pairs: Vec<(String, String)> =
        pairs.map(|(name, value)| (encoded(&name, false), encoded(&value, false))).collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// A field's value without space around it, and with one space for several inside.
fn trimmed(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let words: Vec<&str> = text.split([' ', '\t', '\n']).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
