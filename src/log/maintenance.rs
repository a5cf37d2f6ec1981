//! What happens beside commits: checkpoints, forgetting, deleting what was forgotten.
//!
//! Nothing here is needed for a commit to last. A checkpoint is taken from a snapshot while commits go on, and counts
//! only once its own commit is acknowledged. An object is deleted only after an acknowledged entry named it.

use std::sync::Arc;

use tracing::{info, warn};

use super::chain::Listing;
use super::checkpoint::{self, Which};
use super::commit::Job;
use super::handle::{JobSender, Shared};
use super::name::{Place, Term, checkpoints_of, entries_of};
use super::open::{DAY_MS, retention_ms};
use super::own::OwnOperation;
use super::{LogParts, Machine};
use crate::store::StoreError;

/// A checkpoint is due after so many entries: each costs the next start a request, and a small state is soon written.
pub(crate) const CHECKPOINT_ENTRIES: u64 = 1024;
/// A large state waits for more: one entry for each of these bytes of the last checkpoint, which take as long to load ...
pub(crate) const BYTES_PER_ENTRY: u64 = 32 << 10;
/// ... up to so many entries ...
pub(crate) const MAX_CHECKPOINT_ENTRIES: u64 = 4096;
/// ... or so many bytes of entries, or a quarter of the last checkpoint if that is more.
pub(crate) const CHECKPOINT_BYTES: u64 = 8 << 20;

/// One term's background work; a clone of its parts goes into each task.
pub(crate) struct Maintenance<M: Machine> {
    pub(crate) parts: LogParts,
    pub(crate) shared: Arc<Shared<M>>,
    pub(crate) jobs: JobSender<M>,
    pub(crate) term: Term,
}

impl<M: Machine> Clone for Maintenance<M> {
    fn clone(&self) -> Self {
        let (parts, shared) = (self.parts.clone(), Arc::clone(&self.shared));
        Self { parts, shared, jobs: self.jobs.clone(), term: self.term }
    }
}

/// Whether so many entries and bytes after a checkpoint of `last_bytes` call for the next.
pub(crate) fn is_due(entries: u64, bytes: u64, last_bytes: u64) -> bool {
    let most = (last_bytes / BYTES_PER_ENTRY).clamp(CHECKPOINT_ENTRIES, MAX_CHECKPOINT_ENTRIES);
    entries > most || bytes > CHECKPOINT_BYTES.max(last_bytes / 4)
}

/// Whether a checkpoint that is `age_ms` old calls for the next where one is wanted each day.
pub(crate) fn is_daily_due(age_ms: u64) -> bool {
    age_ms >= DAY_MS
}

impl<M: Machine> Maintenance<M> {
    /// Takes a checkpoint and sends its commit.
    pub(crate) async fn checkpoint(self) {
        match self.take_checkpoint().await {
            Ok(Some(committed)) => self.commit(OwnOperation::Checkpoint(committed)).await,
            Ok(None) => {}
            Err(error) => warn!(%error, "a checkpoint could not be taken"),
        }
    }

    async fn take_checkpoint(&self) -> Result<Option<super::own::CommittedCheckpoint>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let snapshot = move || {
            let index = shared.index.read();
            let index = index.as_ref()?;
            Some((index.head_seq()?, index.head_hash(), index.at_ms, index.snapshot()))
        };
        let snapshot = tokio::task::spawn_blocking(snapshot).await.expect("a snapshot does not panic");
        let Some((seq, entry_hash, at_ms, state)) = snapshot else { return Ok(None) };
        let place = Place { term: self.term, seq };
        let which = Which { name: M::NAME, number: M::NUMBER };
        let committed = checkpoint::write(&self.parts, which, place, entry_hash, (at_ms, state)).await?;
        info!(checkpoint = %place, size_bytes = committed.size_bytes, "a checkpoint was taken");
        Ok(Some(committed))
    }

    /// Names what is older than the retention, if anything is.
    pub(crate) async fn forget(self) {
        let now_ms = self.parts.clock.now_ms();
        let up_to = match &*self.shared.index.read() {
            Some(index) => index.book.forgettable(now_ms, retention_ms(&self.parts), self.shared.kept_from()),
            None => None,
        };
        if up_to.is_some() {
            self.commit(OwnOperation::Forgotten { up_to, markers: vec![] }).await;
        }
    }

    /// Deletes what acknowledged entries have named. It may be broken off anywhere and is taken up by the next.
    pub(crate) async fn delete_forgotten(self, up_to: u64) {
        if let Err(error) = self.try_delete(up_to).await {
            warn!(%error, "forgotten objects could not be deleted yet");
        }
    }

    async fn try_delete(&self, up_to: u64) -> Result<(), StoreError> {
        let entries = self.parts.store.list(&entries_of(M::NAME)).await?;
        let listing = Listing::new(entries.iter().filter_map(|object| Place::from_entry_key(M::NAME, &object.key)));
        let mut keys: Vec<String> = listing.single_up_to(up_to).map(|place| place.entry_key(M::NAME)).collect();
        let checkpoints = self.parts.store.list(&checkpoints_of(M::NAME)).await?;
        let is_before = |key: &str| Place::from_checkpoint_key(M::NAME, key).is_some_and(|place| place.seq < up_to);
        keys.extend(checkpoints.into_iter().map(|object| object.key).filter(|key| is_before(key)));
        if !keys.is_empty() {
            info!(objects = keys.len(), up_to, "forgotten objects are deleted");
            self.parts.store.delete_many(&keys).await?;
        }
        Ok(())
    }

    /// Deletes the markers of earlier terms, which the term's first entry has named.
    pub(crate) async fn delete_markers(self, earlier: Vec<Term>) {
        let keys: Vec<String> = earlier.iter().map(Term::marker_key).collect();
        if let Err(error) = self.parts.store.delete_many(&keys).await {
            warn!(%error, "markers of earlier writers could not be deleted yet");
        }
    }

    async fn commit(&self, operation: OwnOperation) {
        // A writer that has stepped down takes nothing any more; the next one does it again.
        let _ = self.jobs.send(Job::Own(vec![operation])).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daily_checkpoint_is_due_after_a_day() {
        assert!(!is_daily_due(DAY_MS - 1));
        assert!(is_daily_due(DAY_MS));
    }

    #[test]
    fn a_checkpoint_is_due_one_past_each_limit() {
        assert!(!is_due(CHECKPOINT_ENTRIES, CHECKPOINT_BYTES, 0));
        assert!(is_due(CHECKPOINT_ENTRIES + 1, 0, 0));
        assert!(is_due(1, CHECKPOINT_BYTES + 1, 0));
        for (last, most) in
            [(CHECKPOINT_ENTRIES * BYTES_PER_ENTRY, 1024), (2000 * BYTES_PER_ENTRY, 2000), (1 << 40, 4096)]
        {
            assert!(!is_due(most, 0, last));
            assert!(is_due(most + 1, 0, last));
        }
        let last = 10 * CHECKPOINT_BYTES;
        assert!(!is_due(1, last / 4, last));
        assert!(is_due(1, last / 4 + 1, last));
    }
}
