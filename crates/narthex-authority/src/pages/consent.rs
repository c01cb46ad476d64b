//! May this application do that? Asked before the browser is sent anywhere.

use super::shell::{Page, Site};
use super::text::{Address, Name, name};
use crate::Response;
use crate::client::document::is_loopback;
use crate::login::User;
use maud::{Markup, html};
use url::Url;

/// What the page of consent says.
#[derive(Clone, Copy, Debug)]
pub struct ConsentView<'a> {
    /// What the client calls itself; anything.
    pub client_name: &'a str,
    /// Its `client_id`.
    pub client_id: &'a str,
    /// How the gateway knows it.
    pub kind: ClientKind,
    /// Where the answer goes.
    pub redirect_uri: &'a Url,
    /// Whether every redirect URI of the client is on the user's own machine (a loopback address, or a
    /// scheme of its own): any program there could be the one that gets the answer.
    pub is_local: bool,
    /// What people call the route.
    pub resource_name: &'a str,
    /// Its resource identifier (RFC 8707).
    pub resource: &'a str,
    /// What is asked for.
    pub scopes: &'a [RequestedScope<'a>],
    /// Who is logged in; `None`: that comes next.
    pub user: Option<&'a User>,
    /// The token of the form.
    pub csrf: &'a str,
    /// What names the request that is decided on; sent back as `request`.
    pub request: &'a str,
}

/// One scope that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RequestedScope<'a> {
    /// The scope.
    pub name: &'a str,
    /// What it lets the client do, see [`ScopeWords`](super::ScopeWords).
    pub words: &'a str,
}

/// How the gateway knows a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientKind {
    /// It is in the configuration.
    Registered,
    /// By the document at its `client_id`: whoever owns that host wrote it.
    MetadataDocument,
    /// It registered itself: nothing that it says was checked.
    Dynamic,
}

/// The page. Its form posts `decision` (`approve` or `deny`), `csrf` and `request` to `/oauth/consent`.
#[must_use]
pub fn consent(site: &Site, view: &ConsentView<'_>) -> Response {
    let title = format!("Allow {}?", name(view.client_name));
    let content = html! {
        section.card aria-labelledby="question" {
            h1 #question { "Allow " (Name(view.client_name)) " to use " (Name(view.resource_name)) "?" }
            p.lead { (introduction(view)) }
            (facts(view))
            (scopes(view.scopes))
            (warnings(view))
            form method="post" action=(site.at("/oauth/consent")) {
                input type="hidden" name="csrf" value=(view.csrf);
                input type="hidden" name="request" value=(view.request);
                div.actions {
                    button.primary type="submit" name="decision" value="approve" { "Allow" }
                    button type="submit" name="decision" value="deny" { "Cancel" }
                }
            }
            p.small { (what_next(view)) }
        }
    };
    Page { posts: true, ..Page::new(site, &title, content) }.answer()
}

fn introduction(view: &ConsentView<'_>) -> Markup {
    match view.kind {
        ClientKind::Registered => html! { "Your administrator has set up this application." },
        ClientKind::MetadataDocument => match client_host(view.client_id) {
            Some(host) => html! { "This application is published by " (Address(&host)) "." },
            None => html! { "This application is published at the address below." },
        },
        ClientKind::Dynamic => html! { "This application registered itself. Nobody has checked its name." },
    }
}

fn facts(view: &ConsentView<'_>) -> Markup {
    html! {
        dl.facts {
            div { dt { "Application" } dd { (Address(view.client_id)) } }
            div { dt { "Gets access to" } dd { (Address(view.resource)) } }
            div { dt { "You will be sent to" } dd { (destination(view.redirect_uri)) } }
            @if let Some(user) = view.user {
                div { dt { "Signed in as" } dd { (Name(&user.name)) " (" (Name(user.tenant.as_str())) ")" } }
            }
        }
    }
}

fn scopes(scopes: &[RequestedScope<'_>]) -> Markup {
    html! {
        h2 { "It will be able to" }
        @if scopes.is_empty() {
            p { "Connect in your name, without any particular permission." }
        } @else {
            ul.scopes {
                @for scope in scopes { li { (name(scope.words)) code { (Address(scope.name)) } } }
            }
        }
    }
}

fn warnings(view: &ConsentView<'_>) -> Markup {
    html! {
        @if view.kind == ClientKind::Dynamic {
            div.note role="note" {
                p { strong { "Not verified." } " Any program can call itself "
                    (Name(view.client_name)) ". Go on only if you have just started this yourself." }
            }
        }
        @if view.is_local {
            div.note role="note" {
                p { strong { "Runs on your device." } " The answer goes to a program on the device in front of \
                    you, and it cannot be told which one. If you did not just connect an application there, cancel." }
            }
        }
    }
}

fn what_next(view: &ConsentView<'_>) -> &'static str {
    match view.user {
        Some(_) => "You can stop this at any time by signing out of the application.",
        None => "If you allow it, you sign in next.",
    }
}

/// The host of a redirect URI; a scheme of an application's own is said to be one.
fn destination(uri: &Url) -> Markup {
    match uri.host() {
        Some(host) if matches!(uri.scheme(), "http" | "https") => {
            let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
            let shown = format!("{host}{port}");
            let local = is_loopback(uri);
            html! { (Address(&shown)) @if local { " (this device)" } }
        }
        _ => html! { "the application on this device that opens " (Address(&format!("{}:", uri.scheme()))) },
    }
}

fn client_host(client_id: &str) -> Option<String> {
    Url::parse(client_id).ok()?.host_str().map(str::to_owned)
}
