//! The tools.

use crate::headers::WhoAmI;
use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    CallToolResult, ContentBlock, Implementation, ProgressNotificationParam, RequestMetaObject,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::{Peer, RoleServer};
use rmcp::{ErrorData, Json, ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The MCP server: no state, so that any instance may answer any call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demo;

#[tool_router]
impl Demo {
    /// Gives back what it was given.
    #[tool(annotations(read_only_hint = true))]
    async fn echo(&self, Parameters(Echo { text }): Parameters<Echo>) -> String {
        text
    }

    /// Adds two integers.
    #[tool(annotations(read_only_hint = true))]
    async fn add(&self, Parameters(Add { a, b }): Parameters<Add>) -> Result<Json<Sum>, ErrorData> {
        let overflow = || ErrorData::invalid_params("the sum does not fit 64 bits", None);
        a.checked_add(b).map(|sum| Json(Sum { sum })).ok_or_else(overflow)
    }

    /// Tells which credentials reached this server with the call, masked.
    #[tool(annotations(read_only_hint = true))]
    async fn whoami(&self, Extension(request): Extension<Parts>) -> Json<WhoAmI> {
        Json(WhoAmI::from(&request.headers))
    }

    /// Takes its time, and reports progress each second if asked to.
    #[tool(annotations(read_only_hint = true))]
    async fn slow(
        &self,
        Parameters(Slow { seconds }): Parameters<Slow>,
        meta: RequestMetaObject,
        client: Peer<RoleServer>,
        cancelled: CancellationToken,
    ) -> Result<String, ErrorData> {
        if !(0.0..=MAX_SECONDS).contains(&seconds) {
            return Err(ErrorData::invalid_params(format!("seconds: 0 to {MAX_SECONDS}"), None));
        }
        let token = meta.get_progress_token();
        let mut done = 0.0;
        while done < seconds {
            let step = (seconds - done).min(1.0);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs_f64(step)) => done += step,
                () = cancelled.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
            }
            if let Some(token) = &token {
                let progress = ProgressNotificationParam::new(token.clone(), done).with_total(seconds);
                // A client that does not listen still gets the result.
                let _ = client.notify_progress(progress).await;
            }
        }
        Ok(format!("slept {seconds} s"))
    }

    /// Answers with a text of the given length.
    #[tool(annotations(read_only_hint = true))]
    async fn big(&self, Parameters(Big { bytes }): Parameters<Big>) -> Result<String, ErrorData> {
        if bytes > MAX_BYTES {
            return Err(ErrorData::invalid_params(format!("bytes: at most {MAX_BYTES}"), None));
        }
        Ok("x".repeat(bytes))
    }

    /// Fails: with a tool error, or with a JSON-RPC error if `protocol` is true.
    #[tool]
    async fn fail(
        &self,
        Parameters(Fail { protocol }): Parameters<Fail>,
    ) -> Result<CallToolResult, ErrorData> {
        if protocol {
            return Err(ErrorData::internal_error("failed, as asked", None));
        }
        Ok(CallToolResult::error(vec![ContentBlock::text("failed, as asked")]))
    }
}

#[tool_handler]
impl ServerHandler for Demo {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")))
    }
}

/// Arguments of `echo`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Echo {
    /// The text to give back.
    text: String,
}

/// Arguments of `add`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

/// Result of `add`.
#[derive(Debug, JsonSchema, Serialize)]
struct Sum {
    sum: i64,
}

/// Arguments of `slow`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Slow {
    /// How long, at most 600.
    #[schemars(range(min = 0.0, max = 600.0))]
    seconds: f64,
}

/// Arguments of `big`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Big {
    /// Length of the text, at most 64 MiB.
    #[schemars(range(max = 67_108_864))]
    bytes: usize,
}

/// Arguments of `fail`.
#[derive(Debug, Deserialize, JsonSchema)]
struct Fail {
    /// Fail with a JSON-RPC error instead of a tool error.
    #[serde(default)]
    protocol: bool,
}

const MAX_SECONDS: f64 = 600.0;
const MAX_BYTES: usize = 64 << 20;
