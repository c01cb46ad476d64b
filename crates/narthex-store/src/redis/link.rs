//! The connection that all calls share.
//!
//! Not the library's own manager: that keeps an error that a new connection got (a password that was being
//! changed, a server that was loading) for all later calls.

use parking_lot::RwLock;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, PushInfo, PushKind, RedisError, RedisResult};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// After an attempt to connect has failed, how long calls fail at once.
const PAUSE: Duration = Duration::from_millis(200);

/// Calls on their way at once; more wait.
const PIPELINE: usize = 1024;

pub(super) struct Link {
    client: RwLock<Client>,
    state: Mutex<State>,
    /// For a call, with all that it takes.
    timeout: Duration,
}

#[derive(Default)]
struct State {
    current: Option<Live>,
    failed: Option<(Instant, RedisError)>,
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    lost: Arc<AtomicBool>,
}

// === impl Link ===

impl Link {
    pub(super) fn new(client: Client, timeout: Duration) -> Self {
        Self { client: RwLock::new(client), state: Mutex::default(), timeout }
    }

    /// For the connections to come; the one that there is goes on until it is lost.
    pub(super) fn set_client(&self, client: Client) {
        *self.client.write() = client;
    }

    /// Asks once, within the time for it.
    pub(super) async fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let asking = async {
            let live = self.live().await?;
            let answer = ask(live.connection).await;
            if let Err(error) = &answer
                && (error.is_unrecoverable_error() || error.is_timeout() || error.is_io_error())
            {
                live.lost.store(true, Ordering::Release);
            }
            answer
        };
        timeout(self.timeout, asking).await.unwrap_or_else(|_| Err(too_late()))
    }

    /// The connection, or a new one, which one call makes while the others wait for it.
    async fn live(&self) -> RedisResult<Live> {
        let mut state = self.state.lock().await;
        if let Some(live) = state.current.as_ref().filter(|live| !live.lost.load(Ordering::Acquire)) {
            return Ok(live.clone());
        }
        state.current = None;
        if let Some((at, error)) = &state.failed
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(live) => {
                state.failed = None;
                state.current = Some(live.clone());
                Ok(live)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> RedisResult<Live> {
        let (client, lost) = (self.client.read().clone(), Arc::new(AtomicBool::new(false)));
        let tell = Arc::clone(&lost);
        // Less than a call has, so that it is known that it failed.
        let connecting = self.timeout * 3 / 4;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connecting))
            .set_response_timeout(Some(self.timeout))
            .set_pipeline_buffer_size(PIPELINE)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    tell.store(true, Ordering::Release);
                }
                Ok::<(), ()>(())
            });
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let connection = timeout(connecting, connection).await.unwrap_or_else(|_| Err(too_late()))?;
        Ok(Live { connection, lost })
    }
}

fn too_late() -> RedisError {
    let cause = io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
    RedisError::from((ErrorKind::Io, "timed out", cause.to_string()))
}
