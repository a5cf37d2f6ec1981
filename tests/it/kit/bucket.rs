//! `coffer store`: the embedded bucket as a process of its own, which several vaults may share.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use url::Url;

use super::embedded::{ACCESS_KEY, BUCKET, SECRET_KEY};

/// A bucket in a folder; both end with the value.
pub(crate) struct BucketProcess {
    _folder: TempDir,
    url: Url,
    process: Child,
}

impl BucketProcess {
    /// A new, empty bucket that answers.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("coffer-bucket-").tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_coffer"))
            .args(["store", "--bind", "127.0.0.1:0", "--bucket", BUCKET, "--root"])
            .arg(folder.path().join("bucket"))
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
        Self { _folder: folder, url, process }
    }

    /// Where its S3 protocol is.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The settings of a vault that finds it at `url`, which may be a proxy's.
    pub(crate) fn settings(url: &Url) -> [(&'static str, String); 6] {
        [
            ("S3_ENDPOINT", url.to_string()),
            ("S3_REGION", "us-east-1".to_owned()),
            ("S3_BUCKET", BUCKET.to_owned()),
            ("S3_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("S3_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("S3_PATH_STYLE", "true".to_owned()),
        ]
    }
}

impl Drop for BucketProcess {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
