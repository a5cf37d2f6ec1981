//! HTTP: handlers described by the OpenAPI document that is generated from them.
//!
//! A connection comes in through [`server`], a request through [`root`], which gives it an id, bounds it, and turns what
//! goes wrong into a [`problem`]. Handlers, one file a resource, extract, call and convert; what they call knows no HTTP.
//! Texts are parsed once, in [`text`]; answers are the nouns of [`schema`]. [`policy`]
//! says what each operation asks of its callers, and who asks is decided by [`caller`] alone.

pub mod server;
pub mod stall;
pub mod root;
pub mod headers;
pub mod client;
pub mod origin;
pub mod problem;
mod refused;
pub mod policy;
pub mod quota;
pub mod caller;
pub mod text;
pub mod schema;
pub mod conditional;
pub mod disposition;
pub mod events;
pub mod content;
pub mod session;
pub mod proofs;
pub mod mfa;
pub mod passkeys;
pub mod qr;
pub mod sessions;
pub mod nodes;
pub mod folders;
pub mod files;
pub mod grants;
pub mod tokens;
mod reach;
pub mod trash;
pub mod bulk;
pub mod overview;
pub mod uploads;
pub mod health;
pub mod metrics;
pub mod openapi;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http::Uri;
use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, Route};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::HttpConfig;
use crate::owner::{AppTokens, Factors, Owner};
use crate::session::{Meter, Sessions, ShownProof};
use crate::vault::Vault;
use health::Health;
use policy::Policy;
use problem::{Code, Problem};
use stall::Cut;

/// Where the API lies.
pub const PREFIX: &str = "/api/v1";

/// Paths that answer in a second place too, for programs that look for them there, and the path they stand for.
const ALIASES: &[(&str, &str)] = &[
    ("/health/live", "/api/v1/health/live"),
    ("/health/ready", "/api/v1/health/ready"),
    ("/api/v1/openapi.json", "/openapi.json"),
];

/// What handlers work with. It answers from the first moment; what needs the vault waits for [`Coffer::open`].
pub struct Coffer {
    /// The listener's settings.
    pub http: HttpConfig,
    /// Whether requests can be served, and what they wait for.
    pub health: Health,
    floors: OnceLock<Floors>,
    event_streams: Arc<Semaphore>,
}

/// The floors below, once they stand.
pub struct Floors {
    /// Files and folders.
    pub vault: Vault,
    /// Who is logged in.
    pub sessions: Sessions,
    /// Who may log in.
    pub owner: Owner,
    /// Which programs may act for the owner.
    pub tokens: AppTokens,
    /// What is asked of them beside the password.
    pub factors: Factors,
}

impl Coffer {
    /// A program that is starting.
    pub fn new(http: HttpConfig, health: Health) -> Self {
        let event_streams = Arc::new(Semaphore::new(events::MAX_EVENT_STREAMS));
        Self { http, health, floors: OnceLock::new(), event_streams }
    }

    /// Lets requests reach the floors below. Later calls change nothing.
    pub fn open(&self, floors: Floors) {
        let _ = self.floors.set(floors);
    }

    /// A place for one more stream of events, for as long as it is held.
    pub fn event_stream(&self) -> Option<OwnedSemaphorePermit> {
        self.event_streams.clone().try_acquire_owned().ok()
    }

    /// The floors below.
    ///
    /// # Errors
    /// `NOT_READY` while the program starts.
    pub fn floors(&self) -> Result<&Floors, Problem> {
        self.floors.get().ok_or_else(|| Code::NotReady.into())
    }
}

/// What a handler knows of its request beside the parameters.
#[derive(Clone)]
pub struct Context {
    /// The program.
    pub coffer: Arc<Coffer>,
    /// The request's id.
    pub request_id: String,
    /// The client's address.
    pub address: IpAddr,
    /// The client's name for itself.
    pub user_agent: String,
    /// What the operation asks of its callers; `None` where there is no such operation.
    pub policy: Option<&'static Policy>,
    /// The languages that the client asks for.
    pub language: String,
    /// The proof of possession that the request shows.
    pub proof: Option<ShownProof>,
    /// What it counts as, and what that left of the quota.
    pub meter: Meter,
    /// Ends the request's connection.
    pub cut: Cut,
}

impl Context {
    /// The context that [`root`] gave the request.
    pub fn of(request: &poem::Request) -> &Self {
        request.data().expect("the root gives every request its context")
    }
}

/// The pages and the API.
fn routes(pages: Route) -> BoxEndpoint<'static, poem::Response> {
    pages.nest(PREFIX, openapi::service()).map_to_response().boxed()
}

/// Leads an alias to the path that it stands for.
fn alias(uri: &mut Uri) {
    if let Some((_, path)) = ALIASES.iter().find(|(alias, _)| *alias == uri.path()) {
        *uri = Uri::from_static(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_lead_below_the_prefix_and_nothing_else_does() {
        for (path, expected) in [
            ("/health/live", "/api/v1/health/live"),
            ("/health/ready?x=1", "/api/v1/health/ready"),
            ("/api/v1/openapi.json", "/openapi.json"),
            ("/health", "/health"),
            ("/session", "/session"),
        ] {
            let mut uri = Uri::from_static(path);
            alias(&mut uri);
            assert_eq!(uri, expected);
        }
    }
}
