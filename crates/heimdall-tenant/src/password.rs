use argon2::{Algorithm, Argon2, Block, Params, Version};
use heimdall_token::crypto;
use heimdall_types::{Rng, Timestamp};
use serde::{Deserialize, Serialize};

use crate::entity::PasswordHash;
use crate::error::TenantError;
use crate::ports::Verdict;
use crate::settings::PasswordPolicy;

/// Longest password, in bytes: more would only be work for the hash.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Hashes and checks passwords with argon2id. One call takes tens of milliseconds of CPU and the memory of its
/// parameters, so callers bound how many run at once.
#[derive(Debug, Clone)]
pub struct Hasher {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Hasher {
    /// 19 MiB, 2 passes, 1 lane: the first choice of OWASP's password storage cheat sheet.
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            passes: 2,
            lanes: 1,
        }
    }
}

impl Hasher {
    /// Cheap parameters for tests. **Never use it for real passwords.**
    pub const fn weak() -> Self {
        Self {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        }
    }

    /// Hashes `password` with a salt from `rng`, in PHC form.
    ///
    /// # Errors
    /// [`TenantError::Fault`] when argon2 refuses its parameters, which it does not for those of this type.
    pub fn hash(&self, password: &str, rng: &dyn Rng) -> Result<PasswordHash, TenantError> {
        let mut salt = [0u8; SALT_BYTES];
        rng.fill(&mut salt);
        let hash = derive(password, &self.parameters(&salt))?;
        let (m, t, p) = (self.memory_kib, self.passes, self.lanes);
        Ok(PasswordHash(format!(
            "$argon2id$v=19$m={m},t={t},p={p}${}${}",
            unpadded(&salt),
            unpadded(&hash)
        )))
    }

    /// Checks `password` against a stored hash. Without one it does the same work for nothing, so that an unknown
    /// account answers as late as a known one.
    pub fn verify(&self, password: &str, stored: Option<&PasswordHash>) -> Verdict {
        let Some(parsed) = stored.and_then(|stored| Stored::parse(&stored.0)) else {
            let _ = derive(password, &self.parameters(&[0u8; SALT_BYTES]));
            return Verdict::Wrong;
        };
        match derive(password, &parsed) {
            Ok(hash) if crypto::constant_time_eq(&hash, &parsed.hash) => {
                let present = Stored {
                    hash: parsed.hash.clone(),
                    ..self.parameters(&parsed.salt)
                };
                if parsed == present && parsed.hash.len() == HASH_BYTES {
                    Verdict::Right
                } else {
                    Verdict::RightButOld
                }
            }
            _ => Verdict::Wrong,
        }
    }

    fn parameters(&self, salt: &[u8]) -> Stored {
        Stored {
            algorithm: Algorithm::Argon2id,
            memory_kib: self.memory_kib,
            passes: self.passes,
            lanes: self.lanes,
            salt: salt.to_vec(),
            hash: vec![0; HASH_BYTES],
        }
    }
}

fn derive(password: &str, with: &Stored) -> Result<Vec<u8>, TenantError> {
    let failed = |_| {
        TenantError::Fault(heimdall_types::Fault::Corrupt(
            "argon2 parameters".to_owned(),
        ))
    };
    let mut out = vec![0u8; with.hash.len()];
    let params =
        Params::new(with.memory_kib, with.passes, with.lanes, Some(out.len())).map_err(failed)?;
    let mut blocks = Vec::with_capacity(params.block_count().max(GIVEN_BACK));
    blocks.resize(params.block_count(), Block::default());
    Argon2::new(with.algorithm, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), &with.salt, &mut out, &mut blocks)
        .map_err(failed)?;
    Ok(out)
}

/// Blocks of 1 KiB that are asked for at least, though not touched. The allocator of glibc keeps what is smaller than
/// 32 MiB once it was freed, for each thread that ever checked a password; larger pieces go back to the system at once.
const GIVEN_BACK: usize = 33 * 1024;

#[derive(PartialEq, Eq)]
struct Stored {
    algorithm: Algorithm,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Stored {
    // Imported hashes name their own costs; these bounds keep one row from costing a minute.
    const MAX_MEMORY_KIB: u32 = 262_144;
    const MAX_PASSES: u32 = 16;

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('$')?.split('$');
        let algorithm = match parts.next()? {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            "argon2d" => Algorithm::Argon2d,
            _ => return None,
        };
        if parts.next()? != "v=19" {
            return None;
        }
        let (mut memory_kib, mut passes, mut lanes) = (None, None, None);
        for pair in parts.next()?.split(',') {
            match pair.split_once('=')? {
                ("m", value) => memory_kib = value.parse().ok(),
                ("t", value) => passes = value.parse().ok(),
                ("p", value) => lanes = value.parse().ok(),
                _ => return None,
            }
        }
        let salt = from_unpadded(parts.next()?)?;
        let hash = from_unpadded(parts.next()?)?;
        let stored = Self {
            algorithm,
            memory_kib: memory_kib?,
            passes: passes?,
            lanes: lanes?,
            salt,
            hash,
        };
        let bounded = stored.memory_kib <= Self::MAX_MEMORY_KIB
            && stored.passes <= Self::MAX_PASSES
            && stored.lanes <= 16;
        // RFC 9106 §3.1: a tag under 16 bytes is too easily met, a salt under 8 is none.
        let sound = (16..=64).contains(&stored.hash.len()) && (8..=64).contains(&stored.salt.len());
        (bounded && sound && parts.next().is_none()).then_some(stored)
    }
}

fn unpadded(bytes: &[u8]) -> String {
    crypto::base64(bytes).trim_end_matches('=').to_owned()
}

fn from_unpadded(text: &str) -> Option<Vec<u8>> {
    let padding = (4 - text.len() % 4) % 4;
    crypto::from_base64(format!("{text}{}", "=".repeat(padding)))
}

/// Whether a hash of another system may be stored: argon2, bcrypt, scrypt or pbkdf2 with SHA-2, at costs that one
/// login may ask for.
pub fn importable(hash: &str) -> bool {
    let mut parts = hash.split('$').skip(1);
    let (kind, costs) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let cost = |name: &str| {
        let mut pairs = costs.split(',').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .and_then(|(_, value)| value.parse::<u32>().ok())
    };
    let within = |name: &str, most: u32| cost(name).is_some_and(|cost| (1..=most).contains(&cost));
    let plain = hash.len() <= 512 && hash.is_ascii();
    plain
        && match kind {
            "argon2id" | "argon2i" | "argon2d" => Stored::parse(hash).is_some(),
            "2a" | "2b" | "2y" => {
                hash.len() == 60
                    && costs
                        .parse::<u32>()
                        .is_ok_and(|cost| (4..=15).contains(&cost))
            }
            "scrypt" => within("ln", 17) && within("r", 32) && within("p", 4) && parts.count() == 2,
            "pbkdf2-sha256" | "pbkdf2-sha512" => within("i", 2_000_000) && parts.count() == 2,
            _ => false,
        }
}

/// Checks a new password against the App's policy.
///
/// # Errors
/// [`TenantError::Invalid`] naming `password`.
pub fn check_password(policy: &PasswordPolicy, password: &str) -> Result<(), TenantError> {
    if password.contains('\0') {
        return Err(TenantError::malformed("password", "must not contain NUL"));
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(TenantError::invalid(
            "password",
            format!("has more than {MAX_PASSWORD_BYTES} bytes"),
        ));
    }
    if password.chars().count() < policy.min_length as usize {
        return Err(TenantError::invalid(
            "password",
            format!("has fewer than {} characters", policy.min_length),
        ));
    }
    Ok(())
}

/// Failed logins of one account within the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// When the window began; a lock counts from the last failure of it.
    pub since: Timestamp,
}

impl Failures {
    /// Whether a login may be tried at `now`: else how long to wait.
    pub fn locked(
        self,
        attempts: u32,
        window: std::time::Duration,
        now: Timestamp,
    ) -> Option<std::time::Duration> {
        let end = self.since.plus(window);
        (self.count >= attempts && now < end).then(|| end.since(now))
    }

    /// One more failure at `now`. The one that locks starts the window anew.
    #[must_use]
    pub fn after(self, attempts: u32, window: std::time::Duration, now: Timestamp) -> Self {
        if self.count == 0 || now >= self.since.plus(window) {
            return Self {
                count: 1,
                since: now,
            };
        }
        let count = self.count.saturating_add(1);
        Self {
            count,
            since: if count == attempts { now } else { self.since },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use heimdall_types::SeededRng;

    use super::*;

    #[test]
    fn a_hash_verifies_its_own_password_only() {
        let hasher = Hasher::weak();
        let hash = hasher.hash("correct horse", &SeededRng::new(1)).unwrap();
        assert_eq!(hasher.verify("correct horse", Some(&hash)), Verdict::Right);
        assert_eq!(hasher.verify("wrong", Some(&hash)), Verdict::Wrong);
        assert_eq!(hasher.verify("correct horse", None), Verdict::Wrong);
        assert_eq!(
            Hasher {
                passes: 2,
                ..hasher
            }
            .verify("correct horse", Some(&hash)),
            Verdict::RightButOld
        );
        assert_eq!(format!("{hash:?}"), "[hash]");
    }

    #[test]
    fn a_stored_hash_cannot_ask_for_endless_work() {
        for bad in [
            "",
            "$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAA",
            "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AA",
            "$argon2i$v=16$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=8,t=999,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
            "plain",
        ] {
            assert!(!importable(bad), "{bad}");
        }
        for bad in [
            "$2b$31$abcdefghijklmnopqrstuuBVNcPZYmgxQ7CwmMDDEqHlCoNFZ9aS2",
            "$2b$10$short",
            "$scrypt$ln=40,r=8,p=1$AAAA$AAAA",
            "$scrypt$r=8,p=1$AAAA$AAAA",
            "$pbkdf2-sha256$i=4000000000,l=32$AAAA$AAAA",
            "$pbkdf2-md5$i=1000,l=32$AAAA$AAAA",
        ] {
            assert!(!importable(bad), "{bad}");
        }
        for good in [
            "$2b$10$abcdefghijklmnopqrstuuBVNcPZYmgxQ7CwmMDDEqHlCoNFZ9aS2",
            "$scrypt$ln=17,r=8,p=1$AAAA$AAAA",
            "$pbkdf2-sha256$i=600000,l=32$AAAA$AAAA",
        ] {
            assert!(importable(good), "{good}");
        }
    }

    #[test]
    fn an_imported_argon2i_hash_holds_and_is_old() {
        // The reference implementation's `argon2 somesalt -i -t 2 -m 16 -p 1`, password `password`.
        let hash = PasswordHash(
            "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"
                .to_owned(),
        );
        assert!(importable(&hash.0));
        let hasher = Hasher::weak();
        assert_eq!(hasher.verify("password", Some(&hash)), Verdict::RightButOld);
        assert_eq!(hasher.verify("passwore", Some(&hash)), Verdict::Wrong);
    }

    #[test]
    fn ten_failures_lock_for_a_minute() {
        let minute = Duration::from_secs(60);
        let mut failures = Failures::default();
        let mut now = Timestamp::from_seconds(1_000);
        for _ in 0..10 {
            assert_eq!(failures.locked(10, minute, now), None);
            failures = failures.after(10, minute, now);
            now = now.plus(Duration::from_secs(1));
        }
        assert_eq!(
            failures.locked(10, minute, now),
            Some(Duration::from_secs(59))
        );
        assert_eq!(failures.locked(10, minute, now.plus(minute)), None);
    }

    #[test]
    fn the_policy_counts_characters() {
        let policy = PasswordPolicy::default();
        assert!(check_password(&policy, "пароль12").is_ok());
        assert!(check_password(&policy, "short").is_err());
        assert!(check_password(&policy, &"x".repeat(2_000)).is_err());
    }
}
