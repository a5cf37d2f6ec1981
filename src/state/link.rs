//! The connection: one for all callers, bounded in time and in number, replaced when it breaks.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::ServerErrorKind;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Script};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::StateError;
use crate::config::RedisConfig;
use crate::telemetry::metrics::{METRICS, Outcome};

/// Commands on their way at one time; one more is refused rather than queued.
const MAX_IN_FLIGHT: usize = 1_024;

/// How long a caller waits for another one's attempt to reconnect while Redis is known to be away.
const RECONNECT_GRACE: Duration = Duration::from_millis(100);

pub(super) struct Link {
    client: Client,
    timeout: Duration,
    in_flight: Semaphore,
    current: Mutex<Current>,
    /// Held by the one caller that connects.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Current {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that a late failure of an old one leaves the new one alone.
    generation: u64,
    away: bool,
}

impl Link {
    pub(super) fn new(config: &RedisConfig) -> Result<Self, StateError> {
        // The error could repeat the URL and with it a password, so it is not passed on.
        let client = Client::open(config.url.expose()).map_err(|_| StateError::Unavailable)?;
        Ok(Self {
            client,
            timeout: Duration::from_millis(config.timeout_ms),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            current: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
        })
    }

    /// One command and its answer, within the timeout. Sent a second time when the connection broke, so it **must**
    /// bear being executed twice.
    pub(super) async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StateError> {
        self.bounded(command).await.map_err(|_| StateError::Unavailable)
    }

    /// One script, by its digest where Redis knows it already; the same rules as for [`Link::call`].
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &str,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T, StateError> {
        let command = |verb: &str, body: &str| {
            let mut command = redis::cmd(verb);
            command.arg(body).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        match self.bounded(&command("EVALSHA", Script::new(script).get_hash())).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.call(&command("EVAL", script)).await
            }
            answer => answer.map_err(|_| StateError::Unavailable),
        }
    }

    async fn bounded<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return Err((ErrorKind::Client, "too many commands in flight").into());
        };
        let (begun, mut used) = (Instant::now(), None);
        let answer = timeout(self.timeout, self.sent_twice_at_most(command, &mut used)).await;
        let answer = answer.unwrap_or_else(|_| Err(out_of_time()));
        self.note(answer.as_ref().err(), used);
        METRICS.redis(if answer.is_ok() { Outcome::Done } else { Outcome::Failed }, begun.elapsed());
        answer
    }

    async fn sent_twice_at_most<T: FromRedisValue>(&self, command: &Cmd, used: &mut Option<u64>) -> RedisResult<T> {
        let (generation, mut connection) = self.connection().await?;
        *used = Some(generation);
        match command.query_async(&mut connection).await {
            // Redis may have been restarted since the last command; only then is there something to gain.
            Err(error) if error.is_io_error() && !error.is_timeout() => {
                self.lose(generation);
                let (generation, mut connection) = self.connection().await?;
                *used = Some(generation);
                command.query_async(&mut connection).await
            }
            answer => answer,
        }
    }

    async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        if let Some(found) = self.established() {
            return Ok(found);
        }
        let patience = if self.current.lock().away { RECONNECT_GRACE } else { self.timeout };
        let _connecting = timeout(patience, self.connecting.lock()).await.map_err(|_| out_of_time())?;
        if let Some(found) = self.established() {
            return Ok(found);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut current = self.current.lock();
        current.generation += 1;
        current.connection = Some(connection.clone());
        Ok((current.generation, connection))
    }

    fn established(&self) -> Option<(u64, MultiplexedConnection)> {
        let current = self.current.lock();
        current.connection.clone().map(|connection| (current.generation, connection))
    }

    fn lose(&self, generation: u64) {
        let mut current = self.current.lock();
        if current.generation == generation {
            current.connection = None;
        }
    }

    /// Draws the consequences of an outcome, and says once when Redis goes and once when it is back.
    fn note(&self, failure: Option<&RedisError>, used: Option<u64>) {
        let failure = failure.filter(|error| error.kind() != ErrorKind::Server(ServerErrorKind::NoScript));
        if let (Some(error), Some(generation)) = (failure, used)
            && is_the_connections_end(error)
        {
            self.lose(generation);
        }
        let mut current = self.current.lock();
        match (current.away, failure) {
            (false, Some(error)) => tracing::warn!(reason = error.category(), "redis is not available"),
            (true, None) => tracing::info!("redis is available again"),
            _ => {}
        }
        current.away = failure.is_some();
    }
}

/// A connection to a server that has become a replica can be of no more use than a broken one.
fn is_the_connections_end(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

fn out_of_time() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
