//! The bucket that a test works on: a place in the one that the run was lent, or an embedded store of the test's own.

use coffer::config::{Endpoint, StoreConfig};
use coffer::store::Store;
use tempfile::TempDir;
use url::Url;

use super::bucket_process::BucketProcess;
use super::{TestStore, embedded, lent};

/// A bucket that holds nothing at its place; one of the test's own ends with this value.
pub(crate) struct TestBucket {
    config: StoreConfig,
    _served_here: Option<TestStore>,
    _process: Option<(BucketProcess, TempDir)>,
}

impl TestBucket {
    /// A bucket for the parts that run in the test itself.
    pub(crate) async fn start() -> Self {
        if let Some(config) = lent::place() {
            return Self { config, _served_here: None, _process: None };
        }
        let own = TestStore::start().await;
        Self { config: own.config(), _served_here: Some(own), _process: None }
    }

    /// A bucket for processes, which goes on whatever the test does.
    pub(crate) fn start_process() -> Self {
        if let Some(config) = lent::place() {
            return Self { config, _served_here: None, _process: None };
        }
        let folder = tempfile::Builder::new().prefix("coffer-bucket-").tempdir().unwrap();
        let own = BucketProcess::start(&folder.path().join("bucket"));
        Self { config: embedded::config_at(own.url()), _served_here: None, _process: Some((own, folder)) }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &Url {
        &self.config.public_endpoint
    }

    /// Settings that reach the bucket through `url` and keep to a prefix below the test's own.
    pub(crate) fn config(&self, url: &Url, prefix: &str) -> StoreConfig {
        StoreConfig {
            endpoint: Endpoint::Remote(url.clone()),
            public_endpoint: url.clone(),
            prefix: format!("{}{prefix}", self.config.prefix),
            ..self.config.clone()
        }
    }

    /// The variables of a vault that reaches the bucket through `url`, which may be a proxy's.
    pub(crate) fn settings(&self, url: &Url) -> Vec<(&'static str, String)> {
        lent::settings(&self.config(url, ""))
    }

    /// The vault's own client.
    pub(crate) fn store(&self) -> Store {
        Store::new(&self.config, None)
    }
}
