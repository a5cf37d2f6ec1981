//! Tickets: a session lent to one URL, for what can send no header (a player, a download by navigation).
//!
//! A ticket is 32 random bytes that stand in the URL; Redis knows only their SHA-256, and with it what the ticket is for
//! and whose it is. It ends [`TICKET_LIFE_MS`] after its last use, and with its session at once, since each use asks for
//! the session's record as any request does. What it is for is the caller's: this floor keeps the bytes.

use std::fmt;
use std::time::Duration;

use data_encoding::HEXLOWER;
use minicbor::{Decode, Encode};
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

use super::{ClientInfo, Session, SessionError, SessionId, Sessions, away};
use crate::config::Secret;
use crate::crypto::{random, sha256};
use crate::state::{Key, StateError};

/// A ticket ends when it was not used for this long.
pub const TICKET_LIFE_MS: u64 = 60_000;

/// How often a use that goes on is noted.
const NOTED_EVERY: Duration = Duration::from_secs(10);

/// The secret in a ticket's URL.
#[derive(Clone)]
pub struct Ticket(Zeroizing<[u8; 32]>);

/// A ticket that was made.
#[derive(Clone, Debug)]
pub struct NewTicket {
    /// 64 characters of lower-case hex; whoever has them may do what the ticket is for.
    pub text: Secret,
    /// When it ends unless it is used, Unix milliseconds.
    pub expires_at_ms: u64,
}

/// A ticket in use.
pub struct Redeemed {
    /// The session that lent it.
    pub session: Session,
    /// What it is for, as it was made.
    pub subject: Vec<u8>,
    use_of: Use,
}

/// Keeps a ticket from ending for as long as it is held.
#[derive(Debug)]
pub struct HeldTicket(#[expect(dead_code, reason = "dropping it is its work")] AbortOnDropHandle<()>);

#[derive(Encode, Decode)]
#[cbor(map)]
struct Record {
    #[cbor(n(0), with = "minicbor::bytes")]
    session: [u8; 32],
    #[n(1)]
    expires_ms: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    subject: Vec<u8>,
}

#[derive(Clone)]
struct Use {
    sessions: Sessions,
    key: Key,
    session: SessionId,
    subject: Vec<u8>,
}

impl Ticket {
    /// Reads what [`NewTicket::text`] holds.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(HEXLOWER.decode(text.as_bytes()).ok()?);
        let mut secret = Zeroizing::new([0; 32]);
        (bytes.len() == secret.len()).then(|| secret.copy_from_slice(&bytes))?;
        Some(Self(secret))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket([secret])")
    }
}

impl Sessions {
    /// Lends a session to whoever has the ticket, for `subject` alone.
    ///
    /// # Errors
    /// [`SessionError::RedisUnavailable`].
    pub async fn make_ticket(&self, session: &Session, subject: Vec<u8>) -> Result<NewTicket, SessionError> {
        let ticket = Ticket(Zeroizing::new(random::bytes()));
        let made = Use { sessions: self.clone(), key: self.key_of(&ticket), session: session.view.id, subject };
        let expires_at_ms = made.note().await?;
        Ok(NewTicket { text: Secret::new(HEXLOWER.encode(ticket.0.as_slice())), expires_at_ms })
    }

    /// The living session behind a ticket, and what the ticket is for. Its end moves on with each use.
    ///
    /// # Errors
    /// [`SessionError::InvalidTicket`] when it ended, or its session; [`SessionError::RedisUnavailable`].
    pub async fn redeem(&self, ticket: &Ticket, client: &ClientInfo, epoch: u64) -> Result<Redeemed, SessionError> {
        let key = self.key_of(ticket);
        let found = match self.0.state.get(&key).await {
            Ok(found) => found.and_then(|bytes| minicbor::decode::<Record>(&bytes).ok()),
            Err(StateError::Corrupt) => None,
            Err(StateError::Unavailable) => return Err(SessionError::RedisUnavailable),
        };
        let living = found.filter(|record| self.0.clock.now_ms() < record.expires_ms);
        let Some(Record { session, subject, .. }) = living else {
            self.count_stranger(client).await?;
            return Err(SessionError::InvalidTicket);
        };
        let session = match self.living(SessionId(session), None, client, epoch).await {
            Err(SessionError::InvalidToken | SessionError::TokenExpired) => return Err(SessionError::InvalidTicket),
            found => found?,
        };
        let use_of = Use { sessions: self.clone(), key, session: session.view.id, subject: subject.clone() };
        use_of.note().await?;
        Ok(Redeemed { session, subject, use_of })
    }

    fn key_of(&self, ticket: &Ticket) -> Key {
        self.0.state.key("ticket", &HEXLOWER.encode(&sha256(ticket.0.as_slice())))
    }
}

impl Redeemed {
    /// Notes from time to time that the use goes on, as long as the answer is held.
    pub fn hold(&self) -> HeldTicket {
        let use_of = self.use_of.clone();
        HeldTicket(AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(NOTED_EVERY).await;
                // A use that could not be noted brings the ticket's end nearer; the next one may be.
                let _ = use_of.note().await;
            }
        })))
    }
}

impl Use {
    /// Moves the ticket's end on, and says when it is now.
    async fn note(&self) -> Result<u64, SessionError> {
        let inner = &self.sessions.0;
        let expires_ms = inner.clock.now_ms().saturating_add(TICKET_LIFE_MS);
        let record = Record { session: self.session.0, expires_ms, subject: self.subject.clone() };
        let bytes = minicbor::to_vec(&record).expect("writing to memory cannot fail");
        inner.state.put(&self.key, &bytes, TICKET_LIFE_MS).await.map_err(away)?;
        Ok(expires_ms)
    }
}
