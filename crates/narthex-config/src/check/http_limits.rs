//! `server.limits`.

use super::Check;
use crate::grammar::{self, Size};
use crate::model::HttpLimits;
use crate::yaml::Field;

/// Deepest JSON that may be allowed: readers of it recurse.
const MAX_JSON_DEPTH: usize = 512;

impl Check<'_> {
    pub(super) fn http_limits(&self, field: &Field<grammar::HttpLimits>) -> HttpLimits {
        let absent = grammar::HttpLimits::default();
        let given = field.get().unwrap_or(&absent);
        let default = HttpLimits::default();
        let limits = HttpLimits {
            body: size(&given.body, default.body),
            header_block: size(&given.header_block, default.header_block),
            json_depth: Self::usize(&given.json_depth, default.json_depth),
            connections: Self::usize(&given.connections, default.connections),
            buffered: size(&given.buffered, default.buffered),
            streams_per_caller: Self::usize(&given.streams_per_caller, default.streams_per_caller),
            header_timeout: self.nonzero(&given.header_timeout, default.header_timeout),
            body_timeout: self.nonzero(&given.body_timeout, default.body_timeout),
            idle_timeout: self.nonzero(&given.idle_timeout, default.idle_timeout),
            write_timeout: self.nonzero(&given.write_timeout, default.write_timeout),
            ..self.session_limits(given, &default)
        };
        self.json_depth(given, &limits);
        self.buffered(given, &limits);
        limits
    }

    /// `rest`, with what is given of held calls, sessions and their events.
    fn session_limits(&self, given: &grammar::HttpLimits, rest: &HttpLimits) -> HttpLimits {
        HttpLimits {
            suspended_calls: Self::usize(&given.suspended_calls, rest.suspended_calls),
            suspended_per_caller: Self::usize(&given.suspended_per_caller, rest.suspended_per_caller),
            suspend_timeout: self.nonzero(&given.suspend_timeout, rest.suspend_timeout),
            sessions: Self::usize(&given.sessions, rest.sessions),
            sessions_per_caller: Self::usize(&given.sessions_per_caller, rest.sessions_per_caller),
            session_idle: self.nonzero(&given.session_idle, rest.session_idle),
            events_per_stream: Self::usize(&given.events_per_stream, rest.events_per_stream),
            event_bytes_per_session: size(&given.event_bytes_per_session, rest.event_bytes_per_session),
            ..rest.clone()
        }
    }

    fn json_depth(&self, given: &grammar::HttpLimits, limits: &HttpLimits) {
        if let Some(at) = given.json_depth.span()
            && limits.json_depth > MAX_JSON_DEPTH
        {
            self.report.error(at, format!("JSON deeper than {MAX_JSON_DEPTH} is never read"));
        }
    }

    fn buffered(&self, given: &grammar::HttpLimits, limits: &HttpLimits) {
        if limits.buffered < limits.body
            && let Some(at) = given.buffered.span().or_else(|| given.body.span())
        {
            let message = "one body of the size of `body` does not fit in `buffered`";
            self.report.error_with_help(at, message, "make `buffered` a multiple of `body`");
        }
    }
}

fn size(field: &Field<Size>, default: usize) -> usize {
    field.get().map_or(default, |size| size.0)
}
