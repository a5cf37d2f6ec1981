//! The writer's life: wait for the lease, take over, serve, step down, and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tracing::{error, info, warn};

use super::LogParts;
use super::Machine;
use super::anchor::Anchor;
use super::commit::{Batch, EntryWriter, Job, Outcome, StepDown};
use super::handle::{JobReceiver, Shared, Status};
use super::index::Index;
use super::maintenance::{Maintenance, is_due};
use super::open::{Opening, Recollection, anchor_file, open};
use super::tenure::{Lease, Tenure};

/// Pause after a take-over that came to nothing.
const PAUSE: Duration = Duration::from_millis(500);
/// How long [`super::Log::stop`] waits for the entry on its way.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Entries to wait after a checkpoint that was begun and is not committed, so that one that fails is not begun with each.
const REST_AFTER_CHECKPOINT: u64 = 1024;
/// How often a lease that another holds is asked for, as a part of its length.
const ASKS_PER_LEASE: u32 = 10;

/// How a stretch of the writer's life ended.
enum End {
    Stopped,
    SteppedDown(String),
    Refused(String),
}

/// Runs until [`Shared::stop`] is cancelled.
pub(crate) async fn run<M: Machine>(parts: LogParts, shared: Arc<Shared<M>>) {
    let mut recollection = Recollection::default();
    let stop = shared.stop.clone();
    while !stop.is_cancelled() {
        shared.set(Status::Standby);
        let Some(Some(lease)) = stop.run_until_cancelled(wait_for_lease(&parts)).await else { continue };
        let kept = lease.keep();
        let end = hold(&parts, &shared, &lease, &mut recollection).await;
        shared.close();
        shared.set(Status::Standby);
        drop(kept);
        lease.release().await;
        match end {
            End::Stopped => break,
            End::Refused(reason) => {
                error!(%reason, log = M::NAME, "the log can't be served");
                shared.set(Status::Refused { reason });
                stop.cancelled().await;
            }
            End::SteppedDown(reason) => {
                warn!(%reason, log = M::NAME, "stepped down");
                stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
    shared.set(Status::Stopped);
}

async fn wait_for_lease(parts: &LogParts) -> Option<Arc<Lease>> {
    let ttl = Duration::from_secs(parts.config.lease_secs);
    let mut was_away = false;
    loop {
        match Lease::acquire(&parts.state, ttl).await {
            Ok(Some(lease)) => return Some(lease),
            Ok(None) => was_away = false,
            Err(error) if !was_away => {
                warn!(%error, "the lease can't be asked for");
                was_away = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(ttl / ASKS_PER_LEASE).await;
    }
}

async fn hold<M: Machine>(
    parts: &LogParts,
    shared: &Arc<Shared<M>>,
    lease: &Arc<Lease>,
    recollection: &mut Recollection,
) -> End {
    let opening = tokio::select! {
        opening = open(parts, shared, lease, recollection) => opening,
        () = lease.lost() => return End::SteppedDown("the lease was lost".to_owned()),
        () = shared.stop.cancelled() => return End::Stopped,
    };
    match opening {
        Opening::Again(reason) => End::SteppedDown(reason),
        Opening::Refused(reason) => End::Refused(reason),
        Opening::ReadOnly { index, reason, accept } => {
            error!(log = M::NAME, %reason, "read-only");
            if let Some(accept) = &accept {
                error!("to go on from what the bucket holds, start once with ACCEPT_HEAD={accept}");
            }
            shared.open_read_only(lease, index, reason, accept);
            tokio::select! {
                () = lease.lost() => End::SteppedDown("the lease was lost".to_owned()),
                () = shared.stop.cancelled() => End::Stopped,
            }
        }
        Opening::Open { mut tenure, index, takeover, in_redis } => {
            info!(log = M::NAME, term = %tenure.term, entries = index.next_seq(), "serving");
            let term = tenure.term;
            let earlier = std::mem::take(&mut tenure.earlier);
            let forgotten = index.book.forgotten_up_to;
            let (sender, jobs) = shared.open(lease, index, takeover);
            let care = Maintenance { parts: parts.clone(), shared: Arc::clone(shared), jobs: sender, term };
            let mut beside = JoinSet::new();
            beside.spawn(care.clone().delete_markers(earlier));
            if let Some(up_to) = forgotten {
                beside.spawn(care.clone().delete_forgotten(up_to));
            }
            let own = &mut recollection.anchor;
            Term { parts, shared, lease, tenure, own, in_redis, care, beside, checkpoint: None }.serve(jobs).await
        }
    }
}

/// A term in office.
struct Term<'a, M: Machine> {
    parts: &'a LogParts,
    shared: &'a Arc<Shared<M>>,
    lease: &'a Lease,
    tenure: Tenure,
    own: &'a mut Option<Anchor>,
    in_redis: Option<Vec<u8>>,
    care: Maintenance<M>,
    beside: JoinSet<()>,
    /// The last checkpoint that was begun, and the entry it was begun at.
    checkpoint: Option<(AbortHandle, u64)>,
}

impl<M: Machine> Term<'_, M> {
    async fn serve(mut self, mut jobs: JobReceiver<M>) -> End {
        let end = loop {
            let first = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => break End::Stopped,
                () = self.lease.lost() => break End::SteppedDown("the lease was lost".to_owned()),
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
        let (parts, lease, tenure) = (self.parts, self.lease, &self.tenure);
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
        if self.checkpoint.as_ref().is_none_or(may_begin) && is_due(index.entries_since, index.bytes_since, last) {
            self.checkpoint = Some((self.beside.spawn(self.care.clone().checkpoint()), seq));
        }
    }
}
