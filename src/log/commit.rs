//! Committing: gather what waits into one entry, send it, and answer.
//!
//! The order is the argument: PUT the entry, then LIST the markers, then move the anchor, then apply and answer. A later
//! writer puts its marker before it lists the log; so either its listing has our entry, or our listing has its marker and
//! nothing is acknowledged. Once an attempt for a number was sent, only the same bytes are sent again until the answer is
//! definite, or the writer steps down; the same for the anchor's script.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use tracing::{error, warn};

use super::anchor::{Anchor, AnchorFile};
use super::chain::Hash;
use super::entry::{Commit, Envelope, Operation, WRITER_VERSION, assemble};
use super::handle::{Change, JobReceiver, Shared};
use super::index::{Index, Written, operations};
use super::load::position;
use super::name::Place;
use super::own::OwnOperation;
use super::tenure::{Contest, Lease, Tenure};
use super::{CommitMeta, Inconsistent, LogParts, Machine, Stamp};
use crate::crypto::{ENTRY_BODY_MAX, sha256};
use crate::state::Advance;

/// The largest commit.
pub(crate) const COMMIT_MAX_BYTES: usize = 8 << 20;
/// An entry takes no further commit from this size on.
const BATCH_BYTES: usize = 4 << 20;
/// Pause before the same bytes are sent again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

const _: () = assert!(COMMIT_MAX_BYTES + BATCH_BYTES + 1024 <= ENTRY_BODY_MAX, "a batch fits into an entry");

/// What waits to be committed.
pub(crate) enum Job<M: Machine> {
    /// A caller's proposal.
    Caller(CommitMeta, Box<dyn Proposal<M>>),
    /// The log's own operations; whoever sent them learns of the commit by the book.
    Own(Vec<OwnOperation>),
}

/// A caller's proposal with its types put away.
pub(crate) trait Proposal<M: Machine>: Send {
    /// Runs it for an entry whose next operation has this stamp; `None` when there is nothing to commit, the caller has
    /// its answer and the machine is as it was.
    fn propose(&mut self, machine: &mut M, stamp: Stamp) -> Option<Proposed<M::Operation>>;
    /// Tells the caller.
    fn answer(self: Box<Self>, outcome: Outcome);
}

/// The operations of a proposal.
pub(crate) enum Proposed<O> {
    /// They are still to be tried.
    New(Vec<O>),
    /// The proposal has applied them, from its stamp on.
    Applied(Vec<O>),
}

/// What became of a proposal.
pub(crate) enum Outcome {
    /// Acknowledged.
    Committed {
        /// In this entry.
        seq: u64,
        /// From this operation on.
        index: u32,
    },
    /// Never sent.
    NotServing,
    /// Sent, and not acknowledged.
    Unknown,
    /// Larger than an entry may be.
    TooLarge,
    /// Its operations do not apply.
    Inconsistent(Inconsistent),
}

/// Why the writer must step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepDown(pub(crate) String);

/// One term's way to write entries.
pub(crate) struct EntryWriter<'a> {
    pub(crate) parts: &'a LogParts,
    pub(crate) lease: &'a Lease,
    pub(crate) tenure: &'a Tenure,
    /// Redis's anchor: the parent of the next.
    pub(crate) in_redis: Option<Vec<u8>>,
    pub(crate) file: Option<&'a AnchorFile>,
    /// The newest acknowledged entry of this process.
    pub(crate) own: &'a mut Option<Anchor>,
}

impl EntryWriter<'_> {
    /// Makes an entry last: after `Ok` it is acknowledged, after `Err` it may be there or not.
    pub(crate) async fn write<M: Machine>(&mut self, seq: u64, prev: &Hash, body: &[u8]) -> Result<Written, StepDown> {
        let place = Place { term: self.tenure.term, seq };
        let object = Bytes::from(self.parts.keys.seal_entry(&position::<M>(place), prev, body));
        let written = Written { place, hash: sha256(&object), size_bytes: object.len() as u64 };
        let anchor = Anchor::new(M::NAME, self.parts.keys.vault_id(), place, written.hash);
        let sealed = anchor.seal(&self.parts.keys);
        let key = place.entry_key(M::NAME);
        tokio::select! {
            sent = self.send::<M>(&key, object, &sealed) => sent?,
            () = self.lease.lost() => return Err(StepDown("the lease was lost".to_owned())),
        }
        self.in_redis = Some(sealed.clone());
        *self.own = Some(anchor);
        if let Some(file) = self.file.cloned() {
            let saved = tokio::task::spawn_blocking(move || file.write(&sealed)).await;
            if let Ok(Err(error)) = saved {
                error!(%error, "the anchor could not be written to STATE_DIR");
            }
        }
        Ok(written)
    }

    async fn send<M: Machine>(&self, key: &str, object: Bytes, anchor: &[u8]) -> Result<(), StepDown> {
        let mut pause = Pause(FIRST_PAUSE);
        while let Err(error) = self.parts.store.put(key, object.clone()).await {
            warn!(%error, entry = key, "an entry is not written yet");
            pause.wait().await;
        }
        loop {
            match self.tenure.confirm(self.parts).await {
                Ok(()) => break,
                Err(Contest::Outranked(term)) => return Err(StepDown(format!("another writer took over: {term}"))),
                Err(Contest::Unlisted) => return Err(StepDown("this writer's marker is gone".to_owned())),
                Err(Contest::Store(error)) => warn!(%error, "the markers can't be listed yet"),
            }
            pause.wait().await;
        }
        let writer = self.tenure.term.writer;
        loop {
            match self.parts.state.advance_anchor(M::NAME, writer, self.in_redis.as_deref(), anchor).await {
                Ok(Advance::Done) => return Ok(()),
                Ok(Advance::NotWriter) => return Err(StepDown("the lease was lost".to_owned())),
                Ok(Advance::NotParent) => return Err(StepDown("the anchor in Redis was lost or changed".to_owned())),
                Err(error) => warn!(%error, "the anchor is not moved yet"),
            }
            pause.wait().await;
        }
    }
}

struct Pause(Duration);

impl Pause {
    async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// An entry in the making.
pub(crate) struct Batch<M: Machine> {
    at_ms: u64,
    encoded: Vec<Vec<u8>>,
    bytes: usize,
    commits: Vec<Commit<M::Operation>>,
    next_index: u32,
    waiting: Vec<(Box<dyn Proposal<M>>, u32)>,
}

impl<M: Machine> Batch<M> {
    /// Runs every proposal that waits, each on the state that the ones before it will leave, and leaves the state as it was.
    pub(crate) fn gather(index: &mut Index<M>, now_ms: u64, first: Job<M>, jobs: &mut JobReceiver<M>) -> Self {
        let at_ms = now_ms.max(index.at_ms);
        let mut batch = Self { at_ms, encoded: vec![], bytes: 0, commits: vec![], next_index: 0, waiting: vec![] };
        index.machine.begin();
        let mut next = Some(first);
        while let Some(job) = next {
            batch.take(index, job);
            next = if batch.bytes < BATCH_BYTES { jobs.try_recv().ok() } else { None };
        }
        index.machine.rollback();
        batch
    }

    fn take(&mut self, index: &mut Index<M>, job: Job<M>) {
        let (meta, mut proposal) = match job {
            Job::Own(operations) => {
                let meta = CommitMeta { actor: "log".to_owned(), ..CommitMeta::default() };
                let commit = Commit::new(meta, operations.into_iter().map(Operation::Own).collect());
                return self.add(commit.encode(), commit);
            }
            Job::Caller(meta, proposal) => (meta, proposal),
        };
        let stamp = Stamp { seq: index.next_seq(), index: self.next_index, at_ms: self.at_ms };
        let (operations, is_applied) = match proposal.propose(&mut index.machine, stamp) {
            None => return,
            Some(Proposed::New(operations)) => (operations, false),
            Some(Proposed::Applied(operations)) => (operations, true),
        };
        let operations: Vec<_> = operations.into_iter().map(Operation::Machine).collect();
        if operations.is_empty() {
            return self.waiting.push((proposal, self.next_index));
        }
        let tried = if is_applied { Ok(()) } else { index.try_commit(stamp, &meta, &operations) };
        if let Err(error) = tried {
            error!(%error, "a proposal does not apply to the state it was made for");
            self.redo(index);
            return proposal.answer(Outcome::Inconsistent(error));
        }
        let commit = Commit::new(meta, operations);
        let encoded = commit.encode();
        if encoded.len() > COMMIT_MAX_BYTES {
            self.redo(index);
            return proposal.answer(Outcome::TooLarge);
        }
        self.waiting.push((proposal, self.next_index));
        self.add(encoded, commit);
    }

    fn add(&mut self, encoded: Vec<u8>, commit: Commit<M::Operation>) {
        self.bytes += encoded.len();
        self.next_index += u32::try_from(commit.operations().len()).expect("a commit is at most 8 MiB");
        self.encoded.push(encoded);
        self.commits.push(commit);
    }

    /// Takes the last proposal's operations back by applying all others again.
    fn redo(&self, index: &mut Index<M>) {
        index.machine.rollback();
        index.machine.begin();
        let mut stamp = Stamp { seq: index.next_seq(), index: 0, at_ms: self.at_ms };
        for commit in &self.commits {
            let again = index.try_commit(stamp, &commit.meta(), commit.operations());
            again.expect("a machine is deterministic and took these operations on the same state");
            stamp.index += u32::try_from(commit.operations().len()).expect("a commit is at most 8 MiB");
        }
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// The entry's body.
    pub(crate) fn body(&self) -> Vec<u8> {
        assemble(self.at_ms, &self.encoded)
    }

    /// Applies an acknowledged entry and answers everyone.
    pub(crate) fn settle(self, shared: &Shared<M>, index: &mut Index<M>, written: &Written) -> Result<(), StepDown> {
        let seq = written.place.seq;
        let at_ms = self.at_ms;
        let change = |(index, commit, operation): (u32, &Commit<M::Operation>, &M::Operation)| {
            let (meta, operation) = (Arc::new(commit.meta()), operation.clone());
            Change { seq, index, at_ms, meta, operation }
        };
        let is_followed = shared.changes.receiver_count() > 0;
        let changes: Vec<_> = if is_followed { operations(&self.commits).map(change).collect() } else { vec![] };
        let envelope = Envelope { version: WRITER_VERSION.to_owned(), at_ms: self.at_ms, commits: self.commits };
        let applied = index.apply(written, envelope);
        // After it is applied: who is told of a change and looks must see it.
        for change in changes.into_iter().filter(|_| applied.is_ok()) {
            // Without followers there is nobody to tell.
            let _ = shared.changes.send(change);
        }
        let outcome = |index| if applied.is_ok() { Outcome::Committed { seq, index } } else { Outcome::Unknown };
        for (proposal, index) in self.waiting {
            proposal.answer(outcome(index));
        }
        applied.map_err(|error| StepDown(format!("a committed entry does not apply: {error}")))
    }

    /// Tells everyone that the entry was sent and not acknowledged.
    pub(crate) fn give_up(self) {
        for (proposal, _) in self.waiting {
            proposal.answer(Outcome::Unknown);
        }
    }

    /// Answers those who had nothing to write.
    pub(crate) fn settle_empty(self, seq: u64) {
        for (proposal, index) in self.waiting {
            proposal.answer(Outcome::Committed { seq, index });
        }
    }
}
