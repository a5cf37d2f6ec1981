//! The one owner: an e-mail address and a password, both from the environment, and second factors out of the vault.
//!
//! Guarantees: every check of a password costs one Argon2id computation, whether the address is right or not, so that
//! neither answer nor work tells them apart; computations run beside the async threads, a bounded number at one time
//! with a bounded number waiting, and one more is [`Busy`] before it costs anything; what is longer than a password can
//! be is turned away before it is hashed.
//!
//! It deliberately does not know sessions, limits by address, or HTTP.

mod factors;
mod passkey;
mod password;
mod token;
mod recovery;
mod totp;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::config::OwnerConfig;
use crate::crypto::sha256;

pub use factors::{
    Demand, Enrolled, FactorError, Factors, MAX_PASSKEY_NAME_CHARS, MAX_PASSKEYS, PasskeyId, PasskeyView, reset_factors,
};
pub use passkey::{ALGORITHMS, Assertion, Credential, Refused, Registration, RelyingParty};
pub use password::{MAX_PASSWORD_BYTES, hash_password};
pub use recovery::{RECOVERY_CODES, RecoverySet};
pub use token::{
    AppToken, AppTokens, MAX_TOKENS, NewToken, TOKEN_PREFIX, TokenError, TokenId, TokenScope, TokenScopes,
};
pub use totp::{TOTP_DIGITS, TOTP_STEP_LIFE_MS, TOTP_STEP_SECS, TotpSecret};

use password::Verifier;

/// The longest e-mail address there is (RFC 5321, 4.5.3.1.3, without the brackets).
pub const MAX_EMAIL_BYTES: usize = 254;

/// Checks that may wait for each one that runs.
const WAITING_PER_JOB: usize = 8;

/// Why a password cannot be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// It is longer than [`MAX_PASSWORD_BYTES`].
    #[error("the password is longer than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// The given hash is none that this program can check.
    #[error("the password's hash is not a usable Argon2id hash")]
    UnusableHash,
}

/// So many passwords are being checked that one more is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

/// The owner, as far as the environment says who it is. Cheap to clone.
#[derive(Clone)]
pub struct Owner(Arc<Inner>);

struct Inner {
    address: String,
    email: [u8; 32],
    verifier: Verifier,
    credential: [u8; 32],
    /// A place to run or to wait in.
    places: Arc<Semaphore>,
    /// A thread to run on.
    jobs: Arc<Semaphore>,
    checks: AtomicU64,
}

impl Owner {
    /// Takes the owner from the settings. A plain password is hashed here, which takes a moment of one processor.
    ///
    /// # Errors
    /// [`OwnerError`] for a password that nobody could log in with.
    pub fn new(config: &OwnerConfig) -> Result<Self, OwnerError> {
        let email = fold_email(&config.email);
        let verifier = Verifier::new(&config.password, &email)?;
        let credential = verifier.credential_digest(&email);
        let jobs = config.argon2_jobs.max(1);
        Ok(Self(Arc::new(Inner {
            email: sha256(email.as_bytes()),
            address: email,
            verifier,
            credential,
            places: Arc::new(Semaphore::new(jobs * (1 + WAITING_PER_JOB))),
            jobs: Arc::new(Semaphore::new(jobs)),
            checks: AtomicU64::new(0),
        })))
    }

    /// Whether these are the owner's e-mail address (without regard to case) and password. Dropping the future gives up
    /// the place in the queue, not a computation that has begun.
    ///
    /// # Errors
    /// [`Busy`] when too many are waiting already.
    pub async fn verify(&self, email: &str, password: &str) -> Result<bool, Busy> {
        if email.len() > MAX_EMAIL_BYTES {
            return Ok(false);
        }
        let is_password = self.verify_password(password).await?;
        let is_email = sha256(fold_email(email).as_bytes()).ct_eq(&self.0.email);
        Ok(bool::from(is_email) & is_password)
    }

    /// Whether this is the owner's password, as [`Owner::verify`].
    ///
    /// # Errors
    /// [`Busy`] when too many are waiting already.
    pub async fn verify_password(&self, password: &str) -> Result<bool, Busy> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Ok(false);
        }
        let place = self.0.places.clone().try_acquire_owned().map_err(|_| Busy)?;
        let job = self.0.jobs.clone().acquire_owned().await.map_err(|_| Busy)?;
        let (inner, password) = (self.0.clone(), password::normal(password));
        tokio::task::spawn_blocking(move || {
            let _held_to_the_end = (place, job);
            inner.checks.fetch_add(1, Ordering::Relaxed);
            inner.verifier.matches(&password)
        })
        .await
        .map_err(|_| Busy)
    }

    /// The owner's e-mail address, as it is compared and counted.
    pub fn email(&self) -> &str {
        &self.0.address
    }

    /// A digest that changes with the e-mail address and with the password. Whoever has it must still spend one Argon2id
    /// computation for each password they try.
    pub fn credential_digest(&self) -> [u8; 32] {
        self.0.credential
    }

    /// How many passwords were hashed to be checked since the start.
    pub fn checks(&self) -> u64 {
        self.0.checks.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner")
    }
}

/// An e-mail address as it is compared and counted: without case, composed.
pub fn fold_email(email: &str) -> String {
    email.to_lowercase().nfc().collect()
}
