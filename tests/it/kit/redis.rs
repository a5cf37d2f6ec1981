//! A real redis-server for tests.
//!
//! Each private server lives in its own temporary folder behind a unix socket, with the settings that the product
//! recommends, and dies with the value. `TEST_REDIS_URL` lends a shared server to the tests that need nothing but
//! a Redis; a test that stops, pauses, empties or dumps its server always gets a private one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to start or to answer.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A Redis for one test.
pub(crate) struct TestRedis {
    url: String,
    server: Option<Server>,
}

struct Server {
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl TestRedis {
    /// The shared server of `TEST_REDIS_URL`, else a private one.
    pub(crate) async fn start() -> Self {
        match std::env::var("TEST_REDIS_URL") {
            Ok(url) if !url.is_empty() => Self { url, server: None },
            _ => Self::private().await,
        }
    }

    /// A server of this test's own, which may be stopped, paused, emptied and dumped.
    pub(crate) async fn private() -> Self {
        let folder = tempfile::Builder::new().prefix("coffer-redis-").tempdir().expect("a temporary folder");
        let url = format!("redis+unix://{}", folder.path().join("redis.sock").display());
        let mut redis = Self { url, server: Some(Server { folder, process: None }) };
        redis.restart().await;
        redis
    }

    /// The URL for `REDIS_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The unix socket of a private server.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder().join("redis.sock")
    }

    /// Ends the server as `kill -9` would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.private_server().process.take() {
            process.kill().expect("the server was running");
            process.wait().expect("the server ends");
        }
    }

    /// Starts the server (again) with what its append-only file kept, and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let folder = self.folder().to_owned();
        let log = std::fs::File::create(folder.join("redis.log")).expect("a log file");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "redis.sock", "--unixsocketperm", "600"])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--rdbcompression", "no"])
            .args(["--maxmemory-policy", "noeviction", "--daemonize", "no"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file is open"))
            .stderr(log)
            .spawn()
            .expect("redis-server is on the PATH");
        self.private_server().process = Some(process);
        self.wait_until_it_answers().await;
    }

    /// Holds the server still (SIGSTOP): connections stay open and nothing answers.
    pub(crate) fn pause(&mut self) {
        self.signal("-STOP");
    }

    /// Lets a paused server go on.
    pub(crate) fn resume(&mut self) {
        self.signal("-CONT");
    }

    /// Empties a private server.
    pub(crate) async fn flush_all(&mut self) {
        assert!(self.server.is_some(), "only a private server may be emptied");
        let mut connection = self.connection().await;
        redis::cmd("FLUSHALL").exec_async(&mut connection).await.expect("FLUSHALL");
    }

    /// Every key with this prefix, and all keys for an empty one.
    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let mut connection = self.connection().await;
        let mut keys: Vec<String> =
            redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut connection).await.expect("KEYS");
        keys.sort();
        keys
    }

    /// Everything that a thief of a private server's files would hold: the snapshot and the append-only files.
    pub(crate) async fn dump(&self) -> Vec<u8> {
        let mut connection = self.connection().await;
        redis::cmd("SAVE").exec_async(&mut connection).await.expect("SAVE");
        let mut bytes = Vec::new();
        let mut folders = vec![self.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the folder can be read") {
                let path = entry.expect("the folder can be read").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    bytes.extend(std::fs::read(path).expect("the file can be read"));
                }
            }
        }
        bytes
    }

    /// A connection of the test's own, to look at or to tamper with what is stored.
    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url.as_str()).expect("the URL parses");
        client.get_multiplexed_async_connection().await.expect("the server answers")
    }

    async fn wait_until_it_answers(&self) {
        let client = redis::Client::open(self.url.as_str()).expect("the URL parses");
        let begun = Instant::now();
        loop {
            if let Ok(mut connection) = client.get_multiplexed_async_connection().await
                && redis::cmd("PING").exec_async(&mut connection).await.is_ok()
            {
                return;
            }
            let log = || std::fs::read_to_string(self.folder().join("redis.log")).unwrap_or_default();
            assert!(begun.elapsed() < START_LIMIT, "redis-server does not answer: {}", log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn signal(&mut self, signal: &str) {
        let process = self.private_server().process.as_ref().expect("the server is running").id();
        let status = Command::new("kill").args([signal, &process.to_string()]).status().expect("kill is on the PATH");
        assert!(status.success(), "kill {signal}");
    }

    fn private_server(&mut self) -> &mut Server {
        self.server.as_mut().expect("a shared server may not be stopped")
    }

    fn folder(&self) -> &Path {
        self.server.as_ref().expect("a shared server has no folder here").folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGKILL ends a paused server too. A server that has ended already is what is wanted.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
