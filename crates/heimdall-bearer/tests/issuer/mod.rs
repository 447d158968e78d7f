//! An issuer in memory: its key, its published set, its tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use heimdall_bearer::Gate;
use heimdall_token::{
    AccessClaims, Algorithm, Confirmation, FetchedJwks, JwksFetch, PublicKeys, Signer, SigningKey,
};
use heimdall_types::{Fault, ManualClock, Timestamp};

pub(crate) const ISSUER: &str = "https://id.example/heimdall";
pub(crate) const NOW: i64 = 1_800_000_000;

struct Published(Vec<u8>, Arc<AtomicUsize>);

#[async_trait]
impl JwksFetch for Published {
    async fn fetch(&self, url: &str) -> Result<FetchedJwks, Fault> {
        assert_eq!(url, format!("{ISSUER}/v1/.well-known/jwks.json"));
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(FetchedJwks {
            body: self.0.clone(),
            max_age: None,
        })
    }
}

pub(crate) struct Issuer {
    signer: Signer,
    pub(crate) gate: Gate,
    pub(crate) fetches: Arc<AtomicUsize>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let set = PublicKeys::of([signer.key().public().clone()]).document();
        let fetches = Arc::new(AtomicUsize::new(0));
        let fetch = Arc::new(Published(set.body().to_vec(), fetches.clone()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(NOW)));
        Self {
            signer,
            gate: Gate::new(ISSUER, "orders", fetch, clock),
            fetches,
        }
    }

    pub(crate) fn token(&self, change: impl FnOnce(&mut AccessClaims)) -> String {
        let mut claims = AccessClaims {
            iss: ISSUER.to_owned(),
            aud: vec!["orders".to_owned()],
            sub: "usr_1".to_owned(),
            user_id: Some("usr_1".to_owned()),
            app_id: "app_1".to_owned(),
            client_id: "sessions".to_owned(),
            iat: NOW,
            nbf: NOW,
            exp: NOW + 900,
            jti: "tok_1".to_owned(),
            sid: None,
            roles: vec!["clerk".to_owned()],
            permissions: vec!["orders:read".to_owned()],
            scope: None,
            cnf: None,
            act: None,
        };
        change(&mut claims);
        claims.issue(&self.signer).unwrap()
    }

    /// What must be refused, each for one reason.
    pub(crate) fn bad(&self) -> Vec<(&'static str, String)> {
        let other = Self::new();
        vec![
            ("no scheme", self.token(|_| ())),
            ("another scheme", format!("Basic {}", self.token(|_| ()))),
            ("garbage", "Bearer x.y.z".to_owned()),
            ("another key", format!("Bearer {}", other.token(|_| ()))),
            (
                "another App",
                format!("Bearer {}", self.token(|c| c.aud = vec!["billing".into()])),
            ),
            (
                "another issuer",
                format!(
                    "Bearer {}",
                    self.token(|c| c.iss = "https://evil.example".into())
                ),
            ),
            (
                "expired",
                format!("Bearer {}", self.token(|c| c.exp = NOW - 120)),
            ),
            (
                "bound to a key",
                format!(
                    "Bearer {}",
                    self.token(|c| c.cnf = Some(Confirmation { jkt: "x".into() }))
                ),
            ),
        ]
    }
}
