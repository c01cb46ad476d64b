//! `server:` and `admin:`.

use super::Check;
use super::url::http_url;
use crate::grammar;
use crate::model::{Admin, PublicUrl, Server, Tls};
use crate::yaml::{Field, Span};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// More worker threads than any machine has use for.
const MAX_THREADS: usize = 1024;

impl Check<'_> {
    pub(super) fn server(&self, field: Field<grammar::Server>) -> Option<Server> {
        let (at, server) =
            self.required(field, Span::START, "server", "{ public_url: http://localhost:8080 }")?;
        let limits = self.http_limits(&server.limits);
        let tls = self.tls(&server.tls);
        let allowed_origins = self.origins(&server.allowed_origins);
        let seal_keys = server.seal_keys.get().into_iter().flatten();
        let seal_keys = seal_keys.filter_map(|key| self.secret(key)).collect();
        let threads = self.threads(&server);
        let state_dir = self.state_dir(server.state_dir);
        let public_url = self.required(server.public_url, at, "public_url", "http://localhost:8080");
        let public_url = public_url.and_then(|(at, url)| self.public_url(&url, at));
        Some(Server {
            listen: server.listen.get().map_or_else(|| loopback(8080), |listen| listen.0),
            public_url: public_url?,
            tls: tls?,
            allowed_origins,
            seal_keys,
            state_dir,
            threads,
            grace_period: Self::duration(&server.grace_period, Duration::from_secs(30)),
            limits,
        })
    }

    pub(super) fn admin(&self, field: &Field<grammar::Admin>) -> Admin {
        let listen = field.get().and_then(|admin| admin.listen.get());
        Admin { listen: listen.map_or_else(|| loopback(9090), |listen| listen.0) }
    }

    fn public_url(&self, text: &str, at: Span) -> Option<PublicUrl> {
        let url = match http_url(text) {
            Ok(url) => url,
            Err(message) => {
                self.report.error_with_help(at, split_help(&message).0, "write it as `https://host`");
                return None;
            }
        };
        if text.contains('?') {
            self.report.error(at, "`public_url` has no query");
        }
        if url.path().contains("//") || url.path().contains('%') {
            self.report.error(at, "the path of `public_url` has no empty segments and no percent-encoding");
        }
        let origin = url.origin().ascii_serialization();
        let path = url.path().trim_end_matches('/').to_owned();
        Some(PublicUrl { url: format!("{origin}{path}"), origin, path })
    }

    fn tls(&self, field: &Field<grammar::Tls>) -> Option<Option<Tls>> {
        let (Some(at), Some(tls)) = (field.span(), field.get()) else {
            return Some(None);
        };
        self.need(&tls.cert, at, "cert", "{ file: tls.crt }");
        self.need(&tls.key, at, "key", "{ file: tls.key }");
        let client_auth = self.tls_clients(tls);
        let (cert, key) = (self.file(&tls.cert), self.file(&tls.key));
        Some(Some(Tls { cert: cert?, key: key?, client_auth: client_auth? }))
    }

    fn origins(&self, field: &Field<Vec<Field<String>>>) -> Vec<String> {
        let listed = field.get().into_iter().flatten();
        let checked = listed.filter_map(|origin| {
            let (at, text) = (origin.span()?, origin.get()?);
            let parsed = parse_origin(text);
            if parsed.is_none() {
                let help = "write `https://app.example.com`, with a port if it is not the usual one";
                self.report.error_with_help(at, "not an origin", help);
            }
            parsed
        });
        checked.collect()
    }

    fn state_dir(&self, field: Field<String>) -> PathBuf {
        self.text(field).map_or_else(|| self.state_dir.clone(), |path| self.path(&path))
    }

    fn threads(&self, server: &grammar::Server) -> Option<usize> {
        let threads = Self::usize(&server.threads, 0);
        if let Some(at) = server.threads.span()
            && threads > MAX_THREADS
        {
            self.report.error(at, format!("more than {MAX_THREADS} threads"));
        }
        (threads > 0).then_some(threads)
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// `scheme://host[:port]` in lower case as browsers send it; `None` if `text` is anything else.
fn parse_origin(text: &str) -> Option<String> {
    let (scheme, host) = text.split_once("://")?;
    if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") {
        let url: Url = http_url(text).ok()?;
        let bare = !text.contains('*') && url.path() == "/" && url.query().is_none() && !text.ends_with('/');
        return bare.then(|| url.origin().ascii_serialization());
    }
    // Extensions and editors: `chrome-extension://id`, `vscode-webview://id`.
    let legal = |text: &str, extra: &[char]| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(&c))
    };
    (legal(scheme, &['+', '-', '.']) && legal(host, &['-', '.', '_', ':'])).then(|| text.to_ascii_lowercase())
}

fn split_help(message: &str) -> (&str, Option<&str>) {
    message.split_once(crate::yaml::HELP).map_or((message, None), |(message, help)| (message, Some(help)))
}

#[cfg(test)]
mod tests {
    use super::parse_origin;

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_nothing_more() {
        for (text, origin) in [
            ("https://App.Example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://localhost:6274", "http://localhost:6274"),
            ("vscode-webview://abc", "vscode-webview://abc"),
        ] {
            assert_eq!(parse_origin(text).as_deref(), Some(origin), "{text}");
        }
        for text in
            ["*", "null", "https://a/", "https://a/b", "https://*.a", "https://a?x", "a.com", "x://a/b"]
        {
            assert_eq!(parse_origin(text), None, "{text}");
        }
    }
}
