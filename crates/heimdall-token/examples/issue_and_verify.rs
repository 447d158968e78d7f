//! Makes a key, publishes it, signs a token, verifies it.

use std::error::Error;
use std::io::{Write, stdout};

use heimdall_token::{Algorithm, Header, Policy, PublicKeys, Signer, SigningKey, Verifier};
use heimdall_types::Timestamp;

fn main() -> Result<(), Box<dyn Error>> {
    let signer = Signer::new(SigningKey::generate(Algorithm::Es256)?);
    let claims = serde_json::json!({ "iss": "https://me.example", "aud": "you", "sub": "jo", "exp": 1_900_000_000 });
    let token = signer.sign(&Header::typ("JWT"), &claims)?;

    let jwks = PublicKeys::of([signer.key().public().clone()]).document();
    let keys = PublicKeys::parse(&jwks.body())?;
    let policy = Policy::new("JWT")
        .issuer("https://me.example")
        .audience("you")
        .require("sub");
    let verified =
        Verifier::new(policy).verify(&token, &keys, Timestamp::from_seconds(1_800_000_000))?;
    writeln!(
        stdout(),
        "{token}\nis of {}",
        verified.subject().unwrap_or_default()
    )?;
    Ok(())
}
