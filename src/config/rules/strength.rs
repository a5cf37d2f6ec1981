//! How hard a secret is to guess, estimated from its text alone.
//!
//! An estimate can refuse what is certainly weak; it can't prove that something is random. It is made so that what a
//! generator of 32 random bytes prints, as hex or base64, passes practically always.

use std::collections::{HashMap, HashSet};

use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::{Score, zxcvbn};

/// Patterns shorter than this occur in random text too.
const MIN_PATTERN_CHARS: usize = 4;

/// A stretch of this length that occurs twice was copied.
const REPEATED_CHARS: usize = 6;

/// Of the different characters that random text of this length would show, the share below which it is not random.
const MIN_VARIETY: f64 = 0.65;

/// Patterns are looked for in stretches of this length: in a longer text zxcvbn prefers to see none at all, because an
/// attacker would have to guess how many there are.
const WINDOW_CHARS: usize = 20;

/// Whether a password chosen by a person resists guessing offline: zxcvbn's score 3 of 4 or better.
/// `personal` are texts that an attacker would try first.
pub(super) fn is_strong_password(password: &str, personal: &[&str]) -> bool {
    zxcvbn(password, personal).score() >= Score::Three
}

/// Bits of entropy that the text may hold at most: its length times the bits of the smallest usual alphabet it fits
/// into, less what dictionary words, keyboard walks, sequences and repetitions make predictable.
pub(super) fn estimated_bits(text: &str) -> f64 {
    let chars: Vec<char> = text.trim_end_matches('=').chars().collect();
    let alphabet = alphabet_size(&chars);
    let distinct = chars.iter().collect::<HashSet<_>>().len() as f64;
    let expected = alphabet * (1.0 - (1.0 - 1.0 / alphabet).powf(chars.len() as f64));
    let bits_each = if distinct < MIN_VARIETY * expected { distinct.max(1.0).log2() } else { alphabet.log2() };

    let (predictable, pattern_bits) = predictable(&chars);
    // Some characters match a pattern by chance; only a good share of them says that a person typed this.
    if predictable * 3 <= chars.len() {
        return chars.len() as f64 * bits_each;
    }
    (chars.len() - predictable) as f64 * bits_each + pattern_bits
}

fn alphabet_size(chars: &[char]) -> f64 {
    let any = |is: fn(&char) -> bool| chars.iter().any(is);
    let all = |is: fn(&char) -> bool| chars.iter().all(is);
    if all(char::is_ascii_digit) {
        return 10.0;
    }
    if all(|c| matches!(c, '0'..='9' | 'a'..='f')) || all(|c| matches!(c, '0'..='9' | 'A'..='F')) {
        return 16.0;
    }
    let letters_and_digits = match (any(char::is_ascii_lowercase), any(char::is_ascii_uppercase)) {
        (true, true) => 62.0,
        _ if any(char::is_ascii_digit) => 36.0,
        _ => 26.0,
    };
    let is_base64 = all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_'));
    match (all(char::is_ascii_alphanumeric), is_base64) {
        (true, _) => letters_and_digits,
        (false, true) => letters_and_digits + 2.0,
        (false, false) => letters_and_digits + 32.0,
    }
}

/// How many characters follow from a pattern, and the bits that choosing those patterns took.
fn predictable(chars: &[char]) -> (usize, f64) {
    let mut covered = repeated(chars);
    let mut bits = 0.0;
    for (start, word) in words(chars) {
        let text: String = word.iter().collect();
        for found in zxcvbn(&text, &[]).sequence() {
            let range = start + found.i..=start + found.j;
            let is_pattern = !matches!(found.pattern, MatchPattern::BruteForce | MatchPattern::Date(_));
            if !is_pattern || range.clone().count() < MIN_PATTERN_CHARS || covered[range.clone()].contains(&true) {
                continue;
            }
            covered[range].fill(true);
            bits += (found.guesses.unwrap_or(1).max(1) as f64).log2();
        }
    }
    (covered.iter().filter(|is_covered| **is_covered).count(), bits)
}

/// The text cut at everything that is neither letter nor digit, and into windows; each with where it starts.
fn words(chars: &[char]) -> impl Iterator<Item = (usize, &[char])> {
    let mut start = 0;
    chars.split(|c| !c.is_alphanumeric()).flat_map(move |word| {
        let first = start;
        start += word.len() + 1;
        word.chunks(WINDOW_CHARS).enumerate().map(move |(index, part)| (first + index * WINDOW_CHARS, part))
    })
}

/// Marks every stretch of characters that stood earlier in the same text.
fn repeated(chars: &[char]) -> Vec<bool> {
    let mut covered = vec![false; chars.len()];
    let mut seen = HashMap::new();
    for (start, gram) in chars.windows(REPEATED_CHARS).enumerate() {
        if seen.insert(gram, start).is_some() {
            covered[start..start + gram.len()].fill(true);
        }
    }
    covered
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};

    use super::*;

    fn random<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn thirty_two_random_bytes_pass_in_every_usual_form() {
        for _ in 0..200 {
            let bytes: [u8; 32] = random();
            for text in [HEXLOWER.encode(&bytes), BASE64.encode(&bytes), BASE64URL_NOPAD.encode(&bytes)] {
                assert!(estimated_bits(&text) >= 256.0, "{text}: {}", estimated_bits(&text));
            }
        }
    }

    #[test]
    fn random_text_with_a_few_accidental_patterns_passes() {
        // Drawn by a generator, and refused while a quarter of matching characters was held against it.
        let text = "3a57f4fb916e2bb07726db719417b935dc010c04956951cc173fb71252554ce3";
        assert!(estimated_bits(text) >= 256.0, "{}", estimated_bits(text));
    }

    #[test]
    fn thirty_one_random_bytes_do_not() {
        for _ in 0..50 {
            let bytes: [u8; 31] = random();
            for text in [HEXLOWER.encode(&bytes), BASE64.encode(&bytes)] {
                assert!(estimated_bits(&text) < 256.0, "{text}: {}", estimated_bits(&text));
            }
        }
    }

    #[test]
    fn long_but_predictable_text_does_not() {
        for text in [
            "a".repeat(64),
            "0123456789abcdef".repeat(4),
            "change-me".repeat(8),
            "qwertyuiopasdfghjklzxcvbnm".repeat(3),
            "correct horse battery staple and some more words of english".into(),
            "my-super-secret-jwt-signing-key-for-production-use-only-2024".into(),
            "MySuperSecretJwtSigningKeyForProductionUseOnly".into(),
            "Kx9#mQ2$".repeat(8),
            "0".repeat(300),
        ] {
            assert!(estimated_bits(&text) < 256.0, "{text}: {}", estimated_bits(&text));
        }
    }

    #[test]
    fn a_password_made_of_the_owners_address_is_weak() {
        assert!(is_strong_password("glide-mosaic-tundra-48", &[]));
        assert!(!is_strong_password("johannesburger", &["johannesburger@coffer.test", "johannesburger"]));
        assert!(!is_strong_password("password1234", &[]));
    }
}
