//! `coffer store`: a folder served as an S3 bucket by a process of its own, for a second box, for benches and for tests.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{settings, terminal};
use crate::config::StoreServerConfig;
use crate::store::embedded::{Embedded, serve_store};
use crate::telemetry;

/// The arguments of `coffer store`.
#[derive(Args)]
pub(super) struct Store {
    /// The folder that is the bucket; made if absent
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    bind: SocketAddr,
    /// The bucket's name
    #[arg(long, value_name = "NAME")]
    bucket: String,
    /// An origin (scheme, host and port) whose pages may use the bucket; may be repeated
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allowed_origins: Vec<String>,
}

impl Store {
    pub(super) fn run(self, env_file: Option<&Path>) -> ExitCode {
        let config = match settings::require_store_server(env_file) {
            Ok(config) => config,
            Err(status) => return status,
        };
        telemetry::init(&config.telemetry);
        match self.serve(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                terminal::note(format_args!("coffer store: {error}"));
                ExitCode::FAILURE
            }
        }
    }

    #[tokio::main]
    async fn serve(self, config: &StoreServerConfig) -> io::Result<()> {
        if !s3s::path::check_bucket_name(&self.bucket) {
            return Err(io::Error::other("the bucket's name must be 3 to 63 small letters, digits, dots and hyphens"));
        }
        let store = Embedded::open(&self.root, &config.access_key_id, &config.secret_access_key, &self.bucket)?;
        let listener = TcpListener::bind(self.bind).await?;
        let stopped = stopped()?;
        terminal::say(format_args!("http://{}/{}", listener.local_addr()?, self.bucket));
        serve_store(listener, &store, self.allowed_origins, stopped).await
    }
}

/// Ready once the process is asked to end.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
