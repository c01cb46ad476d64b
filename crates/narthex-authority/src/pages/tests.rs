//! What holds for every page.

use super::*;
use crate::Response;
use crate::connections::{Connection, Ticket};
use crate::login::User;
use ::http::StatusCode;
use narthex_config::model::TenantId;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// Markup, quotes, letters that turn the direction or are not seen, and many of them.
fn hostile() -> String {
    format!(
        "</title></style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u{202e}\u{200b}\0\u{7}{}",
        "A".repeat(10_000)
    )
}

fn site() -> Site {
    Site { base: String::from("/gw"), name: String::from("Narthex") }
}

fn user(name: &str) -> User {
    User {
        tenant: TenantId::from("acme"),
        subject: String::from("corp|1"),
        provider: String::from("corp"),
        provider_issuer: String::from("https://idp.example"),
        provider_subject: String::from("1"),
        name: name.to_owned(),
        groups: Vec::new(),
        authenticated_at: UNIX_EPOCH,
    }
}

fn connection(text: &str, since: Option<SystemTime>) -> Connection {
    Connection {
        upstream: text.to_owned(),
        title: text.to_owned(),
        host: text.to_owned(),
        scopes: vec![text.to_owned()],
        connected_at: since,
        expires: since.map(|since| since + Duration::from_secs(86_400)),
    }
}

fn ticket(text: &str) -> Ticket {
    Ticket {
        upstream: text.to_owned(),
        title: text.to_owned(),
        host: text.to_owned(),
        authorization_host: Some(text.to_owned()),
        scopes: vec![text.to_owned()],
        expires: UNIX_EPOCH,
    }
}

/// Every page, with `text` wherever a text from elsewhere is shown.
pub(crate) fn all(text: &str) -> Vec<(&'static str, Response)> {
    let (site, user, words) = (site(), user(text), ScopeWords::default());
    let redirect = Url::parse("http://127.0.0.1:33418/callback").unwrap();
    let scopes = [RequestedScope { name: text, words: text }];
    let consent_view = ConsentView {
        client_name: text,
        client_id: text,
        kind: ClientKind::Dynamic,
        redirect_uri: &redirect,
        is_local: true,
        resource_name: text,
        resource: text,
        scopes: &scopes,
        user: Some(&user),
        csrf: text,
        request: text,
    };
    let providers = [ProviderChoice { id: text, title: text, host: text }];
    let users = [true, false].map(|has_password| LocalChoice { name: text, tenant: text, has_password });
    let login_view =
        LoginView { providers: &providers, users: &users, error: Some(text), return_to: text, csrf: text };
    let connections_view = ConnectionsView {
        user: &user,
        connections: &[connection(text, Some(UNIX_EPOCH)), connection(text, None)],
        words: &words,
        done: Some(text),
        csrf: text,
        logout_csrf: text,
    };
    let (connection, ticket) = (connection(text, Some(UNIX_EPOCH)), ticket(text));
    let connect_view = ConnectView { ticket: &ticket, words: &words, user: &user, action: text, csrf: text };
    let connected_view = ConnectedView { connection: &connection, user: &user };
    let problem_view = ProblemView {
        status: StatusCode::BAD_REQUEST,
        title: text,
        text,
        request_id: text,
        way_on: Some((text, text)),
    };
    let mut to = Url::parse("https://app.example/cb").unwrap();
    to.query_pairs_mut().append_pair("state", text);
    vec![
        ("consent", consent(&site, &consent_view)),
        ("login", login(&site, &login_view)),
        ("sign out", sign_out(&site, &user, text)),
        ("signed out", signed_out(&site)),
        ("connections", connections(&site, &connections_view)),
        ("connect", connect(&site, &connect_view)),
        ("connected", connected(&site, &connected_view)),
        ("problem", problem(&site, &problem_view)),
        ("onward", onward(&site, &to)),
    ]
}

fn body(response: &Response) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

/// The page's tags with their attributes, without the text between them and without the style.
fn tags(html: &str) -> Vec<&str> {
    let html = html.split_once("</style>").unwrap().1;
    html.split('<').skip(1).map(|rest| rest.split_once('>').unwrap().0).collect()
}

#[test]
fn every_page_forbids_scripts_frames_caching_and_referrers() {
    for (page, response) in all("x") {
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{page}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{page}");
        assert!(policy.contains("form-action 'self'") || policy.contains("form-action 'none'"), "{page}");
        assert_eq!(header("x-frame-options"), "DENY", "{page}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{page}");
        assert_eq!(header("cache-control"), "no-store", "{page}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{page}");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{page}");
        assert_eq!(header("content-type"), "text/html; charset=utf-8", "{page}");
    }
}

#[test]
fn a_page_with_forms_may_post_here_and_one_without_nowhere() {
    for (page, response) in all("x") {
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        let expected =
            if body(&response).contains("<form") { "form-action 'self'" } else { "form-action 'none'" };
        assert!(policy.contains(expected), "{page}");
    }
}

#[test]
fn hostile_text_adds_no_tag_and_no_attribute_to_any_page() {
    let hostile = hostile();
    for ((page, good), (_, bad)) in all("x").iter().zip(&all(&hostile)) {
        let names = |html| {
            let name = |tag: &&str| tag.split([' ', '>']).next().unwrap_or_default().to_owned();
            tags(html).iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(body(good)), names(body(bad)), "{page}");
        assert!(!body(bad).contains("<script"), "{page}");
        assert!(!body(bad).contains("<img"), "{page}");
    }
}

#[test]
fn what_people_read_has_no_hidden_letters_and_does_not_go_on_for_ever() {
    for (page, response) in all(&hostile()) {
        if page == "login" {
            // Its error is a text of ours; here it stands for none.
            continue;
        }
        let html = body(&response).split_once("</style>").unwrap().1.to_owned();
        let text: String =
            html.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(_, t)| t).collect();
        if !matches!(page, "problem") {
            assert!(!text.contains(['\u{202e}', '\u{200b}', '\0', '\u{7}']), "{page}");
            assert!(!text.contains(&"A".repeat(201)), "{page}");
        }
    }
}

#[test]
fn every_page_is_accessible_by_its_structure() {
    for (page, response) in all("x") {
        let html = body(&response);
        assert!(html.contains("<html lang=\"en\">"), "{page}");
        assert_eq!(html.matches("<h1").count(), 1, "{page}");
        assert_eq!(html.matches("<main").count(), 1, "{page}");
        assert!(html.contains("name=\"viewport\""), "{page}");
        assert!(!html.contains("<title></title>"), "{page}");
        assert!(!html.contains(" style="), "{page}: inline styles are blocked");
        for tag in tags(html).iter().filter(|tag| tag.starts_with("input") && !tag.contains("hidden")) {
            let id = tag.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
            assert!(html.contains(&format!("<label for=\"{id}\"")), "{page}: {tag}");
        }
        let mut ids: Vec<&str> =
            html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{page}: ids are unique");
    }
}

#[test]
fn no_page_goes_on_to_what_a_browser_would_run_or_read() {
    for url in [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "file:///etc/passwd",
        "blob:https://x/1",
        "vbscript:x",
        "view-source:https://x",
    ] {
        let page = onward(&site(), &Url::parse(url).unwrap());
        assert_eq!(page.status(), StatusCode::BAD_REQUEST, "{url}");
        assert!(!body(&page).contains("refresh") && !body(&page).contains("<a "), "{url}");
    }
    for url in
        ["https://app.example/cb?code=a&state=b", "http://[::1]:8123/cb", "cursor://anysphere/cb?code=a"]
    {
        let page = onward(&site(), &Url::parse(url).unwrap());
        let escaped = url.replace('&', "&amp;");
        assert!(body(&page).contains(&format!("content=\"0; url={escaped}\"")), "{url}");
        assert!(body(&page).contains(&format!("href=\"{escaped}\"")), "{url}");
    }
}

#[test]
fn no_page_loads_anything() {
    for (page, response) in all("x") {
        for tag in tags(body(&response)) {
            assert!(!tag.contains(" src="), "{page}: {tag}");
            assert!(!tag.starts_with("link") && !tag.starts_with("script"), "{page}: {tag}");
        }
    }
}

#[test]
fn the_consent_page_warns_of_what_runs_anywhere_and_of_what_nobody_checked() {
    let site = site();
    let show = |kind, is_local, redirect: &str| {
        let view = ConsentView {
            client_name: "Tool",
            client_id: "https://tool.example/client.json",
            kind,
            redirect_uri: &Url::parse(redirect).unwrap(),
            is_local,
            resource_name: "Orders",
            resource: "https://gw.example/orders",
            scopes: &[],
            user: None,
            csrf: "c",
            request: "r",
        };
        body(&consent(&site, &view)).to_owned()
    };
    let page = show(ClientKind::MetadataDocument, false, "https://tool.example/cb");
    assert!(page.contains("published by <bdi class=\"address\" dir=\"ltr\">tool.example</bdi>"));
    assert!(!page.contains("class=\"note\""));
    assert!(show(ClientKind::Dynamic, false, "https://tool.example/cb").contains("Not verified."));
    let page = show(ClientKind::MetadataDocument, true, "http://127.0.0.1:8123/cb");
    assert!(page.contains("Runs on your device."));
    assert!(page.contains("127.0.0.1:8123</bdi> (this device)"));
    let page = show(ClientKind::Registered, true, "cursor://anysphere.cursor-mcp/oauth/callback");
    assert!(page.contains("the application on this device that opens"));
    assert!(page.contains(">cursor:</bdi>"));
}

/// The colours of one theme of the stylesheet, by their names.
fn colours(theme: &str) -> std::collections::BTreeMap<String, [f64; 3]> {
    let pair = |text: &str| -> Option<(String, [f64; 3])> {
        let (name, hex) = text.split_once(":#")?;
        let hex = if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
        let part = |at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        Some((name.trim_start_matches("--").to_owned(), [part(0), part(2), part(4)]))
    };
    theme.split(';').filter_map(pair).collect()
}

/// WCAG 2.2, "contrast ratio".
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
    let luminance = |c: [f64; 3]| 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_is_readable_on_its_ground_in_light_and_dark() {
    let style = include_str!("style.css");
    let themes: Vec<_> =
        style.split(":root{").skip(1).map(|rest| colours(rest.split('}').next().unwrap())).collect();
    assert_eq!(themes.len(), 2, "light and dark");
    let pairs = [
        ("text", "ground", 4.5),
        ("text", "card", 4.5),
        ("text", "tint", 4.5),
        ("text", "warn-ground", 4.5),
        ("soft", "ground", 4.5),
        ("soft", "card", 4.5),
        ("accent", "card", 4.5),
        ("accent", "ground", 4.5),
        ("accent-deep", "card", 4.5),
        ("on-accent", "accent", 4.5),
        ("on-accent", "accent-deep", 4.5),
        ("warn", "warn-ground", 4.5),
        ("bad", "card", 4.5),
        ("bad", "tint", 4.5),
        ("good", "good-ground", 4.5),
        ("good", "card", 4.5),
        // The edges of what can be operated (WCAG 2.2 §1.4.11).
        ("field", "card", 3.0),
        ("field", "ground", 3.0),
    ];
    for (theme, name) in themes.iter().zip(["light", "dark"]) {
        for (front, back, least) in pairs {
            let ratio = contrast(theme[front], theme[back]);
            assert!(ratio >= least, "{name}: {front} on {back} has {ratio:.2}");
        }
    }
}
