//! What of a session changes while it lives, as it is kept for when it is taken up again.

use narthex_mcp::bridge::Object;
use std::collections::BTreeSet;

/// The part of a session that its handle cannot have in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Kept {
    /// The client has ended it.
    pub(super) ended: bool,
    /// From which level on log messages are wanted, once the client has said.
    pub(super) level: Option<String>,
    /// The resources that the client is subscribed to.
    pub(super) uris: BTreeSet<String>,
}

impl Kept {
    /// Reads what [`Kept::to_json`] wrote; what cannot be read is as good as nothing.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let object = Object::parse(text).ok()?;
        let uris = object.get("uris").map_or_else(|| Ok(BTreeSet::new()), serde_json::from_str);
        Some(Self {
            ended: object.get("ended") == Some("true"),
            level: object.string("level"),
            uris: uris.ok()?,
        })
    }

    pub(super) fn to_json(&self) -> String {
        let mut object = Object::default();
        if self.ended {
            object.set_json("ended", "true");
        }
        if let Some(level) = &self.level {
            object.set_string("level", level);
        }
        if !self.uris.is_empty() {
            object.set_json("uris", serde_json::json!(self.uris).to_string());
        }
        object.to_json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_again() {
        let uris: BTreeSet<String> = ["a://\"b\"", "c://d"].map(str::to_owned).into();
        for kept in [
            Kept::default(),
            Kept { ended: true, ..Kept::default() },
            Kept { ended: false, level: Some("error".to_owned()), uris },
        ] {
            assert_eq!(Kept::parse(kept.to_json().as_bytes()), Some(kept));
        }
        assert_eq!(Kept::parse(b"[]"), None);
    }
}
