//! How far a caller reaches: the owner everywhere, a token as its scopes and its folder say.
//!
//! An id from a request becomes a node's id here and nowhere else (a tidy test holds that), so no handler can forget the
//! folder that a token is confined to. What lies outside does not exist for it: the answer is that of an id of nothing.
//! A confined token reaches nothing once its folder is in the trash, and never changes the folder itself.

use super::caller::Caller;
use super::policy::{Access, Policy, Scope};
use super::problem::{Code, Problem};
use super::text::{NodeRef, UploadRef};
use crate::crypto::BlobId;
use crate::owner::{AppToken, TokenScope};
use crate::vault::{NodeId, OnConflict, Standpoint, Target, VaultError};

/// Below these a confined token may ask: they name the nodes that they are about.
const ABOUT_NODES: [&str; 4] = ["/nodes/{id}", "/folders", "/files/{id}", "/uploads"];

/// The list of uploads names what others upload.
const UPLOADS: (&str, &str) = ("GET", "/uploads");

/// A ticket lends a session, and a token has none: it sends its header itself.
const TICKET: &str = "/files/{id}/ticket";

impl Caller {
    /// A node that the caller may look at, or put something into.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`, as for an id of nothing.
    pub fn node(&self, id: NodeRef) -> Result<NodeId, Problem> {
        self.reach(id.0.unchecked(), Standpoint::Itself)
    }

    /// A node that the caller may change.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`, as for an id of nothing.
    pub fn own_node(&self, id: NodeRef) -> Result<NodeId, Problem> {
        self.reach(id.0.unchecked(), Standpoint::Below)
    }

    /// Where new content may go.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`; `PERMISSION_DENIED` for a token that may bring new content only, where it would replace some.
    pub fn target(&self, target: Target) -> Result<Target, Problem> {
        let replaces = match &target {
            Target::New { on_conflict, .. } => *on_conflict == OnConflict::Replace,
            Target::Version { .. } => true,
        };
        if replaces && self.token.as_ref().is_some_and(|token| !token.scopes.allow(TokenScope::Write)) {
            return Err(Problem::new(Code::PermissionDenied).with_detail("This token may bring new files only."));
        }
        match &target {
            Target::New { parent, .. } => self.reach(*parent, Standpoint::Itself)?,
            Target::Version { file, .. } => self.reach(*file, Standpoint::Below)?,
        };
        Ok(target)
    }

    /// An unfinished upload that the caller may go on with.
    ///
    /// # Errors
    /// `UPLOAD_NOT_FOUND`, and why an upload cannot go on.
    pub async fn upload(&self, id: UploadRef) -> Result<BlobId, Problem> {
        if self.token.is_some() {
            let target = self.vault().upload_target(id.0).await?;
            self.target(target).map_err(|_| Problem::new(Code::UploadNotFound))?;
        }
        Ok(id.0)
    }

    /// The same, or one that is no more: completing it again changes nothing, and [`Caller::made`] **must** look at the answer.
    ///
    /// # Errors
    /// As [`Caller::upload`].
    pub async fn complete_or_open_upload(&self, id: UploadRef) -> Result<BlobId, Problem> {
        if self.token.is_some() {
            match self.vault().upload_target(id.0).await {
                Err(VaultError::UploadNotFound) => {}
                target => drop(self.target(target?).map_err(|_| Problem::new(Code::UploadNotFound))?),
            }
        }
        Ok(id.0)
    }

    /// An id that an operation answered with, if the caller may know of it.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`.
    pub fn made(&self, id: NodeId) -> Result<(), Problem> {
        self.reach(id, Standpoint::Itself).map(drop)
    }

    fn reach(&self, id: NodeId, least: Standpoint) -> Result<NodeId, Problem> {
        let Some(folder) = self.token.as_ref().and_then(|token| token.folder) else { return Ok(id) };
        let found = self.vault().standpoint(id, folder)?;
        let is_reached = match least {
            Standpoint::Below => found == Standpoint::Below,
            _ => found != Standpoint::Outside,
        };
        if is_reached { Ok(id) } else { Err(Code::NodeNotFound.into()) }
    }
}

/// Whether a token may call an operation at all.
///
/// # Errors
/// `PERMISSION_DENIED`.
pub(super) fn admit(token: &AppToken, policy: Option<&Policy>) -> Result<(), Problem> {
    let refused = |detail: &'static str| Problem::new(Code::PermissionDenied).with_detail(detail);
    let policy = policy.ok_or_else(|| refused("Only the owner may do this."))?;
    let Access::Scope(scope) = policy.access else { return Err(refused("Only the owner may do this, not a token.")) };
    if policy.path == TICKET {
        return Err(refused("A token sends its header itself: tickets are for sessions."));
    }
    if !token.scopes.allow(scope.into()) {
        return Err(refused("The token lacks the scope that this needs."));
    }
    let asks = |token_scope| token.scopes.allow(token_scope);
    if (policy.method, policy.path) == UPLOADS && !asks(TokenScope::Read) {
        return Err(refused("Listing needs the scope read."));
    }
    let is_about_nodes = ABOUT_NODES.iter().any(|path| policy.path.starts_with(path));
    if token.folder.is_some() && (!is_about_nodes || (policy.method, policy.path) == UPLOADS) {
        return Err(refused("The token is confined to a folder, and this is about the whole vault."));
    }
    Ok(())
}

impl From<Scope> for TokenScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Write => Self::Write,
            Scope::Upload => Self::Upload,
            Scope::Share => Self::Share,
            Scope::Audit => Self::Audit,
        }
    }
}
