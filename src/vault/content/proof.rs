//! A look at an object that somebody else sealed and sent, as far as it goes without reading all of it.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::crypto::{PART_HEADER, PartOpener};
use crate::vault::blob::{MediaType, SealedBlob};

use super::{ContentError, Contents, media, object_key};

/// Headers that are read at one time.
const READS_AT_ONCE: usize = 16;

impl Contents {
    /// Checks that the object can be this blob: the header of each of these parts is that of the pinned salt, first and
    /// last chunk open, and the content's beginning does not contradict its declared type. Gives the type to keep.
    pub(in crate::vault) async fn prove(
        &self,
        blob: &SealedBlob,
        parts: &BTreeSet<u32>,
        declared: Option<&MediaType>,
    ) -> Result<MediaType, ContentError> {
        // Collected first: a stream over a closure's futures would make this one impossible to spawn.
        let reads: Vec<_> = parts.iter().map(|part| self.check_header(blob, *part)).collect();
        stream::iter(reads).buffer_unordered(READS_AT_ONCE).try_collect::<()>().await?;
        let start = self.open(blob, 0..media::SNIFFED_BYTES as u64).await?.collect_bytes().await?;
        let last = blob.size_bytes.saturating_sub(1);
        self.open(blob, last..blob.size_bytes).await?.collect_bytes().await?;
        media::check(declared, &start).map_err(|_| ContentError::WrongMediaType {
            declared: declared.cloned().unwrap_or_else(MediaType::unknown),
        })
    }

    async fn check_header(&self, blob: &SealedBlob, part: u32) -> Result<(), ContentError> {
        let (shape, salt) = (self.shape(blob), blob.salts.as_slice()[part as usize]);
        let at = u64::from(part) * blob.geometry.sealed_part_len(blob.geometry.part_size());
        let header = self.store.get_range(&object_key(blob.id), at..at + PART_HEADER as u64).await?.collect().await?;
        let header: &[u8; PART_HEADER] = header.as_ref().try_into().map_err(|_| ContentError::Corrupt)?;
        Ok(PartOpener::new(&self.key(blob)?, &shape.part(part), &salt).check_header(header)?)
    }
}
