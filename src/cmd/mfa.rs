//! `coffer mfa reset`: the way back for an owner who lost every second factor, from the server's console.
//!
//! It takes the writer's lease from whoever holds it, makes one change and gives the lease back: a vault that runs
//! stands by meanwhile and resumes. The lease only says who should write; what one of the two wrote late is refused by
//! the log's markers, as in any take-over.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::net::TcpListener;
use url::Url;

use super::{settings, terminal};
use crate::config::{Clock, Config, Endpoint};
use crate::crypto::{KeyRing, RootKey};
use crate::log::bootstrap::{self, Ground, Location};
use crate::log::{Log, LogParts, Status};
use crate::owner::reset_factors;
use crate::state::{Redis, State};
use crate::store::Store;
use crate::store::embedded::{Embedded, serve_store};
use crate::vault::{Actor, Catalog, Vault, VaultParts};

/// How long the vault may take to open.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long to wait for the lease before it is taken again: the running vault may have been quicker.
const PAUSE: Duration = Duration::from_secs(3);

/// The arguments of `coffer mfa`.
#[derive(Args)]
pub(super) struct Mfa {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Take all second factors away and end every session; works while the vault runs
    Reset,
}

impl Mfa {
    pub(super) fn run(&self, env_file: Option<&Path>) -> ExitCode {
        let config = match settings::require(env_file) {
            Ok(config) => config,
            Err(status) => return status,
        };
        let Verb::Reset = self.verb;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let done = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
            runtime.block_on(async {
                let patience = tokio::time::timeout(PATIENCE, reset(&config)).await;
                patience
                    .unwrap_or_else(|_| Err("the vault did not open in time; nothing is known to be changed".into()))
            })
        });
        match done {
            Ok(0) => terminal::say("There was no second factor. Every session is over: log in with the password."),
            Ok(_) => terminal::say("No second factor is left, and every session is over: log in with the password."),
            Err(reason) => {
                terminal::note(format_args!("coffer mfa reset: {reason}"));
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }
}

async fn reset(config: &Config) -> Result<usize, String> {
    let clock = Clock::system();
    let endpoint = bucket(config).await?;
    let store = Store::new(&config.store, endpoint.as_ref());
    if !store.any_under("vault").await.map_err(text)? {
        return Err("there is no vault at this place".to_owned());
    }
    let roots = config.keys.iter().map(|key| RootKey::new(key.name.clone(), &key.bytes)).collect();
    let ring = KeyRing::new(roots).map_err(text)?;
    let redis = Redis::new(&config.redis).map_err(text)?;
    let location = Location::new(&config.store);
    let state_dir = config.log.state_dir.as_deref();
    let ground = Ground { store: &store, redis: &redis, ring: &ring, location, state_dir, clock: &clock };
    let keys = bootstrap::open_vault(&ground).await.map_err(text)?;
    let state = redis.for_vault(keys.clone());
    let parts = LogParts {
        store: store.clone(),
        state: state.clone(),
        keys: keys.clone(),
        config: config.log.clone(),
        clock: clock.clone(),
    };
    let log = Log::<Catalog>::start(parts);
    let done = match take_over(&log, &state).await {
        Ok(()) => {
            // Until it asks for its lease again, the vault that runs answers from what it knew: nothing may change before.
            tokio::time::sleep(Duration::from_secs(config.log.lease_secs)).await;
            let config = config.vault.clone();
            let vault = Vault::new(VaultParts { log: log.clone(), store, state, keys, config, clock });
            let actor = Actor { client: Some("console".into()), request_id: "mfa-reset".into(), ..Actor::default() };
            reset_factors(&vault, actor).await.map_err(text)
        }
        Err(reason) => Err(reason),
    };
    log.stop().await;
    done
}

/// Waits until this process writes the log.
async fn take_over(log: &Log<Catalog>, state: &State) -> Result<(), String> {
    let mut status = log.status();
    loop {
        state.break_lease().await.map_err(text)?;
        // Loading takes as long as it takes; only a lease that somebody else has is taken again.
        let is_busy = |status: &Status| !matches!(status, Status::Standby);
        if tokio::time::timeout(PAUSE, status.wait_for(is_busy)).await.is_err() {
            continue;
        }
        let settled = status.wait_for(|status| !matches!(status, Status::Loading { .. })).await.map_err(text)?.clone();
        match settled {
            Status::Serving { .. } => return Ok(()),
            Status::ReadOnly { reason, .. } | Status::Refused { reason } => return Err(reason),
            Status::Standby | Status::Loading { .. } => {}
            Status::Stopped => return Err("the log ended".to_owned()),
        }
    }
}

/// Where the bucket answers: a folder is served by the running vault, or else by this program for as long as it takes.
async fn bucket(config: &Config) -> Result<Option<Url>, String> {
    let Endpoint::Embedded(path) = &config.store.endpoint else { return Ok(None) };
    let store = &config.store;
    let address = match Embedded::open(path, &store.access_key_id, &store.secret_access_key, &store.bucket) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => reachable(config.http.bind),
        Err(error) => return Err(format!("the bucket's folder can't be opened: {error}")),
        Ok(embedded) => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(text)?;
            let address = listener.local_addr().map_err(text)?;
            // It ends with the program.
            tokio::spawn(async move { serve_store(listener, &embedded, Vec::new(), std::future::pending()).await });
            address
        }
    };
    Ok(Some(Url::parse(&format!("http://{address}")).expect("an address makes a URL")))
}

/// A listener's address as its own machine reaches it.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
