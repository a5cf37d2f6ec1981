//! What time and deletion leave to do: the trash empties itself, old versions end, and what nobody needs any more leaves
//! the catalog first and the bucket after that.
//!
//! Each step is one commit for many nodes, small enough not to keep anyone waiting. A step that was interrupted is found
//! again in the catalog, so nothing here is remembered elsewhere. It never looks at what lies in the bucket.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Vault, actor,
    catalog::Catalog,
    content::object_key,
    direct::Swept,
    error::VaultError,
    id::NodeId,
    operation::{OlderVersion, Operation},
    propose::Proposal,
};

/// Most nodes, versions or blobs in one commit.
const BATCH: usize = 1000;

/// Most commits in one go.
const MAX_STEPS: usize = 1000;

/// How often to look, without having been called.
const INTERVAL: Duration = Duration::from_secs(60);

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What one go did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkept {
    /// Nodes whose time in the trash was over.
    pub discarded: usize,
    /// Nodes and old versions that left the catalog.
    pub purged: usize,
    /// Objects that were deleted.
    pub deleted: usize,
}

impl Vault {
    /// Does all upkeep from now until `stop`, in the background of whoever spawns it.
    pub async fn run_upkeep(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.upkeep().await {
                Ok(Upkept { discarded: 0, purged: 0, deleted: 0 }) | Err(VaultError::NotServing) => {}
                Ok(done) => tracing::info!(?done, "upkeep"),
                Err(error) => tracing::warn!(%error, "upkeep goes on later"),
            }
            match self.sweep_uploads().await {
                Ok(Swept { ended: 0, aborted: 0 }) | Err(VaultError::NotServing) => {}
                Ok(swept) => tracing::info!(?swept, "uploads that became nothing are gone"),
                Err(error) => tracing::warn!(%error, "sweeping uploads goes on later"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.0.upkeep_wanted.notified() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    }

    /// Does the upkeep that is due now.
    ///
    /// # Errors
    /// What the log or the bucket refuses; what was done until then stays done.
    pub async fn upkeep(&self) -> Result<Upkept, VaultError> {
        let mut done = Upkept::default();
        let (trash_ms, retention_ms) = {
            let config = &self.0.config;
            (u64::from(config.trash_days) * DAY_MS, u64::from(config.retention_days) * DAY_MS)
        };
        let now_ms = self.0.clock.now_ms();
        for _ in 0..MAX_STEPS {
            let step = self.step(move |catalog| catalog.propose_trash_end(now_ms.saturating_sub(trash_ms))).await?;
            if step == 0 {
                break;
            }
            done.discarded += step;
        }
        for _ in 0..MAX_STEPS {
            let step = self.step(move |catalog| catalog.propose_purge(now_ms.saturating_sub(retention_ms))).await?;
            if step == 0 {
                break;
            }
            done.purged += step;
        }
        for _ in 0..MAX_STEPS {
            let step = self.delete_purged().await?;
            if step == 0 {
                break;
            }
            done.deleted += step;
        }
        Ok(done)
    }

    /// Proposes a step against the committed state first, so that having nothing to do commits nothing.
    async fn step(&self, propose: impl Fn(&Catalog) -> Proposal<usize> + Send + 'static) -> Result<usize, VaultError> {
        if self.ask(|catalog| propose(catalog).map(|(_, count)| count))? == 0 {
            return Ok(0);
        }
        self.commit(actor::itself(), move |catalog, _| propose(catalog)).await
    }

    /// Deletes objects of blobs whose purge is committed.
    async fn delete_purged(&self) -> Result<usize, VaultError> {
        let blobs = self
            .ask(|catalog| Ok::<Vec<_>, VaultError>(catalog.retired.waiting().iter().take(BATCH).copied().collect()))?;
        if blobs.is_empty() {
            return Ok(0);
        }
        let keys: Vec<String> = blobs.iter().map(|blob| object_key(*blob)).collect();
        self.0.store.delete_many(&keys).await.map_err(|error| {
            tracing::warn!(%error, "purged objects stay in the bucket until later");
            VaultError::StorageUnavailable
        })?;
        let count = blobs.len();
        self.commit(actor::itself(), move |_, _| Ok((vec![Operation::Deleted { blobs }], count))).await
    }
}

impl Catalog {
    /// Everything that went to the trash up to that moment is deleted for ever.
    pub(super) fn propose_trash_end(&self, until_ms: u64) -> Proposal<usize> {
        let due = self.index.trash().iter().take_while(|(since_ms, _)| *since_ms <= until_ms);
        let nodes: Vec<NodeId> = due.take(BATCH).map(|(_, id)| *id).collect();
        let count = nodes.len();
        Ok((if count == 0 { Vec::new() } else { vec![Operation::Discard { nodes }] }, count))
    }

    /// What was discarded, and versions that were replaced up to that moment, leave the catalog.
    pub(super) fn propose_purge(&self, until_ms: u64) -> Proposal<usize> {
        let nodes = self.discarded_nodes(BATCH);
        let due = self.index.outdated().iter().take_while(|(since_ms, _)| *since_ms <= until_ms);
        let files = due.filter_map(|(_, id)| self.index.get(*id)).filter(|node| !nodes.contains(&node.id));
        let versions = files.flat_map(|node| {
            let old = node.file().into_iter().flat_map(|file| file.replaced());
            let old = old.take_while(|(_, replaced_ms)| *replaced_ms <= until_ms);
            old.map(|(version, _)| OlderVersion { file: node.id, version: version.id() })
        });
        let versions: Vec<OlderVersion> = versions.take(BATCH - nodes.len()).collect();
        let count = nodes.len() + versions.len();
        Ok((if count == 0 { Vec::new() } else { vec![self.purge(nodes, versions)] }, count))
    }

    /// Discarded nodes that may be purged now, each after all below it.
    pub(super) fn discarded_nodes(&self, most: usize) -> Vec<NodeId> {
        let mut found = Vec::new();
        for top in self.index.discarded().iter().filter_map(|id| self.index.get(*id)) {
            let mut ahead = vec![(top, false)];
            while let Some((node, is_open)) = ahead.pop() {
                if found.len() == most {
                    return found;
                }
                if is_open || !node.is_folder() {
                    found.push(node.id);
                    continue;
                }
                ahead.push((node, true));
                // The last child goes first: taking it out of the folder's list moves nothing.
                ahead.extend(self.index.children(node.id).map(|child| (child, false)));
            }
        }
        found
    }
}
