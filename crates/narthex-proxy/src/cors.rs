//! Cross-origin rules (Fetch standard, "CORS protocol") and the Origin check that MCP asks for.

use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use std::collections::HashSet;

/// The browser origins that may call.
#[derive(Debug, Default)]
pub(crate) struct Origins(HashSet<String>);

impl Origins {
    pub(crate) fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().map(|o| o.to_ascii_lowercase()).collect())
    }

    /// Whether a request with this `Origin` may go on. One without is no browser's cross-origin call.
    pub(crate) fn allows(&self, origin: Option<&HeaderValue>) -> bool {
        match origin {
            None => true,
            Some(origin) => {
                origin.to_str().is_ok_and(|o| self.0.contains(o) || self.0.contains(&o.to_ascii_lowercase()))
            }
        }
    }
}

/// Lets the page of `origin` read an answer.
pub(crate) fn allow(fields: &mut HeaderMap, origin: &HeaderValue) {
    const EXPOSED: HeaderValue = HeaderValue::from_static(
        "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, DPoP-Nonce, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id",
    );
    fields.insert(http::header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    fields.insert(http::header::VARY, HeaderValue::from_static("Origin"));
    fields.insert(http::header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// Answers a preflight request (the origin is set by [`allow`] or is `*`).
pub(crate) fn preflight(
    header: &mut ResponseHeader,
    methods: &'static str,
    asked: Option<&HeaderValue>,
) -> pingora::Result<()> {
    let headers = HeaderValue::from_str(&allowed_headers(asked)).map_err(|_| internal())?;
    header.insert_header(http::header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods))?;
    header.insert_header(http::header::ACCESS_CONTROL_ALLOW_HEADERS, headers)?;
    header.insert_header(http::header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"))
}

fn internal() -> Box<pingora::Error> {
    pingora::Error::explain(pingora::ErrorType::InternalError, "header value")
}

/// The fields that MCP clients send, and the `Mcp-Param-*` ones that this client asks about: which
/// there are depends on the tool (MCP 2026-07-28, basic/transports/streamable-http).
fn allowed_headers(asked: Option<&HeaderValue>) -> String {
    const LONGEST: usize = 1024;
    let mut headers = String::from(
        "Authorization, DPoP, Content-Type, Accept, Last-Event-ID, MCP-Protocol-Version, Mcp-Session-Id, Mcp-Method, \
         Mcp-Name, X-Request-Id, Traceparent, Tracestate",
    );
    let asked = asked.and_then(|v| v.to_str().ok()).unwrap_or_default();
    for name in asked.split(',').map(|n| n.trim().to_ascii_lowercase()) {
        let is_name = HeaderName::from_bytes(name.as_bytes()).is_ok();
        if is_name && narthex_mcp::headers::is_param_header(&name) && headers.len() + name.len() < LONGEST {
            headers.push_str(", ");
            headers.push_str(&name);
        }
    }
    headers
}

/// Any page may read public metadata (RFC 9728 §3.1).
pub(crate) fn public(header: &mut ResponseHeader) -> pingora::Result<()> {
    header
        .insert_header(HeaderName::from_static("access-control-allow-origin"), HeaderValue::from_static("*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preflight_allows_the_parameter_fields_it_asks_about_and_no_others() {
        let asked = HeaderValue::from_static("content-type, Mcp-Param-Region, x-evil, mcp-param-a b, cookie");
        let headers = allowed_headers(Some(&asked));
        assert!(headers.ends_with(", mcp-param-region"), "{headers}");
    }

    #[test]
    fn only_listed_origins_pass_and_none_at_all_does() {
        let origins = Origins::new(&["https://app.example.com".to_owned()]);
        let of = HeaderValue::from_static;
        assert!(origins.allows(None));
        assert!(origins.allows(Some(&of("https://app.example.com"))));
        for bad in [
            "null",
            "https://app.example.com.evil.test",
            "http://app.example.com",
            "https://app.example.com:8443",
            "",
        ] {
            assert!(!origins.allows(Some(&of(bad))), "{bad}");
        }
        assert!(!Origins::default().allows(Some(&of("http://localhost:8080"))));
    }
}
