//! What two names have in common for somebody who looks for one: letters without case, accents or typographic dress.
//!
//! Compatibility forms become plain (`ﬁ` is `fi`, full-width letters are narrow), combining accents go, letters that
//! Unicode does not take apart are written as people type them (`ø` as `o`, `ß` as `ss`). Marks that are letters of their
//! own in other scripts stay. It knows no language's own rules: a folded text is for finding, never for order or identity.

use unicode_normalization::UnicodeNormalization;

/// The folded text. Folding it again changes nothing.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let plain = text.nfkd().filter(|letter| !is_accent(*letter));
    let lower = plain.flat_map(char::to_lowercase).flat_map(spelled);
    lower.filter(|letter| !is_accent(*letter)).nfc().collect()
}

/// Unicode's blocks of combining diacritical marks, and the selectors of a letter's variants.
fn is_accent(letter: char) -> bool {
    matches!(letter,
        '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FE20}'..='\u{FE2F}')
}

/// A lower-case letter as it is typed without it on the keyboard.
fn spelled(letter: char) -> impl Iterator<Item = char> {
    let (first, second) = match letter {
        'ß' => ('s', Some('s')),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        'þ' => ('t', Some('h')),
        'ø' => ('o', None),
        'đ' | 'ð' => ('d', None),
        'ħ' => ('h', None),
        'ı' => ('i', None),
        'ł' => ('l', None),
        'ŧ' => ('t', None),
        'ς' => ('σ', None),
        letter => (letter, None),
    };
    std::iter::once(first).chain(second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_meet_where_people_take_them_for_the_same() {
        for (name, folded) in [
            ("Report 2024.PDF", "report 2024.pdf"),
            ("Résumé.pdf", "resume.pdf"),
            ("re\u{301}sume\u{301}", "resume"),
            ("Größe", "grosse"),
            ("GRÖẞE", "grosse"),
            ("İstanbul", "istanbul"),
            ("ılık", "ilik"),
            ("Øystein Łódź", "oystein lodz"),
            ("ﬁnal Ａ４", "final a4"),
            ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
            ("σίσυφος", "σισυφοσ"),
            ("Ёлка", "елка"),
            ("日本語", "日本語"),
            ("한국어", "한국어"),
            ("が", "が"),
            ("हिन्दी", "हिन्दी"),
            ("❤\u{FE0F}", "❤"),
            ("", ""),
        ] {
            assert_eq!(fold(name), folded, "{name}");
        }
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,12}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
