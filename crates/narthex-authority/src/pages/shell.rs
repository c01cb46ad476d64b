//! What all pages have in common: the frame around the content, and the security headers.

use crate::Response;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use narthex_config::model::PublicUrl;
use std::sync::LazyLock;

/// The place that the pages are of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Site {
    /// The path of `public_url`: empty, or starting with `/` and without one at its end.
    pub base: String,
    /// What people call the gateway.
    pub name: String,
}

impl Site {
    /// The site at `public_url`, called `name`.
    #[must_use]
    pub fn new(public_url: &PublicUrl, name: &str) -> Self {
        Self { base: public_url.path.clone(), name: name.to_owned() }
    }

    /// The path, as browsers see it, of `path`, which starts with `/`.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// A page to be.
pub(super) struct Page<'a> {
    pub(super) site: &'a Site,
    pub(super) status: StatusCode,
    pub(super) title: &'a str,
    /// Whether it has a form, which posts to this gateway.
    pub(super) posts: bool,
    /// Whether it is a list, wider than one card.
    pub(super) wide: bool,
    /// Where the browser goes by itself, at once.
    pub(super) refresh: Option<&'a str>,
    pub(super) content: Markup,
}

impl<'a> Page<'a> {
    /// A page that was found, without forms.
    pub(super) fn new(site: &'a Site, title: &'a str, content: Markup) -> Self {
        Self { site, status: StatusCode::OK, title, posts: false, wide: false, refresh: None, content }
    }

    pub(super) fn answer(self) -> Response {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = self.status;
        secure(response.headers_mut(), if self.posts { "'self'" } else { "'none'" });
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        *response.body_mut() = Bytes::from(self.html().into_string());
        response
    }

    fn html(&self) -> Markup {
        let name = super::text::name(&self.site.name);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    @if let Some(url) = self.refresh {
                        meta http-equiv="refresh" content={ "0; url=" (url) };
                    }
                    title { (super::text::name(self.title)) " · " (name) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header.top {
                        (mark())
                        span.brand { (name) }
                    }
                    main.wide[self.wide] { (self.content) }
                }
            }
        }
    }
}

/// A redirect (303) to another page of this gateway.
#[must_use]
pub fn see_other(site: &Site, path: &str) -> Response {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    secure(response.headers_mut(), "'none'");
    if let Ok(value) = HeaderValue::from_str(&site.at(path)) {
        response.headers_mut().insert(http::header::LOCATION, value);
    }
    response
}

/// The headers of every answer to a browser: nothing is loaded, run, framed, kept or told to others.
fn secure(headers: &mut HeaderMap, form_action: &str) {
    let style = &*STYLE_SOURCE;
    let policy = format!(
        "default-src 'none'; style-src {style}; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    );
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // The hash is base64: the policy always fits in a header.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(http::header::CONTENT_SECURITY_POLICY, policy);
    }
}

const FIXED: [(HeaderName, &str); 6] = [
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The stylesheet, the only thing that a page may use beside its text.
const STYLE: &str = include_str!("style.css");

/// Its hash as a source of the content security policy (CSP level 3 §2.3.1).
static STYLE_SOURCE: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()))));

/// The mark: a hall with a door, before another.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false" {
            rect.plate width="32" height="32" rx="8" {}
            path.arch d="M7 25V15.5a9 9 0 0 1 18 0V25" {}
            path.arch d="M12.5 25v-8.5a3.5 3.5 0 0 1 7 0V25" {}
        }
    }
}
