//! Passwords and their Argon2id hashes (RFC 9106; PHC string format).

use argon2::password_hash::phc::{PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, PasswordHasher, Version};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, Zeroizing};

use super::OwnerError;
use crate::config::Password;
use crate::crypto::random;

/// The longest password, in bytes of UTF-8 as it arrives.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// OWASP's password storage cheat sheet, the row with the most memory among those it calls equal that leaves a small
/// server some: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What is larger than 32 MiB glibc always maps, and gives back when it is freed (`mallopt(3)`, `M_MMAP_THRESHOLD`); of
/// smaller blocks each of its arenas may keep one, and passwords are checked on ever other threads. Pages that nobody
/// writes to take no memory.
const ALWAYS_MAPPED_BLOCKS: usize = (32 << 20) / Block::SIZE + 1;

const SALT_LABEL: &[u8] = b"coffer/1/password-salt\0";
const CREDENTIAL_LABEL: &[u8] = b"coffer/1/credential\0";

/// A new hash of a password, for `USER_PASSWORD_HASH`.
///
/// # Errors
/// [`OwnerError::TooLong`].
pub fn hash_password(password: &str) -> Result<String, OwnerError> {
    Ok(hash(password, &random::bytes::<16>())?.to_string())
}

/// A password as it is hashed: composed (RFC 8265, 4.2.1), for keyboards differ in how they write one character.
pub(super) fn normal(password: &str) -> Zeroizing<String> {
    Zeroizing::new(password.nfc().collect())
}

pub(super) struct Verifier(PasswordHash);

impl Verifier {
    /// A plain password is hashed under a salt made from the address: the hash stays in memory, and it must be the same
    /// after a restart, for sessions are bound to it.
    pub(super) fn new(password: &Password, email: &str) -> Result<Self, OwnerError> {
        match password {
            Password::Plain(plain) => {
                let salt = Sha256::new().chain_update(SALT_LABEL).chain_update(email).finalize();
                Ok(Self(hash(plain.expose(), &salt[..16])?))
            }
            Password::Phc(phc) => {
                let parsed = PasswordHash::new(phc.expose()).map_err(|_| OwnerError::UnusableHash)?;
                let complete = parsed.algorithm == ARGON2ID_IDENT
                    && parsed.version == Some(Version::V0x13.into())
                    && parsed.salt.is_some()
                    && parsed.hash.is_some()
                    && Params::try_from(&parsed).is_ok();
                if complete { Ok(Self(parsed)) } else { Err(OwnerError::UnusableHash) }
            }
        }
    }

    /// One Argon2id computation with the hash's own parameters; the outputs are compared in equal time.
    pub(super) fn matches(&self, password: &str) -> bool {
        let (salt, expected) = (self.0.salt.as_ref(), self.0.hash.as_ref());
        let (salt, expected) = salt.zip(expected).expect("a verifier is made from a complete hash");
        let params = Params::try_from(&self.0).expect("a verifier is made from a hash with usable parameters");
        let mut blocks = Vec::with_capacity(params.block_count().max(ALWAYS_MAPPED_BLOCKS));
        blocks.resize(params.block_count(), Block::default());
        let mut output = Zeroizing::new(vec![0; expected.len()]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hashed = argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, &mut blocks[..]);
        blocks.iter_mut().for_each(Zeroize::zeroize);
        hashed.is_ok() && bool::from(output.ct_eq(expected.as_bytes()))
    }

    pub(super) fn credential_digest(&self, email: &str) -> [u8; 32] {
        let output = self.0.hash.as_ref().expect("a verifier is made from a complete hash");
        Sha256::new()
            .chain_update(CREDENTIAL_LABEL)
            .chain_update(email)
            .chain_update([0])
            .chain_update(output.as_bytes())
            .finalize()
            .into()
    }
}

fn hash(password: &str, salt: &[u8]) -> Result<PasswordHash, OwnerError> {
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(OwnerError::TooLong);
    }
    let salt = Salt::new(salt).expect("16 bytes are a salt");
    let hash = argon2().hash_password_with_salt(normal(password).as_bytes(), &salt);
    Ok(hash.expect("the parameters are constants, and the lengths were checked"))
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    const EMAIL: &str = "owner@example.org";

    fn plain(password: &str) -> Verifier {
        Verifier::new(&Password::Plain(Secret::new(password.into())), EMAIL).unwrap()
    }

    fn phc(hash: &str) -> Result<Verifier, OwnerError> {
        Verifier::new(&Password::Phc(Secret::new(hash.into())), EMAIL)
    }

    #[test]
    fn a_password_matches_itself_alone_however_it_was_given() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hash_password("correct horse").unwrap(), "each hash has its own salt");
        for verifier in [plain("correct horse"), phc(&hash).unwrap()] {
            assert!(verifier.matches("correct horse"));
            for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
                assert!(!verifier.matches(wrong), "{wrong:?}");
            }
        }
    }

    #[test]
    fn a_hash_with_other_parameters_is_checked_with_those() {
        let params = Params::new(12_288, 3, 1, None).unwrap();
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash: PasswordHash = hasher.hash_password_with_salt(b"password", b"sixteen bytes of").unwrap();
        let verifier = phc(&hash.to_string()).unwrap();
        assert!(verifier.matches("password"));
        assert!(!verifier.matches("passwor"));
    }

    #[test]
    fn the_same_characters_typed_otherwise_are_the_same_password() {
        let verifier = plain("caf\u{e9} caf\u{e9}");
        assert!(verifier.matches(&normal("cafe\u{301} caf\u{e9}")));
    }

    #[test]
    fn a_password_of_the_longest_length_is_taken_and_one_past_it_is_not() {
        assert!(hash_password(&"x".repeat(MAX_PASSWORD_BYTES)).is_ok());
        assert_eq!(hash_password(&"x".repeat(MAX_PASSWORD_BYTES + 1)), Err(OwnerError::TooLong));
    }

    #[test]
    fn what_is_no_complete_argon2id_hash_is_refused() {
        let good = hash_password("password").unwrap();
        let cut = &good[..good.rfind('$').unwrap()];
        let other = good.replace("argon2id", "argon2i");
        for bad in ["", "password", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", cut, &other] {
            assert_eq!(phc(bad).err(), Some(OwnerError::UnusableHash), "{bad}");
        }
    }

    #[test]
    fn the_credential_outlives_a_restart_and_changes_with_password_and_address() {
        let digest = plain("password").credential_digest(EMAIL);
        assert_eq!(digest, plain("password").credential_digest(EMAIL));
        assert_ne!(digest, plain("Password").credential_digest(EMAIL));
        assert_ne!(digest, plain("password").credential_digest("other@example.org"));
        let (one, two) = (hash_password("password").unwrap(), hash_password("password").unwrap());
        assert_eq!(phc(&one).unwrap().credential_digest(EMAIL), phc(&one).unwrap().credential_digest(EMAIL));
        assert_ne!(phc(&one).unwrap().credential_digest(EMAIL), phc(&two).unwrap().credential_digest(EMAIL));
    }
}
