//! `/health`: whether the program runs, and whether it serves.
//!
//! Both are open to strangers, so they say little, and asking costs nothing: a watcher looks at Redis, the bucket and
//! the log in its own time, and an answer is the latest that it saw.

use poem::Request;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use tokio::sync::watch;

use super::Context;
use super::openapi::Tag;
use super::problem::{Code, Open, Problem, Refused};

/// What the watcher saw last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Everything answers and this process writes.
    Ready,
    /// Not yet, or not at the moment: the sentence says what is waited for.
    Waiting(String),
    /// Reads are served, changes are not: the sentence says why and what the operator can do.
    ReadOnly(String),
    /// Redis does not answer.
    RedisUnavailable,
    /// The bucket does not answer.
    StorageUnavailable,
}

/// Where [`Readiness`] is read.
pub type Health = watch::Receiver<Readiness>;

/// That something is so.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "HealthState", rename_all = "snake_case")]
pub enum State {
    /// The program runs.
    Live,
    /// The vault serves.
    Ready,
}

/// How it goes.
#[derive(Debug, Object)]
#[oai(rename = "Health")]
pub struct Report {
    /// What is so.
    status: State,
}

/// The handlers of `/health`.
pub struct HealthChecks;

#[OpenApi(prefix_path = "/health", tag = "Tag::Health")]
impl HealthChecks {
    /// Whether the program runs
    #[oai(path = "/live", method = "get", operation_id = "get_live")]
    async fn live(&self) -> Result<Json<Report>, Refused<Open>> {
        Ok(Json(Report { status: State::Live }))
    }

    /// Whether the vault serves, and what it waits for where not
    #[oai(path = "/ready", method = "get", operation_id = "get_ready")]
    async fn ready(&self, request: &Request) -> Result<Json<Report>, Refused<Open>> {
        match refusal(&Context::of(request).coffer.health.borrow()) {
            Some(problem) => Err(problem.into()),
            None => Ok(Json(Report { status: State::Ready })),
        }
    }
}

fn refusal(readiness: &Readiness) -> Option<Problem> {
    match readiness {
        Readiness::Ready => None,
        Readiness::Waiting(what) => Some(Problem::new(Code::NotReady).with_detail(what.clone())),
        Readiness::ReadOnly(why) => Some(Problem::new(Code::ReadOnly).with_detail(why.clone())),
        Readiness::RedisUnavailable => Some(Code::RedisUnavailable.into()),
        Readiness::StorageUnavailable => Some(Code::StorageUnavailable.into()),
    }
}
