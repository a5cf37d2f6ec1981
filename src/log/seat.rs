//! A log's seat in the office: its part of a take-over, and its writer's loop while the term lasts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info};

use super::anchor::Anchor;
use super::commit::{Batch, EntryWriter, Job, Outcome, StepDown};
use super::handle::{JobReceiver, JobSender, Shared, Status};
use super::index::Index;
use super::load::{Memories, Rank};
use super::maintenance::{Maintenance, is_daily_due, is_due};
use super::name::Term;
use super::office::{End, Held, Setback, Ward};
use super::open::{Judged, anchor_file, first_entry};
use super::tenure::Tenure;
use super::{Log, LogParts, Machine, Takeover};

/// How long [`super::Log::stop`] waits for the entry on its way.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Entries to wait after a checkpoint that was begun and is not committed, so that one that fails is not begun with each.
const REST_AFTER_CHECKPOINT: u64 = 1024;

/// One log in the office.
pub(crate) struct Seat<M: Machine> {
    parts: LogParts,
    shared: Arc<Shared<M>>,
    /// The newest entry that this process acknowledged, from term to term.
    own: Option<Anchor>,
    stage: Stage<M>,
}

/// How far the term has come.
enum Stage<M: Machine> {
    Away,
    Asked(Memories),
    Judged(Box<Judged<M>>),
    Begun(Box<Begun<M>>),
    Alarmed(Box<Index<M>>, String, String),
    ReadOnly,
    Serving(Box<Serving<M>>),
}

struct Begun<M: Machine> {
    index: Index<M>,
    takeover: Takeover,
    in_redis: Option<Vec<u8>>,
    earlier: Vec<Term>,
}

struct Serving<M: Machine> {
    jobs: JobReceiver<M>,
    sender: JobSender<M>,
    in_redis: Option<Vec<u8>>,
    earlier: Vec<Term>,
    forgotten: Option<u64>,
}

impl<M: Machine> Seat<M> {
    pub(super) fn new(parts: LogParts, stop: CancellationToken) -> Self {
        let shared = Arc::new(Shared::new(parts.clone(), stop));
        Self { parts, shared, own: None, stage: Stage::Away }
    }

    pub(super) fn log(&self, ends_the_task: Arc<DropGuard>) -> Log<M> {
        Log::new(Arc::clone(&self.shared), ends_the_task)
    }

    fn take(&mut self) -> Stage<M> {
        std::mem::replace(&mut self.stage, Stage::Away)
    }

    async fn ask(&mut self) -> Result<u64, Setback> {
        self.shared.set(Status::Loading { entries_done: 0, entries_total: 0 });
        let file = anchor_file::<M>(&self.parts);
        let memories = Memories::ask(&self.parts, M::NAME, self.own.as_ref(), file.as_ref()).await?;
        let epoch = memories.epoch();
        self.stage = Stage::Asked(memories);
        Ok(epoch)
    }

    async fn load(&mut self, tenure: &Tenure, rank: Rank<'_>) -> Result<Vec<String>, Setback> {
        let Stage::Asked(memories) = self.take() else { return Err(out_of_turn()) };
        let shared = &self.shared;
        let progress = |entries_done, entries_total| shared.set(Status::Loading { entries_done, entries_total });
        let judged = Judged::load(&self.parts, memories, tenure, rank, shared.kept_from(), progress).await?;
        let begun = judged.begun();
        self.stage = match judged.alarm() {
            Some((reason, accept)) => Stage::Alarmed(Box::new(judged.into_index()), reason, accept),
            None => Stage::Judged(Box::new(judged)),
        };
        Ok(begun)
    }

    async fn begin(&mut self, held: Held<'_>, begun: &[String]) -> Result<bool, Setback> {
        let judged = match self.take() {
            Stage::Judged(judged) => *judged,
            stage => {
                self.stage = stage;
                return Ok(false);
            }
        };
        let (index, own, takeover, in_redis, earlier) = judged.into_parts(held.tenure.term, begun);
        let file = anchor_file::<M>(&self.parts);
        let (parts, Held { lease, tenure }) = (&self.parts, held);
        let mut writer = EntryWriter { parts, lease, tenure, in_redis, file: file.as_ref(), own: &mut self.own };
        let index = first_entry(&mut writer, index, own, &takeover).await;
        let index = index.map_err(|StepDown(reason)| Setback::Again(reason))?;
        let in_redis = writer.in_redis.take();
        self.stage = Stage::Begun(Box::new(Begun { index, takeover, in_redis, earlier }));
        Ok(true)
    }

    async fn serve(&mut self, held: Held<'_>) -> End {
        let Serving { jobs, sender, in_redis, earlier, forgotten } = match self.take() {
            Stage::Serving(serving) => *serving,
            _ => {
                return tokio::select! {
                    () = held.lease.lost() => End::SteppedDown("the lease was lost".to_owned()),
                    () = self.shared.stop.cancelled() => End::Stopped,
                };
            }
        };
        let (parts, shared, term) = (&self.parts, &self.shared, held.tenure.term);
        let care = Maintenance { parts: parts.clone(), shared: Arc::clone(shared), jobs: sender, term };
        let mut beside = JoinSet::new();
        if !earlier.is_empty() {
            beside.spawn(care.clone().delete_markers(earlier));
        }
        if let Some(up_to) = forgotten {
            beside.spawn(care.clone().delete_forgotten(up_to));
        }
        let own = &mut self.own;
        Writing { parts, shared, held, own, in_redis, care, beside, checkpoint: None }.serve(jobs).await
    }
}

impl<M: Machine> Ward for Seat<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn show(&self, status: Status) {
        self.shared.set(status);
    }

    fn hold_all(&self) {
        self.shared.keep_from(0);
    }

    fn ask(&mut self) -> BoxFuture<'_, Result<u64, Setback>> {
        self.ask().boxed()
    }

    fn load<'a>(&'a mut self, tenure: &'a Tenure, rank: Rank<'a>) -> BoxFuture<'a, Result<Vec<String>, Setback>> {
        self.load(tenure, rank).boxed()
    }

    fn begin<'a>(&'a mut self, held: Held<'a>, begun: &'a [String]) -> BoxFuture<'a, Result<bool, Setback>> {
        self.begin(held, begun).boxed()
    }

    fn acceptance(&self) -> Option<String> {
        match &self.stage {
            Stage::Alarmed(_, _, accept) => Some(accept.clone()),
            _ => None,
        }
    }

    fn open(&mut self, held: Held<'_>, accept: &str) {
        self.stage = match self.take() {
            Stage::Begun(begun) => {
                let Begun { index, takeover, in_redis, earlier } = *begun;
                info!(log = M::NAME, term = %held.tenure.term, entries = index.next_seq(), "serving");
                let forgotten = index.book.forgotten_up_to;
                let (sender, jobs) = self.shared.open(held.lease, index, takeover);
                Stage::Serving(Box::new(Serving { jobs, sender, in_redis, earlier, forgotten }))
            }
            Stage::Alarmed(index, reason, _) => {
                error!(log = M::NAME, %reason, "read-only");
                self.shared.open_read_only(held.lease, *index, reason, Some(accept.to_owned()));
                Stage::ReadOnly
            }
            stage => stage,
        };
    }

    fn serve<'a>(&'a mut self, held: Held<'a>) -> BoxFuture<'a, End> {
        self.serve(held).boxed()
    }

    fn close(&mut self) {
        self.stage = Stage::Away;
        self.shared.close();
    }
}

fn out_of_turn() -> Setback {
    Setback::Again("the memories were not asked".to_owned())
}

/// A writer's loop.
struct Writing<'a, M: Machine> {
    parts: &'a LogParts,
    shared: &'a Arc<Shared<M>>,
    held: Held<'a>,
    own: &'a mut Option<Anchor>,
    in_redis: Option<Vec<u8>>,
    care: Maintenance<M>,
    beside: JoinSet<()>,
    /// The last checkpoint that was begun, and the entry it was begun at.
    checkpoint: Option<(AbortHandle, u64)>,
}

impl<M: Machine> Writing<'_, M> {
    async fn serve(mut self, mut jobs: JobReceiver<M>) -> End {
        let end = loop {
            let first = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => break End::Stopped,
                () = self.held.lease.lost() => break End::SteppedDown("the lease was lost".to_owned()),
                Some(_) = self.beside.join_next() => continue,
                Some(job) = jobs.recv() => job,
            };
            if let Err(StepDown(reason)) = self.commit(first, &mut jobs).await {
                break End::SteppedDown(reason);
            }
        };
        jobs.close();
        while let Ok(job) = jobs.try_recv() {
            if let Job::Caller(_, proposal) = job {
                proposal.answer(Outcome::NotServing);
            }
        }
        end
    }

    async fn commit(&mut self, first: Job<M>, jobs: &mut JobReceiver<M>) -> Result<(), StepDown> {
        let (batch, seq, prev) = {
            let mut index = self.shared.index.write();
            let index = index.as_mut().expect("the state is there for the whole term");
            let batch = Batch::gather(index, self.parts.clock.now_ms(), first, jobs);
            if batch.is_empty() {
                batch.settle_empty(index.head_seq().unwrap_or_default());
                return Ok(());
            }
            (batch, index.next_seq(), index.head_hash())
        };
        let file = anchor_file::<M>(self.parts);
        let in_redis = self.in_redis.take();
        let (parts, Held { lease, tenure }) = (self.parts, self.held);
        let mut writer = EntryWriter { parts, lease, tenure, in_redis, file: file.as_ref(), own: self.own };
        let stop = &self.shared.stop;
        let stopped = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let body = batch.body();
        let written = tokio::select! {
            written = writer.write::<M>(seq, &prev, &body) => written,
            () = stopped => Err(StepDown("stopped before the bucket answered".to_owned())),
        };
        let written = match written {
            Ok(written) => written,
            Err(step_down) => {
                batch.give_up();
                return Err(step_down);
            }
        };
        self.in_redis = writer.in_redis.take();
        let mut index = self.shared.index.write();
        let index = index.as_mut().expect("the state is there for the whole term");
        let before = (index.book.checkpoints.len(), index.book.forgotten_up_to);
        batch.settle(self.shared, index, &written)?;
        self.care_for(index, before);
        Ok(())
    }

    /// Starts what has become due by the entry just applied.
    fn care_for(&mut self, index: &Index<M>, (checkpoints, forgotten_up_to): (usize, Option<u64>)) {
        let last = index.book.newest_checkpoint().map_or(0, |checkpoint| checkpoint.size_bytes);
        if index.book.checkpoints.len() > checkpoints {
            self.checkpoint = None;
            self.beside.spawn(self.care.clone().forget());
        }
        if let Some(up_to) = index.book.forgotten_up_to.filter(|_| index.book.forgotten_up_to != forgotten_up_to) {
            self.beside.spawn(self.care.clone().delete_forgotten(up_to));
        }
        let seq = index.next_seq();
        let may_begin = |(task, at): &(AbortHandle, u64)| task.is_finished() && seq > at + REST_AFTER_CHECKPOINT;
        let taken_ms = index.book.newest_checkpoint().map_or(0, |checkpoint| checkpoint.at_ms);
        let is_due = is_due(index.entries_since, index.bytes_since, last)
            || M::WANTS_A_CHECKPOINT_EACH_DAY && is_daily_due(index.at_ms.saturating_sub(taken_ms));
        if self.checkpoint.as_ref().is_none_or(may_begin) && is_due {
            self.checkpoint = Some((self.beside.spawn(self.care.clone().checkpoint()), seq));
        }
    }
}
