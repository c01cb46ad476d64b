//! The data path: pingora in front and behind, the pipeline between.

pub mod body;
pub mod forward;
