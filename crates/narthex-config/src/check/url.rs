//! URLs of the configuration.

use super::Check;
use crate::yaml::{HELP, Span};
use url::{Host, Url};

/// Query parameters that are likely to carry a secret.
const SECRET_PARAMETERS: [&str; 12] = [
    "access_token",
    "api_key",
    "api-key",
    "apikey",
    "auth",
    "code",
    "key",
    "password",
    "secret",
    "sig",
    "signature",
    "token",
];

/// An absolute `http` or `https` URL with a host and without credentials or fragment. Stricter than the
/// URL standard, which repairs what was probably a mistake (`http:///path` has the host `path` there).
/// Errors do not repeat the URL.
pub(crate) fn http_url(text: &str) -> Result<Url, String> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("a URL has no spaces, control characters or backslashes".to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")) else {
        return Err(format!("not an `http` or `https` URL{HELP}write it in full: `https://host/path`"));
    };
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        let help = "keep the password in a file and name it under `credential: { basic: … }`";
        return Err(format!("a URL must not contain a user name or password{HELP}{help}"));
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err("this URL has no host".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if url.fragment().is_some() {
        return Err("a URL here has no fragment (`#…`)".to_owned());
    }
    if url.port() == Some(0) {
        return Err("port 0 cannot be connected to".to_owned());
    }
    if url.query_pairs().any(|(name, _)| SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())) {
        let help = "URLs end up in logs; present the secret as a header, under `credential:`";
        return Err(format!("a URL must not contain a token or key{HELP}{help}"));
    }
    Ok(url)
}

/// Whether the host is this machine whatever a name server says.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Check<'_> {
    /// Reports plain `http` to another machine, unless `insecure` was set beside it.
    pub(super) fn transport(&self, url: &Url, at: Span, insecure: bool) {
        if url.scheme() == "http" && !is_loopback(url) && !insecure {
            self.report.error_with_help(
                at,
                "plain `http` to a host that is not loopback: tokens would cross the network in the clear",
                "use `https`, or set `insecure: true` if the network between is trusted",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_the_standard_would_repair_is_refused() {
        let bad = [
            "",
            "host",
            "/mcp",
            "//host/mcp",
            "http:",
            "http:/host",
            "http:///mcp",
            "http://",
            "http://:80/",
            "http://?q",
            "http://#f",
            "ftp://host/",
            "file:///etc/passwd",
            "http://ho st/",
            "http://host\\x",
            " http://host/",
            "http://host/\n",
            "http://user@host/",
            "http://user:pw@host/",
            "http://@host/",
            "http://host/#f",
            "http://host:99999/",
            "http://host:0/",
            "http://[::1/",
            "http://256.1.1.1/",
            "http://host/?access_token=x",
            "http://host/?a=1&API_KEY=x",
        ];
        for text in bad {
            assert!(http_url(text).is_err(), "{text:?}");
        }
        let good = [
            "http://host",
            "https://host:8443/a/b?version=2",
            "HTTP://Host/",
            "http://[::1]:1/",
            "http://a/@b",
        ];
        for text in good {
            assert!(http_url(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn no_error_repeats_the_url() {
        for text in
            ["http://user:hunter2@host/", "http://host/?token=hunter2", "hunter2", "http://hunter2:x/"]
        {
            assert!(!http_url(text).unwrap_err().contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for (url, expected) in [
            ("http://localhost/", true),
            ("http://127.3.2.1/", true),
            ("http://[::1]/", true),
            ("http://LOCALHOST/", true),
            ("http://0x7f.1/", true),
            ("http://localhost.example.com/", false),
            ("http://10.0.0.1/", false),
            ("http://[::ffff:10.0.0.1]/", false),
            ("http://0.0.0.0/", false),
        ] {
            assert_eq!(is_loopback(&http_url(url).unwrap()), expected, "{url}");
        }
    }
}
