//! Nonces of the server (RFC 9449, section 8): a proof that names a fresh one was made lately, and not in advance.
//!
//! A nonce is a keyed digest of the present window of time, so none is kept, every clone and every restart of the vault
//! knows the same ones, and nobody else can tell the next. One is good in its own window and in the one after.

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::token::keyed;
use crate::config::Secret;

/// How long the same nonce is given out; it is good for one to two times as long.
pub const NONCE_WINDOW_MS: u64 = 300_000;

pub(super) struct Nonces {
    key: Zeroizing<[u8; 32]>,
}

impl Nonces {
    pub(super) fn new(secret: &Secret) -> Self {
        Self { key: keyed(secret.expose().as_bytes(), b"coffer/1/proof-nonce") }
    }

    /// The nonce to give out.
    pub(super) fn current(&self, now_ms: u64) -> String {
        self.of_window(now_ms / NONCE_WINDOW_MS)
    }

    /// Whether a nonce is good now.
    pub(super) fn holds(&self, nonce: &str, now_ms: u64) -> bool {
        let window = now_ms / NONCE_WINDOW_MS;
        [window, window.saturating_sub(1)]
            .into_iter()
            .any(|window| bool::from(self.of_window(window).as_bytes().ct_eq(nonce.as_bytes())))
    }

    fn of_window(&self, window: u64) -> String {
        let digest = keyed(self.key.as_slice(), &window.to_be_bytes());
        BASE64URL_NOPAD.encode(&digest[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_in_its_window_and_the_next() {
        let nonces = Nonces::new(&Secret::new("one".into()));
        let begun = 7 * NONCE_WINDOW_MS;
        let nonce = nonces.current(begun);
        assert_eq!(nonce, nonces.current(begun + NONCE_WINDOW_MS - 1));
        assert_ne!(nonce, nonces.current(begun + NONCE_WINDOW_MS));
        assert!(nonces.holds(&nonce, begun) && nonces.holds(&nonce, begun + 2 * NONCE_WINDOW_MS - 1));
        assert!(!nonces.holds(&nonce, begun + 2 * NONCE_WINDOW_MS), "two windows later");
        assert!(!nonces.holds(&nonce, begun - 1), "not before its time");
        assert!(!nonces.holds("", begun) && !nonces.holds(&nonce[1..], begun));
        assert!(!Nonces::new(&Secret::new("two".into())).holds(&nonce, begun), "another secret's");
    }
}
