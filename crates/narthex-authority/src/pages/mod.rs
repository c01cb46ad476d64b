//! What people see: plain pages, rendered here, without scripts.
//!
//! Every function takes a view, the values to show, and makes a complete [`Response`](crate::Response): the
//! page, its status and its security headers. All values are escaped; those that somebody else chose (names
//! of clients, hosts, identifiers) are made readable first, see [`text`].
//!
//! A form posts to this gateway and nowhere else (`form-action 'self'`). Browsers apply that to every
//! redirect after the post, too, on whose way there may be hosts that nobody here knows (an identity provider
//! that sends the browser on to another). So the answer to a post that leads elsewhere is a page that goes on
//! by itself: [`onward`].

mod connect;
mod connections;
mod consent;
mod date;
mod login;
mod onward;
mod problem;
mod scopes;
mod shell;
mod text;

#[cfg(test)]
mod tests;

pub use connect::{ConnectView, ConnectedView, connect, connected};
pub use connections::{ConnectionsView, connections};
pub use consent::{ClientKind, ConsentView, RequestedScope, consent};
pub use login::{LocalChoice, LoginView, ProviderChoice, login, sign_out, signed_out};
pub use onward::onward;
pub(crate) use onward::{back_to_client, onward_here};
pub use problem::{ProblemView, problem};
pub use scopes::ScopeWords;
pub use shell::{Site, see_other};
