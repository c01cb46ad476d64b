//! Server-sent events (WHATWG HTML, §9.2), read and written piece by piece.

mod decode;
mod encode;
mod event;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, SseError};
pub use encode::{FieldError, Fields, encode};
pub use event::{Event, Frame};
