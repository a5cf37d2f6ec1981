//! Running other programs from the repository's folder.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the repository")
}

/// Where cargo puts what it builds.
pub(crate) fn built(name: &str) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from).join(name)
}

/// A folder of this name among what we keep in the user's cache.
pub(crate) fn cache(name: &str) -> Result<PathBuf, String> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).ok_or("HOME is not set")?;
    Ok(cache.join("coffer").join(name))
}

/// A program with its arguments, to be run in the repository's folder.
pub(crate) struct Program(Command);

/// This cargo with these arguments.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Program {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

/// Any program with these arguments.
pub(crate) fn program<S: AsRef<OsStr>>(name: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = S>) -> Program {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root());
    Program(command)
}

impl Program {
    /// Adds an argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it in another folder.
    pub(crate) fn at(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Runs it to its end, with our own input and output, and gives the status; `None` when a signal ended it.
    pub(crate) fn status(mut self) -> Result<Option<i32>, String> {
        let name = self.name();
        self.0.status().map(|status| status.code()).map_err(|error| format!("{name} can't be started: {error}"))
    }

    /// Runs it to its end, with our own input and output.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let name = self.name();
        match self.0.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{name} ended with {status}")),
            Err(error) => Err(format!("{name} can't be started: {error}")),
        }
    }

    /// Runs it to its end, shows what it writes as it comes, and hands each line to `see`.
    pub(crate) fn run_watched(mut self, mut see: impl FnMut(&str)) -> Result<(), String> {
        let name = self.name();
        let failed = |error| format!("{name} can't be started: {error}");
        let (reader, writer) = std::io::pipe().map_err(failed)?;
        self.0.stdin(Stdio::null()).stdout(writer.try_clone().map_err(failed)?).stderr(writer);
        let mut child = self.0.spawn().map_err(failed)?;
        // The command holds the pipe's other end; without this the last read would wait for ourselves.
        drop(self);
        show_lines(reader, &mut see);
        match child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{name} ended with {status}")),
            Err(error) => Err(format!("{name} got lost: {error}")),
        }
    }

    /// Runs it silently; whether it succeeded.
    pub(crate) fn succeeds(mut self) -> bool {
        let quiet = self.0.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    /// What it writes to its standard output.
    pub(crate) fn output(mut self) -> Result<Vec<u8>, String> {
        let name = self.name();
        let output = self.0.stderr(Stdio::inherit()).output().map_err(|error| format!("{name}: {error}"))?;
        if output.status.success() { Ok(output.stdout) } else { Err(format!("{name} ended with {}", output.status)) }
    }

    /// The command, for those who keep the process.
    pub(crate) fn into_command(self) -> Command {
        self.0
    }

    fn name(&self) -> String {
        let arguments = self.0.get_args().take(2).map(OsStr::to_string_lossy);
        let program = Path::new(self.0.get_program()).file_name().unwrap_or_default().to_string_lossy();
        std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
    }
}

/// The number of the user we run as.
pub(crate) fn user_id() -> Result<u32, String> {
    let text = program("id", ["-u"]).output()?;
    String::from_utf8_lossy(&text).trim().parse().map_err(|_| "`id -u` printed no number".to_owned())
}

/// Where `name` is on PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn show_lines(reader: impl Read, see: &mut impl FnMut(&str)) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        see(text.trim_end());
        line.clear();
    }
}
