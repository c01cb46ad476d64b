//! Which revisions of MCP an upstream speaks.

use std::fmt;

/// `protocol:` of an upstream. There are two eras: since 2026-07-28 each request stands alone, before
/// that `initialize` opens a session; and the HTTP+SSE transport of 2024-11-05 is a third thing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    /// `auto`: asked by `server/discover`, remembered, asked again (MCP 2026-07-28, basic/versioning).
    #[default]
    Auto,
    /// 2026-07-28 only.
    Modern,
    /// Revisions with sessions only.
    Legacy(LegacyRevision),
    /// 2026-07-28 as well as revisions with sessions.
    Both(LegacyRevision),
    /// `2024-11-05`: the HTTP+SSE transport (MCP 2024-11-05, basic/transports).
    HttpSse,
}

impl Protocol {
    /// Whether 2026-07-28 is known to be spoken, `None` if that is to be found out.
    #[must_use]
    pub const fn modern(&self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::Modern | Self::Both(_) => Some(true),
            Self::Legacy(_) | Self::HttpSse => Some(false),
        }
    }

    /// The newest revision with sessions over Streamable HTTP that is known to be spoken: the one to
    /// offer in `initialize`.
    #[must_use]
    pub const fn legacy(&self) -> Option<LegacyRevision> {
        match self {
            Self::Legacy(revision) | Self::Both(revision) => Some(*revision),
            Self::Auto | Self::Modern | Self::HttpSse => None,
        }
    }
}

/// A revision of MCP with sessions and Streamable HTTP. Displays as its name on the wire; the newer is
/// the greater.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LegacyRevision {
    /// 2025-03-26.
    V2025_03_26,
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25.
    V2025_11_25,
}

impl LegacyRevision {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }
}

impl fmt::Display for LegacyRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
