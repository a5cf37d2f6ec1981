//! The settings as each part receives them: plain structs, checked before they exist.
//!
//! A part takes its own struct and never [`Config`]; `Debug` is safe to log, for every secret is a type that redacts itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use url::Url;

use super::network::Network;
use super::secret::{RootSecret, Secret};

/// Everything the environment decided. Only `cmd` sees it whole.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who may log in.
    pub owner: OwnerConfig,
    /// How long a login lasts.
    pub session: SessionConfig,
    /// `VAULT_KEYS`, the active one first; never empty.
    pub keys: Vec<RootSecret>,
    /// The bucket.
    pub store: StoreConfig,
    /// Redis.
    pub redis: RedisConfig,
    /// The sealed log and its writer's lease.
    pub log: LogConfig,
    /// The domain's limits.
    pub vault: VaultConfig,
    /// The listener.
    pub http: HttpConfig,
    /// What is logged.
    pub telemetry: TelemetryConfig,
}

/// Who may log in.
#[derive(Clone, Debug)]
pub struct OwnerConfig {
    /// `USER_EMAIL`, as written; compare without case.
    pub email: String,
    /// `USER_PASSWORD` or `USER_PASSWORD_HASH`.
    pub password: Password,
    /// `ARGON2_JOBS`: password checks at one time; more wait or are refused.
    pub argon2_jobs: usize,
}

/// How the owner's password was given.
#[derive(Clone, Debug)]
pub enum Password {
    /// `USER_PASSWORD`.
    Plain(Secret),
    /// `USER_PASSWORD_HASH`: an Argon2id hash in PHC form, valid and strong enough.
    Phc(Secret),
}

/// How long a login lasts, and how many there may be.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// `JWT_SECRET`: the first signs, all verify; never empty.
    pub jwt_secrets: Vec<Secret>,
    /// `SESSION_TTL_DAYS`: a session ends after this, used or not.
    pub ttl_secs: u64,
    /// `SESSION_IDLE_DAYS`: a session ends when unused for this long.
    pub idle_secs: u64,
    /// `MAX_SESSIONS`: living sessions.
    pub max_sessions: usize,
    /// `LOGIN_LIMIT`: failed logins in a window.
    pub login_limit: u32,
    /// `LOGIN_WINDOW_SECS`: the window of `login_limit`.
    pub login_window_secs: u64,
    /// How many requests are answered.
    pub quotas: QuotaConfig,
    /// `MFA_REQUIRED`: a login without a second factor may do nothing but enrol one.
    pub mfa_required: bool,
    /// Whether cookies are `Secure` with the `__Host-` prefix: `PUBLIC_URL` is https.
    pub secure_cookie: bool,
}

/// How many requests are answered, by who asks.
#[derive(Clone, Copy, Debug)]
pub struct QuotaConfig {
    /// `OWNER_REQUESTS`: of one session.
    pub owner_requests: u32,
    /// `OWNER_UPLOADS`: of one session, those that bring content.
    pub owner_uploads: u32,
    /// `STRANGER_REQUESTS`: of one network without a session.
    pub stranger_requests: u32,
    /// `STRANGER_UPLOADS`: of one network without a session, those that bring content.
    pub stranger_uploads: u32,
    /// `REQUEST_WINDOW_SECS`: the window of requests.
    pub request_window_secs: u64,
    /// `UPLOAD_WINDOW_SECS`: the window of uploads.
    pub upload_window_secs: u64,
}

/// Where the bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An S3 service elsewhere.
    Remote(Url),
    /// `embedded:PATH`: a folder on this machine, served by this process.
    Embedded(PathBuf),
}

/// The bucket and how to speak to it.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `S3_ENDPOINT`.
    pub endpoint: Endpoint,
    /// `S3_PUBLIC_ENDPOINT`: signs every URL given out. Default: the endpoint, or `PUBLIC_URL` when embedded.
    pub public_endpoint: Url,
    /// `S3_REGION`.
    pub region: String,
    /// `S3_BUCKET`.
    pub bucket: String,
    /// `S3_PREFIX`: empty, or ends with `/`.
    pub prefix: String,
    /// `S3_PATH_STYLE`: the bucket is in the path, not in the host name.
    pub path_style: bool,
    /// `S3_ACCESS_KEY_ID`.
    pub access_key_id: Secret,
    /// `S3_SECRET_ACCESS_KEY`.
    pub secret_access_key: Secret,
    /// `S3_REQUEST_TIMEOUT_SECS`: one attempt of one request.
    pub request_timeout_secs: u64,
}

impl StoreConfig {
    /// Scheme, host and port of every URL that is given out.
    pub fn public_origin(&self) -> String {
        self.bucket_at(&self.public_endpoint).0.origin().ascii_serialization()
    }

    /// The bucket's own URL behind `endpoint`, without a slash at its end.
    pub fn bucket_url(&self, endpoint: &Url) -> String {
        let (host, path) = self.bucket_at(endpoint);
        format!("{}{path}", host.as_str().trim_end_matches('/'))
    }

    /// The endpoint with the bucket in front of its host, or else the path that names the bucket. A name with dots can't
    /// be in front: certificates cover one label.
    fn bucket_at(&self, endpoint: &Url) -> (Url, String) {
        let mut url = endpoint.clone();
        let host = endpoint.domain().filter(|_| !self.path_style && !self.bucket.contains('.'));
        if let Some(host) = host.map(|host| format!("{}.{host}", self.bucket))
            && url.set_host(Some(&host)).is_ok()
        {
            return (url, String::new());
        }
        (url, format!("/{}", self.bucket))
    }
}

/// Redis.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `REDIS_URL`: `redis://`, `rediss://` or `redis+unix:///`; may hold a password.
    pub url: Secret,
    /// `REDIS_TIMEOUT_MS`: one command, connecting included.
    pub timeout_ms: u64,
}

/// The sealed log and its writer's lease.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `LEASE_SECS`: a writer that is gone is replaced after this.
    pub lease_secs: u64,
    /// `STATE_DIR`: a folder for the freshness anchor's second copy.
    pub state_dir: Option<PathBuf>,
    /// `RETENTION_DAYS`: how far back the log can be read.
    pub retention_days: u32,
    /// `ACCEPT_HEAD`: the operator's answer to an alarm, `<log>:<hex>`, or several divided by commas.
    pub accept_head: Option<String>,
}

/// The domain's limits.
#[derive(Clone, Debug)]
pub struct VaultConfig {
    /// `TRASH_DAYS`: what lies in the trash longer is purged.
    pub trash_days: u32,
    /// `RETENTION_DAYS`: how long a replaced version is kept.
    pub retention_days: u32,
    /// `MAX_FILE_SIZE`, bytes of plaintext.
    pub max_file_size: u64,
    /// `STORAGE_LIMIT`, bytes of plaintext in the whole vault; `None` is without limit.
    pub storage_limit: Option<u64>,
    /// `CONCURRENT_UPLOADS`: uploads through the gateway at one time.
    pub concurrent_uploads: usize,
    /// `UNFINISHED_UPLOADS`: direct uploads that were begun and did not end.
    pub unfinished_uploads: usize,
    /// `UPLOAD_TTL_HOURS`: a direct upload ends this long after it was begun, complete or not.
    pub upload_ttl_secs: u64,
    /// `URL_TTL_SECS`: how long a URL of the bucket works.
    pub url_ttl_secs: u64,
}

/// The listener and its limits.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `BIND`.
    pub bind: SocketAddr,
    /// `PUBLIC_URL`: what the owner types; scheme, host and port only.
    pub public_url: Url,
    /// `TRUSTED_PROXIES`: only these are believed about a client's address.
    pub trusted_proxies: Vec<Network>,
    /// `HEADER_TIMEOUT_SECS`: from the first byte to the end of a request's headers.
    pub header_timeout_secs: u64,
    /// `REQUEST_TIMEOUT_SECS`: a request that is not a transfer; of a transfer, the longest pause.
    pub request_timeout_secs: u64,
    /// `DRAIN_SECS`: how long requests may finish after a signal to stop.
    pub drain_secs: u64,
    /// `MAX_CONNECTIONS`.
    pub max_connections: usize,
    /// `MAX_JSON_SIZE`, bytes of a JSON body.
    pub max_json_bytes: usize,
    /// `CORS_ORIGINS`: pages of these origins may call the API with a token of their own.
    pub cors_origins: Vec<String>,
    /// `METRICS_BIND`: a listener for `/metrics` alone.
    pub metrics_bind: Option<SocketAddr>,
    /// `METRICS_TOKEN`: opens `/metrics`.
    pub metrics_token: Option<Secret>,
    /// `API_DOCS`: serve Swagger UI under `/docs`.
    pub api_docs: bool,
}

/// The settings of a bucket that runs as a process of its own.
#[derive(Clone, Debug)]
pub struct StoreServerConfig {
    /// `S3_ACCESS_KEY_ID`.
    pub access_key_id: Secret,
    /// `S3_SECRET_ACCESS_KEY`.
    pub secret_access_key: Secret,
    /// Logs.
    pub telemetry: TelemetryConfig,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// `LOG_LEVEL`: a level, or directives such as `info,coffer::log=debug`.
    pub filter: String,
    /// `LOG_FORMAT=json`; otherwise text.
    pub json: bool,
}
