//! `cargo xtask run`: a working vault on this machine, with one command.
//!
//! Everything lies under `data/` and in `.env`; a second run finds the same vault. Nothing is ever overwritten: `coffer
//! init` makes `.env` once, and refuses where a bucket exists whose keys are gone.

use std::io::{IsTerminal, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::program::{built, cargo, program, root};
use crate::redis::{self, Redis};
use crate::web;

const DEFAULT_PORT: u16 = 8080;

/// The owner's address where there is nobody to ask.
const UNATTENDED_EMAIL: &str = "owner@coffer.local";

/// After this long without being ready we say where to look, and go on waiting.
const READY_HINT_AFTER: Duration = Duration::from_secs(30);

/// Longer than the vault lets requests finish (`DRAIN_SECS`, at most 600 s).
const STOP_LIMIT: Duration = Duration::from_secs(610);

const TICK: Duration = Duration::from_millis(100);

/// The arguments of `cargo xtask run`.
#[derive(Args)]
pub(crate) struct Run {
    /// The owner's e-mail address, on the first run
    #[arg(long)]
    email: Option<String>,
    /// The port on this machine
    #[arg(long)]
    port: Option<u16>,
    /// Build without optimisation: quicker to build, slower to run
    #[arg(long)]
    debug: bool,
}

impl Run {
    pub(crate) fn run(&self) -> Result<(), String> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|error| error.to_string())?;
        }
        let server = redis::find_or_install()?;
        let coffer = self.build()?;
        let data = root().join("data");
        redis::private_folder(&data)?;
        let env_file = root().join(".env");
        if env_file.symlink_metadata().is_err() {
            self.init(&coffer, &data)?;
        }
        let settings = std::fs::read_to_string(&env_file).map_err(|error| format!(".env: {error}"))?;
        let mut redis = None;
        if is_private_redis(&settings) {
            say("Starting Redis (data/redis)");
            redis = Some(Redis::start(&server, &data.join("redis"))?);
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let port = self.port.or_else(|| port_of(&settings)).unwrap_or(DEFAULT_PORT);
        let vault = self.start(&coffer, redis.as_ref(), port)?;
        watch(vault, redis, port, &stop)
    }

    fn build(&self) -> Result<PathBuf, String> {
        say("Building the app");
        if let Some(reason) = web::build()? {
            say(&format!("Going on without the app: {reason}"));
        }
        say("Building Coffer (the first time takes some minutes)");
        let profile = if self.debug { "dev" } else { "release" };
        cargo(["build", "--locked", "--bin", "coffer", "--profile", profile]).run()?;
        Ok(built(if self.debug { "debug/coffer" } else { "release/coffer" }))
    }

    fn init(&self, coffer: &Path, data: &Path) -> Result<(), String> {
        say("First run: making .env");
        let port = self.port.unwrap_or(DEFAULT_PORT);
        let socket = redis::socket_path(&data.join("redis"))?;
        let mut arguments = vec!["init".to_owned(), "--file".into(), ".env".into()];
        if let Some(email) = self.email.as_deref().or((!std::io::stdin().is_terminal()).then_some(UNATTENDED_EMAIL)) {
            arguments.extend(["--email".into(), email.into()]);
        }
        for setting in [
            "S3_ENDPOINT=embedded:./data/store".to_owned(),
            "STATE_DIR=./data/state".to_owned(),
            format!("REDIS_URL=redis+unix://{}", socket.display()),
            format!("BIND=127.0.0.1:{port}"),
            format!("PUBLIC_URL=http://localhost:{port}"),
        ] {
            arguments.extend(["--set".into(), setting]);
        }
        program(coffer, arguments).run()
    }

    fn start(&self, coffer: &Path, redis: Option<&Redis>, port: u16) -> Result<Child, String> {
        say("Starting the vault");
        let mut command = program(coffer, ["--env-file", ".env", "serve"]).into_command();
        if let Some(redis) = redis {
            // The folder may have moved since .env was written.
            command.env("REDIS_URL", redis.url());
        }
        if self.port.is_some() {
            command.env("BIND", format!("127.0.0.1:{port}")).env("PUBLIC_URL", format!("http://localhost:{port}"));
        }
        command.process_group(0).stdin(Stdio::null());
        command.spawn().map_err(|error| format!("{} can't be started: {error}", coffer.display()))
    }
}

/// Waits for Ctrl-C or the end of either process, then stops the vault first and Redis after it.
fn watch(mut vault: Child, mut redis: Option<Redis>, port: u16, stop: &AtomicBool) -> Result<(), String> {
    let started = Instant::now();
    let (mut is_ready, mut hinted) = (false, false);
    loop {
        if stop.load(Ordering::Relaxed) {
            say("Stopping");
            let is_clean = redis::stop(&mut vault, STOP_LIMIT);
            drop(redis);
            say("Stopped");
            return if is_clean { Ok(()) } else { Err("the vault did not stop by itself".to_owned()) };
        }
        if let Ok(Some(status)) = vault.try_wait() {
            return Err(format!("the vault ended with {status}"));
        }
        if redis.as_mut().is_some_and(|redis| !redis.is_running()) {
            redis::stop(&mut vault, STOP_LIMIT);
            return Err("Redis ended; see data/redis/redis.log".to_owned());
        }
        if !is_ready && answers_ready(port) {
            is_ready = true;
            say(&format!("Ready: http://localhost:{port}   (Ctrl-C stops everything)"));
        }
        if !is_ready && !hinted && started.elapsed() > READY_HINT_AFTER {
            hinted = true;
            say(&format!("Not ready yet; http://localhost:{port}/health/ready says why"));
        }
        std::thread::sleep(TICK);
    }
}

fn answers_ready(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    let limit = Some(Duration::from_secs(2));
    stream.set_read_timeout(limit).is_ok()
        && stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer == *b"HTTP/1.1 200"
}

fn is_private_redis(settings: &str) -> bool {
    value(settings, "REDIS_URL").is_some_and(|url| url.starts_with("redis+unix:") && url.ends_with("/redis.sock"))
}

fn port_of(settings: &str) -> Option<u16> {
    value(settings, "BIND")?.rsplit_once(':')?.1.parse().ok()
}

fn value<'a>(settings: &'a str, name: &str) -> Option<&'a str> {
    let line = settings.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    Some(line.trim_matches(['\'', '"']))
}

fn say(text: &str) {
    println!("==> {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_the_vault_reads_them() {
        let settings = "# BIND=x\nBIND='127.0.0.1:9000'\nREDIS_URL=redis+unix:///a/data/redis/redis.sock\n";
        assert_eq!(port_of(settings), Some(9_000));
        assert!(is_private_redis(settings));
        assert!(!is_private_redis("REDIS_URL=redis://127.0.0.1:6379/"));
        assert_eq!(port_of(""), None);
    }
}
