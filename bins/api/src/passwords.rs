//! Password hashing on its own few threads, so that a burst of logins neither starves the API nor fills the memory.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heimdall_tenant::Hasher;
use heimdall_tenant::entity::PasswordHash;
use heimdall_tenant::ports::{Passwords, Verdict};
use heimdall_types::{Fault, Rng, Secret};
use scrypt::password_hash::{PasswordVerifier, phc};
use tokio::sync::Semaphore;

/// How long a password may wait for its turn before the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many may wait at once; the next one is told to come back without waiting.
const WAITING: usize = 256;

/// Argon2id on few threads; the kinds of hash that an import may bring (bcrypt, scrypt, pbkdf2) are verified too.
pub struct HashingPool {
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    hasher: Hasher,
    rng: Arc<dyn Rng>,
}

impl std::fmt::Debug for HashingPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashingPool")
    }
}

impl HashingPool {
    /// A pool with one permit less than there are cores, and at least one.
    pub fn new(hasher: Hasher, rng: Arc<dyn Rng>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            turns: Arc::new(Semaphore::new(cores.saturating_sub(1).max(1))),
            queue: Arc::new(Semaphore::new(WAITING)),
            hasher,
            rng,
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let busy = || Fault::Unavailable("too many passwords wait to be checked".to_owned());
        let _place = Arc::clone(&self.queue)
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let waiting = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::time::timeout(PATIENCE, waiting)
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        // The permit moves into the thread: a caller who leaves does not make room for one more hash.
        tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(turn);
            outcome
        })
        .await
        .map_err(|_| Fault::Unavailable("hashing was interrupted".to_owned()))
    }
}

#[async_trait]
impl Passwords for HashingPool {
    async fn hash(&self, password: Secret) -> Result<PasswordHash, Fault> {
        let (hasher, rng) = (self.hasher.clone(), Arc::clone(&self.rng));
        let outcome = self
            .run(move || hasher.hash(password.expose(), &*rng))
            .await?;
        outcome.map_err(|error| Fault::Unavailable(error.to_string()))
    }

    async fn verify(
        &self,
        password: Secret,
        stored: Option<PasswordHash>,
    ) -> Result<Verdict, Fault> {
        let hasher = self.hasher.clone();
        self.run(move || match stored {
            Some(stored) => verify(&hasher, password.expose(), &stored),
            None => hasher.verify(password.expose(), None),
        })
        .await
    }
}

fn verify(hasher: &Hasher, password: &str, stored: &PasswordHash) -> Verdict {
    let phc = phc::PasswordHash::new(&stored.0);
    let right = match (stored.0.split('$').nth(1).unwrap_or_default(), phc) {
        ("scrypt", Ok(phc)) => scrypt::Scrypt::default()
            .verify_password(password.as_bytes(), &phc)
            .is_ok(),
        ("pbkdf2-sha256" | "pbkdf2-sha512", Ok(phc)) => pbkdf2::Pbkdf2::default()
            .verify_password(password.as_bytes(), &phc)
            .is_ok(),
        ("2a" | "2b" | "2y", _) => bcrypt::verify(password, &stored.0).unwrap_or(false),
        _ => return hasher.verify(password, Some(stored)),
    };
    if right {
        Verdict::RightButOld
    } else {
        // A cheap hash of another system must not answer sooner than an account that does not exist.
        hasher.verify(password, None)
    }
}

#[cfg(test)]
mod tests {
    use heimdall_types::SeededRng;
    use scrypt::password_hash::CustomizedPasswordHasher;

    use super::*;

    #[tokio::test]
    async fn a_password_holds_against_its_own_hash_only() {
        let pool = HashingPool::new(Hasher::weak(), Arc::new(SeededRng::new(1)));
        let stored = pool.hash("correct horse".into()).await.unwrap();
        assert_eq!(
            pool.verify("correct horse".into(), Some(stored.clone()))
                .await,
            Ok(Verdict::Right)
        );
        assert_eq!(
            pool.verify("correct hors".into(), Some(stored)).await,
            Ok(Verdict::Wrong)
        );
        assert_eq!(
            pool.verify("anything".into(), None).await,
            Ok(Verdict::Wrong)
        );
    }

    #[test]
    fn imported_hashes_hold_and_are_called_old() {
        let check = |password: &str, stored: String| {
            verify(&Hasher::weak(), password, &PasswordHash(stored))
        };
        let bcrypt = bcrypt::hash("hunter2", 4).unwrap();
        assert_eq!(check("hunter2", bcrypt.clone()), Verdict::RightButOld);
        assert_eq!(check("hunter3", bcrypt), Verdict::Wrong);
        let salt = b"0123456789abcdef";
        let rounds = pbkdf2::Params::new(1_000).unwrap();
        let pbkdf2 = pbkdf2::Pbkdf2::default()
            .hash_password_customized(b"hunter2", salt, None, None, rounds)
            .unwrap();
        assert_eq!(check("hunter2", pbkdf2.to_string()), Verdict::RightButOld);
        let costs = scrypt::Params::new(4, 8, 1).unwrap();
        let scrypt = scrypt::Scrypt::default()
            .hash_password_customized(b"hunter2", salt, None, None, costs)
            .unwrap();
        assert_eq!(check("hunter2", scrypt.to_string()), Verdict::RightButOld);
        assert_eq!(check("hunter2", "plain".to_owned()), Verdict::Wrong);
    }
}
