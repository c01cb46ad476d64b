//! Connecting one upstream: before the button, and after.

use super::ScopeWords;
use super::shell::{Page, Site};
use super::text::{Address, Name, name};
use crate::connections::{Connection, Ticket};
use crate::login::User;
use crate::{Response, pages::date};
use maud::{Markup, html};

/// What the page before the button says.
#[derive(Clone, Copy, Debug)]
pub struct ConnectView<'a> {
    /// What will be connected.
    pub ticket: &'a Ticket,
    /// What scopes mean.
    pub words: &'a ScopeWords,
    /// Whose it will be.
    pub user: &'a User,
    /// Where the form posts to, a path of this gateway.
    pub action: &'a str,
    /// The token of the form.
    pub csrf: &'a str,
}

/// What the page after the connection says.
#[derive(Clone, Copy, Debug)]
pub struct ConnectedView<'a> {
    /// What was connected.
    pub connection: &'a Connection,
    /// Whose it is.
    pub user: &'a User,
}

/// The page before the button. Its form posts `csrf` to `action`.
#[must_use]
pub fn connect(site: &Site, view: &ConnectView<'_>) -> Response {
    let ticket = view.ticket;
    let title = format!("Connect {}", name(&ticket.title));
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { "Connect " (Name(&ticket.title)) " to " (Name(&site.name)) "?" }
            p.lead { "So that applications which you allowed can use it in your name." }
            dl.facts {
                div { dt { "Server" } dd { (Address(&ticket.host)) } }
                @if let Some(host) = &ticket.authorization_host {
                    div { dt { "You will be sent to" } dd { (Address(host)) } }
                }
                div { dt { "Signed in as" } dd { (Name(&view.user.name)) " (" (Name(view.user.tenant.as_str())) ")" } }
            }
            @if !ticket.scopes.is_empty() {
                h2 { (Name(&site.name)) " will ask to" }
                (scopes(&ticket.scopes, view.words))
            }
            form method="post" action=(site.at(view.action)) {
                input type="hidden" name="csrf" value=(view.csrf);
                div.actions {
                    button.primary type="submit" { "Connect" }
                    a.button href=(site.at("/connections")) { "Cancel" }
                }
            }
            p.small { "You can disconnect it at any time on the page of your connections." }
        }
    };
    Page { posts: true, ..Page::new(site, &title, content) }.answer()
}

/// The page after.
#[must_use]
pub fn connected(site: &Site, view: &ConnectedView<'_>) -> Response {
    let connection = view.connection;
    let title = format!("{} is connected", name(&connection.title));
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { (Name(&connection.title)) " is connected" }
            p.lead { "Go back to your application: it can use " (Name(&connection.title)) " now. \
                You can close this page." }
            dl.facts {
                div { dt { "Server" } dd { (Address(&connection.host)) } }
                div { dt { "Connected for" } dd { (Name(&view.user.name)) " (" (Name(view.user.tenant.as_str())) ")" } }
                @if let Some(end) = connection.expires {
                    div { dt { "Until" } dd { (date::day(end)) } }
                }
            }
            div.actions { a.button href=(site.at("/connections")) { "See your connections" } }
        }
    };
    Page::new(site, &title, content).answer()
}

fn scopes(scopes: &[String], words: &ScopeWords) -> Markup {
    html! {
        ul.scopes {
            @for scope in scopes { li { (name(&words.of(scope))) code { (Address(scope)) } } }
        }
    }
}
