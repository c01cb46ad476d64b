//! Every way a request can end early, and what each looks like from outside. One table.

use crate::body::BodyError;
use crate::bridge::merge::connect;
use crate::facts::HeaderFault;
use crate::forward::ForwardError;
use crate::strict::Framing;
use http::StatusCode;
use narthex_credentials::{Consent, CredentialError, Reason};
use narthex_identity::TokenError;
use narthex_mcp::ScanError;
use narthex_mcp::bridge::Object;
use narthex_mcp::bridge::error::RESOURCE_NOT_FOUND;
use narthex_mcp::headers::HeaderMismatch;
use narthex_mcp::revision::VersionError;
use narthex_mcp::rpc;
use narthex_mcp::seal::HandleError;
use narthex_policy::Denial;
use narthex_upstreams::Busy;
use narthex_upstreams::stdio::StartError;
use std::time::Duration;

/// JSON-RPC code of a denial: outside the range that JSON-RPC and MCP reserve.
const FORBIDDEN: i32 = 40300;

/// Why a request was not answered by its upstream.
#[derive(Debug)]
pub(crate) enum Refusal {
    Framing(Framing),
    Header(HeaderFault),
    Origin,
    NoRoute,
    Method {
        allow: &'static str,
    },
    NotAcceptable,
    MediaType,
    Token(TokenError),
    /// The caller's token stands in something that would go upstream.
    TokenLeak,
    Body(BodyError),
    Scan(ScanError),
    Version(VersionError),
    HeaderMismatch(HeaderMismatch),
    ParamHeader,
    UnaskedResponse,
    Session(HandleError),
    EventIdWithoutSession,
    /// A `requestState` that was not given to this caller for this request.
    RequestState(HandleError),
    Denied(Denial),
    TooManyStreams,
    /// Of the sessions that the gateway keeps.
    TooManySessions,
    /// Of the calls that wait for their client.
    TooManySuspended,
    /// The call waits at another replica.
    HeldElsewhere,
    /// A request that needs a session has none.
    SessionRequired,
    /// The events that followed are no longer known, or the id is none of this session's.
    EventGone,
    /// The session has a GET stream already.
    StreamTaken,
    /// A body that was scanned cannot be read for translation.
    Unreadable,
    Credential(CredentialError),
    CredentialRejected {
        status: StatusCode,
    },
    Busy(Busy),
    Forward(ForwardError),
    Child(ChildTrouble),
    UpstreamRedirect {
        status: StatusCode,
    },
    UpstreamError {
        status: StatusCode,
    },
    Internal(&'static str),
}

/// What is wrong with an upstream that is a child process.
#[derive(Debug)]
pub(crate) enum ChildTrouble {
    NotStarted(StartError),
    /// It has ended, maybe while it was to answer.
    Gone,
    /// It does not read what it is sent.
    Stuck,
}

impl ChildTrouble {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotStarted(StartError::BackingOff { .. }) => "child_waits",
            Self::NotStarted(_) => "child_not_started",
            Self::Gone => "child_gone",
            Self::Stuck => "child_stuck",
        }
    }

    fn verdict(&self) -> Verdict {
        use StatusCode as S;
        match self {
            Self::NotStarted(StartError::BackingOff { retry_after }) => Verdict {
                retry_after: Some(*retry_after),
                ..Verdict::upstream(S::SERVICE_UNAVAILABLE, "The MCP server is unavailable")
            },
            Self::Stuck => Verdict {
                retry_after: Some(Duration::from_secs(1)),
                ..Verdict::upstream(S::SERVICE_UNAVAILABLE, "The MCP server is busy")
            },
            Self::NotStarted(_) | Self::Gone => {
                Verdict::upstream(S::BAD_GATEWAY, "The MCP server failed to answer")
            }
        }
    }
}

/// What kind of answer a refusal becomes.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) status: StatusCode,
    /// JSON-RPC code and message, where the caller speaks JSON-RPC already.
    pub(crate) rpc: Option<(i32, String)>,
    /// The code for clients of 2025-11-25 and earlier, where it is another.
    pub(crate) legacy_code: Option<i32>,
    /// JSON text of the error's `data`.
    pub(crate) data: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// An upstream's failure: a 200 for clients of 2025-11-25 and earlier, whose SDKs take a 5xx for
    /// a dead transport.
    pub(crate) softened_for_legacy: bool,
}

impl Verdict {
    fn http(status: StatusCode) -> Self {
        Self {
            status,
            rpc: None,
            legacy_code: None,
            data: None,
            retry_after: None,
            softened_for_legacy: false,
        }
    }

    fn rpc(status: StatusCode, code: i32, message: impl Into<String>) -> Self {
        Self { rpc: Some((code, message.into())), ..Self::http(status) }
    }

    fn upstream(status: StatusCode, message: &str) -> Self {
        Self { softened_for_legacy: true, ..Self::rpc(status, rpc::INTERNAL_ERROR, message) }
    }
}

impl Refusal {
    /// The stable name that metrics, logs and audit use alike.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Framing(Framing::TooLarge) => "header_too_large",
            Self::Framing(Framing::Ambiguous) => "ambiguous_framing",
            Self::Framing(Framing::Version) => "http_version",
            Self::Header(HeaderFault::Duplicate) => "duplicate_header",
            Self::Header(HeaderFault::Underscore) => "underscore_header",
            Self::Header(HeaderFault::TooMany) => "too_many_headers",
            Self::Header(HeaderFault::Framing) => "ambiguous_framing",
            Self::Origin => "origin_not_allowed",
            Self::NoRoute => "no_route",
            Self::Method { .. } => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::MediaType => "unsupported_media_type",
            Self::Token(error) => error.reason(),
            Self::TokenLeak => "token_in_request",
            Self::Body(BodyError::TooLarge) => "body_too_large",
            Self::Body(BodyError::TooSlow) => "body_too_slow",
            Self::Body(BodyError::Incomplete) => "body_incomplete",
            Self::Body(BodyError::Saturated) => "body_budget",
            Self::Body(BodyError::Expectation) => "expectation",
            Self::Scan(error) => error.reason(),
            Self::Version(error) => error.reason(),
            Self::HeaderMismatch(error) => error.reason(),
            Self::ParamHeader => "param_header",
            Self::UnaskedResponse => "unasked_response",
            Self::Session(error) | Self::RequestState(error) => error.reason(),
            Self::EventIdWithoutSession => "event_id_without_session",
            Self::Denied(denial) => denial.reason(),
            Self::TooManyStreams => "too_many_streams",
            Self::TooManySessions => "too_many_sessions",
            Self::TooManySuspended => "too_many_suspended",
            Self::HeldElsewhere => "held_elsewhere",
            Self::SessionRequired => "session_required",
            Self::EventGone => "event_gone",
            Self::StreamTaken => "stream_taken",
            Self::Unreadable => "unreadable_message",
            Self::Credential(error) => error.reason(),
            Self::CredentialRejected { .. } => "credential_rejected",
            Self::Busy(Busy::BreakerOpen { .. }) => "breaker_open",
            Self::Busy(_) => "upstream_saturated",
            Self::Forward(error) => error.reason(),
            Self::Child(trouble) => trouble.reason(),
            Self::UpstreamRedirect { .. } => "upstream_redirect",
            Self::UpstreamError { .. } => "upstream_error",
            Self::Internal(_) => "internal",
        }
    }

    /// What the user has to consent to first, if that is all that is in the way.
    pub(crate) fn consent(&self) -> Option<&Consent> {
        match self {
            Self::Credential(error) => error.consent(),
            _ => None,
        }
    }

    /// Whether it is the user who can change it: by consenting, or by consenting to more.
    pub(crate) fn is_up_to_user(&self) -> bool {
        let not_granted = matches!(self, Self::Credential(error) if error.kind() == Reason::ScopeNotGranted);
        self.consent().is_some() || not_granted
    }

    /// Whether the audit has to see it: every failed authentication, denial and limit.
    pub(crate) fn is_security_event(&self) -> bool {
        matches!(
            self,
            Self::Framing(_)
                | Self::Header(_)
                | Self::Origin
                | Self::Token(_)
                | Self::TokenLeak
                | Self::HeaderMismatch(_)
                | Self::ParamHeader
                | Self::Session(_)
                | Self::EventIdWithoutSession
                | Self::RequestState(_)
                | Self::Denied(_)
                | Self::TooManyStreams
                | Self::TooManySessions
                | Self::TooManySuspended
        )
    }

    /// Whether the gateway said no, rather than an upstream failing.
    pub(crate) fn is_denial(&self) -> bool {
        self.consent().is_some()
            || !matches!(
                self,
                Self::Credential(_)
                    | Self::CredentialRejected { .. }
                    | Self::Busy(_)
                    | Self::Forward(_)
                    | Self::Child(_)
                    | Self::UpstreamRedirect { .. }
                    | Self::UpstreamError { .. }
                    | Self::Internal(_)
            )
    }

    /// What is only for the log: never a secret, never sent to the caller.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Token(error) => error.to_string(),
            Self::Credential(error) => error.to_string(),
            Self::Forward(error) => error.to_string(),
            Self::Child(ChildTrouble::NotStarted(error)) => error.to_string(),
            Self::CredentialRejected { status } => {
                format!("the upstream refused our credential with {status}")
            }
            Self::UpstreamRedirect { status } | Self::UpstreamError { status } => {
                format!("the upstream answered {status}")
            }
            Self::Internal(what) => (*what).to_owned(),
            other => other.reason().to_owned(),
        }
    }

    /// The table.
    pub(crate) fn verdict(&self) -> Verdict {
        use StatusCode as S;
        match self {
            Self::Framing(Framing::TooLarge) => Verdict::http(S::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Self::Framing(Framing::Version) => Verdict::http(S::HTTP_VERSION_NOT_SUPPORTED),
            Self::Framing(Framing::Ambiguous) | Self::Header(_) => Verdict::http(S::BAD_REQUEST),
            Self::Origin => Verdict::rpc(S::FORBIDDEN, rpc::INVALID_REQUEST, "Origin not allowed"),
            Self::NoRoute => Verdict::http(S::NOT_FOUND),
            Self::Method { .. } => Verdict::http(S::METHOD_NOT_ALLOWED),
            Self::NotAcceptable => Verdict::rpc(
                S::NOT_ACCEPTABLE,
                rpc::INVALID_REQUEST,
                "Accept must include application/json and text/event-stream",
            ),
            Self::MediaType => Verdict::rpc(
                S::UNSUPPORTED_MEDIA_TYPE,
                rpc::INVALID_REQUEST,
                "Content-Type must be application/json",
            ),
            Self::Token(error) => Verdict::http(error.status()),
            Self::TokenLeak => Verdict::rpc(
                S::BAD_REQUEST,
                rpc::INVALID_REQUEST,
                "The access token must only be in Authorization",
            ),
            Self::Body(error) => body_verdict(*error),
            Self::Scan(error) => Verdict::rpc(S::BAD_REQUEST, error.code(), error.message()),
            Self::Version(error) => Verdict {
                data: error.data(),
                ..Verdict::rpc(S::BAD_REQUEST, error.code(), error.to_string())
            },
            Self::HeaderMismatch(error) => {
                Verdict::rpc(S::BAD_REQUEST, rpc::HEADER_MISMATCH, error.to_string())
            }
            Self::ParamHeader => {
                Verdict::rpc(S::BAD_REQUEST, rpc::HEADER_MISMATCH, "an Mcp-Param header is malformed")
            }
            Self::UnaskedResponse => {
                Verdict::rpc(S::BAD_REQUEST, rpc::INVALID_REQUEST, "A response was not asked for")
            }
            Self::Session(_) => Verdict::rpc(S::NOT_FOUND, rpc::INVALID_REQUEST, "Session not found"),
            Self::EventIdWithoutSession => {
                Verdict::rpc(S::BAD_REQUEST, rpc::INVALID_REQUEST, "Last-Event-ID needs a session")
            }
            Self::RequestState(_) => {
                Verdict::rpc(S::BAD_REQUEST, rpc::INVALID_PARAMS, "requestState is invalid or expired")
            }
            Self::Denied(denial) => denial_verdict(denial),
            Self::TooManyStreams => Verdict {
                retry_after: Some(Duration::from_secs(5)),
                ..Verdict::rpc(S::TOO_MANY_REQUESTS, rpc::LIMIT_REACHED, "Too many open streams")
            },
            Self::TooManySessions => Verdict {
                retry_after: Some(Duration::from_secs(30)),
                ..Verdict::rpc(S::TOO_MANY_REQUESTS, rpc::LIMIT_REACHED, "Too many sessions")
            },
            Self::TooManySuspended => Verdict {
                retry_after: Some(Duration::from_secs(5)),
                ..Verdict::rpc(
                    S::TOO_MANY_REQUESTS,
                    rpc::LIMIT_REACHED,
                    "Too many calls wait for their client",
                )
            },
            Self::HeldElsewhere => Verdict {
                retry_after: Some(Duration::from_secs(1)),
                ..Verdict::rpc(
                    S::SERVICE_UNAVAILABLE,
                    rpc::INTERNAL_ERROR,
                    "The call waits at another replica of the gateway: try again",
                )
            },
            Self::SessionRequired => {
                Verdict::rpc(S::BAD_REQUEST, rpc::INVALID_REQUEST, "Mcp-Session-Id is required")
            }
            Self::EventGone => {
                Verdict::rpc(S::BAD_REQUEST, rpc::INVALID_REQUEST, "Events after Last-Event-ID are not known")
            }
            Self::StreamTaken => {
                Verdict::rpc(S::CONFLICT, rpc::INVALID_REQUEST, "The session has a GET stream already")
            }
            Self::Unreadable => {
                Verdict::rpc(S::BAD_REQUEST, rpc::INVALID_REQUEST, "The message cannot be translated")
            }
            Self::Busy(Busy::BreakerOpen { retry_after }) => Verdict {
                retry_after: Some(*retry_after),
                ..Verdict::upstream(S::SERVICE_UNAVAILABLE, "The MCP server is unavailable")
            },
            Self::Busy(_) => Verdict {
                retry_after: Some(Duration::from_secs(1)),
                ..Verdict::upstream(S::SERVICE_UNAVAILABLE, "The MCP server is busy")
            },
            Self::Credential(error) => match (error.consent(), error.kind()) {
                (Some(consent), _) => consent_verdict(consent),
                (None, Reason::InteractionRequired) => interaction_required(),
                (None, _) => unauthenticated(),
            },
            Self::CredentialRejected { .. } => unauthenticated(),
            Self::Child(trouble) => trouble.verdict(),
            Self::Forward(ForwardError::Timeout) => {
                Verdict::upstream(S::GATEWAY_TIMEOUT, "The MCP server did not answer in time")
            }
            Self::Forward(_) | Self::UpstreamRedirect { .. } | Self::UpstreamError { .. } => {
                Verdict::upstream(S::BAD_GATEWAY, "The MCP server failed to answer")
            }
            Self::Internal(_) => {
                Verdict::rpc(S::INTERNAL_SERVER_ERROR, rpc::INTERNAL_ERROR, "Internal error")
            }
        }
    }
}

fn unauthenticated() -> Verdict {
    Verdict::upstream(StatusCode::BAD_GATEWAY, "The gateway could not authenticate to the MCP server")
}

/// Only the user can put it right, and not here.
fn interaction_required() -> Verdict {
    let message = "The MCP server's identity provider wants the user to sign in there again";
    Verdict::upstream(StatusCode::BAD_GATEWAY, message)
}

/// What a request gets that its user has to consent to first, where the user cannot be asked: the link, which is
/// for this caller alone. The server has not failed, so it is an answer like any other.
fn consent_verdict(consent: &Consent) -> Verdict {
    let error = connect::invitation(consent, "").error();
    let data = error.data.map(|data| data.to_json());
    Verdict { data, ..Verdict::rpc(StatusCode::OK, rpc::INTERNAL_ERROR, error.message) }
}

fn body_verdict(error: BodyError) -> Verdict {
    use StatusCode as S;
    match error {
        BodyError::TooLarge => {
            Verdict::rpc(S::PAYLOAD_TOO_LARGE, rpc::INVALID_REQUEST, "Request body is too large")
        }
        BodyError::TooSlow => Verdict::http(S::REQUEST_TIMEOUT),
        BodyError::Incomplete => Verdict::http(S::BAD_REQUEST),
        BodyError::Saturated => {
            Verdict { retry_after: Some(Duration::from_secs(1)), ..Verdict::http(S::SERVICE_UNAVAILABLE) }
        }
        BodyError::Expectation => Verdict::http(S::EXPECTATION_FAILED),
    }
}

fn denial_verdict(denial: &Denial) -> Verdict {
    use StatusCode as S;
    match denial {
        Denial::UnknownTenant | Denial::RouteNotGranted => {
            Verdict::rpc(S::FORBIDDEN, FORBIDDEN, "Not allowed on this route")
        }
        Denial::MissingScopes { .. } => Verdict::rpc(S::FORBIDDEN, FORBIDDEN, "Insufficient scope"),
        // Exactly what a server says of a tool that it does not have (MCP 2026-07-28, server/tools).
        Denial::HiddenTool { name } => {
            Verdict::rpc(S::OK, rpc::INVALID_PARAMS, format!("Unknown tool: {name}"))
        }
        Denial::HiddenPrompt { name } => {
            Verdict::rpc(S::OK, rpc::INVALID_PARAMS, format!("Unknown prompt: {name}"))
        }
        // MCP 2026-07-28, basic/index#error-codes; 2025-11-25, server/resources#error-handling.
        Denial::HiddenResource { uri } => {
            let mut data = Object::default();
            data.set_string("uri", uri);
            Verdict {
                legacy_code: i32::try_from(RESOURCE_NOT_FOUND).ok(),
                data: Some(data.to_json()),
                ..Verdict::rpc(S::OK, rpc::INVALID_PARAMS, "Resource not found")
            }
        }
        Denial::Limited(limited) => Verdict {
            retry_after: Some(limited.retry_after),
            ..Verdict::rpc(S::TOO_MANY_REQUESTS, rpc::LIMIT_REACHED, "Limit reached, try again later")
        },
    }
}
