//! How often a secret of the owner may be tried: one budget for the password, for codes and for recovery codes, wherever
//! they are asked for.
//!
//! Two windows, both counted before the secret is looked at: `LOGIN_LIMIT` tries from one network, and
//! [`ACCOUNT_FACTOR`] times as many for one account from all networks that it has not logged in from lately. Past either
//! one there is a lock-out of `LOGIN_WINDOW_SECS`, and of twice as long each time it comes again. So a stranger with many
//! addresses is bounded, and yet cannot lock the owner out of a place the owner logs in from. A passkey's signature cannot
//! be guessed, so it is neither counted nor locked out.
//! Names in Redis are keyed digests: an address could be found by trying all of them.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::client::network;
use super::token::keyed;
use super::{SessionError, away};
use crate::config::SessionConfig;
use crate::owner::{MAX_EMAIL_BYTES, fold_email};
use crate::state::{Attempt, Key, State, StateError, Ticket};

/// The account's bound, in limits of one network.
pub(super) const ACCOUNT_FACTOR: u32 = 20;

/// How long a network is remembered as one that the account logged in from.
const KNOWN_MS: u64 = 90 * 24 * 3_600 * 1_000;

pub(super) struct Budget {
    state: State,
    digest_key: Zeroizing<[u8; 32]>,
    limit: u32,
    window_ms: u64,
}

/// A try that was counted.
pub(super) struct Counted {
    network: Key,
    account: Key,
    known: Key,
    ticket: Ticket,
}

impl Budget {
    pub(super) fn new(state: State, config: &SessionConfig) -> Self {
        let secret = config.jwt_secrets.first().expect("the settings hold at least one secret");
        Self {
            state,
            digest_key: keyed(secret.expose().as_bytes(), b"coffer/1/login-limit"),
            limit: config.login_limit,
            window_ms: config.login_window_secs.saturating_mul(1_000),
        }
    }

    /// Counts a try, or says when the next one may be made.
    pub(super) async fn count(&self, email: &str, address: IpAddr, now_ms: u64) -> Result<Counted, SessionError> {
        let network = network(address).to_string();
        // An address that is too long to be one is nobody's; all of them are one account.
        let account = if email.len() > MAX_EMAIL_BYTES { String::new() } else { fold_email(email) };
        let counted = Counted {
            network: self.key("login-network", &network),
            account: self.key("login-account", &account),
            known: self.key("login-known", &format!("{network}\0{account}")),
            ticket: Ticket::new(),
        };
        self.take(&counted.network, &counted.ticket, self.limit, now_ms).await?;
        let known = match self.state.get(&counted.known).await {
            Ok(found) => found.is_some(),
            Err(StateError::Corrupt) => false,
            Err(StateError::Unavailable) => return Err(SessionError::RedisUnavailable),
        };
        if !known {
            let limit = self.limit.saturating_mul(ACCOUNT_FACTOR);
            if let Err(refused) = self.take(&counted.account, &counted.ticket, limit, now_ms).await {
                self.state.give_back(&counted.network, &counted.ticket).await.map_err(away)?;
                return Err(refused);
            }
        }
        Ok(counted)
    }

    /// After a success: the network's failures are forgotten, and it is known from now on.
    pub(super) async fn forgive(&self, counted: &Counted) -> Result<(), SessionError> {
        self.state.delete(&counted.network).await.map_err(away)?;
        self.state.give_back(&counted.account, &counted.ticket).await.map_err(away)?;
        self.state.put(&counted.known, b"", KNOWN_MS).await.map_err(away)
    }

    /// After a try that was not made.
    pub(super) async fn uncount(&self, counted: &Counted) -> Result<(), SessionError> {
        self.state.give_back(&counted.network, &counted.ticket).await.map_err(away)?;
        self.state.give_back(&counted.account, &counted.ticket).await.map_err(away)
    }

    async fn take(&self, key: &Key, ticket: &Ticket, limit: u32, now_ms: u64) -> Result<(), SessionError> {
        match self.state.attempt(key, ticket, limit, self.window_ms, now_ms).await.map_err(away)? {
            Attempt::Allowed => Ok(()),
            Attempt::Refused { retry_after_ms, begins } => {
                let retry_after_secs = retry_after_ms.div_ceil(1_000);
                if !begins {
                    return Err(SessionError::RateLimited { retry_after_secs });
                }
                tracing::warn!(retry_after_secs, "too many wrong passwords or codes: locked out");
                Err(SessionError::LockedOut { retry_after_secs })
            }
        }
    }

    fn key(&self, kind: &'static str, of: &str) -> Key {
        let digest = keyed(self.digest_key.as_slice(), format!("{kind}\0{of}").as_bytes());
        self.state.key(kind, &data_encoding::HEXLOWER.encode(&digest[..16]))
    }
}
