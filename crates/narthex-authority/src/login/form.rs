//! Forms and queries: every field once, or it is none.

use crate::Request;
use crate::http::FORM;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// Most fields of a form or query.
const FIELD_CAP: usize = 32;

/// The fields of a form or a query.
#[derive(Debug, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// The form that was posted by a page of this gateway. `None`: there is none, a field is there twice, or
    /// the browser says that another site had it sent.
    pub(crate) fn posted(request: &Request) -> Option<Self> {
        if !request.is_of(FORM) || is_from_elsewhere(request) {
            return None;
        }
        Self::read(&request.body)
    }

    /// The query of `request`.
    pub(crate) fn query(request: &Request) -> Option<Self> {
        Self::read(request.query.as_deref().unwrap_or_default().as_bytes())
    }

    fn read(text: &[u8]) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            if fields.len() == FIELD_CAP || fields.insert(name.into_owned(), value.into_owned()).is_some() {
                return None;
            }
        }
        Some(Self(fields))
    }

    /// The value of a field that is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// `Sec-Fetch-Site` cannot be set by a page (Fetch Metadata). `Origin` tells nothing here: our own pages have
/// `no-referrer`, with which browsers send `Origin: null`.
fn is_from_elsewhere(request: &Request) -> bool {
    let site = request.headers.get("sec-fetch-site");
    site.is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::fixtures::post;
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    #[test]
    fn a_form_has_every_field_once() {
        let form = Form::posted(&post("/login", &[("a", "1"), ("b", "x y"), ("c", "")])).unwrap();
        assert_eq!(
            (form.get("a"), form.get("b"), form.get("c"), form.get("d")),
            (Some("1"), Some("x y"), None, None)
        );
        assert!(Form::posted(&post("/login", &[("a", "1"), ("a", "1")])).is_none());
        let many: Vec<(String, String)> = (0..=FIELD_CAP).map(|at| (at.to_string(), String::new())).collect();
        let many: Vec<(&str, &str)> =
            many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert!(Form::posted(&post("/login", &many)).is_none());
    }

    #[test]
    fn a_form_of_another_kind_or_from_another_site_is_none() {
        for kind in ["text/plain", "multipart/form-data", "application/json"] {
            let mut request = post("/login", &[("a", "1")]);
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            assert!(Form::posted(&request).is_none(), "{kind}");
        }
        for (site, is_ours) in
            [("same-origin", true), ("none", true), ("cross-site", false), ("same-site", false), ("x", false)]
        {
            let mut request = post("/login", &[("a", "1")]);
            request.headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            assert_eq!(Form::posted(&request).is_some(), is_ours, "{site}");
        }
    }
}
