//! What callers hold: reads of the committed state, commits, the status.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Duration, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::commit::{Job, Outcome, Proposal, Proposed};
use super::index::{Head, Index};
use super::office::Office;
use super::tenure::Lease;
use super::{CommitMeta, Inconsistent, LogParts, Machine, Stamp, Takeover};

/// How long a caller waits for its commit before it is told that the outcome is not known.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Commits that wait for the entry on its way.
const QUEUE: usize = 1024;
/// Changes that a slow follower may lag behind.
const CHANGES: usize = 4096;

/// A log with its writer's task. Cheap to clone; the task ends with the last handle.
pub struct Log<M: Machine> {
    shared: Arc<Shared<M>>,
    _ends_the_task: Arc<DropGuard>,
}

impl<M: Machine> Clone for Log<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), _ends_the_task: Arc::clone(&self._ends_the_task) }
    }
}

/// Where the log is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Another process writes, or bucket or Redis can't be reached: nothing is answered but this.
    Standby,
    /// The state is being built.
    Loading {
        /// Entries applied.
        entries_done: u64,
        /// Entries to apply.
        entries_total: u64,
    },
    /// Reads and commits are answered.
    Serving {
        /// The writer's epoch.
        epoch: u64,
    },
    /// An alarm: reads are answered, commits are refused.
    ReadOnly {
        /// Why.
        reason: String,
        /// The value of `ACCEPT_HEAD` that would go on from what is there.
        accept: Option<String>,
    },
    /// This program can't serve this log; nothing but a restart changes that.
    Refused {
        /// Why.
        reason: String,
    },
    /// [`Log::stop`] has ended it.
    Stopped,
}

/// The log does not serve now: another process does, or this one is loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the log is not being served by this process now")]
pub struct NotServing;

/// Why a commit was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError<E> {
    /// The proposal itself declined; nothing was changed.
    #[error("{0}")]
    Refused(E),
    /// An alarm stands; nothing was changed.
    #[error("read-only: {0}")]
    ReadOnly(String),
    /// Nothing was changed; see [`NotServing`].
    #[error("the log is not being served by this process now")]
    NotServing,
    /// The change is there or not; the state after the next take-over tells.
    #[error("the outcome is not known yet")]
    OutcomeUnknown,
    /// The operations are larger than an entry may be; nothing was changed.
    #[error("the change is larger than an entry may be")]
    TooLarge,
    /// The proposal's operations do not apply to the state it saw; nothing was changed.
    #[error(transparent)]
    Inconsistent(Inconsistent),
}

/// An acknowledged commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the proposal returned.
    pub value: T,
    /// The entry it is in; the newest one when it had no operations.
    pub seq: u64,
    /// Its first operation's number in that entry.
    pub index: u32,
}

/// One acknowledged operation, for those who follow the log.
#[derive(Clone, Debug)]
pub struct Change<O> {
    /// The entry's number.
    pub seq: u64,
    /// The operation's number within it.
    pub index: u32,
    /// The entry's time, Unix milliseconds.
    pub at_ms: u64,
    /// Who asked for it.
    pub meta: Arc<CommitMeta>,
    /// The operation.
    pub operation: O,
}

/// What the handles and the writer's task share.
pub(crate) struct Shared<M: Machine> {
    pub(crate) index: RwLock<Option<Index<M>>>,
    lease: RwLock<Option<Arc<Lease>>>,
    intake: RwLock<Intake<M>>,
    status: watch::Sender<Status>,
    takeover: RwLock<Option<Arc<Takeover>>>,
    pub(crate) changes: broadcast::Sender<Change<M::Operation>>,
    pub(crate) stop: CancellationToken,
    /// Entries from here on are not forgotten.
    kept_from: AtomicU64,
    pub(crate) parts: LogParts,
}

enum Intake<M: Machine> {
    Closed,
    ReadOnly(String),
    Open(mpsc::Sender<Job<M>>),
}

impl<M: Machine> Log<M> {
    /// The log as the only one of its vault. **Must** be called in a Tokio runtime.
    pub fn start(parts: LogParts) -> Self {
        let retention_days = parts.config.retention_days;
        let mut office = Office::new(parts);
        let log = office.ward(retention_days);
        office.open();
        log
    }

    pub(crate) fn new(shared: Arc<Shared<M>>, ends_the_task: Arc<DropGuard>) -> Self {
        Self { shared, _ends_the_task: ends_the_task }
    }

    pub(crate) fn parts(&self) -> &LogParts {
        &self.shared.parts
    }

    /// The last committed entry, and the number up to which entries may be gone.
    ///
    /// # Errors
    /// [`NotServing`], also for a log without entries.
    pub fn extent(&self) -> Result<(Head, Option<u64>), NotServing> {
        self.look(|index| Some((index.head()?, index.book.forgotten_up_to)))?.ok_or(NotServing)
    }

    /// Keeps entries from `seq` on, for somebody who has not read them yet. Holds until it is told otherwise.
    pub fn keep_from(&self, seq: u64) {
        self.shared.keep_from(seq);
    }

    /// Follows the status.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// What the take-over of the term that serves now found.
    pub fn takeover(&self) -> Option<Arc<Takeover>> {
        self.shared.takeover.read().clone()
    }

    /// Reads the committed state, under a short lock: `read` **must not** block.
    ///
    /// # Errors
    /// [`NotServing`] when this process is not the writer, also when it was paused past its lease.
    pub fn read<R>(&self, read: impl FnOnce(&M) -> R) -> Result<R, NotServing> {
        self.look(|index| read(&index.machine))
    }

    fn look<R>(&self, look: impl FnOnce(&Index<M>) -> R) -> Result<R, NotServing> {
        let is_held = self.shared.lease.read().as_ref().is_some_and(|lease| lease.is_held());
        match &*self.shared.index.read() {
            Some(index) if is_held => Ok(look(index)),
            _ => Err(NotServing),
        }
    }

    /// Commits what `propose` returns. It sees the committed state with everything queued before it applied, and the
    /// entry's time; what it returns takes effect as a whole or not at all. Without operations nothing is written, but
    /// the answer still waits for what was queued before.
    ///
    /// Dropping the future does not undo the commit: it may still be made.
    ///
    /// # Errors
    /// See [`CommitError`]. After [`CommitError::OutcomeUnknown`] the change may still appear.
    pub async fn commit<T, E, F>(&self, meta: CommitMeta, propose: F) -> Result<Committed<T>, CommitError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&M, u64) -> Result<(Vec<M::Operation>, T), E> + Send + 'static,
    {
        let propose = |machine: &mut M, stamp: Stamp| {
            propose(machine, stamp.at_ms).map(|(operations, value)| (Proposed::New(operations), value))
        };
        self.propose(meta, propose).await
    }

    /// As [`Log::commit`], for a proposal whose later parts depend on what the earlier ones do: it applies its operations
    /// itself, the first with the stamp that it is given and each further one with the next index, and returns them all.
    /// When it declines it **must** have taken back what it applied.
    ///
    /// # Errors
    /// As [`Log::commit`].
    pub async fn commit_tried<T, E, F>(&self, meta: CommitMeta, try_it: F) -> Result<Committed<T>, CommitError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut M, Stamp) -> Result<(Vec<M::Operation>, T), E> + Send + 'static,
    {
        let propose = |machine: &mut M, stamp: Stamp| {
            try_it(machine, stamp).map(|(operations, value)| (Proposed::Applied(operations), value))
        };
        self.propose(meta, propose).await
    }

    async fn propose<T, E, F>(&self, meta: CommitMeta, propose: F) -> Result<Committed<T>, CommitError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut M, Stamp) -> Result<(Proposed<M::Operation>, T), E> + Send + 'static,
    {
        let jobs = match &*self.shared.intake.read() {
            Intake::Closed => return Err(CommitError::NotServing),
            Intake::ReadOnly(reason) => return Err(CommitError::ReadOnly(reason.clone())),
            Intake::Open(jobs) => jobs.clone(),
        };
        let (reply, answer) = oneshot::channel();
        let pending = Pending { propose: Some(propose), value: None, reply: Some(reply) };
        let job = Job::Caller(meta, Box::new(pending));
        let answered = async {
            if jobs.send(job).await.is_err() {
                return Err(CommitError::NotServing);
            }
            // A writer that ended without an answer may have sent the entry.
            answer.await.unwrap_or(Err(CommitError::OutcomeUnknown))
        };
        timeout(ANSWER_LIMIT, answered).await.unwrap_or(Err(CommitError::OutcomeUnknown))
    }

    /// Follows acknowledged operations. A follower that lags too far behind is told so and **must** read the state anew.
    pub fn changes(&self) -> broadcast::Receiver<Change<M::Operation>> {
        self.shared.changes.subscribe()
    }

    /// Finishes the entry on its way, gives the lease back and ends, all logs of the office with it. Resolves when that is
    /// done.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        let mut status = self.status();
        // The sender lives as long as this handle.
        let _ = status.wait_for(|status| *status == Status::Stopped).await;
    }
}

impl<M: Machine> Shared<M> {
    pub(crate) fn new(parts: LogParts, stop: CancellationToken) -> Self {
        Self {
            index: RwLock::new(None),
            lease: RwLock::new(None),
            intake: RwLock::new(Intake::Closed),
            status: watch::Sender::new(Status::Standby),
            takeover: RwLock::new(None),
            changes: broadcast::Sender::new(CHANGES),
            stop,
            kept_from: AtomicU64::new(u64::MAX),
            parts,
        }
    }

    pub(crate) fn keep_from(&self, seq: u64) {
        self.kept_from.store(seq, Ordering::Relaxed);
    }

    pub(crate) fn kept_from(&self) -> u64 {
        self.kept_from.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, status: Status) {
        self.status.send_if_modified(|old| {
            let is_new = *old != status;
            *old = status;
            is_new
        });
    }

    /// Opens the log for commits and reads.
    pub(crate) fn open(
        &self,
        lease: &Arc<Lease>,
        index: Index<M>,
        takeover: Takeover,
    ) -> (JobSender<M>, JobReceiver<M>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.show(lease, index);
        let epoch = takeover.term.epoch;
        *self.takeover.write() = Some(Arc::new(takeover));
        *self.intake.write() = Intake::Open(sender.clone());
        // Last: whoever waited for it finds all of the above.
        self.set(Status::Serving { epoch });
        (sender, receiver)
    }

    /// Opens the log for reads alone.
    pub(crate) fn open_read_only(&self, lease: &Arc<Lease>, index: Index<M>, reason: String, accept: Option<String>) {
        self.show(lease, index);
        *self.intake.write() = Intake::ReadOnly(reason.clone());
        self.set(Status::ReadOnly { reason, accept });
    }

    /// Closes the log and drops its state.
    pub(crate) fn close(&self) {
        *self.intake.write() = Intake::Closed;
        *self.lease.write() = None;
        *self.takeover.write() = None;
        drop(self.index.write().take());
    }

    fn show(&self, lease: &Arc<Lease>, index: Index<M>) {
        *self.index.write() = Some(index);
        *self.lease.write() = Some(Arc::clone(lease));
    }
}

pub(crate) type JobSender<M> = mpsc::Sender<Job<M>>;
pub(crate) type JobReceiver<M> = mpsc::Receiver<Job<M>>;

struct Pending<F, T, E> {
    propose: Option<F>,
    value: Option<T>,
    reply: Option<oneshot::Sender<Result<Committed<T>, CommitError<E>>>>,
}

impl<M, F, T, E> Proposal<M> for Pending<F, T, E>
where
    M: Machine,
    T: Send,
    E: Send,
    F: FnOnce(&mut M, Stamp) -> Result<(Proposed<M::Operation>, T), E> + Send,
{
    fn propose(&mut self, machine: &mut M, stamp: Stamp) -> Option<Proposed<M::Operation>> {
        if self.reply.as_ref().is_none_or(oneshot::Sender::is_closed) {
            return None;
        }
        let propose = self.propose.take()?;
        match propose(machine, stamp) {
            Ok((operations, value)) => {
                self.value = Some(value);
                Some(operations)
            }
            Err(error) => {
                self.send(Err(CommitError::Refused(error)));
                None
            }
        }
    }

    fn answer(mut self: Box<Self>, outcome: Outcome) {
        let answer = match outcome {
            Outcome::Committed { seq, index } => match self.value.take() {
                Some(value) => Ok(Committed { value, seq, index }),
                None => Err(CommitError::OutcomeUnknown),
            },
            Outcome::NotServing => Err(CommitError::NotServing),
            Outcome::Unknown => Err(CommitError::OutcomeUnknown),
            Outcome::TooLarge => Err(CommitError::TooLarge),
            Outcome::Inconsistent(error) => Err(CommitError::Inconsistent(error)),
        };
        self.send(answer);
    }
}

impl<F, T, E> Pending<F, T, E> {
    fn send(&mut self, answer: Result<Committed<T>, CommitError<E>>) {
        if let Some(reply) = self.reply.take() {
            // A caller that has gone away needs no answer.
            let _ = reply.send(answer);
        }
    }
}
