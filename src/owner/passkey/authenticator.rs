//! What an authenticator signs (WebAuthn Level 3, 6.1): whose passkey it is for, what the person did, and at
//! registration the new credential.

use minicbor::Decoder;

use super::Refused;

/// Longest credential id (WebAuthn Level 3, 5.8.3).
pub(super) const MAX_CREDENTIAL_ID_BYTES: usize = 1_023;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;

/// Authenticator data, read whole.
pub(super) struct AuthenticatorData<'a> {
    pub(super) rp_id_hash: [u8; 32],
    flags: u8,
    pub(super) counter: u32,
    pub(super) credential: Option<Credential<'a>>,
}

pub(super) struct Credential<'a> {
    pub(super) id: &'a [u8],
    /// A COSE key.
    pub(super) public_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Refused> {
        let short = Refused("authenticator data that breaks off");
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(short)?;
        let ([flags], rest) = rest.split_first_chunk::<1>().ok_or(short)?;
        let (counter, mut rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        let mut credential = None;
        if flags & HAS_CREDENTIAL != 0 {
            // The model of the authenticator is nobody's business here.
            let (_, after) = rest.split_first_chunk::<16>().ok_or(short)?;
            let (length, after) = after.split_first_chunk::<2>().ok_or(short)?;
            let length = usize::from(u16::from_be_bytes(*length));
            if length == 0 || length > MAX_CREDENTIAL_ID_BYTES {
                return Err(Refused("a credential id of no allowed length"));
            }
            let (id, after) = after.split_at_checked(length).ok_or(short)?;
            let (public_key, after) = after.split_at(item(after)?);
            credential = Some(Credential { id, public_key });
            rest = after;
        }
        if flags & HAS_EXTENSIONS != 0 {
            rest = &rest[item(rest)?..];
        }
        if !rest.is_empty() {
            return Err(Refused("something follows the authenticator data"));
        }
        let data = Self { rp_id_hash: *rp_id_hash, flags: *flags, counter: u32::from_be_bytes(*counter), credential };
        if data.is_backed_up() && !data.is_backup_eligible() {
            return Err(Refused("a copy of what can't be copied"));
        }
        Ok(data)
    }

    /// The person was there, and the authenticator knew that it was the right one.
    pub(super) fn user_was_verified(&self) -> bool {
        self.flags & USER_PRESENT != 0 && self.flags & USER_VERIFIED != 0
    }

    pub(super) fn is_backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }

    pub(super) fn is_backed_up(&self) -> bool {
        self.flags & BACKED_UP != 0
    }
}

/// Bytes of the CBOR item at the beginning.
fn item(bytes: &[u8]) -> Result<usize, Refused> {
    let mut decoder = Decoder::new(bytes);
    decoder.skip().map_err(|_| Refused("a part that is no CBOR"))?;
    Ok(decoder.position())
}
