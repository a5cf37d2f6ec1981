//! The token: a JWT (RFC 7519) signed with HMAC-SHA-256, whose only work is to carry the session's secret.
//!
//! The first secret signs and all verify, so that secrets can be changed with an overlap. A token's header is compared as
//! text with the headers that this vault writes, which leaves its algorithm, key id and every other field without a
//! choice. Claims are all required, typed, and no others are allowed; times are checked here against the given clock,
//! because the library reads its own and has taken a wrong type for an absent claim before (CVE-2026-25537).

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::config::Secret;

const ISSUER: &str = "coffer";
const MAX_TOKEN_BYTES: usize = 1_024;
/// How far another machine's clock may have been ahead when it signed.
const SKEW_SECS: u64 = 60;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
}

/// What a token turned out to be.
pub(super) enum Verdict {
    /// Signed by this vault and in its time; holds the session's secret.
    Valid(Zeroizing<[u8; 32]>),
    Expired,
    Invalid,
}

pub(super) struct Tokens {
    keys: Vec<Key>,
    audience: String,
    validation: Validation,
}

struct Key {
    header: Header,
    /// The header as every token of this key begins, its full stop included.
    beginning: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl Tokens {
    /// The first secret signs; `vault` is the only audience.
    pub(super) fn new(secrets: &[Secret], vault: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[vault]);
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        Self { keys: secrets.iter().map(Key::new).collect(), audience: vault.into(), validation }
    }

    /// A token for the session of that secret.
    pub(super) fn sign(&self, secret: &[u8; 32], created_ms: u64, expires_ms: u64) -> Secret {
        let key = self.keys.first().expect("the settings hold at least one secret");
        let created = created_ms / 1_000;
        let claims = Claims {
            iss: ISSUER.into(),
            aud: self.audience.clone(),
            iat: created,
            nbf: created,
            exp: expires_ms.div_ceil(1_000),
            jti: BASE64URL_NOPAD.encode(secret),
        };
        let token = jsonwebtoken::encode(&key.header, &claims, &key.signing);
        Secret::new(token.expect("numbers and text can be written, and the key is of the header's kind"))
    }

    pub(super) fn verify(&self, token: &str, now_ms: u64) -> Verdict {
        if token.len() > MAX_TOKEN_BYTES {
            return Verdict::Invalid;
        }
        let Some(key) = self.keys.iter().find(|key| token.starts_with(&key.beginning)) else {
            return Verdict::Invalid;
        };
        let Ok(decoded) = jsonwebtoken::decode::<Claims>(token, &key.verifying, &self.validation) else {
            return Verdict::Invalid;
        };
        let (claims, now) = (decoded.claims, now_ms / 1_000);
        if claims.nbf.max(claims.iat) > now.saturating_add(SKEW_SECS) {
            return Verdict::Invalid;
        }
        if claims.exp <= now {
            return Verdict::Expired;
        }
        let jti = Zeroizing::new(claims.jti);
        let secret = BASE64URL_NOPAD.decode(jti.as_bytes()).ok().map(Zeroizing::new);
        match secret.and_then(|secret| <[u8; 32]>::try_from(secret.as_slice()).ok()) {
            Some(secret) => Verdict::Valid(Zeroizing::new(secret)),
            None => Verdict::Invalid,
        }
    }
}

impl Key {
    fn new(secret: &Secret) -> Self {
        let bytes = secret.expose().as_bytes();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(data_encoding::HEXLOWER.encode(&keyed(bytes, b"coffer/1/jwt-kid")[..8]));
        let text = serde_json::to_vec(&header).expect("a header is numbers and text");
        let beginning = format!("{}.", BASE64URL_NOPAD.encode(&text));
        let (signing, verifying) = (EncodingKey::from_secret(bytes), DecodingKey::from_secret(bytes));
        Self { header, beginning, signing, verifying }
    }
}

/// HMAC-SHA-256 of a label that no token can be, for a token's signed part begins with its header.
pub(super) fn keyed(secret: &[u8], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(label);
    Zeroizing::new(mac.finalize().into_bytes().into())
}
