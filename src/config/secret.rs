//! Values that must never be printed.
//!
//! They wipe themselves when dropped and redact `Debug`; there is no `Display` and no `Serialize`, so that a secret
//! reaches a log line only through a call to [`Secret::expose`], which is easy to find in review.

use std::fmt;

use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A text that must not be printed: a password, a token, a key of the bucket.
///
/// Two secrets are deliberately not comparable with `==`: whoever compares decides whether that must take equal time.
#[derive(Clone, Default, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over; the caller must not keep a copy.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. The caller must not log it nor put it into an error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// One entry of `VAULT_KEYS`: the name an operator knows it by, and 32 bytes.
#[derive(Clone)]
pub struct RootSecret {
    /// The name in front of the colon; public.
    pub name: String,
    /// The key itself.
    pub bytes: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootSecret({}, [secret])", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new("canary-1".into());
        let root = RootSecret { name: "main".into(), bytes: Zeroizing::new([7; 32]) };
        assert_eq!(format!("{secret:?} {root:?}"), "[secret] RootSecret(main, [secret])");
        assert_eq!(secret.expose(), "canary-1");
    }
}
