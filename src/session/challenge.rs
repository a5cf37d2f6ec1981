//! Challenges for passkeys: random, for one purpose, over after [`CHALLENGE_LIFE_MS`].
//!
//! A challenge carries its end and a code of the vault over both and its purpose, so giving one out keeps nothing:
//! strangers may ask for as many as they like. That one is used once is seen to where it was used well.

use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::token::keyed;
use crate::config::Secret;
use crate::crypto::random;

/// How long a challenge may be answered.
pub const CHALLENGE_LIFE_MS: u64 = 5 * 60_000;

const TIME_BYTES: usize = 8;
const RANDOM_BYTES: usize = 16;
const CODE_BYTES: usize = 32;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Challenges(Arc<Zeroizing<[u8; 32]>>);

impl Challenges {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(Arc::new(keyed(secret.expose().as_bytes(), b"coffer/1/passkey-challenge")))
    }

    pub(super) fn make(&self, purpose: &str, now_ms: u64) -> Vec<u8> {
        let mut challenge = now_ms.saturating_add(CHALLENGE_LIFE_MS).to_be_bytes().to_vec();
        challenge.extend(random::bytes::<RANDOM_BYTES>());
        let code = self.code(purpose, &challenge);
        challenge.extend(code.as_slice());
        challenge
    }

    /// Whether it was made for that purpose and is not over.
    pub(super) fn is_good(&self, purpose: &str, challenge: &[u8], now_ms: u64) -> bool {
        let Some((body, code)) = challenge.split_last_chunk::<CODE_BYTES>() else { return false };
        let Some((ends, rest)) = body.split_first_chunk::<TIME_BYTES>() else { return false };
        let is_ours = rest.len() == RANDOM_BYTES && bool::from(self.code(purpose, body).ct_eq(code));
        is_ours && now_ms < u64::from_be_bytes(*ends)
    }

    fn code(&self, purpose: &str, body: &[u8]) -> Zeroizing<[u8; 32]> {
        keyed(self.0.as_slice(), &[body, purpose.as_bytes()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_good_for_its_purpose_and_time_alone() {
        let challenges = Challenges::new(&Secret::new("a secret".into()));
        let made = challenges.make("login", 1_000);
        assert_ne!(made, challenges.make("login", 1_000));
        assert!(challenges.is_good("login", &made, 1_000));
        assert!(challenges.is_good("login", &made, 1_000 + CHALLENGE_LIFE_MS - 1));
        assert!(!challenges.is_good("login", &made, 1_000 + CHALLENGE_LIFE_MS));
        assert!(!challenges.is_good("other", &made, 1_000));
        assert!(!Challenges::new(&Secret::new("another".into())).is_good("login", &made, 1_000));
        for at in 0..made.len() {
            let mut flipped = made.clone();
            flipped[at] ^= 1;
            assert!(!challenges.is_good("login", &flipped, 1_000), "{at}");
            assert!(!challenges.is_good("login", &made[..at], 1_000), "{at}");
        }
        assert!(!challenges.is_good("login", &[made.as_slice(), &[0]].concat(), 1_000));
    }
}
