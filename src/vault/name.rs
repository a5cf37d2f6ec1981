//! The name of a folder or file: data that is shown, never a path that is walked.
//!
//! A name is kept in Unicode's normal form C with its case as given. Two names in one folder collide when they are
//! equal in that form: `é` typed as one or two code points is one name, `A` and `a` are two. Refused is only what can
//! deceive a reader or end a name in some protocol: nothing at all, `.` and `..`, `/`, controls (NUL and line ends
//! among them) and the characters that turn the direction of text. Everything else is the owner's own choice and kept
//! as it is: back slashes, trailing dots and blanks, `%2e`, names that Windows reserves. Whoever writes names into a
//! file system, an archive or a header must make them fit there.

use std::{borrow::Cow, cmp::Ordering, fmt};

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::{natural, short::ShortText};

/// Longest name, in bytes of UTF-8 after normalisation.
pub const MAX_NAME_BYTES: usize = 255;

/// Normal form C is never shorter than a quarter of what was given: past this no work is spent.
const MAX_GIVEN_BYTES: usize = 4 * MAX_NAME_BYTES;

/// A name that was parsed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FileName(ShortText);

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing that could be seen.
    #[error("a name must not be empty or blank")]
    Empty,
    /// More than [`MAX_NAME_BYTES`].
    #[error("a name must not be longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// `.` or `..`.
    #[error("a name must not be \".\" or \"..\"")]
    Dots,
    /// `/`.
    #[error("a name must not contain \"/\"")]
    Slash,
    /// A control character or a line separator.
    #[error("a name must not contain control characters")]
    Control,
    /// A character that turns the direction of the text after it.
    #[error("a name must not contain characters that change the direction of text")]
    Direction,
}

impl FileName {
    /// Normalises and checks a name.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule it breaks.
    pub fn parse(given: &str) -> Result<Self, InvalidName> {
        if given.len() > MAX_GIVEN_BYTES {
            return Err(InvalidName::TooLong);
        }
        let name = if is_nfc(given) { Cow::Borrowed(given) } else { Cow::Owned(given.nfc().collect()) };
        if name.len() > MAX_NAME_BYTES {
            return Err(InvalidName::TooLong);
        }
        if name.trim().is_empty() && !name.contains(is_control) {
            return Err(InvalidName::Empty);
        }
        if matches!(&*name, "." | "..") {
            return Err(InvalidName::Dots);
        }
        if name.contains('/') {
            return Err(InvalidName::Slash);
        }
        if name.contains(is_control) {
            return Err(InvalidName::Control);
        }
        if name.contains(is_direction) {
            return Err(InvalidName::Direction);
        }
        Ok(Self::accepted(&name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name with ` (number)` before its extension, cut where needed to stay within [`MAX_NAME_BYTES`].
    ///
    /// A folder has no extension: pass `false` for it and the number comes last.
    #[must_use]
    pub fn numbered(&self, number: u32, has_extension: bool) -> Self {
        let name = self.as_str();
        let dot = name.rfind('.').filter(|dot| has_extension && *dot > 0);
        let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
        let suffix = format!(" ({number})");
        // A dot near the front of a long name marks no extension worth keeping whole.
        let extension = if extension.len() + suffix.len() < MAX_NAME_BYTES { extension } else { "" };
        let room = MAX_NAME_BYTES - suffix.len() - extension.len();
        let cut = (0..=room.min(stem.len())).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or(0);
        Self::accepted(&format!("{}{suffix}{extension}", &stem[..cut]))
    }

    /// A name that this catalog already accepted, read back from its own log: kept as it was, whatever the rules are now.
    pub(super) fn accepted(name: &str) -> Self {
        Self(ShortText::new(name))
    }
}

impl Ord for FileName {
    /// Natural order.
    fn cmp(&self, other: &Self) -> Ordering {
        natural::compare(self.as_str(), other.as_str())
    }
}

impl PartialOrd for FileName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for FileName {
    /// Names are the owner's secret: they don't belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[name]")
    }
}

fn is_control(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')
}

/// Unicode's Bidi_Control.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_have_a_known_outcome() {
        let table: &[(&str, Result<&str, InvalidName>)] = &[
            ("report.pdf", Ok("report.pdf")),
            ("Case Kept", Ok("Case Kept")),
            ("e\u{301}.txt", Ok("é.txt")),
            ("\u{212B}", Ok("Å")),
            ("ﬁ", Ok("ﬁ")),
            ("..hidden", Ok("..hidden")),
            ("...", Ok("...")),
            ("%2e%2e", Ok("%2e%2e")),
            ("..\\..\\windows", Ok("..\\..\\windows")),
            ("C:\\x", Ok("C:\\x")),
            ("CON", Ok("CON")),
            ("nul.txt", Ok("nul.txt")),
            ("COM¹", Ok("COM¹")),
            ("trailing. ", Ok("trailing. ")),
            (" leading", Ok(" leading")),
            ("<script>alert(1)</script>".trim_end_matches("</script>"), Ok("<script>alert(1)")),
            ("\"';--", Ok("\"';--")),
            ("👩\u{200D}👩\u{200D}👧", Ok("👩\u{200D}👩\u{200D}👧")),
            ("日本語", Ok("日本語")),
            ("", Err(InvalidName::Empty)),
            ("   ", Err(InvalidName::Empty)),
            ("\u{3000}", Err(InvalidName::Empty)),
            (".", Err(InvalidName::Dots)),
            ("..", Err(InvalidName::Dots)),
            ("a/b", Err(InvalidName::Slash)),
            ("//", Err(InvalidName::Slash)),
            ("../../etc/passwd", Err(InvalidName::Slash)),
            ("a\0b", Err(InvalidName::Control)),
            ("\n", Err(InvalidName::Control)),
            ("a\r\nSet-Cookie: x", Err(InvalidName::Control)),
            ("tab\t", Err(InvalidName::Control)),
            ("del\u{7F}", Err(InvalidName::Control)),
            ("c1\u{85}", Err(InvalidName::Control)),
            ("line\u{2028}", Err(InvalidName::Control)),
            ("gpj\u{202E}exe", Err(InvalidName::Direction)),
            ("\u{2066}x\u{2069}", Err(InvalidName::Direction)),
            ("mark\u{200F}", Err(InvalidName::Direction)),
            ("\u{61C}x", Err(InvalidName::Direction)),
        ];
        for (given, expected) in table {
            let parsed = FileName::parse(given);
            assert_eq!(parsed.as_ref().map(FileName::as_str), expected.as_ref().map(|name| *name), "{given:?}");
        }
    }

    #[test]
    fn the_length_limit_holds_to_the_byte_after_normalisation() {
        assert!(FileName::parse(&"a".repeat(255)).is_ok());
        assert_eq!(FileName::parse(&"a".repeat(256)), Err(InvalidName::TooLong));
        assert!(FileName::parse(&format!("{}a", "é".repeat(127))).is_ok());
        assert_eq!(FileName::parse(&"é".repeat(128)), Err(InvalidName::TooLong));
        assert!(FileName::parse(&"e\u{301}".repeat(127)).is_ok(), "381 bytes as given, 254 as kept");
        assert_eq!(FileName::parse(&"e\u{301}".repeat(100_000)), Err(InvalidName::TooLong));
    }

    #[test]
    fn twins_collide_and_cases_do_not() {
        assert_eq!(FileName::parse("e\u{301}"), FileName::parse("é"));
        assert_ne!(FileName::parse("A"), FileName::parse("a"));
    }

    #[test]
    fn a_number_goes_before_the_extension_and_within_the_limit() {
        let numbered =
            |name: &str, has_extension| FileName::parse(name).unwrap().numbered(2, has_extension).as_str().to_owned();
        assert_eq!(numbered("a.txt", true), "a (2).txt");
        assert_eq!(numbered("a.tar.gz", true), "a.tar (2).gz");
        assert_eq!(numbered(".profile", true), ".profile (2)");
        assert_eq!(numbered("v1.2", false), "v1.2 (2)");
        assert_eq!(numbered(&format!("{}.txt", "a".repeat(251)), true), format!("{} (2).txt", "a".repeat(247)));
        assert_eq!(numbered(&format!("{}.txt", "é".repeat(125)), true), format!("{} (2).txt", "é".repeat(123)));
        assert_eq!(numbered(&format!("a.{}", "b".repeat(253)), true), "a (2)");
    }

    #[test]
    fn a_name_is_not_printed_by_debug() {
        assert_eq!(format!("{:?}", FileName::parse("secret plans").unwrap()), "[name]");
    }
}
