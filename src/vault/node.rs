//! A folder or file as the index holds it.

use std::{fmt, ops::Deref, str::FromStr, sync::Arc};

use minicbor::{Decode, Encode};

use super::{
    blob::SealedBlob,
    codec,
    id::{NodeId, VersionId},
    name::FileName,
};

/// The change that last touched a node: its entry in the log and its place in it. Clients compare it with `If-Match`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    /// Sequence number of the entry.
    pub seq: u64,
    /// The operation's place in the entry.
    pub index: u32,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.index)
    }
}

/// The text is no revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a revision is two numbers with \"-\" between them")]
pub struct InvalidRevision;

impl FromStr for Revision {
    type Err = InvalidRevision;

    fn from_str(text: &str) -> Result<Self, InvalidRevision> {
        let (seq, index) = text.split_once('-').ok_or(InvalidRevision)?;
        let revision =
            Self { seq: seq.parse().map_err(|_| InvalidRevision)?, index: index.parse().map_err(|_| InvalidRevision)? };
        // One revision has one text.
        if revision.to_string() == text { Ok(revision) } else { Err(InvalidRevision) }
    }
}

/// Where a node stands by itself. Whether it is in the trash is decided together with the folders above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) enum Standing {
    /// Listed in its parent.
    #[n(0)]
    Live,
    /// In the trash by itself; parent and name are those it had, for its return.
    #[n(1)]
    Trashed {
        /// When it was put there, in Unix milliseconds.
        #[n(0)]
        since_ms: u64,
    },
    /// Deleted for ever, waiting to be purged with all below it; invisible.
    #[n(2)]
    Discarded,
}

/// One state of a file's content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Version {
    /// The sealed object.
    #[n(0)]
    pub(super) blob: SealedBlob,
    /// When it became the file's content, in Unix milliseconds.
    #[n(1)]
    pub(super) created_ms: u64,
}

impl Version {
    /// The version's name.
    pub(super) fn id(&self) -> VersionId {
        self.blob.id
    }
}

/// A file's content, now and before.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct File {
    /// What the file is now.
    #[n(0)]
    pub(super) current: Version,
    /// What it was, oldest first.
    #[n(1)]
    pub(super) older: Older,
}

/// A file's older versions, oldest first. Shared, so that a change of name does not copy a long history; a file without
/// any, as most are, has a single pointer to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Older(Option<Arc<Vec<Version>>>);

impl Older {
    /// Whether these are the same versions for certain, at a glance.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

impl Deref for Older {
    type Target = [Version];

    fn deref(&self) -> &[Version] {
        self.0.as_ref().map_or(&[], |versions| versions.as_slice())
    }
}

impl FromIterator<Version> for Older {
    fn from_iter<I: IntoIterator<Item = Version>>(versions: I) -> Self {
        let mut versions: Vec<Version> = versions.into_iter().collect();
        versions.shrink_to_fit();
        Self((!versions.is_empty()).then(|| Arc::new(versions)))
    }
}

impl<C> Encode<C> for Older {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self[..].encode(encoder, context)
    }
}

impl<'b, C> Decode<'b, C> for Older {
    fn decode(decoder: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
        Ok(Vec::decode(decoder, context)?.into_iter().collect())
    }
}

impl File {
    /// All versions, oldest first.
    pub(super) fn versions(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.older.iter().chain(std::iter::once(&self.current))
    }

    /// The older versions with the moment each was replaced, in Unix milliseconds.
    pub(super) fn replaced(&self) -> impl Iterator<Item = (&Version, u64)> {
        self.older.iter().zip(self.versions().skip(1).map(|next| next.created_ms))
    }
}

/// What a node is.
#[expect(clippy::large_enum_variant, reason = "nearly all nodes are files, and a box costs each an allocation")]
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) enum Content {
    /// It holds other nodes.
    #[n(0)]
    Folder,
    /// It holds bytes.
    #[n(1)]
    File(#[n(0)] File),
}

/// A folder or file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Node {
    /// Its identity.
    #[cbor(n(0), with = "codec::fixed")]
    pub(super) id: NodeId,
    /// The folder it is in, or was in before the trash; the root is its own parent.
    #[cbor(n(1), with = "codec::fixed")]
    pub(super) parent: NodeId,
    /// Its name there.
    #[n(2)]
    pub(super) name: FileName,
    /// Whether it stands in its parent.
    #[n(3)]
    pub(super) standing: Standing,
    /// Marked by the owner.
    #[n(4)]
    pub(super) starred: bool,
    /// When it was made, in Unix milliseconds.
    #[n(5)]
    pub(super) created_ms: u64,
    /// The entry that last touched it, see [`Node::revision`].
    #[n(6)]
    pub(super) seq: u64,
    /// The operation's place in that entry. Apart from `seq` so that the node stays small.
    #[n(7)]
    pub(super) index: u32,
    /// What it is.
    #[n(8)]
    pub(super) content: Content,
}

impl Node {
    /// The change that last touched it.
    pub(super) fn revision(&self) -> Revision {
        Revision { seq: self.seq, index: self.index }
    }

    /// The file, when it is one.
    pub(super) fn file(&self) -> Option<&File> {
        match &self.content {
            Content::Folder => None,
            Content::File(file) => Some(file),
        }
    }

    /// Whether it can hold other nodes.
    pub(super) fn is_folder(&self) -> bool {
        matches!(self.content, Content::Folder)
    }

    /// When its content last changed, in Unix milliseconds; a folder's is its making.
    pub(super) fn modified_ms(&self) -> u64 {
        self.file().map_or(self.created_ms, |file| file.current.created_ms)
    }

    /// Bytes of its current content.
    pub(super) fn size_bytes(&self) -> u64 {
        self.file().map_or(0, |file| file.current.blob.size_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_reads_back_from_its_only_text() {
        let revision = Revision { seq: u64::MAX, index: 7 };
        assert_eq!(revision.to_string().parse(), Ok(revision));
        for text in ["", "1", "-", "1-", "-1", "01-1", "+1-1", "1-1-1", "1-4294967296", "18446744073709551616-0"] {
            assert_eq!(text.parse::<Revision>(), Err(InvalidRevision), "{text}");
        }
    }

    #[test]
    fn the_form_of_a_standing_and_of_a_content_is_fixed() {
        let bytes = |standing| minicbor::to_vec::<Standing>(standing).unwrap();
        assert_eq!(bytes(Standing::Live), [0x82, 0, 0x80]);
        assert_eq!(bytes(Standing::Trashed { since_ms: 7 }), [0x82, 1, 0x81, 7]);
        assert_eq!(bytes(Standing::Discarded), [0x82, 2, 0x80]);
        assert_eq!(minicbor::to_vec(Content::Folder).unwrap(), [0x82, 0, 0x80]);
    }

    #[test]
    fn a_node_stays_small() {
        // 400 bytes a file: 304 here with a name of up to 22 bytes in it, and the rest in the index's tables.
        assert!(size_of::<Option<Node>>() <= 304, "{}", size_of::<Option<Node>>());
    }
}
