//! The natural order of names: the order in which people look for them.
//!
//! Runs of ASCII digits count as numbers of any length (`page 9` before `page 10`), letters without regard to case;
//! names that are equal so far are ordered by their bytes, so the order is total and never depends on history.
//! It knows no language's own alphabet: that would need a locale and tables that change.

use std::{char::ToLowercase, cmp::Ordering};

/// Compares two names in natural order; equal only when the bytes are equal.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    Tokens::new(a).cmp(Tokens::new(b)).then_with(|| a.cmp(b))
}

/// Variant order matters only within a kind: [`Token::cmp`] decides between kinds.
#[derive(PartialEq, Eq)]
enum Token<'a> {
    /// Digits without leading zeros.
    Number(&'a str),
    Letter(char),
}

impl Ord for Token<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Token::Number(a), Token::Number(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
            (Token::Letter(a), Token::Letter(b)) => a.cmp(b),
            // A letter is never a digit, so every number falls into the same gap between letters.
            (Token::Number(_), Token::Letter(b)) => '0'.cmp(b),
            (Token::Letter(a), Token::Number(_)) => a.cmp(&'0'),
        }
    }
}

impl PartialOrd for Token<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Tokens<'a> {
    rest: &'a str,
    /// What is left of a letter whose lower case is more than one.
    pending: Option<ToLowercase>,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text, pending: None }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(letter) = self.pending.as_mut().and_then(Iterator::next) {
            return Some(Token::Letter(letter));
        }
        let first = *self.rest.as_bytes().first()?;
        if first.is_ascii_digit() {
            let end = self.rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Token::Number(digits.trim_start_matches('0')));
        }
        if first.is_ascii() {
            self.rest = &self.rest[1..];
            return Some(Token::Letter(char::from(first.to_ascii_lowercase())));
        }
        let mut letters = self.rest.chars();
        let mut lower = letters.next()?.to_lowercase();
        self.rest = letters.as_str();
        let letter = lower.next()?;
        self.pending = Some(lower);
        Some(Token::Letter(letter))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_come_in_the_order_people_expect() {
        let sorted = [
            "",
            " ",
            "!",
            "0",
            "00",
            "1",
            "01.txt",
            "1.txt",
            "2.txt",
            "9",
            "10",
            "10a",
            "11",
            "99999999999999999999999999999999",
            "100000000000000000000000000000000",
            "A",
            "a",
            "a1",
            "A2",
            "a10",
            "B",
            "b",
            "IMG_9.jpg",
            "IMG_10.jpg",
            "x2y9",
            "x2y10",
            "x02y11",
            "Z",
            "é",
            "É1",
            "日本",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
    }

    #[test]
    fn letters_with_a_longer_lower_case_are_read_whole() {
        assert_eq!(compare("İa", "i\u{307}b"), Ordering::Less);
        assert_eq!(compare("İb", "i\u{307}a"), Ordering::Greater);
    }

    proptest! {
        #[test]
        fn the_order_is_total(names in proptest::collection::vec("[aAbB019 .é]{0,6}", 3)) {
            let [a, b, c] = [&names[0], &names[1], &names[2]];
            prop_assert_eq!(compare(a, b), compare(b, a).reverse());
            prop_assert_eq!(compare(a, b) == Ordering::Equal, a == b);
            if compare(a, b).is_le() && compare(b, c).is_le() {
                prop_assert!(compare(a, c).is_le());
            }
        }
    }
}
