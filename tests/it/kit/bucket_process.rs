//! `coffer store`: the embedded bucket as a process of its own, which several vaults may share.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use url::Url;

use super::embedded::{ACCESS_KEY, BUCKET, SECRET_KEY};

/// A bucket in a folder; the process ends with the value.
pub(crate) struct BucketProcess {
    url: Url,
    process: Child,
}

impl BucketProcess {
    /// A bucket that answers, in a folder that is made for it.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_coffer"))
            .args(["store", "--bind", "127.0.0.1:0", "--bucket", BUCKET, "--root"])
            .arg(folder)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "LLVM_PROFILE_FILE"))
            .envs([("S3_ACCESS_KEY_ID", ACCESS_KEY), ("S3_SECRET_ACCESS_KEY", SECRET_KEY), ("LOG_LEVEL", "error")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("http://"));
        let mut url: Url = line.expect("the store says where it is").parse().unwrap();
        url.set_path("");
        std::thread::spawn(move || lines.for_each(drop));
        Self { url, process }
    }

    /// Where its S3 protocol is.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }
}

impl Drop for BucketProcess {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
