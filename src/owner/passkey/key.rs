//! Public keys of passkeys (COSE, RFC 9052 and RFC 9053) and the signatures they check.
//!
//! Three algorithms, which are what authenticators have: ES256, EdDSA over Ed25519, and RS256 for Windows Hello. The
//! algorithm is the stored key's own; a signature never chooses it.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use minicbor::Decoder;

/// COSE algorithm numbers that are accepted, the preferred one first.
pub const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

const KTY_OKP: i64 = 1;
const KTY_EC2: i64 = 2;
const KTY_RSA: i64 = 3;
const CRV_P256: i64 = 1;
const CRV_ED25519: i64 = 6;

const COORDINATE_BYTES: usize = 32;
/// Of an RSA modulus: 4,096 bits.
const MAX_MODULUS_BYTES: usize = 512;

/// A key that can check signatures.
pub(super) enum PublicKey {
    /// An uncompressed point of P-256.
    Es256([u8; 1 + 2 * COORDINATE_BYTES]),
    Ed25519([u8; COORDINATE_BYTES]),
    Rs256 {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

#[derive(Default)]
struct Fields<'a> {
    kty: Option<i64>,
    algorithm: Option<i64>,
    /// -1: a curve for two kinds of key, the modulus for the third.
    curve: Option<i64>,
    modulus: Option<&'a [u8]>,
    /// -2: x, or the exponent.
    second: Option<&'a [u8]>,
    /// -3: y.
    third: Option<&'a [u8]>,
}

impl PublicKey {
    /// Reads a COSE key that is one of the three kinds, whole.
    pub(super) fn from_cose(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::read(bytes).ok()?;
        match (fields.kty?, fields.algorithm?, fields.curve) {
            (KTY_EC2, ES256, Some(CRV_P256)) => {
                let (x, y) = (fields.second?, fields.third?);
                let point = [&[4], x, y].concat();
                (x.len() == COORDINATE_BYTES).then(|| point.try_into().ok().map(Self::Es256)).flatten()
            }
            (KTY_OKP, EDDSA, Some(CRV_ED25519)) => fields.second?.try_into().ok().map(Self::Ed25519),
            (KTY_RSA, RS256, None) => {
                let (modulus, exponent) = (fields.modulus?, fields.second?);
                let fits = modulus.len() <= MAX_MODULUS_BYTES && exponent.len() <= 4;
                fits.then(|| Self::Rs256 { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
            }
            _ => None,
        }
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Es256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature),
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Self::Rs256 { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
        }
        .is_ok()
    }
}

impl<'a> Fields<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, minicbor::decode::Error> {
        let mut decoder = Decoder::new(bytes);
        let mut fields = Self::default();
        let count = decoder.map()?.ok_or_else(|| minicbor::decode::Error::message("a map of unknown length"))?;
        for _ in 0..count {
            match decoder.i64()? {
                1 => fields.kty = Some(decoder.i64()?),
                3 => fields.algorithm = Some(decoder.i64()?),
                -1 if decoder.datatype()? == minicbor::data::Type::Bytes => fields.modulus = Some(decoder.bytes()?),
                -1 => fields.curve = Some(decoder.i64()?),
                -2 => fields.second = Some(decoder.bytes()?),
                -3 => fields.third = Some(decoder.bytes()?),
                _ => decoder.skip()?,
            }
        }
        match decoder.position() == bytes.len() {
            true => Ok(fields),
            false => Err(minicbor::decode::Error::message("something follows the key")),
        }
    }
}
