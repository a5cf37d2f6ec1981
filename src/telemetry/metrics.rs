//! What happens, how often, and how long it takes, in the text that Prometheus reads.
//!
//! Labels are literals of this program and numbers, by their types: a name, an id, an address or a secret cannot become
//! one, and no client can make more series than there are routes. Any floor counts here what it does; what is a state of
//! the vault and not an event is set when somebody reads. Durations are in seconds.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the durations that are told apart: 12, from 1 ms to some 4 minutes.
const FIRST_BUCKET_SECS: f64 = 0.001;
const BUCKET_FACTOR: f64 = 3.0;
const BUCKETS: u16 = 12;

/// What was counted so far in this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Done,
    /// It was refused, or was not answered.
    Failed,
}

/// What came of a login, or of another proof of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The owner's.
    Right,
    /// Nobody's.
    Wrong,
    /// Not looked at: there were too many.
    LockedOut,
    /// Not looked at for another reason.
    Unchecked,
}

/// What something sealed was that did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// A value in Redis.
    Redis,
    /// Content in the bucket.
    Content,
}

/// A state of the vault at the moment of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// 1 where the vault serves, else 0.
    Ready,
    /// Living sessions.
    Sessions,
    /// Unfinished direct uploads.
    Uploads,
    /// Files in the index.
    Files,
    /// Folders in the index.
    Folders,
    /// Plaintext bytes of all versions.
    Bytes,
}

/// All counters, and the text they make.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram>,
    proofs: Family<Ending, Counter>,
    bucket_seconds: Family<Call, Histogram>,
    redis_seconds: Family<Ending, Histogram>,
    unopened: Family<Kind, Counter>,
    levels: Family<Kind, Gauge>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    operation: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ending {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("coffer");
        let requests = Family::default();
        let request_seconds = Family::new_with_constructor(durations as fn() -> Histogram);
        let proofs = Family::default();
        let bucket_seconds = Family::new_with_constructor(durations as fn() -> Histogram);
        let redis_seconds = Family::new_with_constructor(durations as fn() -> Histogram);
        let unopened = Family::default();
        let levels = Family::default();
        registry.register("http_requests", "Answered requests", Family::clone(&requests));
        registry.register("http_request_seconds", "From a request to the head of its answer", request_seconds.clone());
        registry.register("logins", "Proofs of a secret, by what came of them", Family::clone(&proofs));
        registry.register("bucket_seconds", "Attempts of requests to the bucket", bucket_seconds.clone());
        registry.register("redis_seconds", "Commands to Redis", redis_seconds.clone());
        registry.register("sealed_refused", "Sealed values that did not open", Family::clone(&unopened));
        registry.register("state", "What the vault holds and does at this moment", Family::clone(&levels));
        Self { registry, requests, request_seconds, proofs, bucket_seconds, redis_seconds, unopened, levels }
    }

    /// An answered request.
    pub fn request(&self, method: &str, route: &'static str, status: u16, took: Duration) {
        let method = known(method, &METHODS);
        self.requests.get_or_create(&Request { method, route, status }).inc();
        self.request_seconds.get_or_create(&Route { method, route }).observe(took.as_secs_f64());
    }

    /// A request that could have proved a secret.
    pub fn proof(&self, proof: Proof) {
        let result = match proof {
            Proof::Right => "right",
            Proof::Wrong => "wrong",
            Proof::LockedOut => "locked_out",
            Proof::Unchecked => "unchecked",
        };
        self.proofs.get_or_create(&Ending { result }).inc();
    }

    /// An attempt of a request to the bucket.
    pub fn bucket(&self, operation: &str, outcome: Outcome, took: Duration) {
        let call = Call { operation: known(operation, &OPERATIONS), result: outcome.name() };
        self.bucket_seconds.get_or_create(&call).observe(took.as_secs_f64());
    }

    /// A command to Redis.
    pub fn redis(&self, outcome: Outcome, took: Duration) {
        self.redis_seconds.get_or_create(&Ending { result: outcome.name() }).observe(took.as_secs_f64());
    }

    /// Something sealed that did not open.
    pub fn unopened(&self, sealed: Sealed) {
        let kind = match sealed {
            Sealed::Redis => "redis",
            Sealed::Content => "content",
        };
        self.unopened.get_or_create(&Kind { kind }).inc();
    }

    /// How much of something there is now.
    pub fn set(&self, level: Level, value: u64) {
        let kind = match level {
            Level::Ready => "ready",
            Level::Sessions => "sessions",
            Level::Uploads => "unfinished_uploads",
            Level::Files => "files",
            Level::Folders => "folders",
            Level::Bytes => "bytes",
        };
        self.levels.get_or_create(&Kind { kind }).set(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// Everything, as text of [`MEDIA_TYPE`].
    pub fn text(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("writing to memory cannot fail");
        text
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const OPERATIONS: [&str; 10] = [
    "PutObject",
    "GetObject",
    "HeadObject",
    "DeleteObject",
    "ListObjectsV2",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListParts",
];

/// The literal that `text` is, where it is one of these.
fn known(text: &str, literals: &[&'static str]) -> &'static str {
    literals.iter().find(|known| **known == text).copied().unwrap_or("other")
}

fn durations() -> Histogram {
    Histogram::new(exponential_buckets(FIRST_BUCKET_SECS, BUCKET_FACTOR, BUCKETS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_read() {
        let metrics = Metrics::new();
        metrics.request("GET", "/nodes/{id}", 200, Duration::from_millis(2));
        metrics.request("GET", "/nodes/{id}", 200, Duration::from_millis(2));
        metrics.request("canary", "other", 405, Duration::from_millis(2));
        metrics.proof(Proof::LockedOut);
        metrics.bucket("PutObject", Outcome::Done, Duration::from_millis(30));
        metrics.bucket("canary", Outcome::Failed, Duration::from_secs(600));
        metrics.redis(Outcome::Done, Duration::from_micros(200));
        metrics.unopened(Sealed::Redis);
        metrics.set(Level::Sessions, 3);
        let text = metrics.text();
        for line in [
            "coffer_http_requests_total{method=\"GET\",route=\"/nodes/{id}\",status=\"200\"} 2",
            "coffer_http_request_seconds_count{method=\"other\",route=\"other\"} 1",
            "coffer_logins_total{result=\"locked_out\"} 1",
            "coffer_bucket_seconds_count{operation=\"PutObject\",result=\"done\"} 1",
            "coffer_bucket_seconds_count{operation=\"other\",result=\"failed\"} 1",
            "coffer_redis_seconds_count{result=\"done\"} 1",
            "coffer_sealed_refused_total{kind=\"redis\"} 1",
            "coffer_state{kind=\"sessions\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n") && !text.contains("canary"));
    }
}
