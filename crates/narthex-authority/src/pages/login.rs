//! Who are you? The choice of where to sign in, and the development users.

use super::shell::{Page, Site};
use super::text::{Address, Name};
use crate::Response;
use crate::login::User;
use http::StatusCode;
use maud::{Markup, html};

/// What the login page offers.
#[derive(Clone, Copy, Debug)]
pub struct LoginView<'a> {
    /// Where people sign in.
    pub providers: &'a [ProviderChoice<'a>],
    /// Development users.
    pub users: &'a [LocalChoice<'a>],
    /// What went wrong with the try before this page.
    pub error: Option<&'a str>,
    /// Where to go afterwards; sent back as `return_to`.
    pub return_to: &'a str,
    /// The token of the forms.
    pub csrf: &'a str,
}

/// An identity provider to choose.
#[derive(Clone, Copy, Debug)]
pub struct ProviderChoice<'a> {
    /// Its id; sent back as `provider`.
    pub id: &'a str,
    /// What people call it.
    pub title: &'a str,
    /// The host that the browser goes to.
    pub host: &'a str,
}

/// A development user to choose.
#[derive(Clone, Copy, Debug)]
pub struct LocalChoice<'a> {
    /// The name; sent back as `user`.
    pub name: &'a str,
    /// The tenant that the user is of.
    pub tenant: &'a str,
    /// Whether there is a password; sent back as `password`.
    pub has_password: bool,
}

/// The page. Its forms post to `/login`.
#[must_use]
pub fn login(site: &Site, view: &LoginView<'_>) -> Response {
    let status = if view.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { "Sign in to " (Name(&site.name)) }
            @if let Some(error) = view.error { p.error role="alert" { (error) } }
            (providers(site, view))
            (users(site, view))
        }
    };
    Page { posts: true, status, ..Page::new(site, "Sign in", content) }.answer()
}

/// Before the logout. Its form posts `csrf` to `/logout`.
#[must_use]
pub fn sign_out(site: &Site, user: &User, csrf: &str) -> Response {
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { "Sign out?" }
            p.lead { "You are signed in as " (Name(&user.name)) " (" (Name(user.tenant.as_str())) ")." }
            form method="post" action=(site.at("/logout")) {
                input type="hidden" name="csrf" value=(csrf);
                div.actions {
                    button.primary type="submit" { "Sign out" }
                    a.button href=(site.at("/connections")) { "Cancel" }
                }
            }
        }
    };
    Page { posts: true, ..Page::new(site, "Sign out", content) }.answer()
}

/// After the logout.
#[must_use]
pub fn signed_out(site: &Site) -> Response {
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { "You are signed out" }
            p.lead { "Applications that you allowed stay allowed until their access ends. You may still be \
                signed in at your company's own sign-in page." }
            div.actions { a.button href=(site.at("/connections")) { "Sign in again" } }
        }
    };
    Page::new(site, "Signed out", content).answer()
}

fn providers(site: &Site, view: &LoginView<'_>) -> Markup {
    html! {
        @if !view.providers.is_empty() {
            p.lead { "Choose where you have your account." }
            ul.choices {
                @for provider in view.providers {
                    li {
                        form method="post" action=(site.at("/login")) {
                            (hidden(view))
                            button.choice type="submit" name="provider" value=(provider.id) {
                                span { (Name(provider.title)) }
                                span.small { (Address(provider.host)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn users(site: &Site, view: &LoginView<'_>) -> Markup {
    html! {
        @if !view.users.is_empty() {
            div.note role="note" {
                p { strong { "Development." } " These users are in the configuration of this gateway, \
                    for trying it out on one machine." }
            }
            ul.choices {
                @for (at, user) in view.users.iter().enumerate() {
                    li { (user_form(site, view, at, user)) }
                }
            }
        }
    }
}

fn user_form(site: &Site, view: &LoginView<'_>, at: usize, user: &LocalChoice<'_>) -> Markup {
    let (field, who) = (format!("password-{at}"), format!("user-{at}"));
    html! {
        form.entry[user.has_password] method="post" action=(site.at("/login")) {
            (hidden(view))
            @if user.has_password {
                div #(who) { (Name(user.name)) " " span.small { "of " (Name(user.tenant)) } }
                label for=(field) { "Password of " (Name(user.name)) }
                input #(field) type="password" name="password" required maxlength="1024"
                    autocomplete="current-password";
                button.primary type="submit" name="user" value=(user.name) { "Sign in as " (Name(user.name)) }
            } @else {
                button.choice type="submit" name="user" value=(user.name) {
                    span { "Continue as " (Name(user.name)) }
                    span.small { "of " (Name(user.tenant)) ", no password" }
                }
            }
        }
    }
}

fn hidden(view: &LoginView<'_>) -> Markup {
    html! {
        input type="hidden" name="csrf" value=(view.csrf);
        input type="hidden" name="return_to" value=(view.return_to);
    }
}
