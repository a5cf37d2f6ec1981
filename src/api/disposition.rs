//! `Content-Disposition` (RFC 6266) for any name: it downloads, and never breaks out of its header.

/// `attachment` with the name twice: in plain ASCII for old readers, and exactly (RFC 8187) for all others.
pub fn attachment(name: &str) -> String {
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut exact = String::with_capacity(name.len());
    for byte in name.bytes() {
        if is_attr_char(byte) {
            exact.push(char::from(byte));
        } else {
            exact.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}

/// Safe inside quotes; `%` is not, since some readers decode it there.
fn is_plain(c: char) -> bool {
    (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '/' | '%' | ';')
}

/// `attr-char` of RFC 8187, section 3.2.1.
fn is_attr_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_carried_exactly_and_harmlessly() {
        for (name, expected) in [
            ("report.pdf", r#"attachment; filename="report.pdf"; filename*=UTF-8''report.pdf"#),
            ("a b.txt", r#"attachment; filename="a b.txt"; filename*=UTF-8''a%20b.txt"#),
            ("ünï.txt", r#"attachment; filename="_n_.txt"; filename*=UTF-8''%C3%BCn%C3%AF.txt"#),
            (r#"x"; y="z"#, r#"attachment; filename="x__ y=_z"; filename*=UTF-8''x%22%3B%20y%3D%22z"#),
            (
                "a\r\nSet-Cookie: b",
                r#"attachment; filename="a__Set-Cookie: b"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b"#,
            ),
            ("100%.txt", r#"attachment; filename="100_.txt"; filename*=UTF-8''100%25.txt"#),
            (r"..\..\etc", r#"attachment; filename=".._.._etc"; filename*=UTF-8''..%5C..%5Cetc"#),
        ] {
            assert_eq!(attachment(name), expected);
        }
    }
}
