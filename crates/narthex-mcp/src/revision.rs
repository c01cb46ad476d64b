//! Protocol revisions, and by which of them a request is to be read.

use crate::envelope::{Body, Kind, Message};
use crate::headers::trim_ows;
use crate::rpc;
use std::fmt;

/// A revision of MCP with the Streamable HTTP transport.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Revision {
    /// 2025-03-26: the only one with batches; has no version header.
    V2025_03_26,
    /// 2025-06-18: `MCP-Protocol-Version` on every request after `initialize`.
    V2025_06_18,
    /// 2025-11-25.
    V2025_11_25,
    /// 2026-07-28: no sessions; `_meta` and `Mcp-*` headers on every request.
    V2026_07_28,
}

impl Revision {
    /// Every revision, newest first.
    pub const ALL: [Self; 4] = [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26];

    /// Those that each request names in `_meta`.
    pub const PER_REQUEST: [Self; 1] = [Self::V2026_07_28];

    /// The revision of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == name)
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether requests stand alone: no `initialize`, no session, `_meta` and `Mcp-*` headers instead.
    #[must_use]
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a request cannot be read by any revision. Always HTTP 400.
///
/// Displays as the sentence for the caller.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// `MCP-Protocol-Version` is missing or unlike `_meta`: -32020.
    #[error("MCP-Protocol-Version is missing or differs from the protocol version in params._meta")]
    HeaderMismatch,
    /// A required member of `params._meta` is missing: -32602. Goes before a mismatch, since without it
    /// the header has nothing to match.
    #[error("params._meta must have io.modelcontextprotocol/protocolVersion and clientCapabilities")]
    MissingMeta,
    /// Not a revision that the gateway speaks: -32022 if a request names it in `_meta`, as those of
    /// 2026-07-28 do; -32600 if it is only in the header, as in those before.
    #[error("this protocol version is not supported")]
    Unsupported {
        /// What was asked for, cut to 64 characters.
        requested: String,
        /// What may be asked for instead.
        supported: &'static [Revision],
    },
    /// A batch outside 2025-03-26: -32600.
    #[error("batches are part of protocol version 2025-03-26 only")]
    Batch,
}

impl VersionError {
    fn unsupported(requested: &str, supported: &'static [Revision]) -> Self {
        const LONGEST: usize = 64;
        Self::Unsupported { requested: requested.chars().take(LONGEST).collect(), supported }
    }

    /// The JSON-RPC error code.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::HeaderMismatch => rpc::HEADER_MISMATCH,
            Self::MissingMeta => rpc::INVALID_PARAMS,
            // The code is one of 2026-07-28, which an older client must never see.
            Self::Unsupported { supported, .. } if supported.len() > Revision::PER_REQUEST.len() => {
                rpc::INVALID_REQUEST
            }
            Self::Unsupported { .. } => rpc::UNSUPPORTED_PROTOCOL_VERSION,
            Self::Batch => rpc::INVALID_REQUEST,
        }
    }

    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::HeaderMismatch => "version_header_mismatch",
            Self::MissingMeta => "missing_meta",
            Self::Unsupported { .. } => "unsupported_version",
            Self::Batch => "batch_not_allowed",
        }
    }

    /// The error's `data` as JSON text (MCP 2026-07-28, basic/versioning: `supported` and `requested`).
    #[must_use]
    pub fn data(&self) -> Option<String> {
        let Self::Unsupported { requested, supported } = self else { return None };
        let supported: Vec<_> = supported.iter().map(|revision| rpc::quote(revision.as_str())).collect();
        let supported = supported.join(",");
        Some(format!(r#"{{"supported":[{supported}],"requested":{}}}"#, rpc::quote(requested)))
    }
}

/// By which revision a request is to be read, from its `MCP-Protocol-Version` header and its message.
///
/// `message` is `None` for GET and DELETE. A request that names a version in `_meta`, or 2026-07-28 in the
/// header, is read by the rules of 2026-07-28: it needs both, and they must agree. Any other is read by the
/// older revision in its header, and as 2025-03-26 without one (MCP 2025-11-25, basic/transports).
///
/// # Errors
/// See [`VersionError`].
pub fn select(header: Option<&[u8]>, message: Option<&Message<'_>>) -> Result<Revision, VersionError> {
    let header = header.map(trim_ows);
    let named = message.and_then(|message| message.meta.protocol_version.as_deref());
    let is_modern = named.is_some() || header == Some(Revision::V2026_07_28.as_str().as_bytes());
    match message {
        Some(message) if is_modern => select_modern(header, message),
        _ => header.map_or(Ok(Revision::V2025_03_26), |header| parse(header, &Revision::ALL)),
    }
}

/// [`select`] for a whole POST body.
///
/// # Errors
/// As [`select`], and [`VersionError::Batch`] for a batch whose header or `_meta` names anything but
/// 2025-03-26.
pub fn select_for(header: Option<&[u8]>, body: &Body<'_>) -> Result<Revision, VersionError> {
    let messages = match body {
        Body::Single(message) => return select(header, Some(message)),
        Body::Batch(messages) => messages,
    };
    let names_a_version = messages.iter().any(|message| message.meta.protocol_version.is_some());
    match select(header, None)? {
        Revision::V2025_03_26 if !names_a_version => Ok(Revision::V2025_03_26),
        _ => Err(VersionError::Batch),
    }
}

fn select_modern(header: Option<&[u8]>, message: &Message<'_>) -> Result<Revision, VersionError> {
    let named = message.meta.protocol_version.as_deref();
    // Required on requests only (MCP 2026-07-28, basic/index#_meta).
    let is_request = message.kind == Kind::Request;
    if is_request && (named.is_none() || !message.meta.has_client_capabilities) {
        return Err(VersionError::MissingMeta);
    }
    let header = header.ok_or(VersionError::HeaderMismatch)?;
    if named.is_some_and(|named| named.as_bytes() != header) {
        return Err(VersionError::HeaderMismatch);
    }
    // The older ones are settled by `initialize`: naming them in `_meta` would not help.
    parse(header, &Revision::PER_REQUEST)
}

fn parse(header: &[u8], supported: &'static [Revision]) -> Result<Revision, VersionError> {
    let name = String::from_utf8_lossy(header);
    let revision = Revision::parse(&name).filter(|revision| supported.contains(revision));
    revision.ok_or_else(|| VersionError::unsupported(&name, supported))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{ScanLimits, scan};

    fn select_body(header: Option<&str>, body: &str) -> Result<Revision, VersionError> {
        let limits = ScanLimits::default();
        select_for(header.map(str::as_bytes), &scan(body.as_bytes(), &limits).unwrap())
    }

    fn request(version: Option<&str>, capabilities: bool) -> String {
        let version =
            version.map(|version| format!(r#""io.modelcontextprotocol/protocolVersion":"{version}""#));
        let capabilities =
            capabilities.then(|| r#""io.modelcontextprotocol/clientCapabilities":{}"#.to_owned());
        let meta: Vec<_> = [version, capabilities].into_iter().flatten().collect();
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{{}}}}}}}"#,
            meta.join(",")
        )
    }

    #[test]
    fn a_modern_request_needs_header_and_meta_that_agree() {
        let modern = Some("2026-07-28");
        let unsupported = |name: &str| VersionError::unsupported(name, &Revision::PER_REQUEST);
        for (header, version, capabilities, expected) in [
            (modern, modern, true, Ok(Revision::V2026_07_28)),
            (Some(" 2026-07-28\t"), modern, true, Ok(Revision::V2026_07_28)),
            (None, modern, true, Err(VersionError::HeaderMismatch)),
            (Some("2025-11-25"), modern, true, Err(VersionError::HeaderMismatch)),
            (Some("1900-01-01"), modern, true, Err(VersionError::HeaderMismatch)),
            (modern, Some("1900-01-01"), true, Err(VersionError::HeaderMismatch)),
            (modern, None, true, Err(VersionError::MissingMeta)),
            (modern, None, false, Err(VersionError::MissingMeta)),
            (modern, modern, false, Err(VersionError::MissingMeta)),
            (None, modern, false, Err(VersionError::MissingMeta)),
            (Some("1900-01-01"), Some("1900-01-01"), true, Err(unsupported("1900-01-01"))),
            (Some("2025-11-25"), Some("2025-11-25"), true, Err(unsupported("2025-11-25"))),
        ] {
            assert_eq!(
                select_body(header, &request(version, capabilities)),
                expected,
                "{header:?} {version:?} {capabilities}"
            );
        }
    }

    #[test]
    fn an_older_request_is_read_by_its_header() {
        let unsupported = |name: &str| VersionError::unsupported(name, &Revision::ALL);
        for (header, expected) in [
            (None, Ok(Revision::V2025_03_26)),
            (Some("2025-03-26"), Ok(Revision::V2025_03_26)),
            (Some("2025-06-18"), Ok(Revision::V2025_06_18)),
            (Some("2025-11-25"), Ok(Revision::V2025_11_25)),
            (Some("2024-11-05"), Err(unsupported("2024-11-05"))),
            (Some(""), Err(unsupported(""))),
            (Some("2025-11-25, 2025-11-25"), Err(unsupported("2025-11-25, 2025-11-25"))),
        ] {
            let initialize =
                r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"x"}}"#;
            assert_eq!(select_body(header, initialize), expected, "{header:?}");
            assert_eq!(select(header.map(str::as_bytes), None), expected, "{header:?}");
        }
    }

    #[test]
    fn a_batch_is_read_as_2025_03_26_or_not_at_all() {
        let plain = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#;
        assert_eq!(select_body(None, plain), Ok(Revision::V2025_03_26));
        assert_eq!(select_body(Some("2025-03-26"), plain), Ok(Revision::V2025_03_26));
        for header in ["2025-06-18", "2025-11-25", "2026-07-28"] {
            assert_eq!(select_body(Some(header), plain), Err(VersionError::Batch));
        }
        let modern = format!("[{}]", request(Some("2026-07-28"), true));
        assert_eq!(select_body(None, &modern), Err(VersionError::Batch));
    }

    #[test]
    fn an_unsupported_version_is_told_what_is_supported() {
        let error = VersionError::unsupported("1\"", &Revision::ALL);
        assert_eq!(error.code(), -32600, "no _meta, so no client of 2026-07-28");
        assert_eq!(
            error.data().unwrap(),
            r#"{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"],"requested":"1\""}"#
        );
        // As servers do, and as `server/discover` of such a server says.
        let named = select_body(Some("2099-01-01"), &request(Some("2099-01-01"), true)).unwrap_err();
        assert_eq!(named.code(), -32022);
        assert_eq!(named.data().unwrap(), r#"{"supported":["2026-07-28"],"requested":"2099-01-01"}"#);
    }
}
