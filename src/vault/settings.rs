//! The owner's settings: small named values in the catalog, sealed and kept as everything in it.
//!
//! Guarantees: a change is decided on the committed state, one after another, so of two that use up the same value one
//! finds it gone; keys, values and their number have limits; values wipe themselves and never appear in `Debug`.
//! It deliberately does not know what any of them means: whoever owns a prefix encodes what lies below it.

use std::{collections::BTreeMap, fmt, ops::Deref, sync::Arc};

use minicbor::{Decoder, Encoder, decode, encode};
use zeroize::Zeroizing;

use super::{Actor, Vault, catalog::Catalog, error::VaultError, operation::Operation, propose::Proposal};
use crate::log::Inconsistent;

/// Longest key, in bytes.
pub const MAX_SETTING_KEY_BYTES: usize = 64;

/// Largest value, in bytes.
pub const MAX_SETTING_BYTES: usize = 8 * 1024;

/// Most settings of one vault.
pub const MAX_SETTINGS: usize = 1_000;

/// A setting's value. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct SettingValue(Arc<Zeroizing<Vec<u8>>>);

/// What a change does to settings: each key gets the value, or leaves with `None`.
pub type SettingChanges = Vec<(String, Option<Vec<u8>>)>;

/// All settings, as they were committed.
#[derive(Debug, Default)]
pub struct Settings(BTreeMap<String, SettingValue>);

impl Settings {
    /// The value of that key.
    pub fn get(&self, key: &str) -> Option<&SettingValue> {
        self.0.get(key)
    }

    /// The settings whose keys begin with `prefix`, by key.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a SettingValue)> {
        let from = self.0.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.take_while(move |(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.as_str(), value))
    }

    /// Sets or takes away a value, and gives the one before. The only way to change anything here.
    pub(super) fn replace(&mut self, key: &str, value: Option<SettingValue>) -> Option<SettingValue> {
        match value {
            Some(value) => self.0.insert(key.to_owned(), value),
            None => self.0.remove(key),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl SettingValue {
    fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }
}

impl Deref for SettingValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SettingValue([secret])")
    }
}

impl<C> encode::Encode<C> for SettingValue {
    fn encode<W: encode::Write>(&self, encoder: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        encoder.bytes(self)?.ok()
    }
}

impl<'b, C> decode::Decode<'b, C> for SettingValue {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Ok(Self::new(decoder.bytes()?.to_vec()))
    }
}

impl Vault {
    /// One setting.
    ///
    /// # Errors
    /// [`VaultError::NotServing`].
    pub fn setting(&self, key: &str) -> Result<Option<SettingValue>, VaultError> {
        self.ask(|catalog| Ok(catalog.settings.get(key).cloned()))
    }

    /// The settings whose keys begin with `prefix`, by key.
    ///
    /// # Errors
    /// [`VaultError::NotServing`].
    pub fn settings(&self, prefix: &str) -> Result<Vec<(String, SettingValue)>, VaultError> {
        self.read_settings(|settings| {
            settings.below(prefix).map(|(key, value)| (key.to_owned(), value.clone())).collect()
        })
    }

    /// An answer made from all settings of one moment. The closure runs under a lock and **must** be short.
    ///
    /// # Errors
    /// [`VaultError::NotServing`].
    pub fn read_settings<T>(&self, question: impl FnOnce(&Settings) -> T) -> Result<T, VaultError> {
        self.ask(|catalog| Ok(question(&catalog.settings)))
    }

    /// Changes settings. `propose` sees them as they are when the change is made, with every change before it in, and
    /// what it returns takes effect as a whole or not at all; what it gives beside the changes is the answer. It holds up
    /// every other change, so it **must** be short.
    ///
    /// # Errors
    /// What `propose` returned; [`VaultError::LimitExceeded`] for a value or a number of settings over its limit;
    /// [`VaultError::Inconsistent`] for a key that is none; as every change.
    pub async fn change_settings<T, E>(
        &self,
        actor: Actor,
        propose: impl FnOnce(&Settings) -> Result<(SettingChanges, T), E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<VaultError> + Send + 'static,
    {
        self.commit(actor.into(), move |catalog, _| {
            let (changes, answer) = propose(&catalog.settings)?;
            let (operations, ()) = catalog.propose_settings(changes)?;
            Ok((operations, answer))
        })
        .await
    }
}

impl Vault {
    /// Takes away the settings whose keys are meant and ends every session, both or neither; says how many there were.
    ///
    /// # Errors
    /// As every change.
    pub async fn clear_settings(&self, actor: Actor, is_meant: fn(&str) -> bool) -> Result<usize, VaultError> {
        self.commit(actor.into(), move |catalog, at_ms| -> Proposal<usize> {
            let keys = catalog.settings.0.keys().filter(|key| is_meant(key));
            let changes: SettingChanges = keys.map(|key| (key.clone(), None)).collect();
            let count = changes.len();
            let (mut operations, ()) = catalog.propose_settings(changes)?;
            operations.push(catalog.raise_session_epoch(at_ms));
            Ok((operations, count))
        })
        .await
    }
}

impl Catalog {
    /// Settings get other values. What is so already is left out.
    pub(super) fn propose_settings(&self, changes: SettingChanges) -> Proposal<()> {
        let mut operations = Vec::new();
        let mut count = self.settings.len();
        for (key, value) in changes {
            if !is_key(&key) {
                tracing::error!("a setting's key breaks the rules");
                return Err(VaultError::Inconsistent);
            }
            if value.as_ref().is_some_and(|value| value.len() > MAX_SETTING_BYTES) {
                return Err(VaultError::LimitExceeded { what: "bytes of a setting", limit: MAX_SETTING_BYTES as u64 });
            }
            let (old, value) = (self.settings.get(&key), value.map(SettingValue::new));
            match (old, &value) {
                (None, Some(_)) => count += 1,
                (Some(_), None) => count = count.saturating_sub(1),
                _ => {}
            }
            if old != value.as_ref() {
                operations.push(Operation::SetSetting { key, value });
            }
        }
        if count > MAX_SETTINGS && count > self.settings.len() {
            return Err(VaultError::LimitExceeded { what: "settings", limit: MAX_SETTINGS as u64 });
        }
        Ok((operations, ()))
    }

    /// Applies [`Operation::SetSetting`].
    pub(super) fn set_setting(&mut self, key: &str, value: Option<&SettingValue>) -> Result<(), Inconsistent> {
        if !fits(key, value) {
            return Err(Inconsistent("a setting breaks its limits"));
        }
        let is_new = self.settings.get(key).is_none();
        match value {
            Some(_) if is_new && self.settings.len() >= MAX_SETTINGS => {
                Err(Inconsistent("there are too many settings"))
            }
            None if is_new => Err(Inconsistent("a setting that does not exist was taken away")),
            _ => {
                self.put_setting(key, value.cloned());
                Ok(())
            }
        }
    }
}

/// Writes all settings as `{key: value}`.
pub(super) fn write<W: encode::Write>(
    settings: &Settings,
    encoder: &mut Encoder<W>,
) -> Result<(), encode::Error<W::Error>> {
    encoder.map(settings.len() as u64)?;
    for (key, value) in &settings.0 {
        encoder.str(key)?.bytes(value)?;
    }
    Ok(())
}

/// Reads them back: at least one, by ascending key, each within its limits.
pub(super) fn read(decoder: &mut Decoder<'_>) -> Result<Settings, decode::Error> {
    let mut settings = Settings::default();
    for _ in 0..decoder.map()?.unwrap_or_default() {
        let (key, value) = (decoder.str()?, SettingValue::new(decoder.bytes()?.to_vec()));
        let ascends = settings.0.last_key_value().is_none_or(|(last, _)| last.as_str() < key);
        if !ascends || !fits(key, Some(&value)) || settings.len() == MAX_SETTINGS {
            return Err(decode::Error::message("a setting out of place"));
        }
        settings.replace(key, Some(value));
    }
    if settings.len() == 0 { Err(decode::Error::message("no settings")) } else { Ok(settings) }
}

fn fits(key: &str, value: Option<&SettingValue>) -> bool {
    is_key(key) && value.is_none_or(|value| value.len() <= MAX_SETTING_BYTES)
}

fn is_key(key: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'/' | b'-');
    !key.is_empty() && key.len() <= MAX_SETTING_KEY_BYTES && key.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Machine;
    use crate::vault::fixture::Book;

    fn set(key: &str, value: &[u8]) -> (String, Option<Vec<u8>>) {
        (key.to_owned(), Some(value.to_vec()))
    }

    fn change(book: &mut Book, changes: SettingChanges) -> Result<usize, VaultError> {
        let (operations, ()) = book.catalog.propose_settings(changes)?;
        let count = operations.len();
        book.commit(operations);
        Ok(count)
    }

    #[test]
    fn settings_are_set_replaced_listed_and_taken_away() {
        let mut book = Book::new();
        change(&mut book, vec![set("a/2", b"two"), set("a/1", b"one"), set("b", b"")]).unwrap();
        assert_eq!(change(&mut book, vec![set("a/1", b"one")]), Ok(0), "it is so already");
        assert_eq!(change(&mut book, vec![("nothing".into(), None)]), Ok(0));
        change(&mut book, vec![set("a/1", b"other")]).unwrap();
        let below: Vec<_> = book.catalog.settings.below("a/").map(|(key, value)| (key, value.to_vec())).collect();
        assert_eq!(below, [("a/1", b"other".to_vec()), ("a/2", b"two".to_vec())]);
        change(&mut book, vec![("a/1".into(), None)]).unwrap();
        assert!(book.catalog.settings.get("a/1").is_none());
        let bytes = book.catalog.snapshot();
        let restored = Catalog::restore(&bytes).unwrap();
        assert_eq!(restored.settings.0, book.catalog.settings.0);
        assert_eq!(restored.snapshot(), bytes);
    }

    #[test]
    fn a_vault_without_settings_has_the_snapshot_it_always_had() {
        let mut book = Book::new();
        let before = book.catalog.snapshot();
        change(&mut book, vec![set("a", b"x")]).unwrap();
        assert_ne!(book.catalog.snapshot(), before);
        change(&mut book, vec![("a".into(), None)]).unwrap();
        assert_eq!(book.catalog.snapshot(), before);
    }

    #[test]
    fn keys_values_and_their_number_have_limits() {
        let mut book = Book::new();
        let longest = "k".repeat(MAX_SETTING_KEY_BYTES);
        assert_eq!(change(&mut book, vec![set(&longest, &vec![0; MAX_SETTING_BYTES])]), Ok(1));
        for key in ["", "A", "ä", "a b", "a.b", &format!("{longest}k")] {
            assert_eq!(change(&mut book, vec![set(key, b"")]), Err(VaultError::Inconsistent), "{key}");
        }
        let too_large = change(&mut book, vec![set("a", &vec![0; MAX_SETTING_BYTES + 1])]);
        assert_eq!(
            too_large,
            Err(VaultError::LimitExceeded { what: "bytes of a setting", limit: MAX_SETTING_BYTES as u64 })
        );
        let rest = (1..MAX_SETTINGS).map(|number| set(&format!("n/{number}"), b"")).collect();
        assert_eq!(change(&mut book, rest), Ok(MAX_SETTINGS - 1));
        let one_more = change(&mut book, vec![set("one-more", b"")]);
        assert_eq!(one_more, Err(VaultError::LimitExceeded { what: "settings", limit: MAX_SETTINGS as u64 }));
        assert_eq!(change(&mut book, vec![("n/1".into(), None), set("one-more", b"")]), Ok(2));
    }

    #[test]
    fn an_operation_that_no_proposal_makes_is_refused() {
        let mut book = Book::new();
        let value = |length: usize| Some(SettingValue::new(vec![0; length]));
        assert!(book.catalog.set_setting("A", value(0).as_ref()).is_err());
        assert!(book.catalog.set_setting("a", value(MAX_SETTING_BYTES + 1).as_ref()).is_err());
        assert!(book.catalog.set_setting("a", None).is_err());
        change(&mut book, (0..MAX_SETTINGS).map(|number| set(&format!("{number}"), b"")).collect()).unwrap();
        assert!(book.catalog.set_setting("a", value(0).as_ref()).is_err());
        assert!(book.catalog.set_setting("1", value(1).as_ref()).is_ok());
    }

    #[test]
    fn a_value_never_shows_itself() {
        let mut book = Book::new();
        change(&mut book, vec![set("totp", b"canary")]).unwrap();
        let shown = format!("{:?} {:?}", book.catalog.settings, book.entries);
        assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
    }
}
