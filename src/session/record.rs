//! What Redis keeps of a session, sealed.

use std::net::IpAddr;

use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;

use super::SessionId;
use crate::owner::Demand;

/// How long a proof counts for what asks for a fresh one.
pub const STEP_UP_MS: u64 = 10 * 60_000;

/// How long a login may take to show, or enrol, a second factor.
pub const UNFINISHED_LIFE_MS: u64 = 10 * 60_000;

/// How a session's token travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Transport {
    /// In a cookie, for browsers.
    #[n(0)]
    Cookie,
    /// In the Authorization header, for everything else.
    #[n(1)]
    Bearer,
}

/// A session as its owner may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionView {
    /// Its public name.
    pub id: SessionId,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// When it was last used, to within a minute.
    pub last_seen_ms: u64,
    /// When it ends at the latest.
    pub expires_ms: u64,
    /// What logged in, as far as it said: "Firefox on Linux".
    pub device: String,
    /// Where it was last used from.
    pub address: String,
    /// How its token travels.
    pub transport: Transport,
    /// What a request must show beside the token.
    pub binding: Binding,
    /// Whether a second factor was shown, or a passkey, which is both.
    pub second_factor: bool,
    /// When the owner last proved to be there, Unix milliseconds.
    pub proved_ms: u64,
    /// Whether its login was not all that was asked for: it ends soon.
    pub(super) unfinished: bool,
}

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Everything.
    Active,
    /// Show a second factor.
    MfaRequired,
    /// Enrol a second factor.
    EnrolRequired,
}

impl SessionView {
    /// What the session may do while this is asked of the owner.
    pub fn state(&self, demand: Demand) -> SessionState {
        match demand {
            Demand::Prove if !self.second_factor => SessionState::MfaRequired,
            Demand::Enrol => SessionState::EnrolRequired,
            Demand::Prove | Demand::None => SessionState::Active,
        }
    }

    /// Whether the owner proved to be there lately.
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.proved_ms) < STEP_UP_MS
    }
}

/// What a session is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A key of the client, which each request proves that it has.
    Key,
    /// Traits of the client.
    Client,
}

/// Whether a record still makes its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Living,
    /// Too old, or unused for too long.
    Expired,
    /// Made under another credential or in another epoch.
    Superseded,
}

#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct Record {
    #[n(0)]
    pub(super) created_ms: u64,
    #[n(1)]
    pub(super) last_seen_ms: u64,
    #[n(2)]
    pub(super) expires_ms: u64,
    #[n(3)]
    pub(super) idle_ms: u64,
    #[n(4)]
    pub(super) device: String,
    #[n(5)]
    pub(super) address: String,
    #[n(6)]
    pub(super) transport: Transport,
    #[cbor(n(7), with = "minicbor::bytes")]
    pub(super) credential: [u8; 32],
    #[n(8)]
    pub(super) epoch: u64,
    /// The thumbprint of the key that each request must prove, where the login offered one.
    #[cbor(n(9), with = "minicbor::bytes")]
    pub(super) key_thumbprint: Option<[u8; 32]>,
    /// A digest of the client's traits.
    #[cbor(n(10), with = "minicbor::bytes")]
    pub(super) fingerprint: [u8; 32],
    /// Whether a second factor was shown.
    #[n(11)]
    pub(super) second_factor: bool,
    /// When the owner last proved to be there.
    #[n(12)]
    pub(super) proved_ms: u64,
    /// Whether the login still owed a second factor: its life is short, and it pushes no other session out.
    #[n(13)]
    pub(super) unfinished: bool,
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("writing to memory cannot fail")
    }

    /// `None` for what another version wrote: its sessions are over.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        minicbor::decode(bytes).ok()
    }

    pub(super) fn standing(&self, now_ms: u64, credential: &[u8; 32], epoch: u64) -> Standing {
        if self.epoch != epoch || !bool::from(self.credential.ct_eq(credential)) {
            return Standing::Superseded;
        }
        let idle = now_ms.saturating_sub(self.last_seen_ms) >= self.idle_ms;
        if now_ms >= self.expires_ms || idle { Standing::Expired } else { Standing::Living }
    }

    pub(super) fn touch(&mut self, now_ms: u64, address: IpAddr, fingerprint: [u8; 32]) {
        self.last_seen_ms = now_ms;
        self.address = address.to_canonical().to_string();
        // Where a key is proven the client may look different from time to time.
        self.fingerprint = fingerprint;
    }

    pub(super) fn view(&self, id: SessionId) -> SessionView {
        SessionView {
            id,
            created_ms: self.created_ms,
            last_seen_ms: self.last_seen_ms,
            expires_ms: self.expires_ms,
            device: self.device.clone(),
            address: self.address.clone(),
            transport: self.transport,
            binding: if self.key_thumbprint.is_some() { Binding::Key } else { Binding::Client },
            second_factor: self.second_factor,
            proved_ms: self.proved_ms,
            unfinished: self.unfinished,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            created_ms: 1_000,
            last_seen_ms: 2_000,
            expires_ms: 9_000,
            idle_ms: 3_000,
            device: "Firefox on Linux".into(),
            address: "192.0.2.1".into(),
            transport: Transport::Bearer,
            credential: [7; 32],
            epoch: 4,
            key_thumbprint: Some([5; 32]),
            fingerprint: [6; 32],
            second_factor: false,
            proved_ms: 1_000,
            unfinished: false,
        }
    }

    #[test]
    fn a_record_lives_until_its_idle_or_absolute_end() {
        let mut record = record();
        let cases = [
            (0, Standing::Living),
            (2_000, Standing::Living),
            (4_999, Standing::Living),
            (5_000, Standing::Expired),
            (u64::MAX, Standing::Expired),
        ];
        for (now_ms, standing) in cases {
            assert_eq!(record.standing(now_ms, &[7; 32], 4), standing, "{now_ms}");
        }
        record.touch(8_000, [192, 0, 2, 2].into(), [6; 32]);
        assert_eq!(record.standing(8_999, &[7; 32], 4), Standing::Living);
        assert_eq!(record.standing(9_000, &[7; 32], 4), Standing::Expired, "use does not move the absolute end");
    }

    #[test]
    fn a_record_of_another_credential_or_epoch_is_superseded() {
        assert_eq!(record().standing(2_000, &[8; 32], 4), Standing::Superseded);
        assert_eq!(record().standing(2_000, &[7; 32], 5), Standing::Superseded);
        assert_eq!(record().standing(2_000, &[7; 32], 3), Standing::Superseded);
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_nothing_else_is_one() {
        let bytes = record().encode();
        assert_eq!(Record::decode(&bytes).unwrap().encode(), bytes);
        for length in 0..bytes.len() {
            assert!(Record::decode(&bytes[..length]).is_none(), "{length}");
        }
    }
}
