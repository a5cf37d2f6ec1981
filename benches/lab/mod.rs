//! What the benches share: the store as a process of its own, the vault on it, and a look at a process's memory.

pub(crate) mod kit;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coffer::config::{Endpoint, Secret, StoreConfig};
use coffer::store::Store;
use kit::coffer::Coffer;

const BUCKET: &str = "bench-bucket";
const ACCESS_KEY: &str = "bench-access-key";
const SECRET_KEY: &str = "bench-secret-key-of-no-worth";

/// `coffer store` on a folder of its own; both end with the value.
pub(crate) struct StoreProcess {
    pub(crate) folder: tempfile::TempDir,
    url: String,
    process: Child,
}

impl StoreProcess {
    pub(crate) fn start() -> Self {
        let folder =
            tempfile::Builder::new().prefix("coffer-bench-").tempdir_in(scratch()).expect("a folder for the bucket");
        let mut process = Command::new(env!("CARGO_BIN_EXE_coffer"))
            .args(["store", "--bind", "127.0.0.1:0", "--bucket", BUCKET, "--root"])
            .arg(folder.path())
            .env_clear()
            .envs([("S3_ACCESS_KEY_ID", ACCESS_KEY), ("S3_SECRET_ACCESS_KEY", SECRET_KEY), ("LOG_LEVEL", "error")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the store starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("its output is piped");
        BufReader::new(output).read_line(&mut line).expect("the store says where it listens");
        let url = line.trim().trim_end_matches(BUCKET).trim_end_matches('/').to_owned();
        Self { folder, url, process }
    }

    /// A vault on this store, ready.
    pub(crate) async fn vault(&self) -> Coffer {
        let settings = [
            ("S3_ENDPOINT", self.url.as_str()),
            ("S3_REGION", "us-east-1"),
            ("S3_BUCKET", BUCKET),
            ("S3_ACCESS_KEY_ID", ACCESS_KEY),
            ("S3_SECRET_ACCESS_KEY", SECRET_KEY),
            ("S3_PATH_STYLE", "true"),
            ("LOG_LEVEL", "warn"),
            // A bench asks more in a minute than an owner in a day.
            ("OWNER_REQUESTS", "10000000"),
            ("OWNER_UPLOADS", "10000000"),
        ];
        Coffer::start_with(&settings).await
    }

    /// The vault's own S3 client, without the vault.
    pub(crate) fn client(&self) -> Store {
        let endpoint: url::Url = self.url.parse().expect("the store printed a URL");
        let config = StoreConfig {
            endpoint: Endpoint::Remote(endpoint.clone()),
            public_endpoint: endpoint,
            region: "us-east-1".to_owned(),
            bucket: BUCKET.to_owned(),
            prefix: "plain/".to_owned(),
            path_style: true,
            access_key_id: Secret::new(ACCESS_KEY.to_owned()),
            secret_access_key: Secret::new(SECRET_KEY.to_owned()),
            request_timeout_secs: 60,
        };
        Store::new(&config, None)
    }

    /// Number of objects directly under a prefix of the bucket.
    pub(crate) fn objects(&self, prefix: &str) -> usize {
        self.folder.path().join(prefix).read_dir().map_or(0, Iterator::count)
    }
}

impl Drop for StoreProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where buckets of many gigabytes go: BENCH_DIR, or the system's folder for temporary files.
fn scratch() -> std::path::PathBuf {
    std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, Into::into)
}

/// The id of the vault's process: the child of this one that runs `coffer serve`.
pub(crate) fn vault_process() -> u32 {
    let parent = format!("PPid:\t{}\n", std::process::id());
    let processes =
        std::fs::read_dir("/proc").expect("Linux").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut vaults = processes.filter(|id: &u32| {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default();
        read("cmdline").ends_with("coffer\0serve\0") && read("status").contains(&parent)
    });
    vaults.next().expect("the vault runs")
}

/// One number of `/proc/PID/status`, in bytes.
pub(crate) fn memory(process: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel tells it");
    let kib: String = line.chars().filter(char::is_ascii_digit).collect();
    kib.parse::<u64>().expect("a number") * 1024
}

/// What some work took: time, and CPU seconds of the three processes.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    client: f64,
    vault: f64,
    store: f64,
}

impl Cost {
    /// The middle of some, each number by itself.
    pub(crate) fn median(all: &[Self]) -> Self {
        let middle = |of: fn(&Self) -> f64| median(all.iter().map(of).collect());
        Self {
            wall: Duration::from_secs_f64(middle(|cost| cost.wall.as_secs_f64())),
            client: middle(|cost| cost.client),
            vault: middle(|cost| cost.vault),
            store: middle(|cost| cost.store),
        }
    }

    /// The CPU seconds for each of `units` in words.
    pub(crate) fn cpu(&self, units: f64) -> String {
        let [client, vault, store] = [self.client, self.vault, self.store].map(|seconds| seconds / units);
        format!("CPU for each GiB: client {client:.2} s, vault {vault:.2} s, store {store:.2} s")
    }
}

/// What some work takes.
pub(crate) async fn metered<T>(store: &StoreProcess, work: impl Future<Output = T>) -> (T, Cost) {
    let processes = [std::process::id(), vault_process(), store.process.id()];
    let before = processes.map(cpu_seconds);
    let (done, wall) = timed(work).await;
    let after = processes.map(cpu_seconds);
    let [client, vault, store] = [0, 1, 2].map(|i| after[i] - before[i]);
    (done, Cost { wall, client, vault, store })
}

/// CPU seconds that a process has used, its own and the kernel's for it.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name in brackets").split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

/// How long something takes.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let done = work.await;
    (done, begun.elapsed())
}

/// The middle of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
