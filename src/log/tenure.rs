//! Who writes: the lease in Redis, and the marker in the bucket that outranks every earlier writer.
//!
//! The lease keeps two healthy processes apart. Safety comes from the marker: a writer that was replaced finds the higher
//! marker after each PUT and never acknowledges again, whatever its clock or Redis told it meanwhile. The lease's end is
//! measured on the monotonic clock, which goes on while a process is stopped, from before the request that renewed it:
//! a process that was paused past its lease stops answering reads the moment it wakes up.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use minicbor::{Decode, Encode};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::LogParts;
use super::entry::{WRITER_VERSION, from_cbor, to_cbor};
use super::name::{MARKERS, Term, Writer};
use crate::crypto::{Label, OpenError, random};
use crate::state::{State, StateError};
use crate::store::StoreError;

/// Epochs begin with Unix milliseconds and rise by one with each take-over: no writer ever made one as high as this, and
/// one that was planted must not use the numbers up.
const EPOCH_LIMIT: u64 = 1 << 62;
/// The largest marker that is read.
const MARKER_MAX_BYTES: u64 = 4096;

/// The lease, while it is held.
pub(crate) struct Lease {
    state: State,
    writer: Writer,
    ttl: Duration,
    ends: Mutex<Instant>,
    lost: CancellationToken,
}

impl Lease {
    /// Takes the lease for a new writer if it is free.
    pub(crate) async fn acquire(state: &State, ttl: Duration) -> Result<Option<Arc<Self>>, StateError> {
        let writer: Writer = random::bytes();
        let asked = Instant::now();
        if !state.acquire_lease(writer, millis(ttl)).await? {
            return Ok(None);
        }
        let ends = Mutex::new(asked + ttl);
        Ok(Some(Arc::new(Self { state: state.clone(), writer, ttl, ends, lost: CancellationToken::new() })))
    }

    /// Renews it until it is lost; the task ends with the handle.
    pub(crate) fn keep(self: &Arc<Self>) -> KeptLease {
        let lease = Arc::clone(self);
        KeptLease(tokio::spawn(async move { lease.renew().await }))
    }

    /// Whether it is held by the monotonic clock, for certain.
    pub(crate) fn is_held(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < *self.ends.lock()
    }

    /// Resolves when it is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Lets go of it for whoever works under it here; it is still to be given back.
    pub(crate) fn forsake(&self) {
        self.lost.cancel();
    }

    /// Gives it back, so that the next writer need not wait for its end.
    pub(crate) async fn release(&self) {
        self.lost.cancel();
        if let Err(error) = self.state.release_lease(self.writer).await {
            warn!(%error, "the lease could not be released and ends by itself");
        }
    }

    async fn renew(&self) {
        let mut pause = self.ttl / 3;
        loop {
            tokio::time::sleep(pause).await;
            let asked = Instant::now();
            let left = self.ends.lock().saturating_duration_since(asked);
            // An answer that comes after the lease's end is of no use.
            match timeout(left, self.state.renew_lease(self.writer, millis(self.ttl))).await {
                Ok(Ok(true)) => {
                    *self.ends.lock() = asked + self.ttl;
                    pause = self.ttl / 3;
                }
                Ok(Err(_)) if self.is_held() => pause = self.ttl / 10,
                Ok(Ok(false) | Err(_)) | Err(_) => break,
            }
        }
        self.lost.cancel();
    }
}

/// The renewing task; dropping it ends the renewal.
pub(crate) struct KeptLease(JoinHandle<()>);

impl Drop for KeptLease {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

/// Why a writer may not write.
#[derive(Debug)]
pub(crate) enum Contest {
    /// Another writer has the higher marker.
    Outranked(Term),
    /// The bucket does not list the marker that was just written.
    Unlisted,
    /// The bucket did not answer.
    Store(StoreError),
}

/// A term in office: a marker that was written and found to be the highest.
pub(crate) struct Tenure {
    /// Epoch and writer.
    pub(crate) term: Term,
    /// Markers of earlier terms, to be named and then deleted.
    pub(crate) earlier: Vec<Term>,
    foreign: Foreign,
}

/// Names under `writer/` that carry no marker of this vault.
#[derive(Default)]
struct Foreign(Mutex<HashSet<Term>>);

#[derive(Encode, Decode)]
#[cbor(map)]
struct Marker {
    #[n(0)]
    term: Term,
    #[n(1)]
    version: String,
}

impl Tenure {
    /// Puts this writer's marker above every marker in the bucket and above `floor`, the highest epoch known elsewhere.
    pub(crate) async fn claim(parts: &LogParts, lease: &Lease, floor: u64) -> Result<Self, Contest> {
        let foreign = Foreign::default();
        let mut earlier = list(parts).await?;
        earlier.sort_unstable();
        while let Some(highest) = earlier.last() {
            if foreign.is_genuine(parts, *highest).await? {
                break;
            }
            earlier.pop();
        }
        let known = earlier.last().map_or(0, |term| term.epoch).max(floor);
        let epoch = parts.clock.now_ms().max(known.saturating_add(1));
        let term = Term { epoch, writer: lease.writer };
        let marker = to_cbor(&Marker { term, version: WRITER_VERSION.to_owned() });
        let sealed = parts.keys.seal(Label::Marker, &aad(term), &marker);
        parts.store.put(&term.marker_key(), Bytes::from(sealed)).await?;
        let tenure = Self { term, earlier, foreign };
        tenure.confirm(parts).await?;
        Ok(tenure)
    }

    /// Lists the markers: this one must be there, and none above it.
    pub(crate) async fn confirm(&self, parts: &LogParts) -> Result<(), Contest> {
        let listed = list(parts).await?;
        if !listed.contains(&self.term) {
            return Err(Contest::Unlisted);
        }
        for term in listed.into_iter().filter(|term| *term > self.term) {
            if self.foreign.is_genuine(parts, term).await? {
                return Err(Contest::Outranked(term));
            }
        }
        Ok(())
    }
}

impl Foreign {
    /// Only what can't be a marker of this vault is passed over. One under a key that is not known here, or one that is
    /// gone by now, counts: stepping down in vain costs a take-over, going on in error would cost acknowledged changes.
    async fn is_genuine(&self, parts: &LogParts, term: Term) -> Result<bool, Contest> {
        if self.0.lock().contains(&term) {
            return Ok(false);
        }
        let genuine = term.epoch < EPOCH_LIMIT && Self::opens(parts, term).await?;
        if !genuine && self.0.lock().insert(term) {
            warn!(object = %term.marker_key(), "an object that is no marker of this vault lies among the markers");
        }
        Ok(genuine)
    }

    async fn opens(parts: &LogParts, term: Term) -> Result<bool, Contest> {
        let sealed = match parts.store.get(&term.marker_key(), MARKER_MAX_BYTES).await {
            Err(StoreError::NotFound) => return Ok(true),
            Err(StoreError::TooLarge) => Bytes::new(),
            sealed => sealed?,
        };
        Ok(match parts.keys.open(Label::Marker, &aad(term), &sealed) {
            Ok(plain) => from_cbor::<Marker>(&plain).is_none_or(|marker| marker.term == term),
            Err(OpenError::UnknownKey(_)) => true,
            Err(OpenError::Refused) => false,
        })
    }
}

impl From<StoreError> for Contest {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn list(parts: &LogParts) -> Result<Vec<Term>, StoreError> {
    let listed = parts.store.list(MARKERS).await?;
    Ok(listed.iter().filter_map(|object| Term::from_marker_key(&object.key)).collect())
}

fn aad(term: Term) -> Vec<u8> {
    [&term.epoch.to_be_bytes()[..], &term.writer].concat()
}
