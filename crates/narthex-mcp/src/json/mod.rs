//! A strict RFC 8259 reader over one contiguous buffer.
//!
//! It is a validating cursor, not a parser into a tree: callers walk the few objects that they decide on
//! and skip the rest, and every byte is checked once either way. What it accepts, every conforming JSON
//! parser accepts and reads alike.

mod cursor;
mod fault;
mod keys;
mod plain;
mod text;

pub(crate) use cursor::{Cursor, Shape, Value};
pub(crate) use fault::Fault;
pub(crate) use keys::{Keys, folds_to};
pub use plain::plain_len;
pub(crate) use text::Text;
