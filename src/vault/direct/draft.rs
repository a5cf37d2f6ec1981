//! An unfinished upload as Redis keeps it, sealed: what was begun, which encryptions of parts may arrive, and which did.
//!
//! Three tables: `uploads` has a draft for each upload; `upload-candidates:<id>` has, by its salt, each encryption for which
//! a URL was given out; `upload-parts:<id>` has, by its number, each part that was confirmed. So no step costs more than the
//! parts it is about, and a salt is taken once because it is the name of a field.

use data_encoding::HEXLOWER;
use minicbor::{Decode, Encode};

use crate::{
    crypto::{BlobId, Geometry, Salt, WrappedDek},
    state::{Found, Outcome, State, StateError, Table},
    store::MultipartId,
    vault::{
        blob::MediaType,
        codec,
        error::VaultError,
        id::{NodeId, VersionId},
        name::FileName,
        propose::{OnConflict, Target},
    },
};

use super::Checksum;

/// How long Redis keeps records beyond the end of the upload, so that the sweeper meets them.
const GRACE_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Draft {
    #[cbor(n(0), with = "codec::fixed")]
    pub(super) id: BlobId,
    #[n(1)]
    place: Place,
    #[n(2)]
    pub(super) size_bytes: u64,
    #[cbor(n(3), with = "codec::geometry")]
    pub(super) geometry: Geometry,
    #[cbor(n(4), with = "codec::fixed")]
    pub(super) dek: WrappedDek,
    #[n(5)]
    pub(super) media_type: Option<MediaType>,
    /// The bucket's name for the multipart upload; none where the object itself is written.
    #[n(6)]
    multipart: Option<String>,
    #[n(7)]
    pub(super) checksum: Checksum,
    #[n(8)]
    pub(super) created_ms: u64,
    #[n(9)]
    pub(super) expires_ms: u64,
    /// What was asked for: equal for a repetition.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub(super) asked: [u8; 32],
    /// SHA-256 of the `Idempotency-Key` that it was begun under.
    #[cbor(n(11), with = "minicbor::bytes")]
    pub(super) idempotency: Option<[u8; 32]>,
    /// Since when it is over, but for an object that may still arrive.
    #[n(12)]
    pub(super) over_since_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
enum Place {
    #[n(0)]
    New {
        #[cbor(n(0), with = "codec::fixed")]
        parent: NodeId,
        #[n(1)]
        name: FileName,
        #[n(2)]
        on_conflict: OnConflict,
    },
    #[n(1)]
    Version {
        #[cbor(n(0), with = "codec::fixed")]
        file: NodeId,
        #[cbor(n(1), with = "minicbor::bytes")]
        if_match: Option<[u8; 16]>,
    },
}

/// What a draft is made of beside its secrets and times.
pub(super) struct Asked {
    pub(super) target: Target,
    pub(super) size_bytes: u64,
    pub(super) geometry: Geometry,
    pub(super) media_type: Option<MediaType>,
    pub(super) fingerprint: [u8; 32],
    pub(super) idempotency: Option<[u8; 32]>,
}

impl Draft {
    pub(super) fn new(
        id: BlobId,
        asked: Asked,
        dek: WrappedDek,
        multipart: Option<&MultipartId>,
        checksum: Checksum,
        (created_ms, expires_ms): (u64, u64),
    ) -> Self {
        let Asked { target, size_bytes, geometry, media_type, fingerprint, idempotency } = asked;
        let place = match target {
            Target::New { parent, name, on_conflict } => Place::New { parent, name, on_conflict },
            Target::Version { file, if_match } => Place::Version { file, if_match: if_match.map(|version| version.0) },
        };
        Self {
            id,
            place,
            size_bytes,
            geometry,
            dek,
            media_type,
            multipart: multipart.map(|id| id.as_str().to_owned()),
            checksum,
            created_ms,
            expires_ms,
            asked: fingerprint,
            idempotency,
            over_since_ms: None,
        }
    }

    pub(super) fn target(&self) -> Target {
        match &self.place {
            Place::New { parent, name, on_conflict } => {
                Target::New { parent: *parent, name: name.clone(), on_conflict: *on_conflict }
            }
            Place::Version { file, if_match } => Target::Version { file: *file, if_match: if_match.map(VersionId) },
        }
    }

    pub(super) fn multipart(&self) -> Option<MultipartId> {
        self.multipart.clone().map(MultipartId::new)
    }

    /// The same, as over.
    pub(super) fn over_since(self, since_ms: u64) -> Self {
        Self { over_since_ms: Some(since_ms), ..self }
    }

    pub(super) fn part_count(&self) -> u32 {
        self.geometry.part_count(self.size_bytes)
    }

    /// Sealed bytes of a part, which **must** be one of this upload.
    pub(super) fn part_length(&self, part: u32) -> u64 {
        self.geometry.sealed_part_len(self.geometry.part_plain_len(self.size_bytes, part))
    }
}

/// An encryption of a part for which a URL was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Candidate {
    #[n(0)]
    pub(super) part: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) sha256: [u8; 32],
    /// Whether a second URL was given out for it.
    #[n(2)]
    pub(super) is_repeated: bool,
}

/// What the client says of a part that it saw the bucket take.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Confirmation {
    #[n(0)]
    pub(super) part: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(super) salt: Salt,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(super) sha256: [u8; 32],
    #[n(3)]
    pub(super) etag: Option<String>,
}

/// A candidate as it was found under its salt, to be set again.
pub(super) type FoundCandidate = Option<(Candidate, Found)>;

/// The records of all uploads.
pub(super) struct Drafts {
    state: State,
    drafts: Table,
}

impl Drafts {
    pub(super) fn new(state: State) -> Self {
        Self { drafts: state.table("uploads"), state }
    }

    pub(super) async fn get(&self, id: BlobId) -> Result<Option<Draft>, VaultError> {
        let found = self.drafts.get(&id.hex()).await?;
        Ok(found.and_then(|found| minicbor::decode(&found.value).ok()))
    }

    pub(super) async fn put(&self, draft: &Draft, now_ms: u64) -> Result<(), VaultError> {
        let ttl_ms = draft.expires_ms.saturating_sub(now_ms) + GRACE_MS;
        Ok(self.drafts.put_many(&[(draft.id.hex(), encoded(draft))], ttl_ms).await?)
    }

    /// Every draft. What this vault did not seal, or another version wrote, goes.
    pub(super) async fn all(&self) -> Result<Vec<Draft>, VaultError> {
        let mut drafts = Vec::new();
        for (field, found) in self.drafts.all().await? {
            match found.ok().and_then(|found| minicbor::decode(&found.value).ok()) {
                Some(draft) => drafts.push(draft),
                None => _ = self.drafts.remove(&field).await?,
            }
        }
        Ok(drafts)
    }

    /// Removes all records of an upload.
    pub(super) async fn remove(&self, id: BlobId) -> Result<(), VaultError> {
        self.candidates_of(id).clear(None).await?;
        self.parts_of(id).clear(None).await?;
        self.drafts.remove(&id.hex()).await?;
        Ok(())
    }

    /// What was found under each salt.
    pub(super) async fn candidates(&self, id: BlobId, salts: &[Salt]) -> Result<Vec<FoundCandidate>, VaultError> {
        let fields: Vec<String> = salts.iter().map(|salt| HEXLOWER.encode(salt)).collect();
        let found = self.candidates_of(id).get_many(&fields).await?.into_iter();
        let decode = |found: Found| Ok((minicbor::decode(&found.value).map_err(|_| StateError::Corrupt)?, found));
        Ok(found.map(|found| found.map(decode).transpose()).collect::<Result<_, StateError>>()?)
    }

    /// Every candidate.
    pub(super) async fn all_candidates(&self, id: BlobId) -> Result<Vec<Candidate>, VaultError> {
        let all = self.candidates_of(id).all().await?.into_iter();
        let decode = |found: Found| minicbor::decode(&found.value).map_err(|_| StateError::Corrupt);
        Ok(all.map(|(_, found)| found.and_then(decode)).collect::<Result<_, StateError>>()?)
    }

    /// Sets candidates by their salts if each still is what was found.
    pub(super) async fn set_candidates(
        &self,
        draft: &Draft,
        changes: Vec<(Salt, Option<Found>, Candidate)>,
        max: usize,
        now_ms: u64,
    ) -> Result<Outcome, VaultError> {
        let change =
            |(salt, found, candidate): (Salt, _, Candidate)| (HEXLOWER.encode(&salt), found, encoded(&candidate));
        let changes: Vec<_> = changes.into_iter().map(change).collect();
        let ttl_ms = draft.expires_ms.saturating_sub(now_ms) + GRACE_MS;
        Ok(self.candidates_of(draft.id).set_many(&changes, max, ttl_ms).await?)
    }

    /// Confirms parts, in place of what was confirmed before.
    pub(super) async fn confirm(&self, draft: &Draft, parts: &[Confirmation], now_ms: u64) -> Result<u64, VaultError> {
        let table = self.parts_of(draft.id);
        let values: Vec<_> = parts.iter().map(|part| (part.part.to_string(), encoded(part))).collect();
        table.put_many(&values, draft.expires_ms.saturating_sub(now_ms) + GRACE_MS).await?;
        Ok(table.count().await?)
    }

    /// Makes parts unconfirmed.
    pub(super) async fn take_back(&self, id: BlobId, parts: &[u32]) -> Result<(), VaultError> {
        for part in parts {
            self.parts_of(id).remove(&part.to_string()).await?;
        }
        Ok(())
    }

    pub(super) async fn confirmed_count(&self, id: BlobId) -> Result<u64, VaultError> {
        Ok(self.parts_of(id).count().await?)
    }

    /// Every confirmed part, in order.
    pub(super) async fn confirmed(&self, id: BlobId) -> Result<Vec<Confirmation>, VaultError> {
        let all = self.parts_of(id).all().await?.into_iter();
        let decode = |found: Found| minicbor::decode(&found.value).map_err(|_| StateError::Corrupt);
        let mut parts: Vec<Confirmation> = all.map(|(_, found)| found.and_then(decode)).collect::<Result<_, _>>()?;
        parts.sort_unstable_by_key(|part| part.part);
        Ok(parts)
    }

    fn candidates_of(&self, id: BlobId) -> Table {
        self.state.table_of("upload-candidates", &id.hex())
    }

    fn parts_of(&self, id: BlobId) -> Table {
        self.state.table_of("upload-parts", &id.hex())
    }
}

fn encoded<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory can't fail")
}

impl From<StateError> for VaultError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Unavailable => Self::StateUnavailable,
            // What Redis holds may be lost, and this is.
            StateError::Corrupt => Self::UploadNotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::fixture;

    fn draft(target: Target) -> Draft {
        let blob = fixture::blob(1, (8 << 20) + 1);
        let asked = Asked {
            target,
            size_bytes: blob.size_bytes,
            geometry: blob.geometry,
            media_type: Some(blob.media_type),
            fingerprint: [1; 32],
            idempotency: Some([2; 32]),
        };
        Draft::new(blob.id, asked, blob.dek, Some(&MultipartId::new("m".into())), Checksum::Md5, (1, 2))
    }

    #[test]
    fn a_draft_reads_back_with_its_target() {
        let name = FileName::parse("a").unwrap();
        for target in [
            Target::New { parent: NodeId::ROOT, name, on_conflict: OnConflict::KeepBoth },
            Target::Version { file: NodeId::from_bytes([3; 16]), if_match: None },
            Target::Version { file: NodeId::from_bytes([3; 16]), if_match: Some(BlobId([4; 16])) },
        ] {
            let draft = draft(target.clone());
            assert_eq!(draft.target(), target);
            assert_eq!(minicbor::decode::<Draft>(&encoded(&draft)).unwrap(), draft);
            assert_eq!((draft.part_count(), draft.part_length(0), draft.part_length(1)), (2, 8_396_872, 56 + 1 + 16));
        }
    }
}
