//! The connection that all calls share.
//!
//! Not the library's own manager: that keeps an error that a new connection got (a password that was being
//! changed, a server that was loading) for all later calls.

use parking_lot::RwLock;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::{timeout, timeout_at};

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
    made: Instant,
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
        let end = tokio::time::Instant::now() + self.timeout;
        let live = timeout_at(end, self.live()).await.unwrap_or_else(|_| Err(too_late()))?;
        let answer = timeout_at(end, ask(live.connection.clone())).await.unwrap_or_else(|_| Err(too_late()));
        if let Err(error) = &answer
            && live.is_over(error)
        {
            live.lost.store(true, Ordering::Release);
        }
        answer
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
            // The calls have their own.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    tell.store(true, Ordering::Release);
                }
                Ok::<(), ()>(())
            });
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let connection = timeout(connecting, connection).await.unwrap_or_else(|_| Err(too_late()))?;
        Ok(Live { connection, made: Instant::now(), lost })
    }

    /// Keeps calls from the connection until it is dropped.
    #[cfg(test)]
    pub(super) async fn hold(&self) -> impl Drop {
        self.state.lock().await
    }
}

// === impl Live ===

impl Live {
    /// Whether an error says that the next call should go on another connection.
    fn is_over(&self, error: &RedisError) -> bool {
        match error.kind() {
            // The primary has become a replica, and the address leads to another by now. If it does not, not every
            // call should make a connection.
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => {
                self.made.elapsed() >= PAUSE
            }
            _ => error.is_unrecoverable_error() || error.is_timeout() || error.is_io_error(),
        }
    }
}

fn too_late() -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into()
}
