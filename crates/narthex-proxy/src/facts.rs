//! What a request's header says, read once. Nothing else of it goes any further.

use crate::leak;
use http::header::{
    ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Most `Mcp-Param-*` fields of one request.
const PARAMS: usize = 32;

/// The header fields that the gateway acts on or passes on. All others end here.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Every `Authorization` field: more than one is refused by whoever reads them.
    pub(crate) authorization: Vec<HeaderValue>,
    /// `DPoP` fields, the first two: more than one is refused by whoever reads them.
    pub(crate) proofs: Vec<HeaderValue>,
    pub(crate) accept: Option<HeaderValue>,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) origin: Option<HeaderValue>,
    pub(crate) preflight: bool,
    pub(crate) protocol_version: Option<HeaderValue>,
    pub(crate) method: Option<HeaderValue>,
    pub(crate) name: Option<HeaderValue>,
    pub(crate) session: Option<HeaderValue>,
    pub(crate) last_event_id: Option<HeaderValue>,
    pub(crate) params: Vec<(HeaderName, HeaderValue)>,
    pub(crate) traceparent: Option<HeaderValue>,
    pub(crate) tracestate: Option<HeaderValue>,
    pub(crate) request_id: Option<HeaderValue>,
}

/// Why a header is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HeaderFault {
    /// A field that may come once came twice.
    Duplicate,
    /// A field written with `_` for `-`, which some servers take for the real one.
    Underscore,
    /// More `Mcp-Param-*` fields than are accepted.
    TooMany,
    /// Two lengths, or a length that is no number.
    Framing,
}

impl Facts {
    /// Reads `headers`.
    ///
    /// # Errors
    /// See [`HeaderFault`].
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, HeaderFault> {
        let mut facts = Self::default();
        let (mut hosts, mut lengths, mut encodings) = (0, 0, 0);
        for (name, value) in headers {
            match *name {
                HOST => hosts += 1,
                CONTENT_LENGTH => lengths += 1,
                TRANSFER_ENCODING => encodings += 1,
                AUTHORIZATION => facts.authorization.push(value.clone()),
                ACCEPT => facts.accept = facts.accept.take().or_else(|| Some(value.clone())),
                CONTENT_TYPE => once(&mut facts.content_type, value)?,
                ORIGIN => once(&mut facts.origin, value)?,
                ACCESS_CONTROL_REQUEST_METHOD => facts.preflight = true,
                _ => facts.read_other(name, value)?,
            }
        }
        if hosts > 1 || lengths + encodings > 1 {
            return Err(HeaderFault::Framing);
        }
        Ok(facts)
    }

    fn read_other(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), HeaderFault> {
        let text = name.as_str();
        match text {
            "mcp-protocol-version" => once(&mut self.protocol_version, value),
            "mcp-method" => once(&mut self.method, value),
            "mcp-name" => once(&mut self.name, value),
            "mcp-session-id" => once(&mut self.session, value),
            "last-event-id" => once(&mut self.last_event_id, value),
            "traceparent" => once(&mut self.traceparent, value),
            "tracestate" => once(&mut self.tracestate, value),
            "x-request-id" => once(&mut self.request_id, value),
            "dpop" => {
                if self.proofs.len() < 2 {
                    self.proofs.push(value.clone());
                }
                Ok(())
            }
            _ if narthex_mcp::headers::is_param_header(text) => {
                if self.params.len() == PARAMS {
                    return Err(HeaderFault::TooMany);
                }
                if self.params.iter().any(|(known, _)| known == name) {
                    return Err(HeaderFault::Duplicate);
                }
                self.params.push((name.clone(), value.clone()));
                Ok(())
            }
            _ if text.contains('_') && poses_as_ours(text) => Err(HeaderFault::Underscore),
            _ => Ok(()),
        }
    }

    /// `tracestate`, if it belongs to `parent` and is of a sane length (W3C Trace Context §3.3).
    pub(crate) fn tracestate_of(&self, parent: &HeaderValue) -> Option<&HeaderValue> {
        const LONGEST: usize = 512;
        let belongs = self.traceparent.as_ref() == Some(parent);
        self.tracestate.as_ref().filter(|state| belongs && state.len() <= LONGEST)
    }

    /// Whether any field that could go upstream carries `token`.
    pub(crate) fn leaks(&self, token: &str) -> bool {
        let carries = |v: &HeaderValue| leak::contains(v.as_bytes(), token.as_bytes());
        self.params.iter().any(|(_, v)| carries(v))
            || [&self.traceparent, &self.tracestate, &self.request_id, &self.last_event_id, &self.name]
                .into_iter()
                .flatten()
                .any(carries)
    }
}

fn once(slot: &mut Option<HeaderValue>, value: &HeaderValue) -> Result<(), HeaderFault> {
    if slot.is_some() {
        return Err(HeaderFault::Duplicate);
    }
    *slot = Some(value.clone());
    Ok(())
}

/// Whether a name with underscores is, with dashes, one that somebody on the way decides on.
fn poses_as_ours(name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["mcp-", "x-forwarded-", "proxy-", "content-"];
    const NAMES: [&str; 10] = [
        "authorization",
        "cookie",
        "dpop",
        "forwarded",
        "host",
        "last-event-id",
        "transfer-encoding",
        "x-api-key",
        "x-real-ip",
        "x-request-id",
    ];
    let dashed = name.replace('_', "-");
    NAMES.contains(&dashed.as_str()) || PREFIXES.iter().any(|p| dashed.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Result<Facts, HeaderFault> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        Facts::read(&headers)
    }

    #[test]
    fn every_authorization_field_is_kept_so_that_two_can_be_refused() {
        let facts = read(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]).unwrap();
        assert_eq!(facts.authorization.len(), 2);
    }

    #[test]
    fn what_may_come_once_is_refused_twice() {
        for name in [
            "mcp-protocol-version",
            "mcp-method",
            "mcp-name",
            "mcp-session-id",
            "content-type",
            "origin",
            "x-request-id",
        ] {
            assert_eq!(read(&[(name, "a"), (name, "a")]).unwrap_err(), HeaderFault::Duplicate, "{name}");
        }
    }

    #[test]
    fn underscore_variants_of_fields_that_decide_are_refused() {
        for name in [
            "mcp_session_id",
            "content_length",
            "transfer_encoding",
            "x_forwarded_for",
            "x_request_id",
            "mcp_param_x",
        ] {
            assert_eq!(read(&[(name, "a")]).unwrap_err(), HeaderFault::Underscore, "{name}");
        }
        assert!(read(&[("my_own_header", "a")]).is_ok());
    }

    #[test]
    fn two_lengths_are_refused() {
        assert_eq!(
            read(&[("content-length", "1"), ("content-length", "1")]).unwrap_err(),
            HeaderFault::Framing
        );
        assert_eq!(
            read(&[("content-length", "1"), ("transfer-encoding", "chunked")]).unwrap_err(),
            HeaderFault::Framing
        );
        assert_eq!(read(&[("host", "a"), ("host", "a")]).unwrap_err(), HeaderFault::Framing);
    }

    #[test]
    fn a_token_in_a_field_that_goes_upstream_is_seen() {
        let facts = read(&[("mcp-param-region", "x secret.token.value y")]).unwrap();
        assert!(facts.leaks("secret.token.value"));
        assert!(!facts.leaks("another"));
    }
}
