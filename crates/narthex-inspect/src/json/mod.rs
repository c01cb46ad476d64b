//! The strings of a JSON text, where they stand and what they mean.
//!
//! The reader of `narthex-mcp` looks for a few keys and refuses what envelopes must not have. This one hands
//! out every string, in one pass over the grammar of RFC 8259 and without a tree, and puts up with halves of
//! surrogate pairs, which servers written in JavaScript do send.

mod place;
mod strings;
mod text;

pub(crate) use place::Place;
pub(crate) use strings::{Fault, Strings, Token};
pub(crate) use text::{Decoded, quote};
