//! What kind of content it is: what the client said, held against the first bytes.
//!
//! A declared type that has a fixed signature must carry it, and content declared as text must not be a known binary
//! format. Anything else is believed: a type says how the owner wants to see a file, and the answer that carries it is
//! sandboxed. Undeclared content gets the type that its first bytes show.

use crate::vault::blob::MediaType;

/// How many bytes from the start are looked at.
pub(super) const SNIFFED_BYTES: usize = 8192;
/// How far into a PDF its signature may be (ISO 32000-1, annex H, implementation note 13).
const PDF_SLACK_BYTES: usize = 1024;

/// The names of a format, and whether content carries its signature.
type Signed = (&'static [&'static str], fn(&[u8]) -> bool);

/// Formats whose every file begins the same, by all names that clients use for them.
const SIGNED: &[Signed] = &[
    (&["image/png"], |start| start.starts_with(b"\x89PNG\r\n\x1a\n")),
    (&["image/jpeg", "image/jpg", "image/pjpeg"], |start| start.starts_with(b"\xff\xd8\xff")),
    (&["image/gif"], |start| start.starts_with(b"GIF87a") || start.starts_with(b"GIF89a")),
    (&["image/bmp", "image/x-ms-bmp"], |start| start.starts_with(b"BM")),
    (&["image/tiff"], |start| [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|mark| start.starts_with(*mark))),
    (&["image/webp"], |start| is_riff(start, b"WEBP")),
    (&["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"], |start| is_riff(start, b"WAVE")),
    (&["video/x-msvideo", "video/avi"], |start| is_riff(start, b"AVI ")),
    (&["image/avif", "image/heic", "image/heif", "video/mp4", "audio/mp4", "video/x-m4v", "audio/x-m4a"], |start| {
        start.get(4..8) == Some(b"ftyp")
    }),
    (&["video/webm", "audio/webm", "video/x-matroska"], |start| start.starts_with(b"\x1a\x45\xdf\xa3")),
    (&["audio/ogg", "video/ogg", "application/ogg"], |start| start.starts_with(b"OggS")),
    (&["audio/flac", "audio/x-flac"], |start| start.starts_with(b"fLaC") || start.starts_with(b"ID3")),
    (&["font/woff"], |start| start.starts_with(b"wOFF")),
    (&["font/woff2"], |start| start.starts_with(b"wOF2")),
    (&["application/pdf"], |start| {
        start[..start.len().min(PDF_SLACK_BYTES)].windows(5).any(|window| window == b"%PDF-")
    }),
    (
        &[
            "application/zip",
            "application/x-zip-compressed",
            "application/epub+zip",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.spreadsheet",
            "application/vnd.oasis.opendocument.presentation",
        ],
        |start| [b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"].iter().any(|mark| start.starts_with(*mark)),
    ),
    (&["application/gzip", "application/x-gzip"], |start| start.starts_with(b"\x1f\x8b")),
    (&["application/x-7z-compressed"], |start| start.starts_with(b"7z\xbc\xaf\x27\x1c")),
];

/// The content contradicts its declared type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contradiction;

/// The type to keep for content that begins with `start`. Empty content contradicts nothing.
pub(super) fn check(declared: Option<&MediaType>, start: &[u8]) -> Result<MediaType, Contradiction> {
    let start = &start[..start.len().min(SNIFFED_BYTES)];
    let Some(declared) = declared.filter(|declared| **declared != MediaType::unknown()) else {
        return Ok(binary_format(start).unwrap_or_else(MediaType::unknown));
    };
    let essence = declared.as_str().split(';').next().unwrap_or_default().trim_end();
    let signature = SIGNED.iter().find(|(names, _)| names.contains(&essence));
    let contradicts = match signature {
        Some((_, carries)) => !start.is_empty() && !carries(start),
        // Two letters of prose may look like a format's mark; a zero byte is in no prose.
        None => is_text(essence) && start.contains(&0) && binary_format(start).is_some(),
    };
    if contradicts { Err(Contradiction) } else { Ok(declared.clone()) }
}

fn binary_format(start: &[u8]) -> Option<MediaType> {
    let found = infer::get(start).filter(|found| found.matcher_type() != infer::MatcherType::Text)?;
    MediaType::parse(found.mime_type()).ok()
}

fn is_text(essence: &str) -> bool {
    let named = ["application/json", "application/xml", "application/javascript", "application/x-sh"];
    essence.starts_with("text/") || essence.ends_with("+json") || essence.ends_with("+xml") || named.contains(&essence)
}

fn is_riff(start: &[u8], form: &[u8; 4]) -> bool {
    start.starts_with(b"RIFF") && start.get(8..12) == Some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
    const PDF: &[u8] = b"%PDF-1.7\n";
    const MP4: &[u8] = b"\0\0\0\x18ftypnew!\0\0\0\0";
    const ELF: &[u8] = &{
        let mut header = [0; 64];
        (header[0], header[1], header[2], header[3], header[4]) = (0x7f, b'E', b'L', b'F', 2);
        header
    };

    fn checked(declared: &str, start: &[u8]) -> Result<String, Contradiction> {
        let declared = Some(declared).filter(|declared| !declared.is_empty());
        let declared = declared.map(|declared| MediaType::parse(declared).unwrap());
        check(declared.as_ref(), start).map(|kept| kept.to_string())
    }

    #[test]
    fn a_declared_type_that_fits_or_can_not_be_told_is_kept() {
        for (declared, start) in [
            ("image/png", PNG),
            ("image/jpeg", JPEG),
            ("application/pdf", PDF),
            ("application/pdf", b"\xef\xbb\xbf%PDF-1.4"),
            ("video/mp4", MP4),
            ("text/plain", b"BM is how this prose begins"),
            ("text/plain; charset=utf-8", b"MZ too"),
            ("text/html", b"<!doctype html>"),
            ("image/svg+xml", b"<svg/>"),
            ("application/json", b"{}"),
            ("application/x-own", PNG),
            ("image/png", b""),
            ("text/plain", b"\0 no known format"),
        ] {
            assert_eq!(checked(declared, start).as_deref(), Ok(declared), "{declared} {start:?}");
        }
    }

    #[test]
    fn a_contradiction_is_refused() {
        for (declared, start) in [
            ("image/png", JPEG),
            ("image/png", b"<html>" as &[u8]),
            ("image/png", &PNG[1..]),
            ("image/png; a=b", JPEG),
            ("image/jpg", PNG),
            ("video/mp4", PNG),
            ("application/pdf", b"hello"),
            ("application/zip", PDF),
            ("audio/wav", b"RIFF\0\0\0\0WEBPVP8 "),
            ("text/plain", PNG),
            ("application/json", ELF),
            ("image/svg+xml", JPEG),
        ] {
            assert_eq!(checked(declared, start), Err(Contradiction), "{declared} {start:?}");
        }
    }

    #[test]
    fn undeclared_content_shows_its_type_or_none() {
        for (declared, start, kept) in [
            ("", PNG, "image/png"),
            ("application/octet-stream", PDF, "application/pdf"),
            ("", b"<html><body>", "application/octet-stream"),
            ("", b"", "application/octet-stream"),
            ("", b"prose", "application/octet-stream"),
        ] {
            assert_eq!(checked(declared, start).as_deref(), Ok(kept));
        }
    }
}
