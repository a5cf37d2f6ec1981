//! A text as a QR code, drawn as the data of an SVG path.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};

/// Modules that a reader wants free around a code (ISO/IEC 18004).
const QUIET: i32 = 4;

/// The side of the picture in modules, and a path that fills the dark ones; `None` for a text that no code can hold.
pub fn qr_path(text: &str) -> Option<(u32, String)> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET).expect("writing to memory cannot fail");
        }
    }
    Some((u32::try_from(code.size() + 2 * QUIET).ok()?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_corners_and_free_room_around() {
        let (side, path) = qr_path("otpauth://totp/Coffer:owner@example.org?secret=GEZDGNBVGY3TQOJQ").unwrap();
        assert!(side >= 21 + 8);
        for corner in
            ["M4,4h1v1h-1z".to_owned(), format!("M{},4h1v1h-1z", side - 5), format!("M4,{}h1v1h-1z", side - 5)]
        {
            assert!(path.contains(&corner), "{corner}");
        }
        assert!(!path.contains("M3,") && !path.contains(",3h"));
        assert!(qr_path(&"x".repeat(4_000)).is_none());
    }
}
