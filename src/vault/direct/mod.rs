//! Direct uploads: content that a client seals and sends to the bucket itself (`docs/format.md`, "Direct upload").
//!
//! An upload is the making of one blob, and has its id. It is begun here with a key and a plan, its parts are signed and
//! confirmed here, and its completion checks everything that the bucket was trusted with before the same commit as the
//! gateway's makes it a file. Until then it is a draft in Redis, which may be lost: then the upload begins again, and what
//! it left in the bucket is found there.
//!
//! Guarantees: no key and no URL leaves but through [`Vault::grant`](super::Vault::grant); a salt is taken once in an upload; the size counts
//! as used from the beginning to the end of an upload, restarts included; what ends without a commit leaves neither parts
//! nor an object once it was swept. One process serves a vault, so what must not meet is kept apart in memory; one that
//! lost its lease can commit nothing.
//!
//! Deliberately unaware of sessions: an upload belongs to the vault, and any session of its owner may go on with it.

mod begin;
mod claim;
mod complete;
mod draft;
mod part;
mod sweep;

use std::sync::atomic::AtomicU64;

use minicbor::{Decode, Encode};
use tokio::sync::Mutex;

use crate::{
    crypto::{BlobId, Dek, Geometry, Salt, VaultId, VaultKeys},
    log::Term,
    state::State,
    store::{PartChecksum, SignedPut, Store},
};

use super::{blob::MediaType, propose::Target};
use claim::Claims;
use draft::Drafts;

pub use part::MAX_PARTS_AT_ONCE;
pub use sweep::Swept;

/// What the bucket holds a part's bytes to, beside their length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Checksum {
    /// `x-amz-checksum-sha256`.
    #[n(0)]
    Sha256,
    /// `Content-MD5`, where the bucket ignores or refuses the other.
    #[n(1)]
    Md5,
}

/// What an upload is to become, and how it is to be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPlan {
    /// The upload, and the blob that it makes.
    pub id: BlobId,
    /// The vault, which every part is bound to.
    pub vault_id: VaultId,
    /// How the content is cut.
    pub geometry: Geometry,
    /// Bytes of plaintext.
    pub size_bytes: u64,
    /// What the content is declared to be.
    pub media_type: Option<MediaType>,
    /// Where it goes.
    pub target: Target,
    /// Whether its only part is written to the object itself, instead of to a multipart upload.
    pub single_put: bool,
    /// What URLs bind the bytes by.
    pub checksum: Checksum,
    /// When it was begun, in Unix milliseconds.
    pub created_ms: u64,
    /// When it ends at the latest, in Unix milliseconds.
    pub expires_ms: u64,
}

/// An upload with all that is needed to go on with it.
#[derive(Debug, Clone)]
pub struct OpenUpload {
    /// The plan.
    pub plan: UploadPlan,
    /// The data key.
    pub key: Dek,
    /// The parts that were confirmed, in order.
    pub parts: Vec<ConfirmedPart>,
}

/// An upload in the list of unfinished ones.
#[derive(Debug, Clone)]
pub struct ListedUpload {
    /// The plan.
    pub plan: UploadPlan,
    /// How many parts were confirmed.
    pub confirmed_parts: u64,
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Parts that were confirmed.
    pub confirmed_parts: u64,
    /// Parts in all.
    pub part_count: u32,
}

/// An encryption of a part, for which a URL is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartToSign {
    /// The part, from 0.
    pub part: u32,
    /// Sealed bytes.
    pub length: u64,
    /// The salt it was sealed under.
    pub salt: Salt,
    /// SHA-256 of the sealed bytes.
    pub sha256: [u8; 32],
    /// MD5 of the sealed bytes, where the plan's checksum is that.
    pub md5: Option<[u8; 16]>,
}

/// Where and how a part is sent.
#[derive(Debug, Clone)]
pub struct PartUrl {
    /// The part, from 0.
    pub part: u32,
    /// The request to make.
    pub put: SignedPut,
    /// When the URL ends, in Unix milliseconds.
    pub expires_ms: u64,
}

/// An encryption of a part that the client saw the bucket take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartToConfirm {
    /// The part, from 0.
    pub part: u32,
    /// The salt it was sealed under.
    pub salt: Salt,
    /// What the bucket answered; may be unknown where the plan is a single PUT.
    pub etag: Option<String>,
}

/// A part that was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedPart {
    /// The part, from 0.
    pub part: u32,
    /// The salt that is pinned at completion.
    pub salt: Salt,
    /// What the bucket answered, without quotes.
    pub etag: Option<String>,
    /// Sealed bytes.
    pub length: u64,
    /// SHA-256 of the sealed bytes.
    pub sha256: [u8; 32],
}

/// The uploads of one vault.
pub(super) struct Uploads {
    drafts: Drafts,
    claims: Claims,
    keys: VaultKeys,
    /// The writer's term for which the drafts' room was restored.
    restored_for: Mutex<Option<Term>>,
    /// When the bucket was last asked for multipart uploads, in Unix milliseconds.
    last_listing_ms: AtomicU64,
}

impl Uploads {
    pub(super) fn new(state: State, keys: VaultKeys) -> Self {
        Self {
            drafts: Drafts::new(state),
            claims: Claims::default(),
            keys,
            restored_for: Mutex::default(),
            last_listing_ms: AtomicU64::new(0),
        }
    }
}

/// What the bucket checks of a part that comes through a URL.
fn checksum(store: &Store) -> Checksum {
    match store.abilities().part_checksum {
        PartChecksum::Enforced => Checksum::Sha256,
        PartChecksum::Unknown | PartChecksum::Refused | PartChecksum::Ignored => Checksum::Md5,
    }
}

/// Whether an object's final key may be given out: only where neither other bytes nor a second write get through.
fn may_put_at_once(store: &Store) -> bool {
    let abilities = store.abilities();
    abilities.refuses_wrong_bytes && abilities.refuses_overwrite && checksum(store) == Checksum::Sha256
}
