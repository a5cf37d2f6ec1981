//! The sealed log over a real Redis and a real S3 protocol.

mod basics;
mod bootstrap;
mod contest;
mod crash;
mod office;
mod tamper;

use std::collections::BTreeMap;
use std::time::Duration;

use coffer::config::{Clock, LogConfig, RedisConfig, Secret};
use coffer::crypto::{KeyRing, RootKey, VaultId, VaultKeys, random};
use coffer::log::{CommitError, CommitMeta, Inconsistent, Log, LogParts, Machine, Stamp, Status};
use coffer::state::Redis;
use coffer::store::Store;
use minicbor::{Decode, Encode};
use url::Url;

use crate::kit::{TestBucket, TestRedis};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time at which the tests' vaults begin.
const START_MS: u64 = 1_800_000_000_000;

/// A machine that is easy to compare: a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Map {
    values: BTreeMap<u64, u64>,
    saved: Option<BTreeMap<u64, u64>>,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(map)]
pub(crate) enum Change {
    #[n(32)]
    Put {
        #[n(0)]
        key: u64,
        #[n(1)]
        value: u64,
    },
    /// Does not apply when the key is absent.
    #[n(33)]
    Remove {
        #[n(0)]
        key: u64,
    },
    /// Takes room.
    #[n(34)]
    Ballast {
        #[cbor(n(0), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
}

impl Machine for Map {
    const NAME: &'static str = "catalog";
    const NUMBER: u8 = 1;
    type Operation = Change;

    fn empty() -> Self {
        Self::default()
    }

    fn apply(&mut self, _: &Stamp, _: &CommitMeta, operation: &Change) -> Result<(), Inconsistent> {
        match operation {
            Change::Put { key, value } => {
                self.values.insert(*key, *value);
            }
            Change::Remove { key } => {
                self.values.remove(key).ok_or(Inconsistent("an absent key"))?;
            }
            Change::Ballast { .. } => {}
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.saved = Some(self.values.clone());
    }

    fn rollback(&mut self) {
        self.values = self.saved.take().expect("a savepoint");
    }

    fn keep(&mut self) {
        self.saved = None;
    }

    fn snapshot(&self) -> Vec<u8> {
        minicbor::to_vec(&self.values).expect("a vector")
    }

    fn restore(snapshot: &[u8]) -> Result<Self, Inconsistent> {
        let values = minicbor::decode(snapshot).map_err(|_| Inconsistent("no map"))?;
        Ok(Self { values, saved: None })
    }
}

/// A vault's surroundings, and as many processes on it as a test wants.
pub(crate) struct World {
    pub(crate) redis: TestRedis,
    pub(crate) bucket: TestBucket,
    pub(crate) clock: Clock,
}

/// One vault in a world.
#[derive(Clone)]
pub(crate) struct Vault {
    pub(crate) prefix: String,
    pub(crate) keys: VaultKeys,
    pub(crate) config: LogConfig,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (redis, bucket) = tokio::join!(TestRedis::private(), TestBucket::start());
        Self { redis, bucket, clock: Clock::manual(START_MS) }
    }

    /// A new vault at a place of its own.
    pub(crate) fn vault(&self) -> Vault {
        let ring = KeyRing::new(vec![RootKey::new("test".into(), &random::bytes())]).unwrap();
        let vault_id = VaultId(random::bytes());
        let config = LogConfig { lease_secs: 2, state_dir: None, retention_days: 30, accept_head: None };
        Vault { prefix: format!("{}/", vault_id.hex()), keys: VaultKeys::new(&ring, vault_id), config }
    }

    /// Where the bucket listens.
    pub(crate) fn bucket_url(&self) -> Url {
        self.bucket.url().clone()
    }

    /// A client of the vault's part of the bucket.
    pub(crate) fn store(&self, vault: &Vault) -> Store {
        Store::new(&self.bucket.config(self.bucket.url(), &vault.prefix), None)
    }

    /// A process' parts that reach bucket and Redis directly.
    pub(crate) fn parts(&self, vault: &Vault) -> LogParts {
        self.parts_through(vault, &self.bucket_url(), self.redis.url())
    }

    /// A process' parts that reach bucket and Redis through something.
    pub(crate) fn parts_through(&self, vault: &Vault, bucket: &Url, redis: &str) -> LogParts {
        let redis = RedisConfig { url: Secret::new(redis.to_owned()), timeout_ms: 5_000 };
        let state = Redis::new(&redis).unwrap().for_vault(vault.keys.clone());
        let store = Store::new(&self.bucket.config(bucket, &vault.prefix), None);
        LogParts { store, state, keys: vault.keys.clone(), config: vault.config.clone(), clock: self.clock.clone() }
    }

    /// A process that serves.
    pub(crate) async fn serving(&self, vault: &Vault) -> Log<Map> {
        let log = Log::start(self.parts(vault));
        wait_for(&log, |status| matches!(status, Status::Serving { .. })).await;
        log
    }

    /// Ends the lease as its time would.
    pub(crate) async fn expire_lease(&self, vault: &Vault) {
        let mut connection = self.redis.connection().await;
        let key = format!("{}:lease", vault.keys.vault_id().hex());
        redis::cmd("DEL").arg(key).exec_async(&mut connection).await.unwrap();
    }

    /// What a fresh process finds, after everyone else has stopped or lost the lease.
    pub(crate) async fn reload(&self, vault: &Vault) -> BTreeMap<u64, u64> {
        let log = self.serving(vault).await;
        let values = values(&log);
        log.stop().await;
        values
    }

    /// The keys under a prefix of the vault.
    pub(crate) async fn keys_of(&self, vault: &Vault, prefix: &str) -> Vec<String> {
        self.store(vault).list(prefix).await.unwrap().into_iter().map(|object| object.key).collect()
    }
}

pub(crate) async fn wait_for(log: &Log<Map>, wanted: impl Fn(&Status) -> bool) -> Status {
    let mut status = log.status();
    let found = tokio::time::timeout(PATIENCE, status.wait_for(&wanted)).await;
    match found {
        Ok(found) => found.expect("the log is held").clone(),
        Err(_) => panic!("the log is still {:?}", *log.status().borrow()),
    }
}

pub(crate) fn values(log: &Log<Map>) -> BTreeMap<u64, u64> {
    log.read(|map| map.values.clone()).expect("the log serves")
}

pub(crate) async fn put(log: &Log<Map>, key: u64, value: u64) -> Result<u64, CommitError<()>> {
    let committed = log.commit(meta(), move |_, _| Ok((vec![Change::Put { key, value }], ()))).await?;
    Ok(committed.seq)
}

pub(crate) fn meta() -> CommitMeta {
    CommitMeta { actor: "owner".into(), request_id: "test".into(), ..CommitMeta::default() }
}

pub(crate) fn map(pairs: impl IntoIterator<Item = (u64, u64)>) -> BTreeMap<u64, u64> {
    pairs.into_iter().collect()
}
