//! `VAULT_KEYS`: the root keys, as docs/format.md wants them.

use std::collections::HashSet;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::published::is_published;
use super::strength::estimated_bits;
use super::{required, secrets};
use crate::config::raw::Raw;
use crate::config::report::Report;
use crate::config::secret::RootSecret;

const VARIABLE: &str = "VAULT_KEYS";
const MAKE: &str = "make a key with `openssl rand -base64 32` and write it as name:key";
const MAX_NAME_BYTES: usize = 32;
const MAX_KEYS: usize = 32;

/// Of 32 random bytes about 30 differ; fewer than this happens to nobody.
const MIN_DISTINCT_BYTES: usize = 20;

/// Random base64 text is worth 256 bits; one that a person typed is worth far less.
const MIN_TEXT_BITS: f64 = 200.0;

pub(super) fn keys(raw: &Raw, report: &mut Report) -> Option<Vec<RootSecret>> {
    let text = required(VARIABLE, raw.vault_keys.as_deref(), MAKE, report)?;
    let mut keys: Vec<RootSecret> = Vec::new();
    for entry in secrets::entries(text) {
        match key(entry) {
            Err((reason, hint)) => report.error(VARIABLE, reason, hint),
            Ok(key) if keys.iter().any(|known| known.name == key.name) => {
                report.error(VARIABLE, "has two keys of one name", "give each key its own name");
            }
            Ok(key) => keys.push(key),
        }
    }
    if keys.len() > MAX_KEYS {
        report.error(VARIABLE, "has more than 32 keys", "retire keys that nothing names any more");
    }
    Some(keys)
}

fn key(entry: &str) -> Result<RootSecret, (&'static str, &'static str)> {
    let Some((name, text)) = entry.split_once(':') else {
        return Err(("has an entry without a name", MAKE));
    };
    if is_published(text) {
        return Err(("holds the sample published in .env.example", MAKE));
    }
    let is_name_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_name_char) {
        return Err(("has a key with a bad name", "use up to 32 letters, digits, - and _ before the colon"));
    }
    let decoded = BASE64.decode(text.as_bytes()).map(Zeroizing::new);
    let decoded = decoded.map_err(|_| ("has a key that is not strict base64", MAKE))?;
    let bytes: [u8; 32] =
        decoded.as_slice().try_into().map_err(|_| ("has a key that is not exactly 32 bytes", MAKE))?;
    let bytes = Zeroizing::new(bytes);
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err(("has a key whose bytes are all equal", MAKE));
    }
    let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if is_text || estimated_bits(text) < MIN_TEXT_BITS {
        return Err(("has a key that is a pass-phrase, not random bytes", MAKE));
    }
    let distinct = bytes.iter().collect::<HashSet<_>>().len();
    let steps = bytes.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect::<HashSet<_>>().len();
    if distinct < MIN_DISTINCT_BYTES || steps < MIN_DISTINCT_BYTES {
        return Err(("has a key that is a pattern, not random bytes", MAKE));
    }
    Ok(RootSecret { name: name.to_owned(), bytes })
}
