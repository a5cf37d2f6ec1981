//! Why the vault does not do what it was asked. It knows no status codes; `api/problem.rs` gives each case one.

use super::{
    blob::{InvalidMediaType, MediaType},
    id::NodeId,
    name::InvalidName,
};

/// Why a question has no answer or a change did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// No such node or version, or it was deleted for ever.
    #[error("there is nothing with this id")]
    NotFound,
    /// The node is a file where a folder is needed.
    #[error("this is not a folder")]
    NotAFolder,
    /// The node is a folder where a file is needed.
    #[error("this is not a file")]
    NotAFile,
    /// The folder holds something of this name already.
    #[error("the folder already holds something of this name")]
    Exists {
        /// What has the name.
        existing: NodeId,
    },
    /// The name breaks a rule.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The media type is none.
    #[error(transparent)]
    InvalidMediaType(#[from] InvalidMediaType),
    /// The cursor does not belong to this listing.
    #[error("the cursor does not belong to this listing; start again without one")]
    InvalidCursor,
    /// The root folder can't be renamed, moved, starred or deleted.
    #[error("the root folder cannot be changed")]
    IsRoot,
    /// A folder can't be moved or copied into itself.
    #[error("a folder cannot go into itself")]
    IntoItself,
    /// The node is in the trash, where it can only be restored or deleted for ever.
    #[error("this is in the trash; restore it first")]
    InTrash,
    /// Only what is in the trash can be restored or deleted for ever.
    #[error("this is not in the trash")]
    NotInTrash,
    /// The version is what the file is now; only older versions can be deleted by themselves.
    #[error("the current version of a file cannot be deleted by itself")]
    IsCurrent,
    /// The node was changed since the caller looked.
    #[error("it was changed since; read it again")]
    PreconditionFailed,
    /// The `Idempotency-Key` was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    IdempotencyConflict,
    /// A named limit is reached.
    #[error("{what}: at most {limit}")]
    LimitExceeded {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The content is larger than one file may be.
    #[error("a file may have at most {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: u64,
    },
    /// The vault holds as much as it may.
    #[error("the vault is full: at most {limit_bytes} bytes, old versions and the trash included")]
    StorageFull {
        /// The limit.
        limit_bytes: u64,
    },
    /// The content has another length than declared.
    #[error("the content is longer or shorter than declared")]
    WrongLength,
    /// The content is not of its declared media type.
    #[error("the content is not {declared}")]
    WrongMediaType {
        /// What it was declared to be.
        declared: MediaType,
    },
    /// The content broke off before its end, as its sender's stream says.
    #[error("the content broke off before its end")]
    Interrupted(std::io::ErrorKind),
    /// As many uploads as allowed are on their way.
    #[error("too many uploads at once; try again when one is done")]
    TooManyUploads,
    /// There is no such upload: it never was, was cancelled, or is complete.
    #[error("there is no upload with this id")]
    UploadNotFound,
    /// The upload's time is over.
    #[error("the upload's time is over; begin again")]
    UploadExpired,
    /// A part of the upload was not confirmed.
    #[error("part {part} is not confirmed")]
    UploadIncomplete {
        /// The first such part, from 0.
        part: u32,
    },
    /// The upload is being completed or cancelled.
    #[error("the upload is being completed or cancelled")]
    UploadBusy,
    /// What lies in the bucket is not what was confirmed.
    #[error("what the bucket holds is not what was confirmed")]
    UploadDamaged,
    /// A salt was used for two encryptions.
    #[error("the salt of part {part} was used before; seal the part again under a fresh one")]
    SaltReused {
        /// The part, from 0.
        part: u32,
    },
    /// No URL was given out for this part and salt.
    #[error("no URL was given out for part {part} under this salt")]
    NotSigned {
        /// The part, from 0.
        part: u32,
    },
    /// The part is none of this upload, or not what its plan says.
    #[error("part {part} {reason}")]
    InvalidPart {
        /// The part, from 0.
        part: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// Redis does not answer, and unfinished uploads are there alone.
    #[error("redis does not answer")]
    StateUnavailable,
    /// The vault only reads until its owner has decided about an alarm.
    #[error("the vault is read-only: {reason}")]
    ReadOnly {
        /// What is wrong.
        reason: String,
    },
    /// Another process serves this vault, or this one is still loading.
    #[error("the vault is not being served here right now")]
    NotServing,
    /// It may or may not have happened; the same `Idempotency-Key` settles it.
    #[error("the outcome is not known; ask again with the same Idempotency-Key")]
    OutcomeUnknown,
    /// The bucket does not answer.
    #[error("the storage does not answer")]
    StorageUnavailable,
    /// The bucket holds something else than what was sealed there.
    #[error("stored data was refused")]
    Corrupt,
    /// The vault contradicts itself: a fault of this program. Nothing was changed.
    #[error("the change does not fit the vault's state")]
    Inconsistent,
}
