//! Text that lies where its owner lies when it is short: most names are, and a name of its own in the heap costs an
//! allocation, a pointer to it and a wait for memory with each look.

use std::hash::{Hash, Hasher};

/// The longest text without an allocation, in bytes: what fits beside a length and a mark in three words.
const IN_PLACE: usize = 22;

/// A text that never changes.
#[derive(Clone)]
pub(super) struct ShortText(Form);

#[derive(Clone)]
enum Form {
    InPlace { length: u8, bytes: [u8; IN_PLACE] },
    Apart(Box<str>),
}

impl ShortText {
    /// A copy of the text.
    pub(super) fn new(text: &str) -> Self {
        let mut bytes = [0; IN_PLACE];
        Self(match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text.as_bytes());
                Form::InPlace { length, bytes }
            }
            _ => Form::Apart(text.into()),
        })
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        match &self.0 {
            Form::InPlace { length, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).expect("these bytes were a text")
            }
            Form::Apart(text) => text,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::InPlace { length, bytes } => &bytes[..usize::from(*length)],
            Form::Apart(text) => text.as_bytes(),
        }
    }
}

impl PartialEq for ShortText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ShortText {}

impl Hash for ShortText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_come_back_and_only_long_ones_lie_apart() {
        for length in 0..3 * IN_PLACE {
            let text = "abcdefgh".chars().cycle().take(length).collect::<String>();
            let short = ShortText::new(&text);
            assert_eq!(short.as_str(), text);
            assert_eq!(matches!(short.0, Form::Apart(_)), length > IN_PLACE, "{length}");
            assert!(short == ShortText::new(&text) && short != ShortText::new(&format!("{text}x")));
        }
        assert_eq!(ShortText::new("日本語日本語日").as_str(), "日本語日本語日");
        assert_eq!(size_of::<ShortText>(), 24);
    }
}
