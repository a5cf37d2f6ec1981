//! The watcher behind `/health/ready`: looks at Redis, the bucket and the log in its own time.

use std::time::Duration;

use tokio::sync::watch;

use crate::api::health::Readiness;
use crate::log::{Status, bootstrap};
use crate::state::Redis;
use crate::store::{Store, StoreError};

/// Between two looks, unless the log's status changes.
const INTERVAL: Duration = Duration::from_secs(2);

/// How often the bucket is asked: each question may cost its owner something.
const STORE_INTERVAL: Duration = Duration::from_secs(30);

/// What is watched.
pub(super) struct Watched {
    /// The log's life.
    pub(super) status: watch::Receiver<Status>,
    /// Redis.
    pub(super) redis: Redis,
    /// The bucket.
    pub(super) store: Store,
}

/// Keeps `readiness` true until the program ends.
pub(super) async fn watch(mut watched: Watched, readiness: watch::Sender<Readiness>) {
    let mut store_seen = None;
    loop {
        let status = watched.status.borrow_and_update().clone();
        if store_seen.is_none_or(|seen: tokio::time::Instant| seen.elapsed() >= STORE_INTERVAL) {
            let answered =
                !matches!(watched.store.head(bootstrap::DESCRIPTOR).await, Err(StoreError::Unavailable { .. }));
            // A bucket that is away is asked again at the next look.
            store_seen = answered.then(tokio::time::Instant::now);
        }
        let seen = match (watched.redis.ping().await, store_seen) {
            (Err(_), _) => Readiness::RedisUnavailable,
            (Ok(()), None) => Readiness::StorageUnavailable,
            (Ok(()), Some(_)) => of_log(&status),
        };
        readiness.send_if_modified(|last| {
            let changed = *last != seen;
            if changed {
                tracing::info!(readiness = ?seen, "readiness changed");
                *last = seen;
            }
            changed
        });
        // The sender lives in the log's task; when it is gone, time goes on alone.
        if let Ok(Err(_)) = tokio::time::timeout(INTERVAL, watched.status.changed()).await {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

fn of_log(status: &Status) -> Readiness {
    match status {
        Status::Serving { .. } => Readiness::Ready,
        Status::Standby => {
            Readiness::Waiting("Another process serves this vault, or Redis or the bucket does not answer.".to_owned())
        }
        Status::Loading { entries_done, entries_total } => {
            Readiness::Waiting(format!("Loading the log: {entries_done} of {entries_total} entries."))
        }
        Status::ReadOnly { reason, accept } => Readiness::ReadOnly(match accept {
            Some(accept) => format!("{reason}. To go on from what is there, start with ACCEPT_HEAD={accept}."),
            None => reason.clone(),
        }),
        Status::Refused { reason } => Readiness::Waiting(format!("This program cannot serve the log: {reason}.")),
        Status::Stopped => Readiness::Waiting("The program is stopping.".to_owned()),
    }
}
