//! What a creation asked for, as 32 bytes: the same `Idempotency-Key` with another one is a mistake of the client.

use sha2::{Digest, Sha256};

use super::{blob::MediaType, copy::CopyTarget, id::NodeId, name::FileName, propose::Target};
use crate::crypto::BlobId;

/// SHA-256 over everything that a request asked for, but the content itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn of_folder(parent: NodeId, name: &FileName) -> Self {
        Self::of(&[b"folder", parent.as_bytes(), name.as_str().as_bytes()])
    }

    pub(super) fn of_copy(source: NodeId, target: &CopyTarget) -> Self {
        let CopyTarget { parent, name, if_taken } = target;
        let name = name.as_ref().map_or("", FileName::as_str).as_bytes();
        Self::of(&[b"copy", source.as_bytes(), parent.as_bytes(), name, &[*if_taken as u8]])
    }

    pub(super) fn of_upload(target: &Target, media_type: Option<&MediaType>, size_bytes: Option<u64>) -> Self {
        let media_type = media_type.map_or("", MediaType::as_str).as_bytes();
        let size = size_bytes.map(u64::to_be_bytes);
        let size = size.as_ref().map_or(&[][..], <[u8; 8]>::as_slice);
        match target {
            Target::New { parent, name, on_conflict } => {
                let name = name.as_str().as_bytes();
                Self::of(&[b"file", parent.as_bytes(), name, &[*on_conflict as u8], media_type, size])
            }
            Target::Version { file, if_match } => {
                let if_match = if_match.map(|version| version.0);
                let if_match = if_match.as_ref().map_or(&[][..], <[u8; 16]>::as_slice);
                Self::of(&[b"version", file.as_bytes(), if_match, media_type, size])
            }
        }
    }

    pub(super) fn of_completion(upload: BlobId, content_hash: &[u8; 32]) -> Self {
        Self::of(&[b"completion", &upload.0, content_hash])
    }

    /// Each field after its length, so that no two lists of fields give the same bytes.
    fn of(fields: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::propose::OnConflict;

    #[test]
    fn whatever_is_asked_for_differently_has_another_fingerprint() {
        let (name, other) = (FileName::parse("a").unwrap(), FileName::parse("b").unwrap());
        let new = |parent, name: &FileName, on_conflict| Target::New { parent, name: name.clone(), on_conflict };
        let version = |if_match| Target::Version { file: NodeId::ROOT, if_match };
        let png = MediaType::parse("image/png").unwrap();
        let all = [
            Fingerprint::of_folder(NodeId::ROOT, &name),
            Fingerprint::of_folder(NodeId::ROOT, &other),
            Fingerprint::of_folder(NodeId::from_bytes([1; 16]), &name),
            Fingerprint::of_upload(&new(NodeId::ROOT, &name, OnConflict::Fail), None, None),
            Fingerprint::of_upload(&new(NodeId::ROOT, &name, OnConflict::Fail), None, Some(0)),
            Fingerprint::of_upload(&new(NodeId::ROOT, &name, OnConflict::Fail), Some(&png), None),
            Fingerprint::of_upload(&new(NodeId::ROOT, &name, OnConflict::KeepBoth), None, None),
            Fingerprint::of_upload(&new(NodeId::ROOT, &other, OnConflict::Fail), None, None),
            Fingerprint::of_upload(&version(None), None, None),
            Fingerprint::of_upload(&version(Some(BlobId([0; 16]))), None, None),
            Fingerprint::of_completion(BlobId([0; 16]), &[0; 32]),
            Fingerprint::of_completion(BlobId([0; 16]), &[1; 32]),
            Fingerprint::of_completion(BlobId([1; 16]), &[0; 32]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }
}
