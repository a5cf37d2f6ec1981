//! `/metrics`: for whoever watches over the program, by a token or on a listener of its own.
//!
//! Without `METRICS_TOKEN` the public listener has no such path. The token opens nothing else, and no session opens this:
//! a monitor needs no key to the vault, and the vault's owner has the pages.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode, request};
use subtle::ConstantTimeEq;

use super::Coffer;
use super::health::Readiness;
use super::problem::{Code, Problem};
use crate::config::Secret;
use crate::crypto::sha256;
use crate::telemetry::metrics::{Level, MEDIA_TYPE, METRICS};

/// Where they are read.
pub const PATH: &str = "/metrics";

/// Which listener was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// The one that everybody reaches.
    Public,
    /// The one of `METRICS_BIND`.
    Own,
}

/// The answer to a request for the metrics.
///
/// # Errors
/// `NOT_FOUND` where they are not to be had, `INVALID_TOKEN` without the token.
pub async fn answer(coffer: &Coffer, request: &request::Parts, listener: Listener) -> Result<poem::Response, Problem> {
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    match (&coffer.http.metrics_token, listener) {
        (None, Listener::Public) => return Err(Code::NotFound.into()),
        (Some(token), _) if !shows(&request.headers, token) => return Err(Code::InvalidToken.into()),
        _ if !is_read || request.uri.path() != PATH => return Err(Code::NotFound.into()),
        _ => {}
    }
    look(coffer).await;
    let answer = poem::Response::builder().status(StatusCode::OK).header(CONTENT_TYPE, MEDIA_TYPE);
    Ok(answer.body(METRICS.text()))
}

/// Whether the request shows the token; in constant time, whatever its length.
fn shows(headers: &HeaderMap, token: &Secret) -> bool {
    let shown = headers.get(AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    let shown = shown.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
    shown.is_some_and(|(_, shown)| sha256(shown).ct_eq(&sha256(token.expose().as_bytes())).into())
}

/// Takes down what holds at this moment; what cannot be seen keeps its last value.
async fn look(coffer: &Coffer) {
    let is_ready = *coffer.health.borrow() == Readiness::Ready;
    METRICS.set(Level::Ready, u64::from(is_ready));
    let Ok(floors) = coffer.floors() else { return };
    if let Ok(stats) = floors.vault.stats() {
        METRICS.set(Level::Files, stats.files);
        METRICS.set(Level::Folders, stats.folders);
        METRICS.set(Level::Bytes, stats.bytes_used);
    }
    if let Ok(uploads) = floors.vault.unfinished_uploads().await {
        METRICS.set(Level::Uploads, uploads.len() as u64);
    }
    if let Ok(epoch) = floors.vault.session_epoch()
        && let Ok(sessions) = floors.sessions.list(epoch).await
    {
        METRICS.set(Level::Sessions, sessions.len() as u64);
    }
}
