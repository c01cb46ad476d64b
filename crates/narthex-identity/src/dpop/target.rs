//! What `htu` is compared with.

use url::Url;

/// The URL that a proof must be for, without query and fragment, normalised (RFC 9449 §4.3 (9), RFC 3986
/// §6.2.2 and §6.2.3). Made from the configuration, never from what a request says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    normalised: String,
    /// The same with a slash at its end, where clients may add one.
    with_slash: Option<String>,
}

/// Makes the targets of one host. There may be thousands, and nearly all of their paths are as they should be.
#[derive(Debug)]
pub struct Host {
    written: String,
    normalised: String,
}

/// Longest `htu` that is looked at, bytes.
const LONGEST: usize = 2048;

impl Target {
    /// The target `url`. `None` if it is no absolute `http` or `https` URL.
    #[must_use]
    pub fn new(url: &str) -> Option<Self> {
        normalise(url).map(|normalised| Self { normalised, with_slash: None })
    }

    /// As [`new`](Self::new), for the root of a host or of a path: there a slash at the end is the same.
    #[must_use]
    pub fn root(url: &str) -> Option<Self> {
        let bare = url.trim_end_matches('/');
        let with_slash = normalise(&format!("{bare}/"))?;
        Some(Self { normalised: normalise(bare)?, with_slash: Some(with_slash) })
    }

    /// The URL, normalised.
    pub(super) fn as_str(&self) -> &str {
        &self.normalised
    }

    /// Whether `htu` is this URL.
    pub(super) fn is(&self, htu: &str) -> bool {
        normalise(htu).is_some_and(|htu| htu == self.normalised || self.with_slash.as_ref() == Some(&htu))
    }
}

impl Host {
    /// The host of `origin`, which has scheme and authority and nothing else. `None` if it is none.
    #[must_use]
    pub fn new(origin: &str) -> Option<Self> {
        let normalised = normalise(origin)?.strip_suffix('/')?.to_owned();
        Some(Self { written: origin.to_owned(), normalised })
    }

    /// As [`Target::new`].
    #[must_use]
    pub fn target(&self, url: &str) -> Option<Target> {
        let path = url.strip_prefix(&self.written).filter(|path| is_normalised(path) && url.len() <= LONGEST);
        let Some(path) = path else { return Target::new(url) };
        Some(Target { normalised: [self.normalised.as_str(), path].concat(), with_slash: None })
    }
}

/// Whether it is a path that nothing can be normalised in.
fn is_normalised(path: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    let has_dots = || path.split('/').any(|segment| segment == "." || segment == "..");
    path.starts_with('/') && path.bytes().all(is_plain) && !has_dots()
}

/// Scheme and host in lower case, no default port, no dot segments, no escapes of characters that need none,
/// other escapes in upper case, neither query nor fragment. `None` for what is no plain `http` or `https` URL:
/// the parser would mend more than RFC 3986 does.
fn normalise(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b);
    if text.len() > LONGEST || !text.bytes().all(plain) {
        return None;
    }
    let (scheme, rest) = text.split_once("://")?;
    let is_http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let authority = rest.split(['/', '?', '#']).next()?;
    if !is_http || authority.is_empty() || authority.contains('@') {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let path = unescape(url.path())?;
    Some(format!("{}{path}", url.origin().ascii_serialization()))
}

/// `%7e` → `~`, `%2f` → `%2F`. `None`: an escape is none, or of a dot, which the parser has taken for one
/// already where it is a segment.
fn unescape(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.get(..2)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = &after[2..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_rfc_3986_calls_the_same_is_the_same() {
        let target = Target::new("https://gw.example/t/a~b").unwrap();
        for htu in [
            "https://gw.example/t/a~b",
            "HTTPS://GW.example/t/a~b",
            "https://gw.example:443/t/a~b",
            "https://gw.example/t/a%7eb",
            "https://gw.example/t/%61%7Eb",
            "https://gw.example/./t/x/../a~b",
            "https://gw.example/t/a~b?query=1",
            "https://gw.example/t/a~b#fragment",
            "https://gw.example/t/a~b?a#b",
        ] {
            assert!(target.is(htu), "{htu}");
        }
    }

    #[test]
    fn another_url_is_not_the_same() {
        let target = Target::new("https://gw.example/mcp").unwrap();
        for htu in [
            "",
            "/mcp",
            "gw.example/mcp",
            "//gw.example/mcp",
            "http://gw.example/mcp",
            "https://gw.example:8443/mcp",
            "https://gw.example",
            "https://gw.example/",
            "https://gw.example/mcp/",
            "https://gw.example//mcp",
            "https://gw.example/MCP",
            "https://gw.example/mcp%2F",
            "https://gw.example/mcp%",
            "https://gw.example/mcp%zz",
            "https://gw.example/mcp%+1",
            "https://gw.example/other?/mcp",
            "https://gw.example/mcp/x",
            "https://gw.example.evil.example/mcp",
            "https://evil.example/https://gw.example/mcp",
            "https://evil.example#https://gw.example/mcp",
            "https://user@gw.example/mcp",
            "https://@gw.example/mcp",
            "https://gw.example@evil.example/mcp",
            "https:\\\\gw.example\\mcp",
            "https:/gw.example/mcp",
            "https:gw.example/mcp",
            "https:///gw.example/mcp",
            " https://gw.example/mcp",
            "https://gw.example/mcp ",
            "https://gw.example/m\tcp",
            "https://gw.example/m\ncp",
            "https://gw.exämple/mcp",
            "wss://gw.example/mcp",
            "javascript://gw.example/mcp",
        ] {
            assert!(!target.is(htu), "{htu:?}");
        }
        let long = format!("https://gw.example/mcp?{}", "x".repeat(LONGEST));
        assert!(!target.is(&long));
    }

    #[test]
    fn the_root_is_the_same_with_and_without_a_slash() {
        let root = Target::root("https://gw.example").unwrap();
        assert!(root.is("https://gw.example") && root.is("https://gw.example/"));
        let below = Target::root("https://gw.example/gw").unwrap();
        assert!(below.is("https://gw.example/gw") && below.is("https://gw.example/gw/"));
        assert!(!below.is("https://gw.example/"));
    }

    #[test]
    fn loopback_addresses_with_ports_are_targets() {
        let target = Target::new("http://127.0.0.1:8080/mcp").unwrap();
        assert!(target.is("http://127.0.0.1:8080/mcp") && !target.is("http://127.0.0.1/mcp"));
        assert!(Target::new("http://[::1]:8080/mcp").unwrap().is("http://[::1]:8080/mcp"));
    }

    proptest! {
        #[test]
        fn a_host_makes_the_targets_that_a_parser_makes(
            origin in "(https|HTTP)://(gw\\.example|GW\\.example:443|127\\.0\\.0\\.1:80|\\[::1\\]:8080)",
            path in "(/[a-z.~%0-9A-F+:]{0,4}){0,4}",
            query in "(\\?[a-z]{0,2})?",
        ) {
            let url = format!("{origin}{path}{query}");
            prop_assert_eq!(Host::new(&origin).unwrap().target(&url), Target::new(&url), "{}", url);
        }

        #[test]
        fn normalising_twice_changes_nothing(path in "[ -~]{0,30}") {
            if let Some(once) = normalise(&format!("https://gw.example/{path}")) {
                prop_assert_eq!(normalise(&once), Some(once.clone()), "{}", once);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = Target::new("https://gw.example/mcp").unwrap().is(&text);
        }
    }
}
