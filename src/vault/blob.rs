//! What the catalog keeps about a sealed object: everything needed to open it, nothing that is in it.

use std::{fmt, sync::Arc};

use minicbor::{Decode, Encode};

use crate::crypto::{BlobId, Geometry, Salt, WrappedDek};

use super::codec;

/// Longest media type, in bytes.
pub const MAX_MEDIA_TYPE_BYTES: usize = 255;

/// One sealed object in the bucket, written once under `blob/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SealedBlob {
    /// Its name in the bucket and in every key derived for it.
    #[cbor(n(0), with = "codec::fixed")]
    pub id: BlobId,
    /// Its data key, wrapped for its content.
    #[cbor(n(1), with = "codec::fixed")]
    pub dek: WrappedDek,
    /// The size of its parts.
    #[cbor(n(2), with = "codec::geometry")]
    pub geometry: Geometry,
    /// Bytes of plaintext.
    #[n(3)]
    pub size_bytes: u64,
    /// The pinned salt of each part.
    #[n(4)]
    pub salts: Salts,
    /// SHA-256 over the concatenated SHA-256 of each part's plaintext.
    #[cbor(n(5), with = "codec::fixed")]
    pub content_hash: [u8; 32],
    /// What the content was declared to be.
    #[n(6)]
    pub media_type: MediaType,
}

impl SealedBlob {
    /// Whether there is one salt for each part that a blob of this size and geometry has.
    pub fn is_whole(&self) -> bool {
        u64::from(self.geometry.part_count(self.size_bytes)) == self.salts.as_slice().len() as u64
    }
}

/// The salts of a blob's parts, in order; at least one. Most files have one part, whose salt needs no allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct Salts(Few);

#[derive(Clone, PartialEq, Eq)]
enum Few {
    One(Salt),
    Many(Arc<[Salt]>),
}

impl Salts {
    /// The salts in the order of their parts; none without any.
    pub fn new(salts: &[Salt]) -> Option<Self> {
        match salts {
            [] => None,
            [salt] => Some(Self(Few::One(*salt))),
            salts => Some(Self(Few::Many(salts.into()))),
        }
    }

    /// The salts in the order of their parts.
    pub fn as_slice(&self) -> &[Salt] {
        match &self.0 {
            Few::One(salt) => std::slice::from_ref(salt),
            Few::Many(salts) => salts,
        }
    }
}

impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} salts]", self.as_slice().len())
    }
}

/// A media type, for example `image/png` or `text/plain; charset=utf-8`.
///
/// One pointer wide: the catalog keeps one text for all files of a type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Arc<Box<str>>);

/// The text is no media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a media type looks like type/subtype and has at most {MAX_MEDIA_TYPE_BYTES} bytes")]
pub struct InvalidMediaType;

impl MediaType {
    /// Checks a media type and gives it its usual form.
    ///
    /// # Errors
    /// [`InvalidMediaType`] when it is none, or longer than [`MAX_MEDIA_TYPE_BYTES`].
    pub fn parse(text: &str) -> Result<Self, InvalidMediaType> {
        if text.len() > MAX_MEDIA_TYPE_BYTES {
            return Err(InvalidMediaType);
        }
        let parsed: mime::Mime = text.trim().parse().map_err(|_| InvalidMediaType)?;
        if [parsed.type_(), parsed.subtype()].iter().any(|part| *part == mime::STAR || *part == "") {
            return Err(InvalidMediaType);
        }
        Ok(Self::accepted(parsed.as_ref()))
    }

    /// `application/octet-stream`: nothing is known about the content.
    pub fn unknown() -> Self {
        Self::accepted(mime::APPLICATION_OCTET_STREAM.as_ref())
    }

    /// The media type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A media type that this catalog already accepted.
    pub(super) fn accepted(text: &str) -> Self {
        Self(Arc::new(text.into()))
    }
}

impl std::borrow::Borrow<str> for MediaType {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_checked() {
        for (given, kept) in [
            ("image/png", "image/png"),
            ("Image/PNG", "image/png"),
            ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
            ("application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        ] {
            assert_eq!(MediaType::parse(given).unwrap().as_str(), kept);
        }
        let long = format!("a/{}", "b".repeat(MAX_MEDIA_TYPE_BYTES - 1));
        for given in ["", "image", "image/", "/png", "*/*", "image/*", "a/b\r\nx: y", "a/é", &long] {
            assert_eq!(MediaType::parse(given), Err(InvalidMediaType), "{given}");
        }
        assert!(MediaType::parse(&long[..MAX_MEDIA_TYPE_BYTES]).is_ok());
    }

    #[test]
    fn a_blob_has_at_least_one_salt() {
        assert!(Salts::new(&[]).is_none());
        assert_eq!(Salts::new(&[[1; 24]]).unwrap().as_slice(), [[1; 24]]);
        assert_eq!(Salts::new(&[[1; 24], [2; 24]]).unwrap().as_slice(), [[1; 24], [2; 24]]);
    }
}
