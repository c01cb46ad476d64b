//! W3C Trace Context: whose trace a request belongs to.

use http::HeaderValue;

/// Whether `value` is a `traceparent` of version 00 (W3C Trace Context §3.2.2).
fn is_traceparent(value: &[u8]) -> bool {
    let hex = |range: std::ops::Range<usize>| {
        value[range].iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
    };
    value.len() == 55
        && value.starts_with(b"00-")
        && value[35] == b'-'
        && value[52] == b'-'
        && hex(3..35)
        && hex(36..52)
        && hex(53..55)
}

/// The header's value, if it is well-formed.
pub(crate) fn of_header(value: Option<&HeaderValue>) -> Option<HeaderValue> {
    value.filter(|value| is_traceparent(value.as_bytes())).cloned()
}

/// The value of `params._meta.traceparent`, if it is well-formed (MCP 2026-07-28, basic/index#_meta). It
/// goes before the header's, which may be of a proxy on the way.
pub(crate) fn of_meta(text: Option<&str>) -> Option<HeaderValue> {
    HeaderValue::from_str(text.filter(|text| is_traceparent(text.as_bytes()))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_trace_parents_are_passed_on() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(of_meta(Some(good)).unwrap(), good);
        assert!(of_header(Some(&HeaderValue::from_static(good))).is_some());
        for bad in [
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "00-short",
            "",
        ] {
            assert!(of_meta(Some(bad)).is_none(), "{bad}");
        }
    }
}
