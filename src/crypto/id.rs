//! The 16-byte names of vaults, blobs and root keys: public, printed in lower-case hex.

use std::fmt;

use data_encoding::HEXLOWER;

use super::random;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// 32 lower-case hex digits.
            pub fn hex(&self) -> String {
                HEXLOWER.encode(&self.0)
            }

            /// Reads exactly 32 lower-case hex digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
                Some(Self(bytes.try_into().ok()?))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.hex())
            }
        }
    };
}

id! {
    /// Names a vault; drawn once, at its first start, and kept in its descriptor.
    VaultId
}
id! {
    /// Names a blob: one version of one file, or one thumbnail. Never used twice.
    BlobId
}
id! {
    /// Names a root key; derived from it, so it says nothing about it.
    Kid
}

impl VaultId {
    /// A fresh id.
    pub fn random() -> Self {
        Self(random::bytes())
    }
}

impl BlobId {
    /// A fresh id.
    pub fn random() -> Self {
        Self(random::bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_exact_in_both_directions() {
        let id = BlobId([0xab; 16]);
        assert_eq!(id.hex(), "ab".repeat(16));
        assert_eq!(format!("{id:?} {id}"), format!("{0} {0}", id.hex()));
        assert_eq!(BlobId::from_hex(&id.hex()), Some(id));
        for bad in ["", "ab", &"AB".repeat(16), &"ab".repeat(17), &"zz".repeat(16), &" b".repeat(16)] {
            assert_eq!(BlobId::from_hex(bad), None, "{bad}");
        }
    }
}
