//! A private Redis: found or installed, started behind a unix socket, stopped with the value.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::program::{find, program, user_id};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A unix socket's path is at most 107 bytes on Linux.
const MAX_SOCKET_PATH_BYTES: usize = 100;

/// A running redis-server of our own.
pub(crate) struct Redis {
    process: Child,
    socket: PathBuf,
}

/// The redis-server to use; installs it where that is possible, else says what to install.
pub(crate) fn find_or_install() -> Result<PathBuf, String> {
    let found = || find("redis-server").or_else(|| find("valkey-server"));
    if let Some(server) = found() {
        return Ok(server);
    }
    let missing = "redis-server is missing: install Redis 6 or newer (Debian, Ubuntu: apt install redis-server)";
    let Some(apt) = find("apt-get") else { return Err(missing.to_owned()) };
    let sudo = match (user_id()?, find("sudo")) {
        (0, _) => None,
        (_, Some(sudo)) if program(&sudo, ["-n", "true"]).succeeds() => Some(sudo),
        _ => return Err(missing.to_owned()),
    };
    println!("redis-server is missing: installing it by apt");
    let run = |arguments: &[&str]| match &sudo {
        Some(sudo) => program(sudo, [apt.as_os_str()].into_iter().chain(arguments.iter().map(std::ffi::OsStr::new))),
        None => program(&apt, arguments),
    };
    let install = ["install", "-y", "--no-install-recommends", "redis-server"];
    let quiet = ("DEBIAN_FRONTEND", "noninteractive");
    if run(&install).env(quiet.0, quiet.1).run().is_err() {
        run(&["update"]).run()?;
        run(&install).env(quiet.0, quiet.1).run()?;
    }
    found().ok_or_else(|| missing.to_owned())
}

/// Where the socket lies: in `folder`, or, should that path be too long for a socket, in a private folder under /tmp.
pub(crate) fn socket_path(folder: &Path) -> Result<PathBuf, String> {
    let near = folder.join("redis.sock");
    if near.as_os_str().len() <= MAX_SOCKET_PATH_BYTES {
        return Ok(near);
    }
    // FNV-1a: one name for each folder, and the same one on each run.
    let digest =
        folder.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    Ok(std::env::temp_dir().join(format!("coffer-{}-{digest:016x}", user_id()?)).join("redis.sock"))
}

impl Redis {
    /// Starts a server that keeps its data in `folder` and evicts nothing.
    pub(crate) fn start(server: &Path, folder: &Path) -> Result<Self, String> {
        let socket = socket_path(folder)?;
        for folder in [folder, socket.parent().expect("a socket lies in a folder")] {
            private_folder(folder)?;
        }
        if UnixStream::connect(&socket).is_ok() {
            return Err(format!("a Redis answers at {} already: is another run going?", socket.display()));
        }
        let _ = std::fs::remove_file(&socket);
        let log = folder.join("redis.log");
        let mut command = program(server, ["--port", "0", "--save", "", "--daemonize", "no"]).into_command();
        command.args(["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--unixsocketperm", "700"]);
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(folder).arg("--logfile").arg(&log);
        // In a group of its own, so that Ctrl-C reaches us and not it: it must outlive the vault.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.spawn().map_err(|error| format!("redis-server can't be started: {error}"))?;
        let mut redis = Self { process, socket };
        redis.wait_until_it_answers(&log)?;
        Ok(redis)
    }

    /// The URL for `REDIS_URL`.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    /// Whether the server is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    fn wait_until_it_answers(&mut self, log: &Path) -> Result<(), String> {
        let started = Instant::now();
        while UnixStream::connect(&self.socket).is_err() {
            if !self.is_running() {
                return Err(format!("redis-server ended at once; see {}", log.display()));
            }
            if started.elapsed() > START_LIMIT {
                return Err(format!("redis-server does not answer; see {}", log.display()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        stop(&mut self.process, STOP_LIMIT);
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Asks a process to end, and ends it when it does not within `limit`. Whether it ended by itself.
pub(crate) fn stop(process: &mut Child, limit: Duration) -> bool {
    let started = Instant::now();
    if matches!(process.try_wait(), Ok(None)) {
        program("kill", ["-TERM", &process.id().to_string()]).succeeds();
    }
    while matches!(process.try_wait(), Ok(None)) {
        if started.elapsed() > limit {
            let _ = process.kill();
            let _ = process.wait();
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Makes a folder that only this user may enter, unless it is there.
pub(crate) fn private_folder(folder: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| format!("{} can't be made: {error}", folder.display()))
}
