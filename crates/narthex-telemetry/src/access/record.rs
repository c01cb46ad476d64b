//! What the access log says about one request.

use super::json::Object;
use super::time::Stamp;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// One request, borrowed from wherever its parts are. What is `None` is left out of the line.
///
/// Never give it a token, a cookie, a query or a body: it writes what it is given, cut to 256
/// characters and with control characters escaped.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When the request began.
    pub at: SystemTime,
    /// The request's id, also in the answer's `X-Request-Id`.
    pub request_id: &'a str,
    /// The trace id of the request's W3C trace context.
    pub trace_id: Option<&'a str>,
    /// The client's address, as connected to the gateway.
    pub remote: Option<IpAddr>,
    /// The caller's tenant.
    pub tenant: Option<&'a str>,
    /// The caller's `sub`.
    pub subject: Option<&'a str>,
    /// The caller's OAuth client.
    pub client: Option<&'a str>,
    /// The HTTP method.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The configured route.
    pub route: Option<&'a str>,
    /// The JSON-RPC method.
    pub mcp_method: Option<&'a str>,
    /// The tool called.
    pub tool: Option<&'a str>,
    /// The configured upstream that was asked.
    pub upstream: Option<&'a str>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Whether the gateway let the request through.
    pub decision: Decision,
    /// Why not, or what went wrong afterwards: one of the gateway's stable reasons.
    pub reason: Option<&'static str>,
    /// Whether this is a security event: an authentication failure, a denial, a limit.
    pub security: bool,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the first byte of the request to the last of its answer.
    pub duration: Duration,
    /// From sending to the upstream to the first byte of its answer.
    pub upstream_duration: Option<Duration>,
}

/// What the gateway decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// The request was let through.
    Allow,
    /// It was refused.
    Deny,
}

impl Decision {
    /// `allow` or `deny`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl AccessRecord<'_> {
    /// Appends the record as one line of JSON.
    pub(super) fn write_line(&self, out: &mut Vec<u8>, stamp: &mut Stamp) {
        let mut line = Object::begin(out, "ts", |out| {
            out.push(b'"');
            stamp.write(self.at, out);
            out.push(b'"');
        });
        line.text("request_id", self.request_id);
        line.optional("trace_id", self.trace_id);
        if let Some(remote) = self.remote {
            line.address("remote", remote);
        }
        line.optional("tenant", self.tenant);
        line.optional("subject", self.subject);
        line.optional("client", self.client);
        line.text("method", self.method);
        line.text("path", self.path);
        line.optional("route", self.route);
        line.optional("mcp_method", self.mcp_method);
        line.optional("tool", self.tool);
        line.optional("upstream", self.upstream);
        line.number("status", self.status.into());
        line.text("decision", self.decision.as_str());
        line.optional("reason", self.reason);
        if self.security {
            line.flag("security");
        }
        line.number("bytes_in", self.bytes_in);
        line.number("bytes_out", self.bytes_out);
        line.millis("duration_ms", self.duration);
        if let Some(duration) = self.upstream_duration {
            line.millis("upstream_ms", duration);
        }
        line.end();
    }
}
