//! QR codes as SVG that stands inside a page.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};

/// Quiet modules around the code (ISO/IEC 18004 §5.3.8).
const QUIET: i32 = 4;

/// `text` as a QR code; `None` when it is too long for one. Dark on light whatever the page's colours are, because
/// cameras want it so.
pub(crate) fn svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let size = code.size() + 2 * QUIET;
    let mut dark = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            // Writing into a String cannot fail.
            let _ = write!(dark, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" width=\"220\" height=\"220\" \
         role=\"img\" aria-label=\"QR code\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{size}v{size}H0z\"/><path fill=\"#000\" d=\"{dark}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_inside_its_quiet_zone() {
        let drawn = svg("otpauth://totp/Acme:ada%40example.org?secret=AAAA").unwrap();
        assert!(drawn.starts_with("<svg ") && drawn.contains("M4,4h1v1h-1z"));
        assert!(!drawn.contains("M3,"));
        assert_eq!(svg(&"x".repeat(10_000)), None);
    }
}
