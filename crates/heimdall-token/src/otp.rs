//! One-time codes of an authenticator app: TOTP (RFC 6238) with SHA-1, six digits and thirty seconds, which is what
//! every such app can do.

use data_encoding::BASE32_NOPAD;
use heimdall_types::{Rng, Timestamp};
use zeroize::Zeroizing;

use crate::crypto;

/// How long a code is the present one, in seconds.
pub const STEP_SECONDS: u64 = 30;
/// How many digits a code has.
pub const DIGITS: usize = 6;
/// Bytes of a new secret: the length of a SHA-1 hash (RFC 4226 §4).
const SECRET_BYTES: usize = 20;
/// A clock may be one step off either way (RFC 6238 §5.2).
const SKEW: u64 = 1;

/// The secret that an authenticator app shares with us. `Debug` does not show it.
#[derive(Clone)]
pub struct TotpSecret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret")
    }
}

impl TotpSecret {
    /// A new secret of 160 bits.
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut bytes = Zeroizing::new(vec![0; SECRET_BYTES]);
        rng.fill(&mut bytes);
        Self(bytes)
    }

    /// The secret of these bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Its bytes, to be sealed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text that people type where no camera is at hand (RFC 4648 §6, without padding).
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }

    /// What the QR code says: `otpauth://totp/Issuer:account?secret=…`.
    pub fn uri(&self, issuer: &str, account: &str) -> Zeroizing<String> {
        let (issuer, account) = (escaped(issuer), escaped(account));
        let secret = self.to_base32();
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
            secret.as_str()
        ))
    }

    /// The code of a step.
    pub fn code(&self, step: u64) -> String {
        let tag = crypto::hmac_sha1(&self.0, &step.to_be_bytes());
        // RFC 4226 §5.3: four bytes from where the last one points, without the sign.
        let at = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
        let number = tag
            .get(at..at + 4)
            .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
            .map_or(0, u32::from_be_bytes)
            & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }

    /// The step whose code this is, at `now` or one step beside it; `None` for a wrong code, and for one of `last` or
    /// before: a code counts once (RFC 6238 §5.2). Every candidate is compared, each in constant time.
    pub fn accept(&self, code: &str, now: Timestamp, last: Option<u64>) -> Option<u64> {
        let present = step_at(now);
        (present.saturating_sub(SKEW)..=present + SKEW)
            .filter(|step| {
                let same = crypto::constant_time_eq(self.code(*step).as_bytes(), code.as_bytes());
                same & last.is_none_or(|last| *step > last)
            })
            // Every step is looked at, however early one fits: the time must not tell which.
            .fold(None, |_, step| Some(step))
    }
}

/// The step that `now` lies in.
pub fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.seconds()).unwrap_or_default() / STEP_SECONDS
}

// RFC 3986 §2.3: everything but the unreserved characters.
fn escaped(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use heimdall_types::SeededRng;

    use super::*;

    fn published() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890".to_vec())
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, cut to six digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let step = step_at(Timestamp::from_seconds(seconds));
            assert_eq!(published().code(step), code, "at {seconds}");
        }
    }

    #[test]
    fn a_code_holds_a_step_early_and_late_and_once() {
        let (secret, now) = (published(), Timestamp::from_seconds(1_234_567_890));
        let step = step_at(now);
        for near in [step - 1, step, step + 1] {
            assert_eq!(secret.accept(&secret.code(near), now, None), Some(near));
        }
        for far in [step - 2, step + 2] {
            assert_eq!(secret.accept(&secret.code(far), now, None), None);
        }
        let code = secret.code(step);
        assert_eq!(secret.accept(&code, now, Some(step)), None, "a replay");
        assert_eq!(secret.accept(&secret.code(step - 1), now, Some(step)), None);
        let next = secret.code(step + 1);
        assert_eq!(secret.accept(&next, now, Some(step)), Some(step + 1));
        for bad in ["", "00592", "0059244", "٠٠٥٩٢٤", "005924\0"] {
            assert_eq!(secret.accept(bad, now, None), None, "{bad:?}");
        }
    }

    #[test]
    fn the_uri_is_what_authenticator_apps_read() {
        let uri = published().uri("Acme & Co", "ada@example.org");
        assert_eq!(
            uri.as_str(),
            "otpauth://totp/Acme%20%26%20Co:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme%20%26%20Co&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn a_secret_is_new_each_time_and_not_shown() {
        let rng = SeededRng::new(1);
        let (one, two) = (TotpSecret::generate(&rng), TotpSecret::generate(&rng));
        assert_ne!(one.as_bytes(), two.as_bytes());
        assert_eq!(
            (one.as_bytes().len(), format!("{one:?}").as_str()),
            (20, "TotpSecret")
        );
    }
}
