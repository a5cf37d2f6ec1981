//! Two processes on one vault: one bucket, which each reaches through a proxy of its own, and one Redis.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;
use url::Url;

use super::TestBucket;
use super::coffer::Coffer;
use super::proxy::Proxy;

/// How long the two may need until one of them serves.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(30);

/// The two; everything ends with the value. The Redis of the first is the vault's.
pub(crate) struct Pair {
    pub(crate) processes: [Coffer; 2],
    pub(crate) proxies: [Proxy; 2],
    http: reqwest::Client,
    _bucket: TestBucket,
}

impl Pair {
    /// The lease of both, in seconds.
    pub(crate) const LEASE_SECS: u64 = 2;

    /// A new vault that the first process serves, and the second waiting.
    pub(crate) async fn start() -> Self {
        let bucket = TestBucket::start_process();
        let proxies = [Proxy::start(bucket.url()).await, Proxy::start(bucket.url()).await];
        let first = prepare(&bucket, proxies[0].url()).await;
        let mut second = prepare(&bucket, proxies[1].url()).await;
        for shared in ["REDIS_URL", "JWT_SECRET", "VAULT_KEYS"] {
            second.set(shared, first.setting(shared));
        }
        let http = reqwest::Client::builder().timeout(Duration::from_secs(1)).build().unwrap();
        let mut pair = Self { processes: [first, second], proxies, http, _bucket: bucket };
        pair.processes[0].launch();
        pair.processes[0].wait_until_ready().await;
        pair.processes[1].launch();
        pair.wait_until_standby(1).await;
        pair
    }

    /// Where both answer.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.processes.iter().map(|process| process.url("")).collect()
    }

    /// Empties the Redis of both.
    pub(crate) async fn flush_all(&mut self) {
        self.processes[0].redis.flush_all().await;
    }

    /// Whether the process says that it serves; no answer is none.
    pub(crate) async fn serves(&self, process: usize) -> bool {
        self.ready(process).await.is_some_and(|(status, _)| status == StatusCode::OK)
    }

    /// What the process says of its readiness.
    pub(crate) async fn ready(&self, process: usize) -> Option<(StatusCode, Value)> {
        let response = self.http.get(self.processes[process].url("/health/ready")).send().await.ok()?;
        Some((response.status(), response.json().await.ok()?))
    }

    /// Waits until one of these processes serves, and says which.
    pub(crate) async fn wait_for_any(&self, of: &[usize]) -> usize {
        let begun = Instant::now();
        loop {
            for process in of {
                if self.serves(*process).await {
                    return *process;
                }
            }
            assert!(begun.elapsed() < TAKEOVER_LIMIT, "none of {of:?} serves");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the process runs and does not serve.
    pub(crate) async fn wait_until_standby(&mut self, process: usize) {
        let waits = |status, body: &Value| {
            let says = body["detail"].as_str().is_some_and(|detail| detail.contains("Another process serves"));
            status == StatusCode::SERVICE_UNAVAILABLE && body["code"] == "NOT_READY" && says
        };
        self.processes[process].wait_until("waiting", waits).await;
    }
}

async fn prepare(bucket: &TestBucket, url: &Url) -> Coffer {
    let settings = bucket.settings(url);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut coffer = Coffer::prepare(&settings).await;
    coffer.set("LEASE_SECS", &Pair::LEASE_SECS.to_string());
    // An attempt that a stopped process never answered is not given back.
    coffer.set("LOGIN_LIMIT", "100");
    coffer
}
