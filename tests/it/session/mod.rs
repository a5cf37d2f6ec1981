//! Sessions over a real Redis: who is let in, for how long, and how it ends.

mod binding;
mod lifetime;
mod login;
mod quota;
mod secrecy;
mod ticket;

use std::net::IpAddr;

use coffer::config::{Clock, OwnerConfig, Password, QuotaConfig, RedisConfig, Secret, SessionConfig};
use coffer::crypto::{KeyRing, RootKey, VaultId, VaultKeys, random};
use coffer::owner::{Demand, Owner};
use coffer::session::{ClientInfo, Login, Meter, NewSession, Session, SessionError, Sessions, Transport};
use coffer::state::{Redis, State};

use crate::kit::TestRedis;

const EMAIL: &str = "owner@example.org";
const PASSWORD: &str = "correct horse battery staple";
const SECRET: &str = "a signing secret of more than thirty-two bytes";
const EPOCH: u64 = 1;
const START_MS: u64 = 1_800_000_000_000;
const TIMEOUT_MS: u64 = 1_000;
const SECOND_MS: u64 = 1_000;
const DAY_MS: u64 = 86_400_000;
const HOME: &str = "192.0.2.1";

struct House {
    redis: TestRedis,
    state: State,
    owner: Owner,
    clock: Clock,
    config: SessionConfig,
    sessions: Sessions,
}

impl House {
    async fn new() -> Self {
        Self::with(TestRedis::start().await, |_| {})
    }

    /// With a Redis that may be stopped.
    async fn private() -> Self {
        Self::with(TestRedis::private().await, |_| {})
    }

    fn with(redis: TestRedis, change: impl FnOnce(&mut SessionConfig)) -> Self {
        let link = Redis::new(&RedisConfig { url: Secret::new(redis.url().into()), timeout_ms: TIMEOUT_MS }).unwrap();
        let ring = KeyRing::new(vec![RootKey::new("test".into(), &random::bytes())]).unwrap();
        let state = link.for_vault(VaultKeys::new(&ring, VaultId(random::bytes())));
        let mut config = SessionConfig {
            jwt_secrets: vec![Secret::new(SECRET.into())],
            ttl_secs: 30 * 86_400,
            idle_secs: 7 * 86_400,
            max_sessions: 100,
            login_limit: 5,
            login_window_secs: 900,
            quotas: QuotaConfig {
                owner_requests: 10_000,
                owner_uploads: 20_000,
                stranger_requests: 100,
                stranger_uploads: 50,
                request_window_secs: 900,
                upload_window_secs: 3_600,
            },
            mfa_required: false,
            secure_cookie: true,
        };
        change(&mut config);
        let (owner, clock) = (owner(PASSWORD), Clock::manual(START_MS));
        let sessions = Sessions::new(state.clone(), &config, owner.credential_digest(), clock.clone());
        Self { redis, state, owner, clock, config, sessions }
    }

    /// As after a restart with another configuration.
    fn restarted(&self, change: impl FnOnce(&mut SessionConfig)) -> Sessions {
        let mut config = self.config.clone();
        change(&mut config);
        Sessions::new(self.state.clone(), &config, self.owner.credential_digest(), self.clock.clone())
    }

    async fn try_from(&self, address: &str, email: &str, password: &str) -> Result<NewSession, SessionError> {
        let (email, password) = (email.into(), Secret::new(password.into()));
        let login = Login { email, password, transport: Transport::Bearer, client: client(address) };
        self.sessions.log_in(login, &self.owner, Demand::None, EPOCH).await
    }

    async fn log_in(&self) -> NewSession {
        self.try_from(HOME, EMAIL, PASSWORD).await.unwrap()
    }

    async fn authenticate(&self, new: &NewSession) -> Result<Session, SessionError> {
        self.sessions.authenticate(new.token.expose(), &client(HOME), EPOCH).await
    }

    async fn is_living(&self, new: &NewSession) -> bool {
        self.authenticate(new).await.is_ok()
    }
}

fn owner(password: &str) -> Owner {
    let password = Password::Plain(Secret::new(password.into()));
    Owner::new(&OwnerConfig { email: EMAIL.into(), password, argon2_jobs: 2 }).unwrap()
}

fn client(address: &str) -> ClientInfo {
    let user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 canary-agent";
    let address = address.parse::<IpAddr>().unwrap();
    ClientInfo { address, user_agent: Some(user_agent.into()), language: None, proof: None, meter: Meter::default() }
}
