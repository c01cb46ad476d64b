//! The gateway's own log, on standard error.

use std::env::{self, VarError};
use std::io;
use std::str::FromStr;
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

/// The environment variable that chooses the [`LogFormat`].
const FORMAT_VARIABLE: &str = "NARTHEX_LOG_FORMAT";
/// What is logged unless `RUST_LOG` says otherwise. Pingora reports every client that goes away.
// pingora's connectors call it an error when a pooled connection is lost to another task, which is
// harmless; real ones are returned to us and logged with their upstream.
const DEFAULT_FILTER: &str = "info,pingora=warn,pingora_core=warn,pingora_pool=warn,pingora_runtime=warn,\
     pingora_core::connectors=off";
/// Libraries that write headers, bodies or key material to the log at debug level and below.
const TALKATIVE: [&str; 9] =
    ["pingora", "h2", "hyper", "reqwest", "rustls", "tower", "http", "jsonwebtoken", "tokio_rustls"];

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For reading.
    #[default]
    Text,
}

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// `NARTHEX_LOG_FORMAT` has another value.
    #[error("{FORMAT_VARIABLE} must be `json` or `text`")]
    Format,
    /// `RUST_LOG` cannot be understood.
    #[error("RUST_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logging has been set up before.
    #[error(transparent)]
    Init(#[from] TryInitError),
}

/// Starts logging to standard error, once for the process: `NARTHEX_LOG_FORMAT` (`text`, `json`) chooses
/// the format, `RUST_LOG` what is logged. Lines of libraries that use the `log` crate are included.
///
/// Libraries that handle requests are never logged below `info`, whatever `RUST_LOG` says: at debug
/// level they write headers, and with them tokens.
///
/// # Errors
/// One of the variables makes no sense, or this is the second call.
pub fn init_logging() -> Result<(), LogError> {
    let format = match env::var(FORMAT_VARIABLE) {
        Ok(format) => format.parse()?,
        Err(VarError::NotPresent) => LogFormat::default(),
        Err(VarError::NotUnicode(_)) => return Err(LogError::Format),
    };
    let wanted = match env::var("RUST_LOG") {
        Ok(wanted) if !wanted.is_empty() => EnvFilter::try_new(wanted)?,
        _ => EnvFilter::try_new(DEFAULT_FILTER)?,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(Discreet(wanted))).try_init()?;
    Ok(())
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(LogError::Format),
        }
    }
}

/// A filter that lets through what another does, but for the details of talkative libraries.
struct Discreet(EnvFilter);

fn is_discreet(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= tracing::Level::INFO || !is_talkative(metadata.target())
}

fn is_talkative(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or_default();
    TALKATIVE
        .iter()
        .any(|name| library.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}

impl<S: Subscriber> Filter<S> for Discreet {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        is_discreet(metadata) && Filter::<S>::enabled(&self.0, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The bridge from the `log` crate has one call site for all libraries, so that only
        // `enabled` sees the real target; `EnvFilter` knows that and answers `sometimes`.
        if is_discreet(metadata) {
            Filter::<S>::callsite_enabled(&self.0, metadata)
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[test]
    fn formats_have_two_names() {
        assert_eq!("json".parse::<LogFormat>().unwrap(), LogFormat::Json);
        assert_eq!("text".parse::<LogFormat>().unwrap(), LogFormat::Text);
        assert!(matches!("xml".parse::<LogFormat>(), Err(LogError::Format)));
    }

    #[test]
    fn the_default_filter_is_one() {
        assert!(EnvFilter::try_new(DEFAULT_FILTER).is_ok());
    }

    #[test]
    fn libraries_are_known_with_their_parts() {
        for target in ["pingora", "pingora_core::apps", "h2::codec", "hyper_util::client", "rustls"] {
            assert!(is_talkative(target), "{target}");
        }
        for target in ["narthex_proxy", "h2o", "httpish::x", ""] {
            assert!(!is_talkative(target), "{target}");
        }
    }

    #[test]
    fn headers_are_not_logged_even_when_everything_is_asked_for() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || Sink(Arc::clone(&sink)))
            .with_filter(Discreet(EnvFilter::new("trace")));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::debug!(target: "pingora_core::apps", "authorization: Bearer x");
            tracing::trace!(target: "h2::codec", "authorization: Bearer x");
            tracing::info!(target: "h2::codec", "kept one");
            tracing::trace!(target: "narthex_proxy", "kept two");
        });
        let text = String::from_utf8(lines.lock().clone()).unwrap();
        assert!(!text.contains("Bearer"), "{text}");
        assert!(text.contains("kept one") && text.contains("kept two"), "{text}");
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
