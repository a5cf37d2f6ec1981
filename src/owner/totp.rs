//! Codes of an authenticator app (TOTP, RFC 6238): SHA-1, six digits, thirty seconds, as every app does them.
//!
//! A code counts in its own step and in those beside it. Codes are compared in equal time. That a step is used once is
//! the caller's to see to: this file only says which step a code belongs to.

use std::fmt;

use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use crate::crypto::random;

/// Digits of a code.
pub const TOTP_DIGITS: usize = 6;

/// How long a step lasts.
pub const TOTP_STEP_SECS: u64 = 30;

/// After this a step can't be used any more, whatever the clocks.
pub const TOTP_STEP_LIFE_MS: u64 = 4 * TOTP_STEP_SECS * 1_000;

/// Bytes of a secret: what HMAC-SHA-1 gives (RFC 4226, 4, R6).
const SECRET_BYTES: usize = 20;

const ISSUER: &str = "Coffer";

/// What an authenticator app and the vault share.
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl TotpSecret {
    /// A new one.
    pub fn generate() -> Self {
        Self(Zeroizing::new(random::bytes()))
    }

    /// Reads what [`TotpSecret::bytes`] gave.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The secret itself.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// As people type it into an app.
    pub fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::BASE32_NOPAD.encode(self.bytes()))
    }

    /// What a QR code for apps holds (the "Key URI Format" that they share).
    pub fn uri(&self, account: &str) -> Zeroizing<String> {
        let account: String = url::form_urlencoded::byte_serialize(account.as_bytes()).collect();
        let (account, secret) = (account.replace('+', "%20"), self.base32());
        let secret = secret.as_str();
        Zeroizing::new(format!(
            "otpauth://totp/{ISSUER}:{account}?secret={secret}&issuer={ISSUER}&algorithm=SHA1&digits={TOTP_DIGITS}\
             &period={TOTP_STEP_SECS}"
        ))
    }

    /// The step that a code belongs to, when it is one that counts now.
    pub fn step_of(&self, code: &str, now_ms: u64) -> Option<u64> {
        let is_code = code.len() == TOTP_DIGITS && code.bytes().all(|byte| byte.is_ascii_digit());
        is_code.then(|| self.totp().check(code, now_ms / 1_000)).flatten()
    }

    fn totp(&self) -> Totp {
        let built = Builder::new().with_secret(*self.0).build();
        built.expect("the secret has the length that the RFC wants, and the rest are its defaults")
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret([secret])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, SHA-1: seconds and the code's last six digits.
    const VECTORS: [(u64, &str); 6] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    fn secret() -> TotpSecret {
        TotpSecret::from_slice(b"12345678901234567890").unwrap()
    }

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        for (secs, code) in VECTORS {
            assert_eq!(secret().step_of(code, secs * 1_000), Some(secs / 30), "{secs}");
        }
    }

    #[test]
    fn a_code_counts_in_its_step_and_in_those_beside_it_and_no_further() {
        let (secs, code) = VECTORS[3];
        let step = secs / 30;
        for (now, counts) in [(step - 2, false), (step - 1, true), (step, true), (step + 1, true), (step + 2, false)] {
            for at in [now * 30, now * 30 + 29] {
                assert_eq!(secret().step_of(code, at * 1_000), counts.then_some(step), "{at}");
            }
        }
        const { assert!(TOTP_STEP_LIFE_MS >= 3 * TOTP_STEP_SECS * 1_000) };
    }

    #[test]
    fn what_is_no_code_is_none() {
        let (secs, _) = VECTORS[0];
        for wrong in ["", "287083", "87082", "0287082", "287 082", "-87082", "２８７０８２", "94287082"] {
            assert_eq!(secret().step_of(wrong, secs * 1_000), None, "{wrong}");
        }
    }

    #[test]
    fn the_uri_is_what_apps_read() {
        assert_eq!(
            secret().uri("owner+a b@example.org").as_str(),
            "otpauth://totp/Coffer:owner%2Ba%20b%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Coffer\
             &algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(format!("{:?}", secret()), "TotpSecret([secret])");
    }
}
