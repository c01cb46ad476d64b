//! Something is not as it should be.

use super::shell::{Page, Site};
use super::text::{Address, Name};
use crate::Response;
use http::StatusCode;
use maud::html;

/// What the page about a failure says.
#[derive(Clone, Copy, Debug)]
pub struct ProblemView<'a> {
    /// The status of the answer.
    pub status: StatusCode,
    /// What is the matter, in a few words.
    pub title: &'a str,
    /// What the person in front of it can do.
    pub text: &'a str,
    /// What the log calls this request.
    pub request_id: &'a str,
    /// A way on: a path of this gateway (starting with `/`) and what it is called.
    pub way_on: Option<(&'a str, &'a str)>,
}

/// The page.
#[must_use]
pub fn problem(site: &Site, view: &ProblemView<'_>) -> Response {
    let content = html! {
        section.card aria-labelledby="title" {
            h1 #title { (Name(view.title)) }
            p.lead { (view.text) }
            @if let Some((path, label)) = view.way_on {
                div.actions { a.button.primary href=(site.at(path)) { (label) } }
            }
            p.small.foot { "If you ask for help, tell them this: request " (Address(view.request_id)) }
        }
    };
    Page { status: view.status, ..Page::new(site, view.title, content) }.answer()
}
