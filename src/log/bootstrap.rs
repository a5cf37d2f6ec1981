//! The vault's first object: the descriptor `vault`, which holds the vault's id.
//!
//! It is made once, under a lease for the place (endpoint, bucket, prefix), and only where nothing else is: a missing
//! descriptor beside anything of a vault is a refusal, never a new vault. What was written is read back and what was read
//! is used. A root key that is not the vault's is told by name.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tracing::info;

use super::anchor::AnchorFile;
use super::name::{CHECKPOINTS, LOGS, MARKERS};
use crate::config::{Clock, Endpoint, StoreConfig};
use crate::crypto::{
    Descriptor, FORMAT, KeyRing, Kid, OpenError, VaultId, VaultKeys, open_descriptor, seal_descriptor, sha256,
};
use crate::state::{Redis, StateError};
use crate::store::{Store, StoreError};

/// The descriptor's key.
pub const DESCRIPTOR: &str = "vault";
/// The largest descriptor that is read.
const DESCRIPTOR_MAX_BYTES: u64 = 4096;
/// How long the making of a vault is reserved.
const LEASE_MS: u64 = 30_000;
/// How often another process's making of the vault is waited for, and the pause between.
const WAITS: u32 = 40;
const WAIT: Duration = Duration::from_secs(1);

/// Where a vault lies: SHA-256 over endpoint, bucket and prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location([u8; 32]);

impl Location {
    /// The place that the settings name.
    pub fn new(config: &StoreConfig) -> Self {
        let endpoint = match &config.endpoint {
            Endpoint::Remote(url) => url.to_string(),
            Endpoint::Embedded(folder) => format!("embedded:{}", folder.display()),
        };
        let parts = [endpoint.as_str(), &config.bucket, &config.prefix];
        Self(sha256(parts.join("\0").as_bytes()))
    }
}

/// What opening a vault stands on.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The bucket.
    pub store: &'a Store,
    /// Redis.
    pub redis: &'a Redis,
    /// The root keys.
    pub ring: &'a KeyRing,
    /// The place.
    pub location: Location,
    /// The folder of anchors, if any.
    pub state_dir: Option<&'a Path>,
    /// The time.
    pub clock: &'a Clock,
}

/// Why there is no vault to work with.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// The vault is another key's.
    #[error("the vault is sealed under root key {kid}, and VAULT_KEYS holds only {names}")]
    WrongKey {
        /// The key that the descriptor names.
        kid: Kid,
        /// The keys that are there.
        names: String,
    },
    /// The descriptor does not open, though its key is there.
    #[error("the object `vault` was changed or is no vault's")]
    Damaged,
    /// The descriptor is of a later format.
    #[error("the vault has format {0}, this program knows {FORMAT}")]
    UnknownFormat(u8),
    /// Parts of a vault are there, but not its descriptor.
    #[error("the object `vault` is missing, but {0}: this is no place for a new vault")]
    Missing(String),
    /// Another process has been making the vault for too long.
    #[error("another process is making the vault at this place")]
    Busy,
    /// The folder of anchors can't be read.
    #[error("STATE_DIR can't be read: {0}")]
    StateDir(#[from] std::io::Error),
    /// The bucket did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis did not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Opens the vault at a place, or makes one where there is nothing.
///
/// # Errors
/// See [`BootstrapError`]; nothing was made then, unless bucket or Redis failed on the way, and trying again is safe.
pub async fn open_vault(ground: &Ground<'_>) -> Result<VaultKeys, BootstrapError> {
    for _ in 0..WAITS {
        if let Some(keys) = read(ground).await? {
            return Ok(keys);
        }
        if let Some(lease) = ground.redis.bootstrap_lease(&ground.location.0, LEASE_MS).await? {
            let made = make(ground).await;
            // A lease that can't be given back ends by itself.
            let _ = lease.release().await;
            return made;
        }
        tokio::time::sleep(WAIT).await;
    }
    Err(BootstrapError::Busy)
}

async fn read(ground: &Ground<'_>) -> Result<Option<VaultKeys>, BootstrapError> {
    let Some(keys) = existing_vault(ground.store, ground.ring).await? else { return Ok(None) };
    ground.redis.remember_vault(&ground.location.0, keys.vault_id()).await?;
    Ok(Some(keys))
}

/// Opens the vault that a bucket holds; `None` where there is none. It makes nothing and asks nobody else.
///
/// # Errors
/// See [`BootstrapError`].
pub async fn existing_vault(store: &Store, ring: &KeyRing) -> Result<Option<VaultKeys>, BootstrapError> {
    let object = match store.get(DESCRIPTOR, DESCRIPTOR_MAX_BYTES).await {
        Err(StoreError::NotFound) => return Ok(None),
        Err(StoreError::TooLarge) => return Err(BootstrapError::Damaged),
        object => object?,
    };
    let descriptor = open_descriptor(ring, &object).map_err(|error| match error {
        OpenError::UnknownKey(kid) => BootstrapError::WrongKey { kid, names: names(ring) },
        OpenError::Refused => BootstrapError::Damaged,
    })?;
    if descriptor.format != FORMAT {
        return Err(BootstrapError::UnknownFormat(descriptor.format));
    }
    Ok(Some(VaultKeys::new(ring, descriptor.vault_id)))
}

/// Makes the vault; the caller holds the place's lease.
async fn make(ground: &Ground<'_>) -> Result<VaultKeys, BootstrapError> {
    // Another process may have made it between the first look and the lease.
    if let Some(keys) = read(ground).await? {
        return Ok(keys);
    }
    refuse_remains(ground).await?;
    let descriptor = Descriptor { format: FORMAT, vault_id: VaultId::random(), created_ms: ground.clock.now_ms() };
    let sealed = seal_descriptor(ground.ring, &descriptor);
    ground.store.put(DESCRIPTOR, Bytes::from(sealed)).await?;
    let keys = read(ground).await?.ok_or(StoreError::Mismatch("an object that was just written is not there"))?;
    info!(vault = %keys.vault_id().hex(), "a new vault was made");
    Ok(keys)
}

async fn refuse_remains(ground: &Ground<'_>) -> Result<(), BootstrapError> {
    for prefix in [MARKERS, LOGS, CHECKPOINTS, "blob/"] {
        if ground.store.any_under(prefix).await? {
            return Err(BootstrapError::Missing(format!("`{prefix}` is not empty")));
        }
    }
    if let Some(vault_id) = ground.redis.remembered_vault(&ground.location.0).await? {
        return Err(BootstrapError::Missing(format!("Redis remembers the vault {} here", vault_id.hex())));
    }
    match ground.state_dir {
        Some(state_dir) if AnchorFile::any_in(state_dir)? => {
            Err(BootstrapError::Missing("STATE_DIR holds an anchor".to_owned()))
        }
        _ => Ok(()),
    }
}

fn names(ring: &KeyRing) -> String {
    let names: Vec<String> = ring.iter().map(|root| format!("{} ({})", root.name(), root.kid())).collect();
    names.join(", ")
}
