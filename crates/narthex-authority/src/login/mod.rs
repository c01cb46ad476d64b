//! Who the browser's user is: login at the company's identity provider, and the session after it.

mod browser;
mod cookie;
mod problem;
mod user;

pub use browser::Browser;
pub use problem::Problem;
pub use user::User;
