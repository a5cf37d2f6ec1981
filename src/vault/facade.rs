//! The vault as the floors above hold it: questions answered from the committed state, changes that are true when they
//! return.

use std::sync::Arc;

use tokio::sync::{Notify, broadcast};

use super::{
    actor::{self, Actor},
    catalog::Catalog,
    content::Contents,
    direct::Uploads,
    error::VaultError,
    feed::Feed,
    fingerprint::Fingerprint,
    id::{NodeId, VersionId},
    name::FileName,
    node::Revision,
    operation::Operation,
    page::{Page, PageRequest, Sort},
    propose::{NodePatch, Proposal},
    quota::Quota,
    view::{NodeView, Standpoint, Stats, VersionView},
};
use crate::{
    config::{Clock, VaultConfig},
    crypto::{BlobId, VaultKeys},
    log::{Change, CommitError, CommitMeta, Committed, Log},
    state::State,
    store::Store,
};

/// One owner's vault. Cheap to clone; clones are the same vault.
#[derive(Clone)]
pub struct Vault(pub(super) Arc<Parts>);

/// What a vault stands on.
pub struct VaultParts {
    /// Its log, which was started.
    pub log: Log<Catalog>,
    /// Its bucket.
    pub store: Store,
    /// Its Redis.
    pub state: State,
    /// Its keys.
    pub keys: VaultKeys,
    /// Its settings.
    pub config: VaultConfig,
    /// The time.
    pub clock: Clock,
}

/// What a vault is made of.
pub(super) struct Parts {
    pub(super) log: Log<Catalog>,
    pub(super) store: Store,
    pub(super) contents: Contents,
    pub(super) config: VaultConfig,
    pub(super) clock: Clock,
    pub(super) quota: Arc<Quota>,
    pub(super) uploads: Uploads,
    pub(super) feed: Feed,
    /// Something was deleted for ever.
    pub(super) upkeep_wanted: Notify,
}

impl Vault {
    /// A vault over these. Does no I/O.
    pub fn new(parts: VaultParts) -> Self {
        let VaultParts { log, store, state, keys, config, clock } = parts;
        let contents = Contents::new(store.clone(), keys.clone(), &config);
        let quota = Quota::new(&config);
        let uploads = Uploads::new(state, keys);
        let (feed, upkeep_wanted) = (Feed::new(), Notify::new());
        Self(Arc::new(Parts { log, store, contents, config, clock, quota, uploads, feed, upkeep_wanted }))
    }

    /// A folder or file, in the trash or not.
    ///
    /// # Errors
    /// [`VaultError::NotFound`], also for what was deleted for ever; [`VaultError::NotServing`].
    pub fn node(&self, id: NodeId) -> Result<NodeView, VaultError> {
        self.ask(|catalog| catalog.view(id))
    }

    /// The folders above a node, the root first.
    ///
    /// # Errors
    /// As [`Vault::node`].
    pub fn path(&self, id: NodeId) -> Result<Vec<NodeView>, VaultError> {
        self.ask(|catalog| catalog.path(id))
    }

    /// Where a node is, seen from a folder.
    ///
    /// # Errors
    /// As [`Vault::node`].
    pub fn standpoint(&self, id: NodeId, folder: NodeId) -> Result<Standpoint, VaultError> {
        self.ask(|catalog| catalog.standpoint(id, folder))
    }

    /// A page of what a folder holds; folders come before files in every order.
    ///
    /// # Errors
    /// As [`Vault::node`]; [`VaultError::NotAFolder`], [`VaultError::InvalidCursor`], and
    /// [`VaultError::LimitExceeded`] unless the limit is from 1 to [`super::MAX_PAGE`].
    pub fn children(&self, folder: NodeId, sort: Sort, request: &PageRequest) -> Result<Page<NodeView>, VaultError> {
        self.ask(|catalog| catalog.children_page(folder, sort, request))
    }

    /// The page of what a folder holds that begins at a place of the order, counted from 0; past the end it is empty.
    ///
    /// # Errors
    /// As [`Vault::children`].
    pub fn children_at(
        &self,
        folder: NodeId,
        sort: Sort,
        offset: usize,
        limit: usize,
    ) -> Result<Page<NodeView>, VaultError> {
        self.ask(|catalog| catalog.children_at(folder, sort, offset, limit))
    }

    /// A page of the starred nodes that are not in the trash.
    ///
    /// # Errors
    /// As [`Vault::children`].
    pub fn starred(&self, sort: Sort, request: &PageRequest) -> Result<Page<NodeView>, VaultError> {
        self.ask(|catalog| catalog.starred_page(sort, request))
    }

    /// A page of what was put into the trash, newest first.
    ///
    /// # Errors
    /// As [`Vault::children`].
    pub fn trash_page(&self, request: &PageRequest) -> Result<Page<NodeView>, VaultError> {
        self.ask(|catalog| catalog.trash_page(request))
    }

    /// A page of a file's versions, newest first.
    ///
    /// # Errors
    /// As [`Vault::children`]; [`VaultError::NotAFile`].
    pub fn versions(&self, file: NodeId, request: &PageRequest) -> Result<Page<VersionView>, VaultError> {
        self.ask(|catalog| catalog.versions_page(file, request))
    }

    /// The vault in numbers.
    ///
    /// # Errors
    /// [`VaultError::NotServing`].
    pub fn stats(&self) -> Result<Stats, VaultError> {
        self.ask(|catalog| Ok(catalog.stats(self.0.quota.limit_bytes())))
    }

    /// The epoch that a session must have; it rises when Redis was lost.
    ///
    /// # Errors
    /// [`VaultError::NotServing`].
    pub fn session_epoch(&self) -> Result<u64, VaultError> {
        self.ask(|catalog| Ok(catalog.marks.session_epoch))
    }

    /// Follows committed changes, each numbered by (seq, index).
    pub fn changes(&self) -> broadcast::Receiver<Change<Operation>> {
        self.0.log.changes()
    }

    /// A new folder.
    ///
    /// # Errors
    /// [`VaultError::Exists`], [`VaultError::LimitExceeded`] for its depth, what is wrong with the parent, and
    /// [`VaultError::IdempotencyConflict`].
    pub async fn create_folder(&self, actor: Actor, parent: NodeId, name: FileName) -> Result<NodeView, VaultError> {
        let asked = Fingerprint::of_folder(parent, &name);
        self.create(actor, asked, move |catalog| catalog.propose_folder(parent, name)).await
    }

    /// Renames, moves or marks a node.
    ///
    /// # Errors
    /// [`VaultError::PreconditionFailed`] when `if_match` is not its revision; [`VaultError::Exists`],
    /// [`VaultError::IntoItself`], [`VaultError::IsRoot`], [`VaultError::InTrash`], what is wrong with the new parent.
    pub async fn update(
        &self,
        actor: Actor,
        id: NodeId,
        patch: NodePatch,
        if_match: Option<Revision>,
    ) -> Result<NodeView, VaultError> {
        self.commit(actor.into(), move |catalog, _| catalog.propose_update(id, patch, if_match)).await?;
        self.changed(id)
    }

    /// Puts a node into the trash, with all below it.
    ///
    /// # Errors
    /// As [`Vault::update`].
    pub async fn trash(&self, actor: Actor, id: NodeId, if_match: Option<Revision>) -> Result<(), VaultError> {
        self.commit(actor.into(), move |catalog, _| catalog.propose_trash(id, if_match)).await
    }

    /// Takes a node out of the trash: to the folder `to`, else to where it was, else to the nearest folder above that
    /// still is in the tree. A taken name gets a number.
    ///
    /// # Errors
    /// [`VaultError::NotInTrash`], what is wrong with `to`.
    pub async fn restore(&self, actor: Actor, id: NodeId, to: Option<NodeId>) -> Result<NodeView, VaultError> {
        self.commit(actor.into(), move |catalog, _| catalog.propose_restore(id, to)).await?;
        self.changed(id)
    }

    /// Deletes a node that is in the trash for ever, with all below it. Its objects leave the bucket soon after.
    ///
    /// # Errors
    /// [`VaultError::NotInTrash`].
    pub async fn delete_forever(&self, actor: Actor, id: NodeId) -> Result<(), VaultError> {
        self.commit(actor.into(), move |catalog, _| catalog.propose_discard(id)).await?;
        self.0.upkeep_wanted.notify_one();
        Ok(())
    }

    /// Deletes everything in the trash for ever.
    ///
    /// # Errors
    /// What the log refuses; a part may be deleted then.
    pub async fn empty_trash(&self, actor: Actor) -> Result<(), VaultError> {
        loop {
            let meta = actor.clone().into();
            // What is put into the trash meanwhile goes too, but nothing can be put there faster than this.
            let count = self.commit(meta, |catalog, _| catalog.propose_trash_end(u64::MAX)).await?;
            if count == 0 {
                return Ok(());
            }
            self.0.upkeep_wanted.notify_one();
        }
    }

    /// Makes an older version what the file is again; what it was until now becomes an older version.
    ///
    /// # Errors
    /// [`VaultError::NotFound`]; what is wrong with the file.
    pub async fn restore_version(
        &self,
        actor: Actor,
        file: NodeId,
        version: VersionId,
    ) -> Result<NodeView, VaultError> {
        self.commit(actor.into(), move |catalog, _| catalog.propose_version_restore(file, version)).await?;
        self.changed(file)
    }

    /// Deletes an older version of a file for ever.
    ///
    /// # Errors
    /// [`VaultError::IsCurrent`]; [`VaultError::NotFound`].
    pub async fn delete_version(&self, actor: Actor, file: NodeId, version: VersionId) -> Result<(), VaultError> {
        self.commit(actor.into(), move |catalog, _| catalog.propose_version_purge(file, version)).await?;
        self.0.upkeep_wanted.notify_one();
        Ok(())
    }

    /// Makes every session of now void.
    ///
    /// # Errors
    /// What the log refuses.
    pub async fn raise_session_epoch(&self, actor: Actor) -> Result<(), VaultError> {
        self.commit(actor.into(), |catalog, at_ms| Ok((vec![catalog.raise_session_epoch(at_ms)], ()))).await
    }

    /// Makes something once for each `Idempotency-Key`.
    pub(super) async fn create(
        &self,
        actor: Actor,
        asked: Fingerprint,
        propose: impl FnOnce(&Catalog) -> Proposal<NodeId> + Send + 'static,
    ) -> Result<NodeView, VaultError> {
        let key = actor.idempotency;
        let made = self.commit(actor.into(), move |catalog, at_ms| {
            let Some(key) = key else { return propose(catalog) };
            if let Some(node) = catalog.answered(&key, asked.bytes(), at_ms)? {
                return Ok((Vec::new(), node));
            }
            let (mut operations, node) = propose(catalog)?;
            operations.push(Operation::Remember { key, fingerprint: *asked.bytes(), node });
            Ok((operations, node))
        });
        self.changed(made.await?)
    }

    /// Answers from the committed state. The closure runs under a lock and **must** be short.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Catalog) -> Result<T, VaultError>) -> Result<T, VaultError> {
        self.0.log.read(question).map_err(|_| VaultError::NotServing)?
    }

    /// The node after a commit. A process that ceases to serve in between **must not** say so: that would mean that
    /// nothing was changed.
    fn changed(&self, id: NodeId) -> Result<NodeView, VaultError> {
        self.node(id).map_err(|error| match error {
            VaultError::NotServing => VaultError::OutcomeUnknown,
            error => error,
        })
    }

    /// Commits what is proposed.
    pub(super) async fn commit<T, E>(
        &self,
        meta: CommitMeta,
        propose: impl FnOnce(&Catalog, u64) -> Result<(Vec<Operation>, T), E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<VaultError> + Send + 'static,
    {
        answer_of(self.0.log.commit(meta, propose).await)
    }

    /// Names a blob that never became content, so that its object may be deleted; one that is known stays as it is.
    pub(super) async fn abandon(&self, blob: BlobId) -> Result<(), VaultError> {
        self.commit(actor::itself(), move |catalog, _| -> Proposal<()> {
            let operation = Operation::Abandon { blobs: vec![blob] };
            Ok((if catalog.knows(blob) { Vec::new() } else { vec![operation] }, ()))
        })
        .await?;
        self.0.upkeep_wanted.notify_one();
        Ok(())
    }
}

/// What a commit answers, in the vault's own words.
pub(super) fn answer_of<T, E: From<VaultError>>(committed: Result<Committed<T>, CommitError<E>>) -> Result<T, E> {
    let error = match committed {
        Ok(committed) => return Ok(committed.value),
        Err(CommitError::Refused(error)) => return Err(error),
        Err(CommitError::ReadOnly(reason)) => VaultError::ReadOnly { reason },
        Err(CommitError::NotServing) => VaultError::NotServing,
        Err(CommitError::OutcomeUnknown) => VaultError::OutcomeUnknown,
        Err(CommitError::TooLarge) => {
            VaultError::LimitExceeded { what: "bytes of one change", limit: crate::crypto::ENTRY_MAX as u64 }
        }
        Err(CommitError::Inconsistent(error)) => {
            tracing::error!(%error, "a proposal does not apply to the state it was made for");
            VaultError::Inconsistent
        }
    };
    Err(error.into())
}
