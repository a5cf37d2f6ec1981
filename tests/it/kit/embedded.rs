//! The embedded store, served over HTTP on a free port of the loopback, in a folder of its own.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use coffer::config::{Endpoint, Secret, StoreConfig};
use coffer::store::embedded::{Embedded, serve_store};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

pub(crate) const ACCESS_KEY: &str = "test-access-key";
pub(crate) const SECRET_KEY: &str = "9f1c-embedded-4b7e-tests-a2d0";
pub(crate) const BUCKET: &str = "test-bucket";

/// A store and its server; both end when this is dropped.
pub(crate) struct TestStore {
    pub(crate) root: TempDir,
    pub(crate) url: String,
    server: JoinHandle<std::io::Result<()>>,
}

impl TestStore {
    pub(crate) async fn start() -> Self {
        Self::serve(tempfile::tempdir().unwrap()).await
    }

    /// Ends the server and serves the same folder again, as after a crash.
    pub(crate) async fn restart(self) -> Self {
        self.server.abort();
        let _ = self.server.await;
        Self::serve(self.root).await
    }

    /// Serves a folder that may already hold something.
    pub(crate) async fn serve(root: TempDir) -> Self {
        let store = open(root.path()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let origins = vec!["https://vault.example".to_owned()];
        let server = tokio::spawn(async move { serve_store(listener, &store, origins, std::future::pending()).await });
        Self { root, url, server }
    }

    /// The settings of a vault on this bucket.
    pub(crate) fn config(&self) -> StoreConfig {
        config_at(&self.url.parse().unwrap())
    }

    pub(crate) fn client(&self) -> Client {
        client(&self.url)
    }

    /// The number of files that are being written, or were left half written.
    pub(crate) fn staged(&self) -> usize {
        self.root.path().join(".store/staging").read_dir().unwrap().count()
    }
}

/// The settings of a vault on the embedded bucket at this URL.
pub(crate) fn config_at(url: &Url) -> StoreConfig {
    StoreConfig {
        endpoint: Endpoint::Remote(url.clone()),
        public_endpoint: url.clone(),
        region: "us-east-1".to_owned(),
        bucket: BUCKET.to_owned(),
        prefix: String::new(),
        path_style: true,
        access_key_id: Secret::new(ACCESS_KEY.to_owned()),
        secret_access_key: Secret::new(SECRET_KEY.to_owned()),
        request_timeout_secs: 30,
    }
}

/// A client of a store at this URL, with the right keys.
pub(crate) fn client(url: &str) -> Client {
    client_with(url, ACCESS_KEY, SECRET_KEY)
}

/// A client that neither retries nor adds checksums of its own.
pub(crate) fn client_with(url: &str, access_key: &str, secret_key: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .force_path_style(true)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Client::from_conf(config.build())
}

/// The server's last connection may take a moment to let the folder go.
async fn open(root: &Path) -> Embedded {
    let (access, secret) = (Secret::new(ACCESS_KEY.to_owned()), Secret::new(SECRET_KEY.to_owned()));
    for _ in 0..500 {
        match Embedded::open(root, &access, &secret, BUCKET) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the folder was never let go");
}
