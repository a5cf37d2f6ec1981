//! Leases: who may make a vault at a place, and who may write a vault.
//!
//! A lease gives liveness, not safety: its holder may be paused past its end, so everything that lasts is guarded again
//! (by the log's markers and by the anchor's script).

use redis::Cmd;

use super::{Redis, State, StateError, decimal};
use crate::crypto::{VaultId, random};

/// Takes the lease when it is free, and also when it is the caller's already (an answer may have been lost).
const ACQUIRE: &str = r"
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

const RENEW: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1";

const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1";

impl Redis {
    /// The right to make a vault at a place that has none; `location_digest` names endpoint, bucket and prefix.
    /// `None` while another process holds it.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    pub async fn bootstrap_lease(
        &self,
        location_digest: &[u8; 32],
        ttl_ms: u64,
    ) -> Result<Option<BootstrapLease>, StateError> {
        let key = location_key("bootstrap", location_digest);
        let lease = BootstrapLease { redis: self.clone(), key, holder: random::bytes() };
        let taken = lease.redis.acquire(&lease.key, &lease.holder, ttl_ms).await?;
        Ok(taken.then_some(lease))
    }

    /// Remembers which vault is at a place, so that a place found empty later is an alarm and not a new vault.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may be remembered.
    pub async fn remember_vault(&self, location_digest: &[u8; 32], vault_id: VaultId) -> Result<(), StateError> {
        self.call(&Cmd::set(location_key("location", location_digest), &vault_id.0)).await
    }

    /// The vault that is remembered at a place; `None` when Redis knows of none.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; [`StateError::Corrupt`] when what is there is no vault's id.
    pub async fn remembered_vault(&self, location_digest: &[u8; 32]) -> Result<Option<VaultId>, StateError> {
        let found: Option<Vec<u8>> = self.call(&Cmd::get(location_key("location", location_digest))).await?;
        found.map(|id| id.try_into().map(VaultId).map_err(|_| StateError::Corrupt)).transpose()
    }

    async fn acquire(&self, key: &str, holder: &[u8], ttl_ms: u64) -> Result<bool, StateError> {
        self.run(ACQUIRE, &[key], &[holder, &decimal(ttl_ms)]).await
    }

    async fn renew(&self, key: &str, holder: &[u8], ttl_ms: u64) -> Result<bool, StateError> {
        self.run(RENEW, &[key], &[holder, &decimal(ttl_ms)]).await
    }

    async fn release(&self, key: &str, holder: &[u8]) -> Result<(), StateError> {
        self.run(RELEASE, &[key], &[holder]).await
    }
}

/// The right to make a vault at a place, until it ends or is released. Not sealed, for the vault has no keys yet; its
/// value is random and says nothing.
pub struct BootstrapLease {
    redis: Redis,
    key: String,
    holder: [u8; 16],
}

impl BootstrapLease {
    /// Holds it for `ttl_ms` more; `false` when it was lost.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    pub async fn renew(&self, ttl_ms: u64) -> Result<bool, StateError> {
        self.redis.renew(&self.key, &self.holder, ttl_ms).await
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it then ends by itself.
    pub async fn release(self) -> Result<(), StateError> {
        self.redis.release(&self.key, &self.holder).await
    }
}

impl State {
    /// Makes `writer` the only writer for `ttl_ms`; `false` while another one is.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; `writer` may hold the lease then.
    pub async fn acquire_lease(&self, writer: [u8; 8], ttl_ms: u64) -> Result<bool, StateError> {
        self.redis.acquire(&self.lease_key(), &holder(writer), ttl_ms).await
    }

    /// Holds the lease for `ttl_ms` from now; `false` when it was lost, also to nobody.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    pub async fn renew_lease(&self, writer: [u8; 8], ttl_ms: u64) -> Result<bool, StateError> {
        self.redis.renew(&self.lease_key(), &holder(writer), ttl_ms).await
    }

    /// Takes the lease from whoever holds it, by the operator's word; the holder finds out at its next renewal.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it may have been taken.
    pub async fn break_lease(&self) -> Result<(), StateError> {
        self.redis.call(&Cmd::del(self.lease_key())).await
    }

    /// Gives the lease back if `writer` holds it.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; it then ends by itself.
    pub async fn release_lease(&self, writer: [u8; 8]) -> Result<(), StateError> {
        self.redis.release(&self.lease_key(), &holder(writer)).await
    }

    pub(super) fn lease_key(&self) -> String {
        self.name("lease")
    }
}

/// What belongs to a place rather than to a vault begins with the product's name.
fn location_key(kind: &str, location_digest: &[u8; 32]) -> String {
    format!("coffer:{kind}:{}", data_encoding::HEXLOWER.encode(location_digest))
}

/// A writer as the lease's value: hex, so that an operator can compare it with the names under `writer/`.
pub(super) fn holder(writer: [u8; 8]) -> Vec<u8> {
    data_encoding::HEXLOWER.encode(&writer).into_bytes()
}
