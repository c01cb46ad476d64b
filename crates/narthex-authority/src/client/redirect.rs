//! Where users may be sent back to (OAuth 2.1 §2.3, RFC 8252 §7 and §8.4).

use url::{Host, Url};

/// Longest redirect URI, bytes.
const LONGEST: usize = 1024;

/// A redirect URI that a client has registered: one that can be read in one way only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RedirectUri {
    text: String,
    kind: Kind,
}

/// What kinds there are.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    /// A web page.
    Https { host: String },
    /// A program on the user's own machine that listens on whatever port is free (RFC 8252 §7.3): host, and
    /// what follows the port.
    Loopback { host: String, rest: String },
    /// A scheme that a program on the user's machine has claimed (RFC 8252 §7.1).
    Private,
}

/// Who vouches for a redirect URI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// The operator: schemes without a dot, too, as some programs have them.
    Operator,
    /// The client.
    Client,
}

/// Schemes that browsers or systems give a meaning of their own.
const NEVER: [&str; 30] = [
    "about",
    "blob",
    "chrome",
    "chrome-extension",
    "content",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "jar",
    "javascript",
    "livescript",
    "mailto",
    "mhtml",
    "moz-extension",
    "ms-appx",
    "mocha",
    "news",
    "res",
    "resource",
    "sms",
    "ssh",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
    "x-javascript",
    "wyciwyg",
];

impl RedirectUri {
    /// Reads a redirect URI. The error says what is wrong.
    pub(crate) fn parse(text: &str, source: Source) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > LONGEST {
            return Err("a redirect URI has 1 to 1024 bytes");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err("a redirect URI has the letters of RFC 3986 only");
        }
        if text.contains('#') {
            return Err("a redirect URI has no fragment");
        }
        if text.contains('*') {
            return Err("a redirect URI has no wildcard");
        }
        let url = Url::parse(text).map_err(|_| "a redirect URI is an absolute URI")?;
        // What a parser would have to put right, another might read otherwise.
        let canonical = url.as_str();
        if canonical != text && canonical.strip_suffix('/') != Some(text) {
            return Err("a redirect URI is written in its normal form");
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err("a redirect URI has no user name");
        }
        if has_dots(&url) {
            return Err("a redirect URI has no dot segments, however they are written");
        }
        let kind = match url.scheme() {
            "https" => https(&url)?,
            "http" => loopback(&url)?,
            scheme => private(scheme, source)?,
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// The host, of a web page.
    pub(crate) fn web_host(&self) -> Option<&str> {
        match &self.kind {
            Kind::Https { host } => Some(host),
            _ => None,
        }
    }

    /// Whether a request may ask for `asked`: exactly this, but for the port of a loopback address.
    pub(crate) fn matches(&self, asked: &str) -> bool {
        if asked == self.text {
            return true;
        }
        let Kind::Loopback { host, rest } = &self.kind else { return false };
        match Self::parse(asked, Source::Client).map(|asked| asked.kind) {
            Ok(Kind::Loopback { host: asked_host, rest: asked_rest }) => {
                *host == asked_host && *rest == asked_rest
            }
            _ => false,
        }
    }
}

fn https(url: &Url) -> Result<Kind, &'static str> {
    match url.host() {
        Some(Host::Domain(name)) if !name.ends_with('.') => Ok(Kind::Https { host: name.to_owned() }),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => {
            Ok(Kind::Https { host: url.host_str().unwrap_or_default().to_owned() })
        }
        _ => Err("a redirect URI has a host"),
    }
}

fn loopback(url: &Url) -> Result<Kind, &'static str> {
    let host = url.host_str().unwrap_or_default();
    if !["127.0.0.1", "[::1]", "localhost"].contains(&host) {
        return Err("plain `http` is for 127.0.0.1, [::1] and localhost only");
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(Kind::Loopback { host: host.to_owned(), rest: format!("{}{query}", url.path()) })
}

fn private(scheme: &str, source: Source) -> Result<Kind, &'static str> {
    if NEVER.contains(&scheme) {
        return Err("this scheme leads nowhere that an answer may go");
    }
    if !scheme.contains('.') && source == Source::Client {
        return Err(
            "a scheme of a client's own has a dot, as a domain of its maker has (RFC 8252 section 7.1)",
        );
    }
    Ok(Kind::Private)
}

/// What stands between `//` and the path.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    &rest[..rest.find(['/', '?']).unwrap_or(rest.len())]
}

/// Dots and slashes that are escaped are read by some servers only.
fn has_dots(url: &Url) -> bool {
    let path = url.path().to_ascii_lowercase();
    let dotted = |segment: &str| matches!(segment.replace("%2e", ".").as_str(), "." | "..");
    path.split('/').any(dotted) || ["%2f", "%5c", "%00", "%0a", "%0d"].iter().any(|bad| path.contains(bad))
}

#[cfg(test)]
mod tests;
