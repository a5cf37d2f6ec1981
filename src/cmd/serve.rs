//! `coffer serve`: the vault itself, until a signal stops it.
//!
//! It listens from the first moment, so that health can say what it waits for; the vault opens when Redis and the bucket
//! answer. A first SIGTERM or SIGINT lets requests and the batch on its way end and gives the lease back; a second one
//! ends the program at once.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{readiness, settings, terminal};
use crate::api::health::Readiness;
use crate::api::root::{Bucket, Root};
use crate::api::server::{self, Limits};
use crate::api::{Coffer, Floors, openapi};
use crate::config::{Clock, Config, Endpoint, Finding, HttpConfig, StoreConfig};
use crate::crypto::{KeyRing, RootKey, VaultKeys};
use crate::log::bootstrap::{self, BootstrapError, Ground, Location};
use crate::log::{Log, LogParts};
use crate::owner::{AppTokens, Factors, Owner, RelyingParty};
use crate::session::Sessions;
use crate::state::Redis;
use crate::store::embedded::{Embedded, serve_store};
use crate::store::probe::{Probe, probe};
use crate::store::{Abilities, Store, StoreError};
use crate::telemetry;
use crate::vault::{Catalog, Vault, VaultParts};
use crate::web;

/// From a connection to its first byte. Browsers open connections ahead of their need, so it is not short.
const FIRST_BYTE: Duration = Duration::from_secs(30);

/// Connections of whoever reads the metrics on their own listener.
const MONITORS: usize = 8;

/// First and longest pause between attempts to open the vault.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(10);

/// The arguments of `coffer serve`.
#[derive(Args)]
pub(super) struct Serve {}

/// Why the program does not run, or runs no longer.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot serve the folder {path}: {source}")]
    Folder { path: String, source: std::io::Error },
    #[error("{0}")]
    Refused(String),
    #[error("the vault does not open: {0}")]
    Vault(#[from] BootstrapError),
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

impl Serve {
    pub(super) fn run(&self, env_file: Option<&Path>) -> ExitCode {
        let config = match settings::require(env_file) {
            Ok(config) => config,
            Err(status) => return status,
        };
        telemetry::init(&config.telemetry);
        settings::log_in_effect(&config);
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                terminal::note(format_args!("coffer serve: cannot start threads: {error}"));
                return ExitCode::FAILURE;
            }
        };
        match runtime.block_on(serve(config)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!(%error, "stopped");
                ExitCode::FAILURE
            }
        }
    }
}

async fn serve(config: Config) -> Result<(), ServeError> {
    let shutdown = stop_on_signals()?;
    let listener = listen(config.http.bind).await?;
    let folder = Folder::open(&config.store).await?;
    let (readiness, health) = watch::channel(Readiness::Waiting("The program is starting.".to_owned()));
    let coffer = Arc::new(Coffer::new(config.http.clone(), health));
    let pages =
        web::pages(openapi::document(), config.http.api_docs.then(openapi::try_page), &config.store.public_origin());
    let root = Arc::new(Root::new(coffer.clone(), pages, folder.as_ref().map(|folder| folder.bucket.clone())));
    let limits = limits(&config.http);
    let monitors = monitors(&config.http, root.clone(), limits.clone(), shutdown.clone()).await?;
    let answer = move |peer, request| root.clone().answer(peer, request);
    let server = tokio::spawn(server::serve(listener, limits, shutdown.clone(), answer));
    tracing::info!(bind = %config.http.bind, public_url = %config.http.public_url, "listening");

    let endpoint = folder.as_ref().map(|folder| &folder.endpoint);
    let opened = tokio::select! {
        opened = open(&config, endpoint, &coffer, &readiness) => Some(opened),
        () = shutdown.cancelled() => None,
    };
    let opened = match opened.transpose() {
        Ok(opened) => opened,
        // A vault that can never open is not worth a running program: an init system shows the failure.
        Err(error) => {
            shutdown.cancel();
            let _ = server.await;
            return Err(error);
        }
    };
    let Some(Opened { log, vault, watched }) = opened else { return Ok(()) };
    let watcher = tokio::spawn(readiness::watch(watched, readiness));
    let feed = tokio::spawn(vault.clone().run_feed(shutdown.clone()));
    let upkeep = tokio::spawn(vault.run_upkeep(shutdown.clone()));
    // The tasks end after the signal and the drain; they do not panic.
    let _ = tokio::join!(server, upkeep, feed, monitors);
    log.stop().await;
    watcher.abort();
    tracing::info!("stopped");
    Ok(())
}

/// Serves `/metrics` on a listener of its own, where there is to be one.
async fn monitors(
    http: &HttpConfig,
    root: Arc<Root>,
    limits: Limits,
    shutdown: CancellationToken,
) -> Result<JoinHandle<()>, ServeError> {
    let Some(bind) = http.metrics_bind else { return Ok(tokio::spawn(async {})) };
    let listener = listen(bind).await?;
    let limits = Limits { connections: MONITORS, ..limits };
    let answer = move |_, request| root.clone().answer_monitor(request);
    Ok(tokio::spawn(server::serve(listener, limits, shutdown, answer)))
}

/// What stands once the vault is open.
struct Opened {
    log: Log<Catalog>,
    vault: Vault,
    watched: readiness::Watched,
}

async fn open(
    config: &Config,
    endpoint: Option<&Url>,
    coffer: &Coffer,
    readiness: &watch::Sender<Readiness>,
) -> Result<Opened, ServeError> {
    let refused = |error: &dyn std::fmt::Display| ServeError::Refused(error.to_string());
    let clock = Clock::system();
    let roots = config.keys.iter().map(|key| RootKey::new(key.name.clone(), &key.bytes)).collect();
    let ring = KeyRing::new(roots).map_err(|error| refused(&error))?;
    let owner = Owner::new(&config.owner).map_err(|error| refused(&error))?;
    let redis = Redis::new(&config.redis).map_err(|error| refused(&error))?;
    let store = Store::new(&config.store, endpoint);
    let state_dir = config.log.state_dir.as_deref();
    let location = Location::new(&config.store);
    let ground = Ground { store: &store, redis: &redis, ring: &ring, location, state_dir, clock: &clock };
    store.learn(check_bucket(config, endpoint, readiness).await);
    let keys = open_vault(&ground, readiness).await?;

    let state = redis.for_vault(keys.clone());
    let log = Log::start(LogParts {
        store: store.clone(),
        state: state.clone(),
        keys: keys.clone(),
        config: config.log.clone(),
        clock: clock.clone(),
    });
    let sessions = Sessions::new(state.clone(), &config.session, owner.credential_digest(), clock.clone());
    let vault = Vault::new(VaultParts {
        log: log.clone(),
        store: store.clone(),
        state,
        keys,
        config: config.vault.clone(),
        clock,
    });
    let tokens = AppTokens::new(vault.clone(), owner.credential_digest());
    let party = RelyingParty::new(&config.http.public_url);
    let factors = Factors::new(vault.clone(), party, config.session.mfa_required);
    coffer.open(Floors { vault: vault.clone(), sessions, owner, tokens, factors });
    let watched = readiness::Watched { status: log.status(), redis, store };
    Ok(Opened { log, vault, watched })
}

/// Asks the bucket what it is, until it is one that may be used: nothing is written to it before.
async fn check_bucket(config: &Config, endpoint: Option<&Url>, readiness: &watch::Sender<Readiness>) -> Abilities {
    let mut pause = RETRY_FIRST;
    loop {
        let Probe { abilities, report, is_away } =
            probe(&config.store, endpoint, &config.http.public_url, &Clock::system()).await;
        for Finding { variable, reason, hint, severity } in &report.findings {
            tracing::warn!(variable, reason, hint, ?severity, "the bucket was asked");
        }
        if !is_away && !report.has_errors() {
            tracing::info!(?abilities, "the bucket may be used");
            return abilities;
        }
        readiness.send_replace(match is_away {
            true => Readiness::StorageUnavailable,
            false => Readiness::Waiting("The bucket does not pass its check; the log says why.".to_owned()),
        });
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}

/// Opens the vault, waiting for Redis and the bucket with growing pauses.
async fn open_vault(ground: &Ground<'_>, readiness: &watch::Sender<Readiness>) -> Result<VaultKeys, ServeError> {
    let mut pause = RETRY_FIRST;
    loop {
        let waiting = match bootstrap::open_vault(ground).await {
            Ok(keys) => return Ok(keys),
            Err(BootstrapError::State(error)) => {
                tracing::warn!(%error, "waiting for Redis");
                Readiness::RedisUnavailable
            }
            Err(BootstrapError::Store(error @ StoreError::Unavailable { .. })) => {
                tracing::warn!(%error, "waiting for the bucket");
                Readiness::StorageUnavailable
            }
            Err(error @ BootstrapError::Busy) => Readiness::Waiting(format!("{error}.")),
            Err(error) => return Err(error.into()),
        };
        readiness.send_replace(waiting);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}

/// The embedded bucket: served to the world below its name, and to this program on a loopback of its own.
struct Folder {
    bucket: Bucket,
    endpoint: Url,
}

impl Folder {
    async fn open(config: &StoreConfig) -> Result<Option<Self>, ServeError> {
        let Endpoint::Embedded(path) = &config.endpoint else { return Ok(None) };
        let failed = |source| ServeError::Folder { path: path.display().to_string(), source };
        let store =
            Embedded::open(path, &config.access_key_id, &config.secret_access_key, &config.bucket).map_err(failed)?;
        let listener = listen(([127, 0, 0, 1], 0).into()).await?;
        let address = listener.local_addr().map_err(failed)?;
        let endpoint = Url::parse(&format!("http://{address}")).expect("an address makes a URL");
        let bucket = Bucket { name: config.bucket.clone(), front: store.front(&[]) };
        // It lives for as long as the program: the last batch needs it after the shutdown has begun.
        tokio::spawn(async move { serve_store(listener, &store, Vec::new(), std::future::pending()).await });
        Ok(Some(Self { bucket, endpoint }))
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

fn limits(http: &HttpConfig) -> Limits {
    Limits {
        connections: http.max_connections,
        first_byte: FIRST_BYTE,
        headers: Duration::from_secs(http.header_timeout_secs),
        write_stall: Duration::from_secs(http.request_timeout_secs),
        drain: Duration::from_secs(http.drain_secs),
    }
}

/// A token that the first SIGTERM or SIGINT cancels; the second ends the program.
fn stop_on_signals() -> Result<CancellationToken, ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        let mut signals = 0;
        loop {
            tokio::select! {
                _ = terminate.recv() => signals += 1,
                _ = interrupt.recv() => signals += 1,
            }
            if signals > 1 {
                tracing::warn!("a second signal: ending at once");
                std::process::exit(1);
            }
            tracing::info!("stopping: no new requests");
            token.cancel();
        }
    });
    Ok(shutdown)
}
