//! A page that goes on by itself.

use super::shell::{Page, Site};
use super::text::Address;
use crate::Response;
use http::StatusCode;
use maud::html;
use url::Url;

/// Sends the browser to `to`, another site, in answer to a form. It is a page, not a redirect: browsers hold
/// every redirect after a post against the form's `form-action`, and the way may lead over hosts that nobody
/// here knows. Where the browser does not go by itself (a scheme that belongs to an application), there is a
/// button.
#[must_use]
pub fn onward(site: &Site, to: &Url) -> Response {
    if RUNS_OR_READS.contains(&to.scheme()) {
        return nowhere(site);
    }
    let place = match to.host_str() {
        Some(host) if matches!(to.scheme(), "http" | "https") => host.to_owned(),
        _ => format!("{}:", to.scheme()),
    };
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { "One moment" }
            p.lead { "You are being sent to " (Address(&place)) "." }
            div.actions { a.button.primary href=(to.as_str()) rel="noreferrer" { "Continue" } }
        }
    };
    Page { refresh: Some(to.as_str()), ..Page::new(site, "One moment", content) }.answer()
}

/// Schemes that no client and no server has: a browser would run them, or read its own machine.
const RUNS_OR_READS: [&str; 8] =
    ["javascript", "data", "vbscript", "blob", "file", "about", "filesystem", "view-source"];

/// Whoever calls [`onward`] has seen to it that the URL is one to go to; this is for the day when not.
fn nowhere(site: &Site) -> Response {
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { "That is no place to go" }
            p.lead { "The address to send you to is not one that a browser should open." }
        }
    };
    Page { status: StatusCode::BAD_REQUEST, ..Page::new(site, "No place to go", content) }.answer()
}

/// [`onward`] to a page of this gateway, which itself may send the browser elsewhere.
#[must_use]
pub(crate) fn onward_here(site: &Site, path: &str) -> Response {
    let to = site.at(path);
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { "You are signed in" }
            p.lead { "One moment." }
            div.actions { a.button.primary href=(to) { "Continue" } }
        }
    };
    Page { refresh: Some(&to), ..Page::new(site, "Signed in", content) }.answer()
}

/// Why a client's request is refused, and the way back to the client, which nobody has vouched for: the user goes
/// there, or not.
#[must_use]
pub(crate) fn back_to_client(site: &Site, to: &Url, why: &str, request_id: &str) -> Response {
    if RUNS_OR_READS.contains(&to.scheme()) {
        return nowhere(site);
    }
    let place = to.host_str().map_or_else(|| format!("{}:", to.scheme()), str::to_owned);
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { "That did not work" }
            p.lead { (why) }
            p { "The application that asked is at " (Address(&place)) ". If you have not just used it, close this page." }
            div.actions { a.button href=(to.as_str()) rel="noreferrer" { "Back to the application" } }
            p.small.foot { "If you ask for help, tell them this: request " (Address(request_id)) }
        }
    };
    Page { status: StatusCode::BAD_REQUEST, ..Page::new(site, "That did not work", content) }.answer()
}
