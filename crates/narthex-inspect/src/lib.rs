//! Content inspection: what tool definitions, results and arguments carry that they should not.
//!
//! An [`Inspector`] is given whole JSON texts and says what is to become of each: whether it passes as it is,
//! passes with some of its strings rewritten, or is refused. It looks for text that a model reads and a
//! person does not see, for instructions to the model where a tool is described, for secrets, for personal
//! data, and for what the operator names. Nothing here opens a socket, reads a clock or keeps what it saw;
//! a [`Finding`] says what was found and where, and never quotes it.
//!
//! A text is read once, string by string, without a tree, and every byte outside of the strings that change
//! stays as it is. All patterns are matched in linear time. What is not JSON is refused.

mod finding;
mod hidden;
mod inspector;
mod instructions;
mod json;
mod patterns;
mod settings;

pub use finding::Finding;
pub use inspector::{Definition, Inspector, Outcome, Verdict};
pub use settings::{Action, BadPattern, Pattern, Settings};
