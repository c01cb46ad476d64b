//! A browser without scripts: cookies, forms, redirects that a test follows itself.

use crate::client::RawResponse;
use crate::mcp;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;

/// A browser. It keeps the cookies that it is given, and follows nothing.
#[derive(Clone, Debug)]
pub struct Visitor {
    address: SocketAddr,
    host: String,
    cookies: Vec<(String, String)>,
}

impl Visitor {
    /// A browser without cookies, for the server at `address` that is called `host`.
    #[must_use]
    pub fn new(address: SocketAddr, host: &str) -> Self {
        Self { address, host: host.to_owned(), cookies: Vec::new() }
    }

    /// The cookies that it has.
    #[must_use]
    pub fn cookies(&self) -> &[(String, String)] {
        &self.cookies
    }

    /// GETs `target`, a path with its query or the whole URL of this server.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn get(&mut self, target: &str) -> io::Result<RawResponse> {
        let request = self.head("GET", target, "");
        self.send(request + "\r\n").await
    }

    /// Posts a form to `target`, as a page of this server would.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn post(&mut self, target: &str, form: &[(&str, &str)]) -> io::Result<RawResponse> {
        self.post_with(target, form, "").await
    }

    /// The same with further header lines, each ended by CRLF.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn post_with(
        &mut self,
        target: &str,
        form: &[(&str, &str)],
        headers: &str,
    ) -> io::Result<RawResponse> {
        let body = encode(form);
        let mut request = self.head("POST", target, headers);
        let length = body.len();
        let _ = write!(
            request,
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.send(request).await
    }

    fn head(&self, method: &str, target: &str, headers: &str) -> String {
        let target = match target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => target,
        };
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie =
            if pairs.is_empty() { String::new() } else { format!("Cookie: {}\r\n", pairs.join("; ")) };
        format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{cookie}{headers}", self.host)
    }

    async fn send(&mut self, request: String) -> io::Result<RawResponse> {
        let response = mcp::exchange(self.address, request.as_bytes()).await?;
        for (name, value) in &response.headers.0 {
            if name.eq_ignore_ascii_case("set-cookie") {
                self.keep(value);
            }
        }
        Ok(response)
    }

    fn keep(&mut self, cookie: &str) {
        let pair = cookie.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else { return };
        self.cookies.retain(|(known, _)| known != name);
        if !cookie.contains("Max-Age=0") {
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// The value of a hidden field of a page, unescaped.
#[must_use]
pub fn hidden(page: &RawResponse, name: &str) -> Option<String> {
    let html = page.text();
    let rest = html.split(&format!("name=\"{name}\" value=\"")).nth(1)?;
    rest.split('"').next().map(unescape)
}

/// Where an answer sends the browser: by `Location`, or as a page that goes on by itself.
#[must_use]
pub fn destination(answer: &RawResponse) -> Option<String> {
    if let Some(location) = answer.header("location") {
        return Some(location.to_owned());
    }
    let html = answer.text();
    html.split("content=\"0; url=").nth(1)?.split('"').next().map(unescape)
}

/// A parameter of a URL's query, decoded.
#[must_use]
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    let query = query.split('#').next().unwrap_or_default();
    let found = form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}

/// `application/x-www-form-urlencoded`.
#[must_use]
pub fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Headers;

    #[test]
    fn cookies_are_kept_changed_and_forgotten() {
        let mut visitor = Visitor::new(([127, 0, 0, 1], 1).into(), "localhost");
        visitor.keep("a=1; Path=/; HttpOnly");
        visitor.keep("b=2");
        visitor.keep("a=3");
        assert_eq!(visitor.cookies(), [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "3".to_owned())]);
        assert!(visitor.head("GET", "http://x/y?z", "").contains("GET /y?z HTTP/1.1\r\nHost: localhost\r\n"));
        visitor.keep("b=; Max-Age=0");
        assert_eq!(visitor.cookies().len(), 1);
    }

    #[test]
    fn pages_are_read() {
        let page = RawResponse {
            body: br#"<meta http-equiv="refresh" content="0; url=https://x/?a=1&amp;b=2"><input name="csrf" value="t&quot;k">"#.to_vec(),
            headers: Headers(Vec::new()),
            ..RawResponse::default()
        };
        assert_eq!(hidden(&page, "csrf").as_deref(), Some("t\"k"));
        assert_eq!(hidden(&page, "other"), None);
        let to = destination(&page).unwrap();
        assert_eq!((to.as_str(), parameter(&to, "b").as_deref()), ("https://x/?a=1&b=2", Some("2")));
    }
}
