//! `rclone serve s3`: a folder served as a bucket by other people's program, which `RCLONE` names.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use url::Url;

use super::embedded::{ACCESS_KEY, BUCKET, SECRET_KEY};

/// The service; the process ends with the value.
pub(crate) struct Rclone {
    url: Url,
    process: Child,
}

impl Rclone {
    /// Serves `folder`, which gets an empty bucket, to those who have the tests' keys.
    pub(crate) fn start(folder: &Path) -> Self {
        std::fs::create_dir(folder.join(BUCKET)).unwrap();
        let mut process = Command::new(std::env::var_os("RCLONE").expect("`cargo xtask test --rclone` sets RCLONE"))
            .args(["serve", "s3", "--addr", "127.0.0.1:0", "--config", "", "--auth-key"])
            .arg(format!("{ACCESS_KEY},{SECRET_KEY}"))
            .arg(folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = lines.by_ref().map_while(Result::ok).find(|line| line.contains("Starting s3 server on ["));
        let line = line.expect("it says where it is");
        let url = line.split(['[', ']']).find(|piece| piece.starts_with("http://")).unwrap().parse().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self { url, process }
    }

    /// Where its S3 protocol is.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }
}

impl Drop for Rclone {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
