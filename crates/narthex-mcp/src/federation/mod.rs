//! Several servers behind one route, shown as one: names, cursors and accounts of themselves are merged.
//!
//! A client of a merged route sees one server. Tools and prompts are named after the upstream that has them
//! ([`names`]), lists are paged across upstreams, and what a user is shown says where it comes from. Which
//! upstream is asked, and when, is for whoever calls the functions here; they keep nothing.

pub mod account;
pub mod collide;
pub mod completion;
pub mod connect;
pub mod cursor;
pub mod item;
pub mod links;
pub mod names;
pub mod notice;
pub mod template;

pub use names::{BadSeparator, Naming};
pub use template::{BadTemplate, UriTemplate};
