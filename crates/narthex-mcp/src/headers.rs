//! The `Mcp-*` request headers of 2026-07-28 (basic/transports/streamable-http).
//!
//! They mirror the body for intermediaries that do not read it. The gateway does, so it checks that they
//! agree, decides by the body, and writes them anew for the upstream. Those of an older client mean nothing
//! and are not to be looked at.

use crate::envelope::{Kind, Message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

const SENTINEL_START: &str = "=?base64?";
const SENTINEL_END: &str = "?=";
const PARAM_PREFIX: &[u8] = b"mcp-param-";
/// Longest value of an `Mcp-*` header, in bytes.
pub const LONGEST_VALUE: usize = 8 << 10;

/// The headers as they came, at most one of each: that a header came twice is for the caller to refuse.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandardHeaders<'a> {
    /// `MCP-Protocol-Version`.
    pub version: Option<&'a [u8]>,
    /// `Mcp-Method`.
    pub method: Option<&'a [u8]>,
    /// `Mcp-Name`.
    pub name: Option<&'a [u8]>,
}

/// A header is missing, malformed or unlike the body: HTTP 400 and -32020.
///
/// Displays as the sentence for the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{header} is {}", self.fault.as_str())]
pub struct HeaderMismatch {
    /// The header's name.
    pub header: &'static str,
    /// What is wrong with it.
    pub fault: HeaderFault,
}

impl HeaderMismatch {
    /// The JSON-RPC error code.
    pub const CODE: i32 = crate::rpc::HEADER_MISMATCH;

    /// A stable word for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self.fault {
            HeaderFault::Missing => "header_missing",
            HeaderFault::Malformed => "header_malformed",
            HeaderFault::Differs => "header_mismatch",
        }
    }
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeaderFault {
    /// It is required and not there.
    Missing,
    /// Not visible ASCII, too long, or a base64 sentinel that does not decode.
    Malformed,
    /// Its value is not the body's.
    Differs,
}

impl HeaderFault {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "required",
            Self::Malformed => "malformed",
            Self::Differs => "not equal to the value in the body",
        }
    }
}

/// Checks the standard headers of a 2026-07-28 request against its message.
///
/// Values are compared byte by byte, optional white space around them trimmed (RFC 9110 §5.5), and
/// `Mcp-Name` decoded if it is a base64 sentinel. `Mcp-Method` is required on requests; `Mcp-Name` on those
/// that the specification names. Where one is not required it must agree if it is there, and an `Mcp-Name`
/// is ignored for a method that has nothing to compare with.
///
/// # Errors
/// The first header, in the order of [`StandardHeaders`], that is missing, malformed or different.
pub fn check(headers: &StandardHeaders<'_>, message: &Message<'_>) -> Result<(), HeaderMismatch> {
    let is_request = message.kind == Kind::Request;
    let version = message.meta.protocol_version.as_deref();
    literal("MCP-Protocol-Version", headers.version, version, true)?;
    let method = (message.kind != Kind::Response).then_some(&*message.method);
    literal("Mcp-Method", headers.method, method, is_request)?;
    name(headers.name, message)
}

fn literal(
    header: &'static str,
    value: Option<&[u8]>,
    expected: Option<&str>,
    required: bool,
) -> Result<(), HeaderMismatch> {
    let mismatch = |fault| Err(HeaderMismatch { header, fault });
    match (value, expected) {
        (None, _) if required => mismatch(HeaderFault::Missing),
        (Some(value), _) if !is_sane_value(value) => mismatch(HeaderFault::Malformed),
        (Some(value), Some(expected)) if trim_ows(value) != expected.as_bytes() => {
            mismatch(HeaderFault::Differs)
        }
        _ => Ok(()),
    }
}

fn name(value: Option<&[u8]>, message: &Message<'_>) -> Result<(), HeaderMismatch> {
    let mismatch = |fault| Err(HeaderMismatch { header: "Mcp-Name", fault });
    let Some(expected) = message.name.as_deref() else { return Ok(()) };
    match value.map(decode_value) {
        None if requires_name(&message.method) => mismatch(HeaderFault::Missing),
        Some(None) => mismatch(HeaderFault::Malformed),
        Some(Some(value)) if value != expected => mismatch(HeaderFault::Differs),
        _ => Ok(()),
    }
}

/// Whether 2026-07-28 requires `Mcp-Name` for `method`.
#[must_use]
pub fn requires_name(method: &str) -> bool {
    matches!(
        method,
        "tools/call" | "prompts/get" | "resources/read" | "tasks/get" | "tasks/update" | "tasks/cancel"
    )
}

/// What a header's value means, a base64 sentinel decoded. `None` if it is malformed.
///
/// Base64 is that of RFC 4648 §4 with padding and no stray bits, and its content UTF-8.
#[must_use]
pub fn decode_value(value: &[u8]) -> Option<Cow<'_, str>> {
    let value = is_sane_value(value).then(|| trim_ows(value))?;
    let value = str::from_utf8(value).ok()?;
    if !looks_encoded(value) {
        return Some(Cow::Borrowed(value));
    }
    let encoded = value.strip_prefix(SENTINEL_START)?.strip_suffix(SENTINEL_END)?;
    let decoded = STANDARD.decode(encoded).ok()?;
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// `value` as it may stand in an `Mcp-Name` or `Mcp-Param-*` header: as a base64 sentinel where it is not
/// visible ASCII, has white space at its ends, or could be taken for a sentinel.
#[must_use]
pub fn encode_value(value: &str) -> Cow<'_, str> {
    let plain = value.bytes().all(|byte| matches!(byte, 0x20..=0x7E))
        && !value.starts_with(' ')
        && !value.ends_with(' ')
        && !looks_encoded(value);
    if plain {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("{SENTINEL_START}{}{SENTINEL_END}", STANDARD.encode(value)))
}

/// Also when the two markers overlap, since not every reader checks that they do not.
fn looks_encoded(value: &str) -> bool {
    value.starts_with(SENTINEL_START) && value.ends_with(SENTINEL_END)
}

/// Whether a header of that name mirrors a tool's argument: `Mcp-Param-` and a token (RFC 9110 §5.6.2).
#[must_use]
pub fn is_param_header(name: &str) -> bool {
    let Some((prefix, rest)) = name.as_bytes().split_at_checked(PARAM_PREFIX.len()) else { return false };
    prefix.eq_ignore_ascii_case(PARAM_PREFIX)
        && !rest.is_empty()
        && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Whether `value` may be sent on: visible ASCII, spaces and tabs, at most [`LONGEST_VALUE`] bytes.
#[must_use]
pub fn is_sane_value(value: &[u8]) -> bool {
    value.len() <= LONGEST_VALUE && value.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7E))
}

/// `value` without the optional white space around it (RFC 9110 §5.6.3).
pub(crate) fn trim_ows(value: &[u8]) -> &[u8] {
    let is_ows = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_ows(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_ows(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Body, ScanLimits, scan};
    use proptest::prelude::*;

    fn check_call(
        version: Option<&str>,
        method: Option<&str>,
        name: Option<&str>,
    ) -> Result<(), (&'static str, HeaderFault)> {
        check_body(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"größe",
                "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
            [version, method, name],
        )
    }

    fn check_body(body: &str, headers: [Option<&str>; 3]) -> Result<(), (&'static str, HeaderFault)> {
        let Ok(Body::Single(message)) = scan(body.as_bytes(), &ScanLimits::default()) else { panic!() };
        let [version, method, name] = headers.map(|header| header.map(str::as_bytes));
        check(&StandardHeaders { version, method, name }, &message)
            .map_err(|mismatch| (mismatch.header, mismatch.fault))
    }

    const VERSION: Option<&str> = Some("2026-07-28");
    const METHOD: Option<&str> = Some("tools/call");
    const NAME: Option<&str> = Some("=?base64?Z3LDtsOfZQ==?=");

    #[test]
    fn headers_that_say_what_the_body_says_pass() {
        assert_eq!(check_call(VERSION, METHOD, NAME), Ok(()));
        assert_eq!(check_call(Some("\t2026-07-28 "), Some(" tools/call"), NAME), Ok(()));
    }

    #[test]
    fn headers_that_are_missing_malformed_or_different_are_refused() {
        use HeaderFault::{Differs, Malformed, Missing};
        for (version, method, name, expected) in [
            (None, METHOD, NAME, ("MCP-Protocol-Version", Missing)),
            (Some("2025-11-25"), METHOD, NAME, ("MCP-Protocol-Version", Differs)),
            (VERSION, None, NAME, ("Mcp-Method", Missing)),
            (VERSION, Some("TOOLS/CALL"), NAME, ("Mcp-Method", Differs)),
            (VERSION, Some("=?base64?dG9vbHMvY2FsbA==?="), NAME, ("Mcp-Method", Differs)),
            (VERSION, METHOD, None, ("Mcp-Name", Missing)),
            (VERSION, METHOD, Some(""), ("Mcp-Name", Differs)),
            (VERSION, METHOD, Some("größe"), ("Mcp-Name", Malformed)),
            (VERSION, METHOD, Some("=?BASE64?Z3LDtsOfZQ==?="), ("Mcp-Name", Differs)),
            (VERSION, METHOD, Some("=?base64?Z3LDtsOfZQ?="), ("Mcp-Name", Malformed)),
            (VERSION, METHOD, Some("=?base64?Z3LDtsOfZR==?="), ("Mcp-Name", Malformed)),
            (VERSION, METHOD, Some("=?base64?Z3LDtsOf ZQ==?="), ("Mcp-Name", Malformed)),
            (VERSION, METHOD, Some("=?base64?_w==?="), ("Mcp-Name", Malformed)),
            (VERSION, METHOD, Some("=?base64?/w==?="), ("Mcp-Name", Malformed)),
            (VERSION, METHOD, Some("=?base64?="), ("Mcp-Name", Malformed)),
        ] {
            assert_eq!(check_call(version, method, name), Err(expected));
        }
    }

    #[test]
    fn a_method_without_a_name_needs_no_name_header() {
        let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list",
            "params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        assert_eq!(check_body(list, [VERSION, Some("tools/list"), None]), Ok(()));
        let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a:b",
            "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        assert_eq!(check_body(subscribe, [VERSION, Some("resources/subscribe"), None]), Ok(()));
        assert!(check_body(subscribe, [VERSION, Some("resources/subscribe"), Some("a:c")]).is_err());
    }

    #[test]
    fn param_headers_are_known_by_their_prefix() {
        for (name, expected) in [
            ("Mcp-Param-Region", true),
            ("mcp-param-x", true),
            ("Mcp-Param-", false),
            ("Mcp-Param-a b", false),
            ("Mcp-Parameter", false),
            ("Mcp-Name", false),
        ] {
            assert_eq!(is_param_header(name), expected, "{name}");
        }
    }

    #[test]
    fn values_are_plain_where_they_can_be() {
        for plain in ["", "echo", "get weather", "=?base64?", "?=", "=?Base64?eA==?="] {
            assert_eq!(encode_value(plain), plain);
        }
        assert_eq!(encode_value("=?base64?eA==?="), "=?base64?PT9iYXNlNjQ/ZUE9PT89?=");
        assert_eq!(encode_value(" x"), "=?base64?IHg=?=");
    }

    proptest! {
        #[test]
        fn an_encoded_value_is_sane_and_decodes_to_itself(value in any::<String>()) {
            let encoded = encode_value(&value);
            prop_assert!(is_sane_value(encoded.as_bytes()));
            prop_assert_eq!(&decode_value(encoded.as_bytes()).unwrap(), &value);
        }
    }
}
