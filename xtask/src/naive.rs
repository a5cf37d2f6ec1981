//! `cargo xtask naive`: does a test fail on the naive version?
//!
//! Each patch of `tests/naive/` takes one defence out of the committed code, in a worktree of its own under `target/`. The
//! tests that its second line names must build and at least one must fail. A patch that does not apply any more is a
//! failure too: the code has moved, and the patch must follow.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::program::{built, cargo, program, root};

/// What nextest ends with when tests failed, beside every other reason.
const TESTS_FAILED: i32 = 100;

/// The arguments of `cargo xtask naive`.
#[derive(Args)]
pub(crate) struct Naive {
    /// Only patches with this in their name
    #[arg(default_value = "")]
    filter: String,
}

/// One naive version.
struct Version {
    name: String,
    patch: PathBuf,
    /// What it gives up, with the row of the attack.
    about: String,
    /// Which tests are to find it: arguments for nextest, apart by spaces.
    tests: String,
}

impl Naive {
    pub(crate) fn run(&self) -> Result<(), String> {
        let versions: Vec<Version> =
            versions()?.into_iter().filter(|version| version.name.contains(&self.filter)).collect();
        let tree = Tree::new()?;
        let mut missed = Vec::new();
        for (index, version) in versions.iter().enumerate() {
            println!("\n==> [{}/{}] {}", index + 1, versions.len(), version.about);
            match tree.judge(version) {
                Ok(()) => println!("==> found"),
                Err(reason) => {
                    println!("==> {}: {reason}", version.name);
                    missed.push(version.name.as_str());
                }
            }
        }
        println!("\n{} naive versions found, {} missed", versions.len() - missed.len(), missed.len());
        if missed.is_empty() { Ok(()) } else { Err(format!("missed: {}", missed.join(", "))) }
    }
}

fn versions() -> Result<Vec<Version>, String> {
    let folder = root().join("tests/naive");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("tests/naive: {error}"))?;
    let mut patches: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.sort();
    patches.into_iter().map(Version::read).collect()
}

impl Version {
    fn read(patch: PathBuf) -> Result<Self, String> {
        let name = patch.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(&patch).map_err(|error| format!("{name}: {error}"))?;
        let mut lines = text.lines();
        let about = lines.next().unwrap_or_default().to_owned();
        let tests = lines.next().and_then(|line| line.strip_prefix("Tests: "));
        let tests = tests.ok_or_else(|| format!("{name}: the second line does not begin with `Tests: `"))?.to_owned();
        Ok(Self { name, patch, about, tests })
    }
}

/// A worktree of the committed code; gone when dropped. What it builds is kept for the next time.
struct Tree {
    folder: PathBuf,
    target: PathBuf,
}

impl Tree {
    fn new() -> Result<Self, String> {
        let (folder, target) = (built("naive/tree"), built("naive/target"));
        let tree = Self { folder, target };
        tree.remove();
        let add = ["worktree", "add", "--quiet", "--force", "--detach"].map(Into::into);
        program("git", add.into_iter().chain([tree.folder.clone().into_os_string(), "HEAD".into()])).run()?;
        Ok(tree)
    }

    fn judge(&self, version: &Version) -> Result<(), String> {
        program("git", ["checkout", "--quiet", "."]).at(&self.folder).run()?;
        let patch = version.patch.as_os_str();
        program("git", ["apply".as_ref(), patch]).at(&self.folder).run().map_err(|_| "does not apply".to_owned())?;
        let nextest = |more: &[&str]| {
            let beginning = ["nextest", "run", "--locked"].iter().chain(more).copied();
            let arguments: Vec<&str> = beginning.chain(version.tests.split_whitespace()).collect();
            cargo(arguments).at(&self.folder).env("CARGO_TARGET_DIR", &self.target)
        };
        nextest(&["--no-run"]).run().map_err(|_| "does not build".to_owned())?;
        let running = nextest(&["--fail-fast", "--status-level", "fail", "--failure-output", "never"]);
        match running.status()? {
            Some(TESTS_FAILED) => Ok(()),
            Some(0) => Err("no test fails on it".to_owned()),
            status => Err(format!("the tests could not be run (status {status:?})")),
        }
    }

    fn remove(&self) {
        let folder: &Path = &self.folder;
        if folder.exists() {
            program("git", ["worktree".as_ref(), "remove".as_ref(), "--force".as_ref(), folder.as_os_str()]).succeeds();
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.remove();
    }
}
