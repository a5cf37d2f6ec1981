//! Sessions: a signed token and the Redis record that decides.
//!
//! A token alone is nobody: each request is decided by the session's record in Redis, read for that request, so that
//! revoking is immediate. A record holds the digest of the credential and the epoch it was made under; when the owner's
//! password changes, or Redis was lost and the epoch was raised, the session is over. Streams that outlive their request
//! hold on to [`Session::ended`] and stop when the session does.
//!
//! Guarantees: no token without a record; Redis away is [`SessionError::RedisUnavailable`] at once; nothing in Redis tells
//! a token, a person or an address; a login costs one counted attempt before any password is hashed.
//! It deliberately does not know cookies, headers, or where a client's address comes from.

mod app;
mod binding;
mod challenge;
mod client;
mod factor;
mod limit;
mod nonce;
mod places;
mod proof;
mod quota;
mod record;
mod signal;
mod ticket;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::{Clock, Secret, SessionConfig};
use crate::crypto::{random, sha256};
use crate::owner::{Busy, Demand, Owner};
use crate::state::{State, StateError, Table};

pub use app::TokenUse;
pub use challenge::CHALLENGE_LIFE_MS;
pub use client::ClientInfo;
pub use factor::{Asker, Identity, Proof, ProofError};
pub use nonce::NONCE_WINDOW_MS;
pub use proof::{MAX_PROOF_BYTES, MAX_PROOF_NAME_BYTES, PROOF_SKEW_SECS, ShownProof, Thumbprint};
pub use quota::{Counted, Meter, Quota};
pub use record::{Binding, STEP_UP_MS, SessionState, SessionView, Transport, UNFINISHED_LIFE_MS};
pub use ticket::{HeldTicket, NewTicket, Redeemed, TICKET_LIFE_MS, Ticket};

use challenge::Challenges;
use limit::Budget;
use nonce::Nonces;
use places::{MAX_UNFINISHED, Sorted};
use quota::Quotas;
use record::{Record, Standing};
use signal::{Signal, Signals};
use token::{Tokens, Verdict};

/// How often a session's last use is written down.
const TOUCH_MS: u64 = 60_000;

/// Attempts to add a record while other logins fill the last place.
const ADD_ATTEMPTS: usize = 3;

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The token is none of ours, or its session was ended.
    #[error("the token is not valid")]
    InvalidToken,
    /// The session is over by its age or because it was not used.
    #[error("the session has expired")]
    TokenExpired,
    /// Address and password are not the owner's; which of them is not said.
    #[error("the e-mail address or the password is wrong")]
    WrongCredentials,
    /// Too many logins, or requests, were tried.
    #[error("too much was tried")]
    RateLimited {
        /// When the next try may be made; at least 1.
        retry_after_secs: u64,
    },
    /// Too many were tried, and with this one a lock-out begins.
    #[error("too many logins were tried: locked out")]
    LockedOut {
        /// When the next one may be tried; at least 1.
        retry_after_secs: u64,
    },
    /// Too many passwords are being checked at this moment.
    #[error("too many logins are being checked")]
    Busy,
    /// The session is bound to a key, and the request does not prove it with a nonce and a time of now: it may try again.
    #[error("a fresh proof of possession is needed")]
    ProofWanted,
    /// The proof of possession is not one for this request, or was used before.
    #[error("the proof of possession is not valid")]
    InvalidProof,
    /// Somebody else had the token: the session is over for everybody.
    #[error("the token was used by another client")]
    Suspicious {
        /// The session that was ended.
        session: SessionId,
    },
    /// The ticket is none, or it or its session ended.
    #[error("the ticket is not valid")]
    InvalidTicket,
    /// Redis did not answer, and without it nobody is known.
    #[error("redis is not available")]
    RedisUnavailable,
}

/// The public name of a session: the SHA-256 of the secret in its token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 32]);

impl SessionId {
    fn of(secret: &[u8; 32]) -> Self {
        Self(sha256(secret))
    }

    /// 64 characters of lower-case hex.
    pub fn hex(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// Reads what [`SessionId::hex`] wrote.
    pub fn from_hex(text: &str) -> Option<Self> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// A request to log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// As typed.
    pub email: String,
    /// As typed.
    pub password: Secret,
    /// How the token will travel.
    pub transport: Transport,
    /// Who asks.
    pub client: ClientInfo,
}

/// What a login gives.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The token; whoever has it is the owner until the session ends.
    pub token: Secret,
    /// When the session ends at the latest, Unix milliseconds.
    pub expires_at_ms: u64,
    /// The session as the owner's list shows it.
    pub session: SessionView,
}

/// A session that was alive when its request arrived. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Session {
    /// As the owner's list shows it.
    pub view: SessionView,
    remaining: Duration,
    signal: Signal,
}

impl Session {
    /// Resolves when the session is found ended by this process, or its time is up. Whatever goes on after its request was
    /// authenticated **must** stop then.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let (signal, remaining) = (self.signal.clone(), self.remaining);
        async move {
            tokio::select! {
                () = signal.given() => {}
                () = tokio::time::sleep(remaining) => {}
            }
        }
    }
}

/// The sessions of one vault. Cheap to clone; all clones in a process share their signals.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    state: State,
    table: Table,
    tokens: Tokens,
    budget: Budget,
    challenges: Challenges,
    nonces: Nonces,
    quotas: Quotas,
    signals: Signals,
    credential: [u8; 32],
    ttl_ms: u64,
    idle_ms: u64,
    max_sessions: usize,
    clock: Clock,
}

impl Sessions {
    /// The sessions kept in `state`; those made under another credential are over. Asks nothing of Redis.
    pub fn new(state: State, config: &SessionConfig, credential_digest: [u8; 32], clock: Clock) -> Self {
        Self(Arc::new(Inner {
            table: state.table("sessions"),
            tokens: Tokens::new(&config.jwt_secrets, &state.vault_id().hex()),
            signals: Signals::new(config.max_sessions),
            budget: Budget::new(state.clone(), config),
            challenges: Challenges::new(config.jwt_secrets.first().expect("the settings hold at least one secret")),
            nonces: Nonces::new(config.jwt_secrets.first().expect("the settings hold at least one secret")),
            quotas: Quotas::new(state.clone(), config),
            state,
            credential: credential_digest,
            ttl_ms: config.ttl_secs.saturating_mul(1_000),
            idle_ms: config.idle_secs.saturating_mul(1_000),
            max_sessions: config.max_sessions.max(1),
            clock,
        }))
    }

    /// Makes a session for the owner, which owes what `demand` asks for. When there are as many as there may be, the least
    /// recently used one gives way. `epoch` is the vault's session epoch.
    ///
    /// # Errors
    /// [`SessionError::WrongCredentials`], [`SessionError::RateLimited`], [`SessionError::LockedOut`],
    /// [`SessionError::Busy`], [`SessionError::RedisUnavailable`], and what is wrong with a proof that came with it; there is no session then that
    /// anyone could use.
    pub async fn log_in(
        &self,
        login: Login,
        owner: &Owner,
        demand: Demand,
        epoch: u64,
    ) -> Result<NewSession, SessionError> {
        let offered = self.offered_key(&login.client)?;
        let budget = &self.0.budget;
        let counted = budget.count(&login.email, login.client.address, self.0.clock.now_ms()).await?;
        match owner.verify(&login.email, login.password.expose()).await {
            // Half a login forgives nothing: whoever has the password could try codes without end.
            Ok(true) if demand == Demand::Prove => budget.uncount(&counted).await?,
            Ok(true) => budget.forgive(&counted).await?,
            Ok(false) => return Err(SessionError::WrongCredentials),
            Err(Busy) => {
                budget.uncount(&counted).await?;
                return Err(SessionError::Busy);
            }
        }
        if let Some(offered) = &offered {
            self.use_up(offered).await?;
        }
        let mut record = self.new_record(&login.client, login.transport, offered.map(|offered| offered.key), epoch);
        if demand != Demand::None {
            record.unfinished = true;
            record.expires_ms = record.expires_ms.min(record.created_ms.saturating_add(UNFINISHED_LIFE_MS));
        }
        self.begin(record).await
    }

    /// Makes the session of a record.
    async fn begin(&self, record: Record) -> Result<NewSession, SessionError> {
        let secret = Zeroizing::new(random::bytes());
        let id = SessionId::of(&secret);
        self.add(id, &record).await?;
        Ok(self.issued(&secret, &record))
    }

    /// The same session under a new name and token, after `change`; the old ones are nobody's from then on. What the
    /// session left going on goes on.
    async fn renew(&self, session: &Session, change: impl FnOnce(&mut Record)) -> Result<NewSession, SessionError> {
        let old = session.view.id;
        let found = match self.0.table.get(&old.hex()).await {
            Ok(found) => found.and_then(|found| Record::decode(&found.value)),
            Err(StateError::Corrupt) => None,
            Err(StateError::Unavailable) => return Err(SessionError::RedisUnavailable),
        };
        let mut record = found.ok_or(SessionError::InvalidToken)?;
        let was_unfinished = record.unfinished;
        change(&mut record);
        let mut give_way = Vec::new();
        if was_unfinished && !record.unfinished {
            record.expires_ms = self.0.clock.now_ms().saturating_add(self.0.ttl_ms);
            give_way = self.sorted_out(record.epoch).await?.pushed_out(&record, self.0.max_sessions);
        }
        let secret = Zeroizing::new(random::bytes());
        let id = SessionId::of(&secret);
        let fields: Vec<String> = give_way.iter().map(|id| id.hex()).collect();
        let (from, to, value) = (old.hex(), id.hex(), record.encode());
        if !self.0.table.rename(&from, &to, &value, self.0.ttl_ms, &fields).await.map_err(away)? {
            return Err(SessionError::InvalidToken);
        }
        self.0.signals.rename(old, id);
        give_way.into_iter().for_each(|id| self.0.signals.give(id));
        Ok(self.issued(&secret, &record))
    }

    fn issued(&self, secret: &[u8; 32], record: &Record) -> NewSession {
        let token = self.0.tokens.sign(secret, record.created_ms, record.expires_ms);
        NewSession { token, expires_at_ms: record.expires_ms, session: record.view(SessionId::of(secret)) }
    }

    /// Counts a request that shows no session.
    ///
    /// # Errors
    /// [`SessionError::RateLimited`], [`SessionError::RedisUnavailable`].
    pub async fn count_stranger(&self, client: &ClientInfo) -> Result<(), SessionError> {
        self.0.quotas.count(&client.meter, client.address, self.0.clock.now_ms()).await
    }

    /// The living session that a token names, and a note of its use. The request is counted by the client's meter.
    ///
    /// # Errors
    /// [`SessionError::InvalidToken`], [`SessionError::TokenExpired`], [`SessionError::RateLimited`],
    /// [`SessionError::RedisUnavailable`]; [`SessionError::ProofWanted`] and [`SessionError::InvalidProof`] for a session
    /// that is bound to a key, and [`SessionError::Suspicious`].
    pub async fn authenticate(&self, token: &str, client: &ClientInfo, epoch: u64) -> Result<Session, SessionError> {
        let inner = &self.0;
        let now_ms = inner.clock.now_ms();
        let secret = match inner.tokens.verify(token, now_ms) {
            Verdict::Valid(secret) => secret,
            verdict => {
                self.count_stranger(client).await?;
                let expired = matches!(verdict, Verdict::Expired);
                return Err(if expired { SessionError::TokenExpired } else { SessionError::InvalidToken });
            }
        };
        self.living(SessionId::of(&secret), Some(token), client, epoch).await
    }

    /// The session of that name while it lives, and a note of its use. Whoever comes by its `token` must show what the
    /// session is bound to; without one, somebody else has vouched for the request.
    async fn living(
        &self,
        id: SessionId,
        token: Option<&str>,
        client: &ClientInfo,
        epoch: u64,
    ) -> Result<Session, SessionError> {
        let inner = &self.0;
        let now_ms = inner.clock.now_ms();
        // Before the record is read: a session that is revoked after that finds this signal and gives it.
        let signal = inner.signals.of(id);
        let found = inner.quotas.find(&inner.table, id, &client.meter, client.address, now_ms).await?;
        let Some(found) = found else {
            inner.signals.give(id);
            return Err(SessionError::InvalidToken);
        };
        let standing = Record::decode(&found.value).map(|record| {
            let standing = record.standing(now_ms, &inner.credential, epoch);
            (record, standing)
        });
        let mut record = match standing {
            Some((record, Standing::Living)) => record,
            over => {
                self.revoke(id).await?;
                let expired = matches!(over, Some((_, Standing::Expired)));
                return Err(if expired { SessionError::TokenExpired } else { SessionError::InvalidToken });
            }
        };
        if let Some(token) = token {
            self.check_binding((id, &record), token, client).await?;
        }
        if now_ms.saturating_sub(record.last_seen_ms) >= TOUCH_MS {
            let fingerprint = if token.is_some() { client.fingerprint() } else { record.fingerprint };
            record.touch(now_ms, client.address, fingerprint);
            // Not being the one to write means that another request did, or that the session ends with this request.
            inner.table.replace(&id.hex(), &found, &record.encode()).await.map_err(away)?;
        }
        let remaining = Duration::from_millis(record.expires_ms.saturating_sub(now_ms));
        Ok(Session { view: record.view(id), remaining, signal })
    }

    /// The time by which sessions live.
    pub fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// The living sessions, the most recently used first.
    ///
    /// # Errors
    /// [`SessionError::RedisUnavailable`].
    pub async fn list(&self, epoch: u64) -> Result<Vec<SessionView>, SessionError> {
        Ok(self.sorted_out(epoch).await?.living)
    }

    /// Whether the owner proved to be there lately, for what asks for it.
    pub fn is_fresh(&self, session: &Session) -> bool {
        session.view.is_fresh(self.0.clock.now_ms())
    }

    /// Ends one session; `false` when there was none of that name.
    ///
    /// # Errors
    /// [`SessionError::RedisUnavailable`]; its streams are ended nevertheless.
    pub async fn revoke(&self, id: SessionId) -> Result<bool, SessionError> {
        let removed = self.0.table.remove(&id.hex()).await;
        self.0.signals.give(id);
        removed.map_err(away)
    }

    /// Ends every session but one.
    ///
    /// # Errors
    /// [`SessionError::RedisUnavailable`]; their streams are ended nevertheless.
    pub async fn revoke_others(&self, current: SessionId) -> Result<(), SessionError> {
        let cleared = self.0.table.clear(Some(&current.hex())).await;
        self.0.signals.give_all(Some(current));
        cleared.map_err(away)
    }

    /// Ends every session.
    ///
    /// # Errors
    /// [`SessionError::RedisUnavailable`]; their streams are ended nevertheless.
    pub async fn revoke_all(&self) -> Result<(), SessionError> {
        let cleared = self.0.table.clear(None).await;
        self.0.signals.give_all(None);
        cleared.map_err(away)
    }

    fn new_record(&self, client: &ClientInfo, transport: Transport, key: Option<Thumbprint>, epoch: u64) -> Record {
        let now_ms = self.0.clock.now_ms();
        Record {
            created_ms: now_ms,
            last_seen_ms: now_ms,
            expires_ms: now_ms.saturating_add(self.0.ttl_ms),
            idle_ms: self.0.idle_ms,
            device: client.device(),
            address: client.address.to_canonical().to_string(),
            transport,
            credential: self.0.credential,
            epoch,
            key_thumbprint: key.map(|key| key.0),
            fingerprint: client.fingerprint(),
            second_factor: false,
            proved_ms: now_ms,
            unfinished: false,
        }
    }

    /// Adds a record in the place of those that are over, and of the least recently used ones where there is no room.
    async fn add(&self, id: SessionId, record: &Record) -> Result<(), SessionError> {
        for _ in 0..ADD_ATTEMPTS {
            let sorted = self.sorted_out(record.epoch).await?;
            let pushed_out = sorted.pushed_out(record, self.0.max_sessions);
            let mut give_way = sorted.over;
            give_way.extend(pushed_out.iter().map(|id| id.hex()));
            let (max, ttl_ms) = (self.0.max_sessions + MAX_UNFINISHED, self.0.ttl_ms);
            let added = self.0.table.add(&id.hex(), &record.encode(), max, ttl_ms, &give_way).await.map_err(away)?;
            pushed_out.into_iter().for_each(|id| self.0.signals.give(id));
            if added {
                return Ok(());
            }
        }
        Err(SessionError::Busy)
    }

    async fn sorted_out(&self, epoch: u64) -> Result<Sorted, SessionError> {
        let now_ms = self.0.clock.now_ms();
        let (mut living, mut over) = (Vec::new(), Vec::new());
        for (field, found) in self.0.table.all().await.map_err(away)? {
            let record = found.ok().and_then(|found| Record::decode(&found.value));
            let record = record.filter(|record| record.standing(now_ms, &self.0.credential, epoch) == Standing::Living);
            match (SessionId::from_hex(&field), record) {
                (Some(id), Some(record)) => living.push(record.view(id)),
                _ => over.push(field),
            }
        }
        living.sort_by_key(|view| (std::cmp::Reverse(view.last_seen_ms), view.id));
        Ok(Sorted { living, over })
    }
}

/// Whatever else is wrong in Redis, the caller can do no more about it than about its absence.
fn away(_: StateError) -> SessionError {
    SessionError::RedisUnavailable
}
