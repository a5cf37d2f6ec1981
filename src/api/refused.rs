//! Which problems each kind of operation may answer with; the description promises exactly these.

use std::marker::PhantomData;

use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;

use super::problem::{Body, PROBLEM_JSON, Problem};
use super::quota;

/// Which problems the answers of an operation may be; the description promises exactly these statuses.
pub trait Statuses: Send + Sync + 'static {
    /// Statuses beyond [`ANY_REQUEST`].
    const STATUSES: &'static [u16];
}

/// What any request may be answered with.
const ANY_REQUEST: &[u16] = &[400, 408, 413, 500, 503];

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $statuses:expr;)+) => {
        $($(#[$doc])* #[derive(Debug, Clone, Copy)] pub enum $name {}
        impl Statuses for $name { const STATUSES: &'static [u16] = &$statuses; })+
    };
}

statuses! {
    /// Operations that need no session.
    Open = [];
    /// Logging in.
    LoggingIn = [401, 403, 415, 429];
    /// Operations that check a secret of the owner under a session.
    Proving = [401, 403, 404, 409, 415, 429];
    /// Operations that change nothing.
    Reading = [401, 403, 404, 429];
    /// Operations that list what one node holds, which not every node can.
    Listing = [401, 403, 404, 409, 429];
    /// Downloads.
    Downloading = [401, 403, 404, 409, 412, 416, 429, 502];
    /// Downloads by ticket.
    Redeeming = [404, 409, 412, 416, 429, 502];
    /// Operations that give out a key or a URL.
    Granting = [401, 403, 404, 409, 415, 429, 502];
    /// Operations that change something.
    Changing = [401, 403, 404, 409, 412, 415, 429];
    /// Looking at an upload.
    Continuing = [401, 403, 404, 410, 429];
    /// Operations on uploads that change something.
    Uploading = [401, 403, 404, 409, 410, 412, 415, 422, 429];
}

/// A [`Problem`] of an operation that promises the statuses of `S`.
#[derive(Debug)]
pub struct Refused<S> {
    problem: Problem,
    statuses: PhantomData<fn() -> S>,
}

impl<S, P: Into<Problem>> From<P> for Refused<S> {
    fn from(problem: P) -> Self {
        Self { problem: problem.into(), statuses: PhantomData }
    }
}

impl<S: Statuses> From<Refused<S>> for poem::Error {
    fn from(refused: Refused<S>) -> Self {
        refused.problem.into()
    }
}

impl<S: Statuses> ApiResponse for Refused<S> {
    fn meta() -> MetaResponses {
        let mut statuses: Vec<u16> = [ANY_REQUEST, S::STATUSES].concat();
        statuses.sort_unstable();
        let responses = statuses.into_iter().map(|status| MetaResponse {
            description: http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or_default(),
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType { content_type: PROBLEM_JSON, schema: Body::schema_ref() }],
            headers: if status == 429 { quota::headers() } else { vec![] },
        });
        MetaResponses { responses: responses.collect() }
    }

    fn register(registry: &mut Registry) {
        Body::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_needing_operation_promises_401_and_403() {
        for statuses in [
            Reading::STATUSES,
            Listing::STATUSES,
            Downloading::STATUSES,
            Changing::STATUSES,
            Continuing::STATUSES,
            Uploading::STATUSES,
            Proving::STATUSES,
        ] {
            assert!(statuses.contains(&401) && statuses.contains(&403));
        }
    }
}
