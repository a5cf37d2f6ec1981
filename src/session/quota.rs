//! How many requests are answered: a quota for each session, and a smaller one for each network that shows none.
//!
//! Every request that counts takes one before it is answered, in the same round trip that looks its session up. What
//! checks a secret is not counted here but by `limit`, whose budget strangers of one network cannot use up for others.
//! Names in Redis are keyed digests: an address could be found by trying all of them.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use super::client::network;
use super::token::keyed;
use super::{SessionError, SessionId, away};
use crate::config::{QuotaConfig, SessionConfig};
use crate::state::{Found, Key, Rate, State, StateError, Table, Taken};

/// What a request takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Requests of any kind.
    Request,
    /// Requests that begin to bring content.
    Upload,
}

/// What is left of a quota, as the client may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What it counts.
    pub counts: Counted,
    /// How many in a window.
    pub limit: u32,
    /// The window.
    pub window_secs: u64,
    /// How many are left.
    pub remaining: u32,
    /// Until it is whole again.
    pub whole_after_secs: u64,
}

/// What one request counts as, and what that left. Clones are one meter.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    counts: Option<Counted>,
    quota: Arc<OnceLock<Quota>>,
}

impl Meter {
    /// For a request that counts as that, or does not count.
    pub fn new(counts: Option<Counted>) -> Self {
        Self { counts, quota: Arc::default() }
    }

    /// Whether the request counts.
    pub fn counts(&self) -> bool {
        self.counts.is_some()
    }

    /// The quota that the request took from, or was refused by.
    pub fn quota(&self) -> Option<Quota> {
        self.quota.get().copied()
    }
}

pub(super) struct Quotas {
    state: State,
    digest_key: Zeroizing<[u8; 32]>,
    config: QuotaConfig,
}

impl Quotas {
    pub(super) fn new(state: State, config: &SessionConfig) -> Self {
        let secret = config.jwt_secrets.first().expect("the settings hold at least one secret");
        let digest_key = keyed(secret.expose().as_bytes(), b"coffer/1/quota");
        Self { state, digest_key, config: config.quotas }
    }

    /// Counts a request that shows no session.
    pub(super) async fn count(&self, meter: &Meter, address: IpAddr, now_ms: u64) -> Result<(), SessionError> {
        let Some(counts) = meter.counts else { return Ok(()) };
        let rate = self.of_network(counts);
        let taken = self.state.take(&self.network_key(counts, address), rate, now_ms).await.map_err(away)?;
        noted(meter, counts, rate, taken)
    }

    /// A session's record, and the request counted: as the session's where there is one, else as its network's.
    pub(super) async fn find(
        &self,
        table: &Table,
        id: SessionId,
        meter: &Meter,
        address: IpAddr,
        now_ms: u64,
    ) -> Result<Option<Found>, SessionError> {
        let field = id.hex();
        let found = match meter.counts {
            None => table.get(&field).await,
            Some(counts) => {
                let (session, network) = (self.of_session(counts), self.of_network(counts));
                let holder = (&self.state.key(session_kind(counts), &field), session);
                let stranger = (&self.network_key(counts, address), network);
                let (found, taken) = table.get_and_take(&field, holder, stranger, now_ms).await.map_err(away)?;
                let is_stranger = matches!(found, Ok(None));
                noted(meter, counts, if is_stranger { network } else { session }, taken)?;
                found
            }
        };
        match found {
            Ok(found) => Ok(found),
            Err(StateError::Corrupt) => Ok(None),
            Err(StateError::Unavailable) => Err(SessionError::RedisUnavailable),
        }
    }

    fn of_session(&self, counts: Counted) -> Rate {
        let QuotaConfig { owner_requests, owner_uploads, .. } = self.config;
        self.rate(counts, owner_requests, owner_uploads)
    }

    fn of_network(&self, counts: Counted) -> Rate {
        let QuotaConfig { stranger_requests, stranger_uploads, .. } = self.config;
        self.rate(counts, stranger_requests, stranger_uploads)
    }

    fn rate(&self, counts: Counted, requests: u32, uploads: u32) -> Rate {
        let (limit, window_secs) = match counts {
            Counted::Request => (requests, self.config.request_window_secs),
            Counted::Upload => (uploads, self.config.upload_window_secs),
        };
        Rate { limit, window_ms: window_secs.saturating_mul(1_000) }
    }

    fn network_key(&self, counts: Counted, address: IpAddr) -> Key {
        let kind = network_kind(counts);
        let digest = keyed(self.digest_key.as_slice(), format!("{kind}\0{}", network(address)).as_bytes());
        self.state.key(kind, &data_encoding::HEXLOWER.encode(&digest[..16]))
    }
}

fn session_kind(counts: Counted) -> &'static str {
    match counts {
        Counted::Request => "session-requests",
        Counted::Upload => "session-uploads",
    }
}

fn network_kind(counts: Counted) -> &'static str {
    match counts {
        Counted::Request => "network-requests",
        Counted::Upload => "network-uploads",
    }
}

/// Writes down what is left, and refuses where nothing was taken.
fn noted(meter: &Meter, counts: Counted, rate: Rate, taken: Taken) -> Result<(), SessionError> {
    // A request is counted once; a second word about it would be about another request's rest.
    let _ = meter.quota.set(Quota {
        counts,
        limit: rate.limit,
        window_secs: rate.window_ms / 1_000,
        remaining: taken.remaining,
        whole_after_secs: taken.whole_after_ms.div_ceil(1_000),
    });
    match taken.refused_for_ms {
        None => Ok(()),
        Some(wait_ms) => Err(SessionError::RateLimited { retry_after_secs: wait_ms.div_ceil(1_000) }),
    }
}
