//! The identity of a node: 16 random bytes made by the vault, never by a client, and never derived from a name.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;

use crate::crypto::random;

/// A version of a file is named by its blob: one version, one blob.
pub use crate::crypto::BlobId as VersionId;

/// Names one folder or file for as long as it exists.
///
/// Text form: 32 lower-case hex digits; the root folder prints as `root`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 16]);

impl NodeId {
    /// The folder that holds everything; it always exists.
    pub const ROOT: NodeId = NodeId([0; 16]);

    /// A fresh random id.
    pub fn generate() -> Self {
        Self(random::bytes())
    }

    /// The id made of these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The text is not the id of any node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 lower-case hex digits, or root")]
pub struct InvalidId;

impl FromStr for NodeId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == "root" {
            return Ok(Self::ROOT);
        }
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| InvalidId)?;
        Ok(Self(bytes.try_into().map_err(|_| InvalidId)?))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ROOT { f.write_str("root") } else { f.write_str(&HEXLOWER.encode(&self.0)) }
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text() {
        let id = NodeId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("root".parse(), Ok(NodeId::ROOT));
        assert_eq!("00000000000000000000000000000000".parse(), Ok(NodeId::ROOT));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "Root", "..", "0", "000000000000000000000000000000000", "0000000000000000000000000000000G"] {
            assert_eq!(text.parse::<NodeId>(), Err(InvalidId), "{text}");
        }
        assert_eq!("ABCDEFABCDEFABCDEFABCDEFABCDEFAB".parse::<NodeId>(), Err(InvalidId));
    }
}
