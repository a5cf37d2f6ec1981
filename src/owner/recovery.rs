//! Recovery codes: ten ways in for an owner whose other factors are lost, each good for one time.
//!
//! A code is 80 random bits. Kept are their HMAC-SHA-256 under a key that is drawn with them: with so much chance in a
//! code nobody finds one from its hash, and looking one up costs the same whether it is right or not.

use hmac::{Hmac, KeyInit, Mac};
use minicbor::{Decode, Encode};
use sha2::Sha256;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::crypto::random;

/// How many codes are made at one time.
pub const RECOVERY_CODES: usize = 10;

/// Characters of a code without its dashes.
const CODE_CHARS: usize = 16;
const GROUP_CHARS: usize = 4;

/// Digits and small letters that nobody confuses: 32, so a byte's low bits choose evenly.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The codes that are left, as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RecoverySet {
    #[cbor(n(0), with = "minicbor::bytes")]
    key: [u8; 32],
    #[n(1)]
    hashes: Vec<Hash>,
    #[n(2)]
    created_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
struct Hash(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl RecoverySet {
    /// New codes, to be shown once, and what is kept of them.
    pub fn generate(now_ms: u64) -> (Self, Vec<Zeroizing<String>>) {
        let key = random::bytes();
        let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| new_code()).collect();
        let hashes = codes.iter().map(|code| Hash(hash(&key, code))).collect();
        (Self { key, hashes, created_ms: now_ms }, codes)
    }

    /// What is left after that code was used; `None` when it is none of these.
    pub fn without(&self, code: &str) -> Option<Self> {
        let code = Zeroizing::new(code.to_ascii_lowercase().replace(['-', ' '], ""));
        let given = hash(&self.key, &code);
        let mut found = u32::MAX;
        for (index, Hash(kept)) in (0..).zip(&self.hashes) {
            found.conditional_assign(&index, kept.ct_eq(&given));
        }
        let mut rest = self.clone();
        (usize::try_from(found).is_ok_and(|found| found < rest.hashes.len())).then(|| {
            rest.hashes.remove(found as usize);
            rest
        })
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.hashes.len()
    }

    /// When they were made, Unix milliseconds.
    pub fn created_ms(&self) -> u64 {
        self.created_ms
    }
}

fn new_code() -> Zeroizing<String> {
    let choices = Zeroizing::new(random::bytes::<CODE_CHARS>());
    let mut code = Zeroizing::new(String::new());
    for (index, choice) in choices.iter().enumerate() {
        if index > 0 && index % GROUP_CHARS == 0 {
            code.push('-');
        }
        code.push(char::from(LETTERS[usize::from(choice % 32)]));
    }
    code
}

fn hash(key: &[u8; 32], code: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in code.split('-') {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_good_for_one_time() {
        let (mut set, codes) = RecoverySet::generate(7);
        assert_eq!((set.left(), codes.len(), set.created_ms()), (10, 10, 7));
        let form = |code: &str| code.len() == 19 && code.split('-').all(|group| group.len() == 4);
        assert!(codes.iter().all(|code| form(code)));
        for (used, code) in codes.iter().enumerate() {
            assert_eq!(set.left(), 10 - used);
            set = set.without(code).unwrap();
            assert!(set.without(code).is_none(), "the same again");
        }
        assert_eq!(set.left(), 0);
    }

    #[test]
    fn case_dashes_and_spaces_do_not_matter_and_everything_else_does() {
        let (set, codes) = RecoverySet::generate(0);
        let code = codes[3].as_str();
        for same in [code.to_uppercase(), code.replace('-', ""), code.replace('-', " "), format!(" {code} ")] {
            assert!(set.without(&same).is_some(), "{same}");
        }
        let mut other = code.to_owned().into_bytes();
        other[0] = if other[0] == b'a' { b'b' } else { b'a' };
        let other = String::from_utf8(other).unwrap();
        for wrong in ["", "-", &code[1..], &other, &format!("{code}a")] {
            assert!(set.without(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_reads_back_and_holds_no_code() {
        let (set, codes) = RecoverySet::generate(1_800_000_000_000);
        let bytes = minicbor::to_vec(&set).unwrap();
        assert_eq!(minicbor::decode::<RecoverySet>(&bytes).unwrap(), set);
        for code in codes {
            let plain = code.replace('-', "");
            assert!(!bytes.windows(plain.len()).any(|window| window == plain.as_bytes()));
        }
    }
}
