//! A client's key and the proofs of possession (DPoP, RFC 9449) that it signs.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use coffer::crypto::sha256;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};

/// A key that never leaves its client.
pub(crate) struct Prover(EcdsaKeyPair);

/// The claims of a proof, which a test may alter before they are signed.
pub(crate) type Claims = Value;

impl Prover {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The public half as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let (x, y) = (BASE64URL_NOPAD.encode(&point[1..33]), BASE64URL_NOPAD.encode(&point[33..]));
        json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    }

    /// What a correct proof says.
    pub(crate) fn claims(method: &str, url: &str, iat: u64, nonce: Option<&str>, ath: Option<&str>) -> Claims {
        let name = HEXLOWER.encode(&coffer::crypto::random::bytes::<16>());
        let mut claims = json!({"jti": name, "htm": method, "htu": url, "iat": iat});
        for (member, value) in [("nonce", nonce), ("ath", ath)] {
            if let Some(value) = value {
                claims[member] = value.into();
            }
        }
        claims
    }

    /// A proof under the usual header.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        self.sign_under(&json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()}), claims)
    }

    /// A proof under another header.
    pub(crate) fn sign_under(&self, header: &Value, claims: &Claims) -> String {
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

/// The hash of a bearer token, as proofs name it.
pub(crate) fn hash_of(token: &str) -> String {
    BASE64URL_NOPAD.encode(&sha256(token.as_bytes()))
}
