//! `cargo xtask test --garage`: the integration tests and those in Chromium on a real Garage, which cargo builds once into
//! the user's cache.
//!
//! Garage is a store by other people with other habits than the embedded one: it ignores conditions on a PUT, words its
//! refusals differently and verifies other things. A single node with a bucket of its own serves one run and is gone.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::counts::Counts;
use crate::program::{Program, cache, cargo, find, program};
use crate::redis::{private_folder, stop};
use crate::web;

const VERSION: &str = "2.5.0";
const REGION: &str = "garage";
const BUCKET: &str = "coffer-test";
/// Tests by the beginning of their names that no lent bucket changes.
const LEFT_OUT: [(&str, &str); 2] = [
    ("embedded::", "they test the embedded store itself"),
    ("lying_bucket::", "their bucket is a server that answers wrongly on purpose"),
];
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Builds Garage if need be, and runs the integration tests on it.
pub(crate) fn test(long: bool) -> Result<(), String> {
    let server = find_or_build()?;
    // The program that is tested has the app inside.
    web::build()?;
    let folder = std::env::temp_dir().join(format!("coffer-garage-{}", std::process::id()));
    private_folder(&folder)?;
    let result = Garage::start(&server, &folder).and_then(|garage| garage.run_tests(long));
    let _ = fs::remove_dir_all(&folder);
    result
}

/// A running node with a bucket.
struct Garage<'a> {
    process: Child,
    folder: &'a Path,
    port: u16,
    access_key_id: String,
    secret_access_key: String,
}

impl<'a> Garage<'a> {
    fn start(server: &Path, folder: &'a Path) -> Result<Self, String> {
        let (port, rpc_port) = (free_port()?, free_port()?);
        let config = folder.join("garage.toml");
        fs::write(&config, settings(folder, port, rpc_port)?).map_err(|error| format!("garage.toml: {error}"))?;
        let (access_key_id, secret_access_key) = (format!("GK{}", random_hex(12)?), random_hex(32)?);
        let log = File::create(folder.join("garage.log")).map_err(|error| format!("garage.log: {error}"))?;
        let mut command = program(server, [OsStr::new("-c"), config.as_os_str()]).into_command();
        command.args(["server", "--single-node", "--default-bucket"]);
        command.env("GARAGE_DEFAULT_ACCESS_KEY", &access_key_id);
        command.env("GARAGE_DEFAULT_SECRET_KEY", &secret_access_key);
        command.env("GARAGE_DEFAULT_BUCKET", BUCKET);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().map_err(|error| format!("garage can't be started: {error}"))?;
        let mut garage = Self { process, folder, port, access_key_id, secret_access_key };
        garage.wait_for_the_bucket(server, &config)?;
        Ok(garage)
    }

    fn wait_for_the_bucket(&mut self, server: &Path, config: &Path) -> Result<(), String> {
        let started = Instant::now();
        let config = config.to_string_lossy();
        while !program(server, ["-c", &config, "bucket", "info", BUCKET]).succeeds() {
            if !matches!(self.process.try_wait(), Ok(None)) || started.elapsed() > START_LIMIT {
                let log = fs::read_to_string(self.folder.join("garage.log")).unwrap_or_default();
                return Err(format!("garage does not get ready:\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn run_tests(&self, long: bool) -> Result<(), String> {
        let skipped = self.folder.join("skipped");
        let mut counts = Counts::default();
        println!("==> The integration tests, on Garage {VERSION}");
        let mut result = self.run(tests(), &skipped, long, &mut counts);
        // The program that the integration tests were built with.
        for step in web::browser_steps() {
            println!("\n==> {}, on Garage {VERSION}", step.name);
            result = result.and(self.run(step.program?, &skipped, long, &mut counts));
        }
        println!();
        for (tests, reason) in LEFT_OUT {
            println!("left out: {tests}: {reason}");
        }
        let skipped = fs::read_to_string(&skipped).unwrap_or_default();
        for line in skipped.lines().chain(web::skipped()) {
            println!("skipped: {line}");
        }
        println!("on Garage {VERSION}: {} passed, {} failed", counts.passed, counts.failed);
        result
    }

    /// Runs tests that take the bucket they are lent.
    fn run(&self, tests: Program, skipped: &Path, long: bool, counts: &mut Counts) -> Result<(), String> {
        let mut tests = tests
            .env("TEST_S3_ENDPOINT", format!("http://127.0.0.1:{}", self.port))
            .env("TEST_S3_REGION", REGION)
            .env("TEST_S3_BUCKET", BUCKET)
            .env("TEST_S3_ACCESS_KEY_ID", &self.access_key_id)
            .env("TEST_S3_SECRET_ACCESS_KEY", &self.secret_access_key)
            .env("TEST_SKIPPED", skipped);
        if long {
            tests = tests.env("COFFER_LONG", "1");
        }
        tests.run_watched(|line| counts.add(Counts::of_line(line).unwrap_or_default()))
    }
}

impl Drop for Garage<'_> {
    fn drop(&mut self) {
        stop(&mut self.process, STOP_LIMIT);
    }
}

fn tests() -> Program {
    let names = LEFT_OUT.map(|(name, _)| name);
    if find("cargo-nextest").is_some() {
        let only = format!("not test(/^({})/)", names.join("|"));
        return cargo(["nextest", "run", "--locked", "--test", "it", "--no-fail-fast", "--status-level", "slow", "-E"])
            .arg(only);
    }
    let skip = names.into_iter().flat_map(|name| ["--skip", name]);
    cargo(["test", "--locked", "--test", "it", "--no-fail-fast", "--"].into_iter().chain(skip))
}

fn find_or_build() -> Result<PathBuf, String> {
    let root = cache(&format!("garage-{VERSION}"))?;
    let server = root.join("bin/garage");
    if !server.is_file() {
        println!("==> Building Garage {VERSION} into {}: once, some 20 minutes on two cores", root.display());
        let mut command = cargo(["install", "garage", "--version", VERSION, "--locked"]).into_command();
        command.args(["--no-default-features", "--features", "bundled-libs,sqlite", "--root"]).arg(&root);
        // A build folder of its own: its 500 crates have no place among ours.
        let status =
            command.env_remove("CARGO_TARGET_DIR").status().map_err(|error| format!("cargo install: {error}"))?;
        if !status.success() {
            return Err(format!("cargo install garage ended with {status}"));
        }
    }
    Ok(server)
}

fn settings(folder: &Path, port: u16, rpc_port: u16) -> Result<String, String> {
    let (folder, secret) = (folder.display(), random_hex(32)?);
    Ok(format!(
        "metadata_dir = \"{folder}/meta\"\n\
         data_dir = \"{folder}/data\"\n\
         db_engine = \"sqlite\"\n\
         replication_factor = 1\n\
         rpc_bind_addr = \"127.0.0.1:{rpc_port}\"\n\
         rpc_public_addr = \"127.0.0.1:{rpc_port}\"\n\
         rpc_secret = \"{secret}\"\n\
         [s3_api]\n\
         s3_region = \"{REGION}\"\n\
         api_bind_addr = \"127.0.0.1:{port}\"\n"
    ))
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}

fn random_hex(bytes: usize) -> Result<String, String> {
    let mut random = vec![0; bytes];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random));
    read.map_err(|error| format!("/dev/urandom: {error}"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
