//! An authenticator in software: one ES256 passkey, attestation `none`, and every lie that a test wants it to tell.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use coffer::crypto::{random, sha256};
use coffer::owner::{Assertion, Registration};
use data_encoding::BASE64URL_NOPAD;
use minicbor::Encoder;
use serde_json::{Value, json};

/// The person was there.
pub(crate) const PRESENT: u8 = 0x01;
/// The authenticator knew the person.
pub(crate) const VERIFIED: u8 = 0x04;
/// The passkey may be copied to other devices.
pub(crate) const BACKUP_ELIGIBLE: u8 = 0x08;
/// It was.
pub(crate) const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;

/// A passkey.
pub(crate) struct Authenticator {
    key: EcdsaKeyPair,
    pub(crate) credential_id: Vec<u8>,
    pub(crate) counter: u32,
}

/// What goes into an answer; a test changes what it wants to be wrong.
#[derive(Debug, Clone)]
pub(crate) struct Ceremony {
    pub(crate) kind: &'static str,
    pub(crate) challenge: Vec<u8>,
    pub(crate) origin: String,
    pub(crate) rp_id: String,
    pub(crate) flags: u8,
    pub(crate) cross_origin: bool,
}

impl Ceremony {
    /// An honest registration.
    pub(crate) fn create(challenge: &[u8], origin: &str, rp_id: &str) -> Self {
        Self {
            kind: "webauthn.create",
            challenge: challenge.to_vec(),
            origin: origin.to_owned(),
            rp_id: rp_id.to_owned(),
            flags: PRESENT | VERIFIED,
            cross_origin: false,
        }
    }

    /// An honest login.
    pub(crate) fn get(challenge: &[u8], origin: &str, rp_id: &str) -> Self {
        Self { kind: "webauthn.get", ..Self::create(challenge, origin, rp_id) }
    }

    /// The login that the vault's options ask for.
    pub(crate) fn asked(options: &Value, origin: &str) -> Self {
        let challenge = BASE64URL_NOPAD.decode(options["challenge"].as_str().unwrap().as_bytes()).unwrap();
        match options["rp"]["id"].as_str() {
            Some(rp_id) => Self::create(&challenge, origin, rp_id),
            None => Self::get(&challenge, origin, options["rpId"].as_str().unwrap()),
        }
    }

    fn client_data(&self) -> Vec<u8> {
        let challenge = BASE64URL_NOPAD.encode(&self.challenge);
        let data = json!({
            "type": self.kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin,
        });
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, flags: u8, counter: u32) -> Vec<u8> {
        [&sha256(self.rp_id.as_bytes())[..], &[self.flags | flags], &counter.to_be_bytes()].concat()
    }
}

impl Authenticator {
    pub(crate) fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self { key, credential_id: random::bytes::<32>().to_vec(), counter: 0 }
    }

    /// Its public key as COSE writes it.
    pub(crate) fn cose_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let mut encoder = Encoder::new(Vec::new());
        encoder.map(5).unwrap().u8(1).unwrap().u8(2).unwrap().u8(3).unwrap().i8(-7).unwrap();
        encoder.i8(-1).unwrap().u8(1).unwrap();
        encoder.i8(-2).unwrap().bytes(&point[1..33]).unwrap().i8(-3).unwrap().bytes(&point[33..]).unwrap();
        encoder.into_writer()
    }

    /// The answer to a registration.
    pub(crate) fn register(&self, ceremony: &Ceremony) -> Registration {
        self.register_key(ceremony, &self.cose_key())
    }

    /// The same with another public key.
    pub(crate) fn register_key(&self, ceremony: &Ceremony, cose_key: &[u8]) -> Registration {
        let length = u16::try_from(self.credential_id.len()).unwrap().to_be_bytes();
        let mut data = ceremony.authenticator_data(HAS_CREDENTIAL, self.counter);
        data.extend([&[0; 16][..], &length, &self.credential_id, cose_key].concat());
        let mut encoder = Encoder::new(Vec::new());
        encoder.map(3).unwrap().str("fmt").unwrap().str("none").unwrap().str("attStmt").unwrap().map(0).unwrap();
        encoder.str("authData").unwrap().bytes(&data).unwrap();
        Registration { client_data: ceremony.client_data(), attestation: encoder.into_writer() }
    }

    /// The answer to a login.
    pub(crate) fn answer(&self, ceremony: &Ceremony) -> Assertion {
        let client_data = ceremony.client_data();
        let authenticator_data = ceremony.authenticator_data(0, self.counter);
        let signed = [&authenticator_data[..], &sha256(&client_data)].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec();
        Assertion { credential_id: self.credential_id.clone(), client_data, authenticator_data, signature }
    }

    /// The same, as the API takes it.
    pub(crate) fn answer_json(&self, ceremony: &Ceremony) -> Value {
        assertion_json(&self.answer(ceremony))
    }

    /// A registration as the API takes it.
    pub(crate) fn register_json(&self, ceremony: &Ceremony, name: &str) -> Value {
        let Registration { client_data, attestation } = self.register(ceremony);
        let [client_data, attestation] = [client_data, attestation].map(|bytes| BASE64URL_NOPAD.encode(&bytes));
        json!({"name": name, "client_data_json": client_data, "attestation_object": attestation})
    }
}

/// A login's answer as the API takes it.
pub(crate) fn assertion_json(answer: &Assertion) -> Value {
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    json!({
        "credential_id": encode(&answer.credential_id),
        "client_data_json": encode(&answer.client_data),
        "authenticator_data": encode(&answer.authenticator_data),
        "signature": encode(&answer.signature),
    })
}
