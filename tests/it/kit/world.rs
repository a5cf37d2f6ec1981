//! The vault without HTTP: on its sealed log, a real Redis, a real S3 protocol, and a clock that the test moves.

use std::time::Duration;

use coffer::config::{Clock, LogConfig, RedisConfig, Secret, VaultConfig};
use coffer::crypto::{KeyRing, RootKey, VaultId, VaultKeys, random};
use coffer::log::{Log, LogParts, Status};
use coffer::state::Redis;
use coffer::store::{Abilities, PartChecksum};
use coffer::vault::{Catalog, Vault, VaultParts};

use super::{TestBucket, TestRedis};

const PATIENCE: Duration = Duration::from_secs(30);
const START_MS: u64 = 1_800_000_000_000;

/// The settings that the tests begin with.
pub(crate) fn vault_config() -> VaultConfig {
    VaultConfig {
        trash_days: 15,
        retention_days: 30,
        max_file_size: 1 << 36,
        storage_limit: None,
        concurrent_uploads: 16,
        unfinished_uploads: 8,
        upload_ttl_secs: 24 * 60 * 60,
        url_ttl_secs: 600,
    }
}

/// One vault's surroundings, which outlive its processes.
pub(crate) struct World {
    pub(crate) redis: TestRedis,
    pub(crate) bucket: TestBucket,
    pub(crate) clock: Clock,
    pub(crate) keys: VaultKeys,
    pub(crate) config: VaultConfig,
    pub(crate) abilities: Abilities,
    /// Short where a test waits for a take-over, long where a loaded machine must not lose the lease.
    pub(crate) lease_secs: u64,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (redis, bucket) = tokio::join!(TestRedis::private(), TestBucket::start());
        let ring = KeyRing::new(vec![RootKey::new("test".into(), &random::bytes())]).unwrap();
        let config = VaultConfig { max_file_size: 1 << 20, concurrent_uploads: 4, ..vault_config() };
        let keys = VaultKeys::new(&ring, VaultId(random::bytes()));
        let abilities = Abilities {
            refuses_wrong_bytes: true,
            refuses_overwrite: true,
            refuses_wrong_part: true,
            part_checksum: PartChecksum::Enforced,
        };
        Self { redis, bucket, clock: Clock::manual(START_MS), keys, config, abilities, lease_secs: 2 }
    }

    /// A process that serves the vault.
    pub(crate) async fn vault(&self) -> (Vault, Log<Catalog>) {
        let redis = RedisConfig { url: Secret::new(self.redis.url().to_owned()), timeout_ms: 5_000 };
        let config = LogConfig { lease_secs: self.lease_secs, state_dir: None, retention_days: 30, accept_head: None };
        let state = Redis::new(&redis).unwrap().for_vault(self.keys.clone());
        let store = self.bucket.store();
        store.learn(self.abilities);
        let log = Log::<Catalog>::start(LogParts {
            store: store.clone(),
            state: state.clone(),
            keys: self.keys.clone(),
            config,
            clock: self.clock.clone(),
        });
        let mut status = log.status();
        let serves = status.wait_for(|status| matches!(status, Status::Serving { .. }));
        tokio::time::timeout(PATIENCE, serves).await.unwrap().unwrap();
        let parts = VaultParts {
            log: log.clone(),
            store,
            state,
            keys: self.keys.clone(),
            config: self.config.clone(),
            clock: self.clock.clone(),
        };
        (Vault::new(parts), log)
    }

    /// The keys of all blobs.
    pub(crate) async fn blobs(&self) -> Vec<String> {
        self.bucket.store().list("blob/").await.unwrap().into_iter().map(|object| object.key).collect()
    }
}
