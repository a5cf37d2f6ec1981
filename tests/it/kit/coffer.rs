//! The real program, started as its owner would start it, with a bucket and a Redis of its own.
//!
//! The bucket is the one that the run was lent, or else a folder, served by the program itself.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coffer::config::StoreConfig;
use data_encoding::BASE64;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{TestRedis, lent};

/// The owner in tests.
pub(crate) const EMAIL: &str = "owner@coffer.test";

/// A password that no list has.
pub(crate) const PASSWORD: &str = "glacier-umbrella-7-quartz-lantern";

/// How long the program may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The program with everything it stands on.
pub(crate) struct Coffer {
    pub(crate) redis: TestRedis,
    pub(crate) client: reqwest::Client,
    folder: tempfile::TempDir,
    lent: Option<StoreConfig>,
    settings: Vec<(String, String)>,
    port: u16,
    process: Option<Child>,
}

impl Coffer {
    /// A new vault, ready to log in.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A new vault with these settings beside (or instead of) the usual ones.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut coffer = Self::prepare(settings).await;
        coffer.launch();
        coffer.wait_until_ready().await;
        coffer
    }

    /// Everything but the running program.
    pub(crate) async fn prepare(settings: &[(&str, &str)]) -> Self {
        let redis = TestRedis::private().await;
        let folder = tempfile::Builder::new().prefix("coffer-").tempdir().unwrap();
        let (port, lent) = (free_port(), lent::place());
        let mut usual = usual_settings(port, redis.url());
        usual.extend(lent.as_ref().map_or_else(|| embedded(folder.path()), lent::settings));
        let mut coffer = Self {
            client: client(),
            settings: usual.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            lent,
            redis,
            folder,
            port,
            process: None,
        };
        for (name, value) in settings {
            coffer.set(name, value);
        }
        coffer
    }

    /// Changes a setting for the next launch.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// The value of a setting.
    pub(crate) fn setting(&self, name: &str) -> &str {
        self.settings.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Starts the program; its output is appended to [`Coffer::output`].
    pub(crate) fn launch(&mut self) {
        assert!(self.process.is_none(), "the program runs already");
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_coffer"))
            .arg("serve")
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(std::env::var_os("LLVM_PROFILE_FILE").map(|path| ("LLVM_PROFILE_FILE", path)))
            .envs(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
    }

    /// Polls `/health/ready` until it says yes.
    pub(crate) async fn wait_until_ready(&mut self) {
        self.wait_until("ready", |status, _| status == StatusCode::OK).await;
    }

    /// Polls `/health/ready` until its answer is what is waited for.
    pub(crate) async fn wait_until(&mut self, what: &str, wanted: impl Fn(StatusCode, &Value) -> bool) {
        let begun = Instant::now();
        loop {
            if let Ok(response) = self.client.get(self.url("/health/ready")).send().await {
                let status = response.status();
                let body = response.json().await.unwrap_or(Value::Null);
                if wanted(status, &body) {
                    return;
                }
            }
            if let Some(status) = self.process.as_mut().and_then(|process| process.try_wait().unwrap()) {
                panic!("the program ended with {status}: {}", self.output());
            }
            assert!(begun.elapsed() < START_LIMIT, "not {what}: {}", self.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the program as `kill -9` would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Ends the program as an init system would, and says whether it ended well.
    pub(crate) fn stop(&mut self) -> bool {
        self.signal("-TERM");
        self.stop_was_clean()
    }

    /// Waits for the program to end, and says whether it ended well.
    pub(crate) fn stop_was_clean(&mut self) -> bool {
        self.process.take().unwrap().wait().unwrap().success()
    }

    /// Sends the running program a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// The most memory that the running program has held so far.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let id = self.process.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Kills and starts again, on what is there.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.launch();
        self.wait_until_ready().await;
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The embedded bucket's folder.
    pub(crate) fn bucket_folder(&self) -> PathBuf {
        self.folder.path().join("bucket")
    }

    /// The place of this vault in a lent bucket; `None` where the bucket is the folder.
    pub(crate) fn lent(&self) -> Option<&StoreConfig> {
        self.lent.as_ref()
    }

    /// Everything the program has printed so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Logs in for a bearer token.
    pub(crate) async fn log_in(&self) -> Login {
        let body = json!({"email": EMAIL, "password": PASSWORD, "transport": "bearer"});
        let response = self.client.post(self.url("/api/v1/session")).json(&body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED, "{}", response.text().await.unwrap());
        self.login_of(&response.json().await.unwrap())
    }

    /// The session that an answer brought.
    pub(crate) fn login_of(&self, answer: &Value) -> Login {
        let token = answer["access_token"].as_str().unwrap().to_owned();
        Login { client: self.client.clone(), root: self.url("/api/v1"), token }
    }

    /// Runs another verb of the program with the same settings.
    pub(crate) fn verb(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(env!("CARGO_BIN_EXE_coffer"))
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("LLVM_PROFILE_FILE").map(|path| ("LLVM_PROFILE_FILE", path)))
            .envs(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("coffer.log")
    }
}

impl Drop for Coffer {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the program said")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- what the program printed ---\n{}", self.output());
        }
    }
}

/// A logged-in owner.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) client: reqwest::Client,
    pub(crate) root: String,
    pub(crate) token: String,
}

impl Login {
    /// The same client with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// A request under `/api/v1` with the session.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.root)).bearer_auth(&self.token)
    }

    /// The JSON of a GET that succeeds.
    pub(crate) async fn get(&self, path: &str) -> Value {
        json_of(self.request(Method::GET, path).send().await.unwrap(), StatusCode::OK).await
    }

    /// The JSON of a POST that creates.
    pub(crate) async fn create(&self, path: &str, body: &Value) -> Value {
        json_of(self.request(Method::POST, path).json(body).send().await.unwrap(), StatusCode::CREATED).await
    }

    /// Puts a new file into a folder.
    pub(crate) async fn upload(&self, folder: &str, name: &str, content: impl Into<reqwest::Body>) -> Value {
        let request = self.request(Method::POST, &format!("/folders/{folder}/files")).query(&[("name", name)]);
        let request = request.header("content-type", "application/octet-stream").body(content);
        json_of(request.send().await.unwrap(), StatusCode::CREATED).await
    }

    /// A file's content.
    pub(crate) async fn download(&self, file: &str) -> Vec<u8> {
        let response = self.request(Method::GET, &format!("/files/{file}/content")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.unwrap().into()
    }

    /// Some bytes of a file's content, with the answer's status.
    pub(crate) async fn range(&self, file: &str, range: &str) -> (StatusCode, Vec<u8>) {
        let request = self.request(Method::GET, &format!("/files/{file}/content")).header("range", range);
        let response = request.send().await.unwrap();
        (response.status(), response.bytes().await.unwrap().into())
    }
}

/// The JSON of an answer that must have this status.
pub(crate) async fn json_of(response: Response, status: StatusCode) -> Value {
    let (found, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(found, status, "{text}");
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

/// The code of an answer that must be a problem with all its members.
pub(crate) async fn problem_of(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    assert_eq!(media_type, "application/problem+json", "{status} {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["status"], status.as_u16(), "{text}");
    assert_eq!(body["request_id"], request_id, "{text}");
    for member in ["type", "title", "detail", "code"] {
        assert!(body[member].as_str().is_some_and(|value| !value.is_empty()), "{member} in {text}");
    }
    (status, body["code"].as_str().unwrap().to_owned())
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn usual_settings(port: u16, redis_url: &str) -> Vec<(&'static str, String)> {
    vec![
        ("USER_EMAIL", EMAIL.to_owned()),
        ("USER_PASSWORD", PASSWORD.to_owned()),
        ("JWT_SECRET", random(48)),
        ("VAULT_KEYS", format!("test:{}", random(32))),
        ("REDIS_URL", redis_url.to_owned()),
        ("PUBLIC_URL", format!("http://127.0.0.1:{port}")),
        ("BIND", format!("127.0.0.1:{port}")),
        ("LOG_FORMAT", "json".to_owned()),
        ("LEASE_SECS", "2".to_owned()),
    ]
}

/// A bucket that is a folder, which the program serves itself.
fn embedded(folder: &Path) -> Vec<(&'static str, String)> {
    let bucket = folder.join("bucket");
    std::fs::create_dir(&bucket).unwrap();
    std::fs::set_permissions(&bucket, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    vec![
        ("S3_ENDPOINT", format!("embedded:{}", bucket.display())),
        ("S3_REGION", "local".to_owned()),
        ("S3_BUCKET", "coffer-test".to_owned()),
        ("S3_ACCESS_KEY_ID", format!("CK{}", random(15).replace(['+', '/', '='], "x"))),
        ("S3_SECRET_ACCESS_KEY", random(30)),
    ]
}

/// A secret of so many bytes, in base64.
fn random(bytes: usize) -> String {
    let mut secret = vec![0; bytes];
    coffer::crypto::random::fill(&mut secret);
    BASE64.encode(&secret)
}
