//! The sealed log: what must last, as a chain of sealed entries in a bucket that is not trusted.
//!
//! A [`Log`] carries one state machine. A commit is one entry: PUT it, LIST the writers' markers, move the anchor in
//! Redis, apply it, answer. What was answered survives any crash, any pause, any second writer and the loss of Redis; what
//! was not answered is there whole or not at all. Safety rests on PUT and LIST being consistent, nothing else: Redis
//! gives liveness (one lease) and freshness (one anchor), no conditional write is used.
//!
//! Read in this order: [`name`] (where objects lie), [`entry`] and [`own`] (what an entry says), [`chain`] and
//! [`freshness`] (which entries are the log, and is it the newest: pure decisions), [`tenure`] (who writes), [`load`],
//! [`checkpoint`], [`commit`], [`seat`] (one log's writer), [`office`] (the life of all writers of a vault), [`handle`] (what
//! callers hold), [`history`] and [`proof`] (entries read again), [`bootstrap`] (the vault's first object).
//!
//! It deliberately does not know what the operations mean, who asked for them or which requests they came from.

mod anchor;
pub mod bootstrap;
mod chain;
mod checkpoint;
mod commit;
mod entry;
mod freshness;
mod handle;
mod history;
mod index;
mod load;
mod maintenance;
#[cfg(test)]
mod model;
mod name;
mod office;
mod open;
mod own;
mod proof;
mod seat;
mod tenure;

use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::config::{Clock, LogConfig};
use crate::crypto::VaultKeys;
use crate::state::State;
use crate::store::Store;

pub use entry::FIRST_MACHINE_OPERATION;
pub use handle::{Change, CommitError, Committed, Log, NotServing, Status};
pub use history::{Entry, HistoryError};
pub use index::Head;
pub use name::{Place, Term, Writer};
pub use office::Office;
pub use proof::{Fault, Proof, prove};

/// A deterministic state machine that the log carries: the same operations in the same order give the same state.
///
/// Its operations are CBOR arrays `[number, {integer keys}]` with numbers from [`FIRST_MACHINE_OPERATION`], as
/// `minicbor` derives them for an enum with `#[cbor(map)]`. The encoding **must** be deterministic.
pub trait Machine: Send + Sync + Sized + 'static {
    /// The log's name in keys of the bucket and of Redis.
    const NAME: &'static str;
    /// The log's number in a checkpoint's context: 1 catalog, 2 audit.
    const NUMBER: u8;
    /// What changes the state.
    type Operation: Encode<()> + for<'b> Decode<'b, ()> + Clone + Send + Sync + 'static;

    /// Whether a checkpoint is taken at least once a day while there are entries, so that what is older than the
    /// retention goes soon after.
    const WANTS_A_CHECKPOINT_EACH_DAY: bool = false;

    /// The state before the first entry.
    fn empty() -> Self;

    /// Applies one operation. What `propose` returned on the same state **must** apply.
    ///
    /// # Errors
    /// [`Inconsistent`] when the operation does not fit the state.
    fn apply(&mut self, stamp: &Stamp, commit: &CommitMeta, operation: &Self::Operation) -> Result<(), Inconsistent>;

    /// Sets a savepoint. Savepoints are never nested.
    fn begin(&mut self);

    /// Undoes everything since the savepoint, and ends it.
    fn rollback(&mut self);

    /// Keeps everything since the savepoint, and ends it.
    fn keep(&mut self);

    /// The whole state as CBOR.
    fn snapshot(&self) -> Vec<u8>;

    /// Reads what [`Machine::snapshot`] wrote.
    ///
    /// # Errors
    /// [`Inconsistent`] when it is not such a state, or one of a newer version.
    fn restore(snapshot: &[u8]) -> Result<Self, Inconsistent>;

    /// Notes where the entry lies whose operations were applied last, for machines that read entries again.
    fn landed(&mut self, head: &Head) {
        let _ = head;
    }

    /// Notes that entries up to `seq` may be gone.
    fn forgotten(&mut self, seq: u64) {
        let _ = seq;
    }

    /// Operations to commit with each take-over's first entry, before anything is served.
    fn on_takeover(&self, takeover: &Takeover, at_ms: u64) -> Vec<Self::Operation> {
        let _ = (takeover, at_ms);
        Vec::new()
    }
}

/// An operation's place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// The entry's number.
    pub seq: u64,
    /// The operation's number within the entry.
    pub index: u32,
    /// The entry's time, Unix milliseconds, never before an earlier entry's.
    pub at_ms: u64,
}

/// Who asked for a commit, for the audit trail and for repeated requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitMeta {
    /// Who: the owner, a share, the vault itself.
    pub actor: String,
    /// Under which session.
    pub session: Option<String>,
    /// With what.
    pub client: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// Which request.
    pub request_id: String,
    /// SHA-256 of the request's Idempotency-Key.
    pub idempotency: Option<[u8; 32]>,
}

/// An operation or a snapshot that does not fit the state: the log is not one that this machine wrote.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the operation does not fit the state: {0}")]
pub struct Inconsistent(pub &'static str);

/// What a take-over found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// The writer's term.
    pub term: Term,
    /// The number of its first entry.
    pub first_seq: u64,
    /// Redis held no anchor, or an old one, though the log has entries: sessions and limits are gone or those of an old
    /// dump.
    pub redis_was_lost: bool,
    /// No anchor was known anywhere: the log is taken on trust.
    pub trusted_first_load: bool,
    /// The alarm that the owner answered with `ACCEPT_HEAD`.
    pub accepted: Option<String>,
    /// Entries beside the chain: unacknowledged writes of writers that were replaced.
    pub forks: Vec<Place>,
    /// Other things that an operator should know.
    pub notices: Vec<String>,
}

/// What a log stands on.
#[derive(Clone)]
pub struct LogParts {
    /// The bucket.
    pub store: Store,
    /// The vault's Redis.
    pub state: State,
    /// The vault's keys.
    pub keys: VaultKeys,
    /// Its settings.
    pub config: LogConfig,
    /// The time.
    pub clock: Clock,
}
