//! Object keys, and where each of them lies in the folder.
//!
//! A key has at most two possible homes, both decided by the key alone. Its *plain* home is its own text as a path, and exists only for
//! keys made of ordinary components, so that `blob/<hex>` is the file `blob/<hex>`. Its *odd* home spells the whole key in hex and
//! exists for every key. No component of a plain home begins with a dot and no odd home holds anything but hex digits and `+`,
//! so no key, whatever it contains, can name a path outside the folder or in the store's own part of it.

use std::path::PathBuf;

use s3s::{S3Result, s3_error};

/// The longest key in bytes, as in S3.
pub(super) const MAX_KEY_BYTES: usize = 1024;
/// The longest file name that common file systems take, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Hex digits in one component of an odd home.
const ODD_NAME_DIGITS: usize = 240;
/// Ends the name of a folder in an odd home, so that no file of one key is a folder of another.
const ODD_FOLDER_MARK: char = '+';

/// A key that may be stored: 1 to 1,024 bytes of text without control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(String);

impl Key {
    /// Control characters are refused: a listing is XML 1.0, which cannot carry them, and one such key would break every listing.
    pub(super) fn parse(text: &str) -> S3Result<Self> {
        if text.len() > MAX_KEY_BYTES {
            return Err(s3_error!(KeyTooLongError));
        }
        if text.is_empty() || text.chars().any(|c| c.is_control() || c == '\u{fffe}' || c == '\u{ffff}') {
            return Err(s3_error!(InvalidArgument, "a key must be 1 to 1024 bytes of text without control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key's text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key's own text as a path below the root, if every component is ordinary.
    pub(super) fn plain_home(&self) -> Option<PathBuf> {
        self.0.split('/').all(is_ordinary).then(|| PathBuf::from(&self.0))
    }

    /// The key in hex as a path below the folder of odd keys.
    pub(super) fn odd_home(&self) -> PathBuf {
        let digits = data_encoding::HEXLOWER.encode(self.0.as_bytes());
        let mut home = PathBuf::new();
        let mut rest = digits.as_str();
        while rest.len() > ODD_NAME_DIGITS {
            let (name, tail) = rest.split_at(ODD_NAME_DIGITS);
            home.push(format!("{name}{ODD_FOLDER_MARK}"));
            rest = tail;
        }
        home.push(rest);
        home
    }
}

/// Whether a component of a key can be a file name as it is: lower case (file systems that fold case exist), no leading dot.
pub(super) fn is_ordinary(component: &str) -> bool {
    let bytes = component.as_bytes();
    (1..=MAX_NAME_BYTES).contains(&bytes.len())
        && bytes[0] != b'.'
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

/// What a name in the folder of odd keys stands for.
pub(super) enum OddName {
    /// A folder: more digits follow below it.
    Folder(String),
    /// A file: the digits up to here are a whole key.
    File(String),
}

/// Reads a name in the folder of odd keys below a folder that stands for `digits`; `None` for a foreign file.
pub(super) fn parse_odd_name(digits: &str, name: &str) -> Option<OddName> {
    let (name, is_folder) = match name.strip_suffix(ODD_FOLDER_MARK) {
        Some(name) => (name, true),
        None => (name, false),
    };
    if name.is_empty() || !name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let digits = format!("{digits}{name}");
    Some(if is_folder { OddName::Folder(digits) } else { OddName::File(digits) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn the_keys_of_a_vault_are_plain_files() {
        for text in ["vault", "blob/00ff", "log/catalog/0-1-2", "backups/my.vault_1/writer/1-2"] {
            assert_eq!(key(text).plain_home(), Some(PathBuf::from(text)));
        }
    }

    #[test]
    fn an_odd_key_has_no_plain_home() {
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        for text in
            ["a//b", "/a", "a/", "..", "../x", "a/./b", ".store/lock", "A", "%2e%2e", "é", "a b", "a\\b", "a:b", &long]
        {
            assert_eq!(key(text).plain_home(), None, "{text}");
        }
    }

    #[test]
    fn odd_homes_are_hex_and_never_a_prefix_of_one_another() {
        for length in [1, 119, 120, 121, 240, 241, MAX_KEY_BYTES] {
            let home = key(&"x".repeat(length)).odd_home();
            let names: Vec<_> = home.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
            let (file, folders) = names.split_last().unwrap();
            assert!(!file.ends_with(ODD_FOLDER_MARK) && !file.is_empty());
            assert!(folders.iter().all(|name| name.ends_with(ODD_FOLDER_MARK) && name.len() <= MAX_NAME_BYTES));
        }
    }

    #[test]
    fn a_key_is_refused_when_it_is_empty_too_long_or_not_text_for_a_listing() {
        assert!(Key::parse(&"a".repeat(MAX_KEY_BYTES)).is_ok());
        for text in ["", "a\0b", "a\nb", "\u{7f}", "\u{ffff}", &"a".repeat(MAX_KEY_BYTES + 1)] {
            assert!(Key::parse(text).is_err(), "{text:?}");
        }
    }
}
