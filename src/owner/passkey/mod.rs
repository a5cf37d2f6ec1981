//! Passkeys (WebAuthn Level 3): what a registration or an assertion must be to count.
//!
//! Guarantees: an answer counts for this origin, this relying party and a challenge of this vault alone; the
//! authenticator has verified its user, not only seen somebody; the signature is by the key that was registered, under
//! that key's algorithm; a counter never stands still once it was seen to count. No attestation is asked for and none is
//! believed: which make an authenticator is would say nothing about its owner.
//! It deliberately does not know where challenges come from, nor where passkeys are kept.

mod authenticator;
mod key;

use data_encoding::BASE64URL_NOPAD;
use minicbor::{Decode, Decoder, Encode};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use url::Url;

use crate::crypto::sha256;

use authenticator::AuthenticatorData;
use key::PublicKey;

pub use key::ALGORITHMS;

/// Largest text that a browser says about a ceremony.
const MAX_CLIENT_DATA_BYTES: usize = 4_096;

/// Largest answer of an authenticator.
const MAX_AUTHENTICATOR_BYTES: usize = 4_096;

const CREATE: &str = "webauthn.create";
const GET: &str = "webauthn.get";

/// Why an answer does not count: for the log, never for whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the passkey's answer was refused: {0}")]
pub struct Refused(pub &'static str);

/// Whom passkeys are for: this vault at its public address.
#[derive(Debug, Clone)]
pub struct RelyingParty {
    id: String,
    origin: String,
}

/// What a browser answers to a registration.
#[derive(Debug, Clone)]
pub struct Registration {
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `attestationObject`.
    pub attestation: Vec<u8>,
}

/// What a browser answers to a login.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// The id of the credential that signed.
    pub credential_id: Vec<u8>,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

/// What is kept of an authenticator's credential.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Credential {
    /// Its id, chosen by the authenticator.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub id: Vec<u8>,
    /// Its public key (COSE).
    #[cbor(n(1), with = "minicbor::bytes")]
    pub public_key: Vec<u8>,
    /// Its counter, as it was last seen; 0 for those that do not count.
    #[n(2)]
    pub counter: u32,
    /// Whether it may be copied to other devices of its owner.
    #[n(3)]
    pub backup_eligible: bool,
    /// Whether it was copied, as it was last seen.
    #[n(4)]
    pub backed_up: bool,
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
}

impl RelyingParty {
    /// The vault that owners reach at `public_url`.
    pub fn new(public_url: &Url) -> Self {
        let id = public_url.host_str().unwrap_or_default().to_owned();
        Self { id, origin: public_url.origin().ascii_serialization() }
    }

    /// Its id: the host's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The credential that a registration brings. `is_challenge` says whether that challenge was given out for it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn register(
        &self,
        given: &Registration,
        is_challenge: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Credential, Refused> {
        self.check_client(CREATE, &given.client_data, is_challenge)?;
        let data = authenticator_data_of(&given.attestation)?;
        let data = self.check_authenticator(&data)?;
        let credential = data.credential.as_ref().ok_or(Refused("no credential"))?;
        PublicKey::from_cose(credential.public_key).ok_or(Refused("a key of no kind that is accepted"))?;
        Ok(Credential {
            id: credential.id.to_vec(),
            public_key: credential.public_key.to_vec(),
            counter: data.counter,
            backup_eligible: data.is_backup_eligible(),
            backed_up: data.is_backed_up(),
        })
    }

    /// The credential as it is after this use. `is_challenge` says whether that challenge was given out for it.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(
        &self,
        given: &Assertion,
        known: &Credential,
        is_challenge: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Credential, Refused> {
        self.check_client(GET, &given.client_data, is_challenge)?;
        let data = self.check_authenticator(&given.authenticator_data)?;
        let key = PublicKey::from_cose(&known.public_key).ok_or(Refused("a damaged key"))?;
        let signed = [given.authenticator_data.as_slice(), &sha256(&given.client_data)].concat();
        if !key.verifies(&signed, &given.signature) {
            return Err(Refused("a wrong signature"));
        }
        if data.is_backup_eligible() != known.backup_eligible {
            return Err(Refused("a credential that may be copied now, or no longer"));
        }
        // One that counts and does not go on was copied behind its owner's back.
        if (data.counter > 0 || known.counter > 0) && data.counter <= known.counter {
            return Err(Refused("a counter that did not go on"));
        }
        Ok(Credential { counter: data.counter, backed_up: data.is_backed_up(), ..known.clone() })
    }

    fn check_client(
        &self,
        kind: &str,
        client_data: &[u8],
        is_challenge: impl FnOnce(&[u8]) -> bool,
    ) -> Result<(), Refused> {
        if client_data.len() > MAX_CLIENT_DATA_BYTES {
            return Err(Refused("client data over its limit"));
        }
        let client: ClientData = serde_json::from_slice(client_data).map_err(|_| Refused("client data of no form"))?;
        let challenge = BASE64URL_NOPAD.decode(client.challenge.as_bytes());
        let challenge = challenge.map_err(|_| Refused("a challenge of no form"))?;
        if client.kind != kind {
            Err(Refused("an answer to another question"))
        } else if client.origin != self.origin || client.cross_origin {
            Err(Refused("another origin"))
        } else if !is_challenge(&challenge) {
            Err(Refused("a challenge that was not given out, or is over"))
        } else {
            Ok(())
        }
    }

    fn check_authenticator<'a>(&self, bytes: &'a [u8]) -> Result<AuthenticatorData<'a>, Refused> {
        if bytes.len() > MAX_AUTHENTICATOR_BYTES {
            return Err(Refused("authenticator data over its limit"));
        }
        let data = AuthenticatorData::parse(bytes)?;
        if !bool::from(data.rp_id_hash.ct_eq(&sha256(self.id.as_bytes()))) {
            return Err(Refused("another relying party"));
        }
        if !data.user_was_verified() {
            return Err(Refused("a user who was not verified"));
        }
        Ok(data)
    }
}

/// `authData` out of an attestation object (WebAuthn Level 3, 6.5.4); what attests it is not looked at.
fn authenticator_data_of(attestation: &[u8]) -> Result<Vec<u8>, Refused> {
    let find = || -> Result<Option<Vec<u8>>, minicbor::decode::Error> {
        let mut decoder = Decoder::new(attestation);
        let mut found = None;
        for _ in 0..decoder.map()?.unwrap_or_default() {
            match decoder.str()? {
                "authData" => found = Some(decoder.bytes()?.to_vec()),
                _ => decoder.skip()?,
            }
        }
        Ok(found.filter(|_| decoder.position() == attestation.len()))
    };
    if attestation.len() > 2 * MAX_AUTHENTICATOR_BYTES {
        return Err(Refused("an attestation over its limit"));
    }
    find().ok().flatten().ok_or(Refused("an attestation of no form"))
}
