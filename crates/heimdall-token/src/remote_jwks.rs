use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use heimdall_types::{Clock, Timestamp};
use thiserror::Error;

use crate::ports::JwksFetch;
use crate::{Claims, PublicKeys, TokenError, Unverified, Verifier};

/// How a foreign key set is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RemoteJwksSettings {
    /// How long a set is fresh when its answer does not say. Default 10 min.
    pub ttl: Duration,
    /// The longest time that an answer may ask for. Default 24 h.
    pub max_ttl: Duration,
    /// The shortest time between two fetches, whatever asks for them. Default 30 s.
    pub cool_down: Duration,
    /// How long the last good set serves while fetching fails. Default 24 h.
    pub max_stale: Duration,
}

impl Default for RemoteJwksSettings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(600),
            max_ttl: Duration::from_secs(24 * 3600),
            cool_down: Duration::from_secs(30),
            max_stale: Duration::from_secs(24 * 3600),
        }
    }
}

/// Why a foreign key set is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the key set cannot be had: {0}")]
pub struct JwksError(String);

#[derive(Clone)]
struct Good {
    keys: Arc<PublicKeys>,
    fetched_at: Timestamp,
    fresh_until: Timestamp,
}

type Flight = Shared<BoxFuture<'static, Result<Arc<PublicKeys>, JwksError>>>;

#[derive(Default)]
struct State {
    good: Option<Good>,
    last_error: Option<JwksError>,
    next_fetch: Option<Timestamp>,
    flight: Option<Flight>,
    epoch: u64,
}

struct Inner {
    url: String,
    fetch: Arc<dyn JwksFetch>,
    clock: Arc<dyn Clock>,
    settings: RemoteJwksSettings,
    state: Mutex<State>,
}

/// A key set that lives elsewhere. Cheap to clone; clones share what they know.
///
/// Many that wait make one fetch. An unknown key name makes at most one fetch per cool-down, so that made-up names
/// cannot drive us or the issuer. When fetching fails the last good set serves until it is too old; then tokens are
/// refused.
#[derive(Clone)]
pub struct RemoteJwks(Arc<Inner>);

impl RemoteJwks {
    /// A set at this address; nothing is fetched yet.
    pub fn new(
        url: impl Into<String>,
        fetch: Arc<dyn JwksFetch>,
        clock: Arc<dyn Clock>,
        settings: RemoteJwksSettings,
    ) -> Self {
        Self(Arc::new(Inner {
            url: url.into(),
            fetch,
            clock,
            settings,
            state: Mutex::default(),
        }))
    }

    /// Where the set lives.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// A number that grows with every set that came in.
    pub fn epoch(&self) -> u64 {
        self.0.with(|state| state.epoch)
    }

    /// The set; fetched when there is none or it is no longer fresh.
    ///
    /// # Errors
    ///
    /// Fetching fails and there is no set that is recent enough.
    pub async fn keys(&self) -> Result<Arc<PublicKeys>, JwksError> {
        let now = self.0.clock.now();
        match self.0.with(|state| state.good.clone()) {
            Some(good) if now < good.fresh_until => Ok(good.keys),
            _ => self.refresh().await,
        }
    }

    /// The set that should hold the key of this name: fetched once more when it does not, unless that was just done.
    /// The key may still be absent.
    ///
    /// # Errors
    ///
    /// As [`RemoteJwks::keys`].
    pub async fn keys_with(&self, kid: &str) -> Result<Arc<PublicKeys>, JwksError> {
        let keys = self.keys().await?;
        if keys.get(kid).is_some() {
            Ok(keys)
        } else {
            self.refresh().await
        }
    }

    /// Fetches now, unless the cool-down says to wait; then gives what there is.
    ///
    /// # Errors
    ///
    /// As [`RemoteJwks::keys`].
    pub async fn refresh(&self) -> Result<Arc<PublicKeys>, JwksError> {
        let now = self.0.clock.now();
        let flight = self.0.with(|state| {
            if let Some(flight) = &state.flight {
                return Some(flight.clone());
            }
            if state.next_fetch.is_some_and(|at| now < at) {
                return None;
            }
            state.next_fetch = Some(now.plus(self.0.settings.cool_down));
            let flight = land(Arc::downgrade(&self.0)).boxed().shared();
            state.flight = Some(flight.clone());
            Some(flight)
        });
        match flight {
            Some(flight) => flight.await,
            None => self.0.what_there_is(),
        }
    }

    /// Verifies a token with these keys, fetching them as needed.
    ///
    /// # Errors
    ///
    /// As [`Verifier::verify`]; [`TokenError::UnknownKey`] also when the set is not to be had.
    pub async fn verify(&self, verifier: &Verifier, token: &str) -> Result<Claims, TokenError> {
        let kid = Unverified::parse(token)?.kid()?.map(str::to_owned);
        let keys = match kid {
            Some(kid) => self.keys_with(&kid).await,
            None => self.keys().await,
        };
        let keys = keys.map_err(|_| TokenError::UnknownKey)?;
        verifier.verify(token, &keys, self.0.clock.now())
    }
}

impl std::fmt::Debug for RemoteJwks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteJwks")
            .field("url", &self.0.url)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // No panic can happen while it is held, and nothing waits in there.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn what_there_is(&self) -> Result<Arc<PublicKeys>, JwksError> {
        let now = self.clock.now();
        self.with(|state| match &state.good {
            Some(good)
                if now < good.fetched_at.plus(self.settings.max_stale)
                    || now < good.fresh_until =>
            {
                Ok(Arc::clone(&good.keys))
            }
            _ => Err(state
                .last_error
                .clone()
                .unwrap_or_else(|| JwksError("not fetched yet".into()))),
        })
    }

    async fn fetch(&self) -> Result<(PublicKeys, Duration), JwksError> {
        let answer = self
            .fetch
            .fetch(&self.url)
            .await
            .map_err(|fault| JwksError(fault.to_string()))?;
        let keys = PublicKeys::parse(&answer.body).map_err(|error| JwksError(error.to_string()))?;
        if keys.is_empty() {
            return Err(JwksError("it holds no usable key".into()));
        }
        let ttl = answer.max_age.unwrap_or(self.settings.ttl);
        Ok((
            keys,
            ttl.clamp(self.settings.cool_down, self.settings.max_ttl),
        ))
    }
}

// Shared by everybody who waits; whoever still waits drives it. It holds the set weakly, or set and flight would keep
// each other alive.
async fn land(inner: Weak<Inner>) -> Result<Arc<PublicKeys>, JwksError> {
    let Some(inner) = inner.upgrade() else {
        return Err(JwksError("nobody wants it any more".into()));
    };
    let fetched = inner.fetch().await;
    let now = inner.clock.now();
    inner.with(|state| {
        state.flight = None;
        match fetched {
            Ok((keys, ttl)) => {
                state.epoch += 1;
                state.last_error = None;
                state.good = Some(Good {
                    keys: Arc::new(keys),
                    fetched_at: now,
                    fresh_until: now.plus(ttl),
                });
            }
            Err(error) => state.last_error = Some(error),
        }
    });
    inner.what_there_is()
}

#[cfg(test)]
#[path = "remote_jwks/tests.rs"]
mod tests;
