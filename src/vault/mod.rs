//! The domain: folders, files, versions, trash. Knows no HTTP.
//!
//! The tree lives in memory as the [`Catalog`], which the sealed log drives; content lives in the bucket, sealed. A
//! change is proposed against the catalog, committed as operations, and only then true.

mod actor;
mod answers;
mod apply;
mod blob;
mod bulk;
mod catalog;
mod codec;
#[cfg(test)]
mod commands;
pub mod content;
mod copy;
mod direct;
mod error;
mod facade;
mod feed;
mod fingerprint;
#[cfg(test)]
mod fixture;
mod fold;
mod grant;
mod id;
mod index;
#[cfg(test)]
mod model;
mod name;
mod natural;
mod node;
mod operation;
mod page;
mod propose;
mod query;
mod quota;
mod retired;
mod search;
mod settings;
mod short;
mod snapshot;
mod transfer;
mod upkeep;
mod view;

pub use actor::Actor;
pub use answers::{ANSWER_LIFE_MS, MAX_ANSWERS};
pub use blob::{InvalidMediaType, MAX_MEDIA_TYPE_BYTES, MediaType, Salts, SealedBlob};
pub use bulk::{BulkAction, BulkOutcome, MAX_BULK};
pub use catalog::Catalog;
pub use copy::{CopyTarget, IfTaken, MAX_COPIED};
pub use direct::{
    Checksum, ConfirmedPart, ListedUpload, MAX_PARTS_AT_ONCE, OpenUpload, PartToConfirm, PartToSign, PartUrl, Progress,
    Swept, UploadPlan,
};
pub use error::VaultError;
pub use facade::{Vault, VaultParts};
pub use feed::{FEED_CHANGES, FeedPlace, Following, MAX_NOTICE_NODES, Notice, NoticeKind};
pub use grant::{DownloadGrant, Granted, Permit};
pub use id::{InvalidId, NodeId, VersionId};
pub use index::SortKey;
pub use name::{FileName, InvalidName, MAX_NAME_BYTES};
pub use node::{InvalidRevision, Revision};
pub use operation::{OlderVersion, Operation};
pub use page::{InvalidSort, MAX_PAGE, Page, PageRequest, Sort};
pub use propose::{MAX_DEPTH, MAX_VERSIONS, NodePatch, OnConflict, Target};
pub use settings::{MAX_SETTING_BYTES, MAX_SETTING_KEY_BYTES, MAX_SETTINGS, SettingChanges, SettingValue, Settings};
pub use transfer::{OpenFile, Orphan};
pub use upkeep::Upkept;
pub use view::{Kind, NodeView, Standpoint, Stats, VersionView};
