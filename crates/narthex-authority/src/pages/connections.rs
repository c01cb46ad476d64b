//! What a user connected, and could.

use super::ScopeWords;
use super::date::day;
use super::shell::{Page, Site};
use super::text::{Address, Name, name};
use crate::Response;
use crate::connections::Connection;
use crate::login::User;
use maud::{Markup, html};

/// What the page of connections says.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionsView<'a> {
    /// Whose they are.
    pub user: &'a User,
    /// All that the user may connect.
    pub connections: &'a [Connection],
    /// What scopes mean.
    pub words: &'a ScopeWords,
    /// What was just done.
    pub done: Option<&'a str>,
    /// The token of the forms that connect and disconnect.
    pub csrf: &'a str,
    /// The token of the form that signs out.
    pub logout_csrf: &'a str,
}

/// The page. Its forms post `csrf`, `upstream` and `action` (`connect` or `revoke`) to `/connections`, and
/// `csrf` to `/logout`.
#[must_use]
pub fn connections(site: &Site, view: &ConnectionsView<'_>) -> Response {
    let content = html! {
        div.bar {
            p { "Signed in as " strong { (Name(&view.user.name)) } " of " (Name(view.user.tenant.as_str())) }
            form method="post" action=(site.at("/logout")) {
                input type="hidden" name="csrf" value=(view.logout_csrf);
                button.quiet type="submit" { "Sign out" }
            }
        }
        @if let Some(done) = view.done { p.said role="status" { (name(done)) } }
        h1 { "Your connections" }
        p.lead { "Servers that ask for your own consent. What you connect here, applications that you allowed \
            can use in your name." }
        @if view.connections.is_empty() {
            div.card { p { "There is nothing to connect: none of your servers asks for it." } }
        } @else {
            ul.list { @for connection in view.connections { li.row { (row(site, view, connection)) } } }
        }
    };
    Page { posts: true, wide: true, ..Page::new(site, "Your connections", content) }.answer()
}

fn row(site: &Site, view: &ConnectionsView<'_>, connection: &Connection) -> Markup {
    let is_on = connection.connected_at.is_some();
    html! {
        div {
            h2 { (Name(&connection.title)) }
            p.small { (Address(&connection.host)) }
            p { (state(connection)) }
            @if is_on && !connection.scopes.is_empty() {
                ul.words {
                    @for scope in &connection.scopes {
                        li { (name(&view.words.of(scope))) " " code { (Address(scope)) } }
                    }
                }
            }
        }
        form method="post" action=(site.at("/connections")) {
            input type="hidden" name="csrf" value=(view.csrf);
            input type="hidden" name="upstream" value=(connection.upstream);
            @if is_on {
                button.danger type="submit" name="action" value="revoke"
                    aria-label={ "Disconnect " (name(&connection.title)) } { "Disconnect" }
            } @else {
                button.primary type="submit" name="action" value="connect"
                    aria-label={ "Connect " (name(&connection.title)) } { "Connect" }
            }
        }
    }
}

fn state(connection: &Connection) -> Markup {
    html! {
        @match connection.connected_at {
            Some(since) => {
                span.state.on { "Connected" } " since " (day(since))
                @if let Some(end) = connection.expires { ", until " (day(end)) }
            }
            None => { span.state { "Not connected" } }
        }
    }
}
