//! Proofs of possession (DPoP, RFC 9449): a request signed by the key that its session was bound to.
//!
//! A proof is a small JWT in the header `DPoP`, signed with ES256 by the key that it shows. It names the request's method
//! and URL, the token it goes with, a nonce of this vault and its own time; and it works once. So whoever has copied a
//! token, or listened, has nothing without the key.
//!
//! It deliberately does not decide what becomes of a session: that is `binding`.

use std::fmt;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;
use subtle::ConstantTimeEq;
use url::Url;

use super::nonce::Nonces;
use crate::config::Secret;
use crate::crypto::sha256;

/// The longest proof that is looked at.
pub const MAX_PROOF_BYTES: usize = 4_096;

/// The longest name that a proof may have.
pub const MAX_PROOF_NAME_BYTES: usize = 128;

/// How far the client's clock may be from ours.
pub const PROOF_SKEW_SECS: u64 = 60;

/// How long a proof is remembered: for as long as its time is near enough to be taken, and a little longer.
pub(super) const REMEMBERED_MS: u64 = (2 * PROOF_SKEW_SECS + 10) * 1_000;

/// A client's key by its RFC 7638 thumbprint: SHA-256 over its required members.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// As it is written: base64url without padding.
    pub fn text(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({})", self.text())
    }
}

/// What a request shows, and which request it is.
#[derive(Clone, Debug)]
pub struct ShownProof {
    /// The header `DPoP` as it came.
    pub text: Secret,
    /// The request's method.
    pub method: String,
    /// The request's URL as the public sees it; its query does not count.
    pub url: Url,
}

/// A proof of the right form with a good signature; nothing else is known of it yet.
pub(super) struct Opened {
    /// The key that signed it.
    pub(super) key: Thumbprint,
    claims: Claims,
}

/// What is wrong with a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It is not for this request.
    Wrong,
    /// It may be right, but its nonce or its time is not of now: another one is asked for.
    Stale,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Jwk,
    /// Extensions that must be understood; none is.
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    y: String,
    /// The private half; a client that shows it has no key any more.
    d: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
    nonce: Option<String>,
    ath: Option<String>,
}

impl ShownProof {
    /// Reads the proof and checks its signature; `None` for whatever is not one.
    pub(super) fn open(&self) -> Option<Opened> {
        let text = self.text.expose();
        let (message, signature) = text.rsplit_once('.').filter(|_| text.len() <= MAX_PROOF_BYTES)?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).ok()?).ok()?;
        if header.typ != "dpop+jwt" || header.alg != "ES256" || header.crit.is_some() {
            return None;
        }
        let Jwk { kty, crv, x, y, d } = header.jwk;
        if kty != "EC" || crv != "P-256" || d.is_some() {
            return None;
        }
        // Each point has one form only, so that each key has one thumbprint.
        let is_coordinate = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).is_ok_and(|bytes| bytes.len() == 32);
        if !is_coordinate(&x) || !is_coordinate(&y) {
            return None;
        }
        let key = DecodingKey::from_ec_components(&x, &y).ok()?;
        let signed = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::ES256);
        if !signed.is_ok_and(|is_good| is_good) {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()?;
        if !(1..=MAX_PROOF_NAME_BYTES).contains(&claims.jti.len()) {
            return None;
        }
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Some(Opened { key: Thumbprint(sha256(members.as_bytes())), claims })
    }

    /// Whether the proof is for this request, and of now.
    pub(super) fn judge(&self, opened: &Opened, nonces: &Nonces, now_ms: u64) -> Result<(), Flaw> {
        let claims = &opened.claims;
        let is_here = Url::parse(&claims.htu).is_ok_and(|url| {
            url.origin() == self.url.origin() && url.path() == self.url.path() && url.username().is_empty()
        });
        if claims.htm != self.method || !is_here {
            return Err(Flaw::Wrong);
        }
        let nonce = claims.nonce.as_deref().unwrap_or_default();
        if !nonces.holds(nonce, now_ms) || claims.iat.abs_diff(now_ms / 1_000) > PROOF_SKEW_SECS {
            return Err(Flaw::Stale);
        }
        Ok(())
    }
}

impl Opened {
    /// Whether it names the token that it goes with.
    pub(super) fn is_for(&self, token_hash: &str) -> bool {
        self.claims.ath.as_deref().is_some_and(|ath| bool::from(ath.as_bytes().ct_eq(token_hash.as_bytes())))
    }

    /// Whether it names any token.
    pub(super) fn names_token(&self) -> bool {
        self.claims.ath.is_some()
    }

    /// Under which name it is remembered; two keys never share one.
    pub(super) fn name(&self) -> String {
        HEXLOWER.encode(&sha256(&[&self.key.0[..], self.claims.jti.as_bytes()].concat()))
    }
}

/// The hash of a bearer token, as its proofs name it (RFC 9449, section 4.2).
pub(super) fn token_hash(token: &str) -> String {
    BASE64URL_NOPAD.encode(&sha256(token.as_bytes()))
}
