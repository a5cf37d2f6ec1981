//! `Content-Disposition` (RFC 6266) for any name: it never breaks out of its header, and only what a browser shows without
//! running anything is shown.

use crate::vault::MediaType;

/// Types that are shown where that is asked for, beside audio and video. SVG is not among them: it holds scripts.
const SHOWN: [&str; 13] = [
    "image/png",
    "image/jpeg",
    "image/jpg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/bmp",
    "image/tiff",
    "image/heic",
    "image/heif",
    "image/x-icon",
    "application/pdf",
    "text/plain",
];

/// What a browser does with content that it is led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It shows it.
    Inline,
    /// It saves it.
    Attachment,
}

impl Disposition {
    /// Shows what is on the list, and saves everything else.
    pub fn inline(media_type: &MediaType) -> Self {
        let essence = media_type.as_str().split(';').next().unwrap_or_default().trim_end();
        let is_media = essence.starts_with("audio/") || essence.starts_with("video/");
        if is_media || SHOWN.contains(&essence) { Self::Inline } else { Self::Attachment }
    }

    /// The header, with the name twice: in plain ASCII for old readers, and exactly (RFC 8187) for all others.
    pub fn header(self, name: &str) -> String {
        let kind = match self {
            Self::Inline => "inline",
            Self::Attachment => "attachment",
        };
        let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let mut exact = String::with_capacity(name.len());
        for byte in name.bytes() {
            if is_attr_char(byte) {
                exact.push(char::from(byte));
            } else {
                exact.push_str(&format!("%{byte:02X}"));
            }
        }
        format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}")
    }
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
            assert_eq!(Disposition::Attachment.header(name), expected);
        }
    }

    #[test]
    fn only_what_runs_nothing_is_shown() {
        for (media_type, is_shown) in [
            ("image/png", true),
            ("IMAGE/PNG", true),
            ("video/mp4", true),
            ("audio/mpeg", true),
            ("application/pdf", true),
            ("text/plain; charset=utf-8", true),
            ("image/svg+xml", false),
            ("image/svg", false),
            ("text/html", false),
            ("text/xml", false),
            ("application/xhtml+xml", false),
            ("text/javascript", false),
            ("application/octet-stream", false),
            ("application/pdf+xml", false),
        ] {
            let disposition = Disposition::inline(&MediaType::parse(media_type).unwrap());
            assert_eq!(disposition == Disposition::Inline, is_shown, "{media_type}");
        }
        assert_eq!(Disposition::Inline.header("a"), "inline; filename=\"a\"; filename*=UTF-8''a");
    }
}
