//! Who asks for a change, as the log keeps it.

use crate::log::CommitMeta;

/// The owner, through one request of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// The session's id.
    pub session: Option<String>,
    /// With what.
    pub client: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// Which request.
    pub request_id: String,
    /// SHA-256 of the operation's name and the request's `Idempotency-Key`.
    pub idempotency: Option<[u8; 32]>,
}

impl From<Actor> for CommitMeta {
    fn from(actor: Actor) -> Self {
        let Actor { session, client, address, request_id, idempotency } = actor;
        Self { actor: "owner".into(), session, client, address, request_id, idempotency }
    }
}

/// The vault itself, doing what time asks for.
pub(super) fn itself() -> CommitMeta {
    CommitMeta { actor: "vault".into(), ..CommitMeta::default() }
}
