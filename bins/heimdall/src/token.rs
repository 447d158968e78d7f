//! `heimdall token inspect` and `heimdall token verify`: what a token on standard input says, and whether it holds.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use heimdall_token::{Algorithm, Claims, Policy, PublicKeys, Unverified, Verifier};
use heimdall_types::Timestamp;

/// Longer input is no token.
const LONGEST: u64 = 64 * 1024;

/// Reads a token from standard input and says what holds.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows header and claims without believing them.
    Inspect,
    /// Verifies signature and claims, check by check; exits with 1 when one of them does not hold.
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The key set: a file, or an http(s) address.
    #[arg(long, value_name = "FILE|URL")]
    jwks: String,
    /// The issuer that is trusted; without it any.
    #[arg(long)]
    issuer: Option<String>,
    /// The audience that the token must name; without it any.
    #[arg(long)]
    audience: Option<String>,
    /// The type that its header must name, such as `at+jwt`; without it any.
    #[arg(long = "type", value_name = "TYP")]
    typ: Option<String>,
    /// How many seconds clocks may be apart, at most 60.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    leeway: u64,
}

/// Runs the command. `fetch` gets the body behind an http(s) address.
pub(crate) fn run(
    args: &TokenArgs,
    now: Timestamp,
    fetch: impl FnOnce(&str) -> Result<Vec<u8>, String>,
) -> ExitCode {
    let mut text = String::new();
    let read = io::stdin().take(LONGEST).read_to_string(&mut text);
    let answer = match read {
        Err(error) => Err(format!("standard input cannot be read: {error}")),
        Ok(_) => match &args.command {
            Command::Inspect => inspect(text.trim(), now),
            Command::Verify(verify) => {
                key_set(&verify.jwks, fetch).and_then(|keys| check(text.trim(), verify, &keys, now))
            }
        },
    };
    let (shown, code) = match &answer {
        Ok(Answer { text, holds }) => {
            let code = if *holds {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
            (writeln!(io::stdout(), "{text}"), code)
        }
        Err(error) => (writeln!(io::stderr(), "{error}"), ExitCode::FAILURE),
    };
    // A reader that closed the pipe early has seen enough.
    if shown.is_err() {
        ExitCode::FAILURE
    } else {
        code
    }
}

struct Answer {
    text: String,
    holds: bool,
}

fn key_set(
    source: &str,
    fetch: impl FnOnce(&str) -> Result<Vec<u8>, String>,
) -> Result<PublicKeys, String> {
    let body = if source.starts_with("http://") || source.starts_with("https://") {
        fetch(source)?
    } else {
        std::fs::read(Path::new(source))
            .map_err(|error| format!("`{source}` cannot be read: {error}"))?
    };
    PublicKeys::parse(&body).map_err(|error| format!("`{source}`: {error}"))
}

fn inspect(text: &str, now: Timestamp) -> Result<Answer, String> {
    let token = Unverified::parse(text).map_err(|error| error.to_string())?;
    let claims = token.claims().map_err(|error| error.to_string())?;
    let pretty = |value: &serde_json::Map<String, serde_json::Value>| {
        serde_json::to_string_pretty(value).map_err(|error| error.to_string())
    };
    let mut lines = vec![
        format!("header {}", pretty(token.header_map())?),
        format!("claims {}", pretty(claims.as_map())?),
    ];
    lines.extend(times(&claims, now));
    lines.push("not verified: `heimdall token verify` checks it".into());
    Ok(Answer {
        text: lines.join("\n"),
        holds: true,
    })
}

fn times(claims: &Claims, now: Timestamp) -> Vec<String> {
    ["iat", "nbf", "exp"]
        .into_iter()
        .filter_map(|name| {
            let at = claims.moment(name).ok().flatten()?;
            let (distance, side) = if at > now {
                (at.since(now), "ahead")
            } else {
                (now.since(at), "ago")
            };
            Some(format!("{name} {at} ({} s {side})", distance.as_secs()))
        })
        .collect()
}

fn check(
    text: &str,
    args: &VerifyArgs,
    keys: &PublicKeys,
    now: Timestamp,
) -> Result<Answer, String> {
    let policy = match &args.typ {
        Some(typ) => Policy::new(typ),
        None => Policy::new("").any_type(),
    };
    let policy = match &args.issuer {
        Some(issuer) => policy.issuer(issuer),
        None => policy.any_issuer(),
    };
    let policy = match &args.audience {
        Some(audience) => policy.audience(audience),
        None => policy.any_audience(),
    };
    let policy = policy
        .leeway(Duration::from_secs(args.leeway))
        .key_id_optional();
    let checks = Verifier::new(policy).examine(text, keys, now);
    let lines: Vec<String> = checks
        .iter()
        .map(|check| match &check.outcome {
            Ok(()) => format!("ok    {}{}", check.name, detail(check.name, text)),
            Err(error) => format!("FAIL  {}: {error}", check.name),
        })
        .collect();
    Ok(Answer {
        text: lines.join("\n"),
        holds: checks.iter().all(|check| check.outcome.is_ok()),
    })
}

fn detail(name: &str, text: &str) -> String {
    let Ok(token) = Unverified::parse(text) else {
        return String::new();
    };
    let claims = token.claims().ok();
    let shown = match name {
        "type" => token.typ(),
        "key" => token.kid().ok().flatten().map(str::to_owned),
        "signature" => token
            .algorithm()
            .ok()
            .map(Algorithm::as_str)
            .map(str::to_owned),
        "issuer" => claims.and_then(|claims| claims.issuer().map(str::to_owned)),
        "audience" => {
            claims.and_then(|claims| claims.audience().map(|audience| audience.join(", ")))
        }
        "time" => claims
            .and_then(|claims| claims.expires_at())
            .map(|at| format!("until {at}")),
        _ => None,
    };
    shown.map(|shown| format!(": {shown}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use heimdall_token::{Header, Signer, SigningKey};
    use serde_json::json;

    use super::*;

    fn verify(issuer: &str, now: i64) -> Answer {
        let signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let claims = json!({ "iss": "https://id", "aud": "acme", "exp": 2_000 });
        let token = signer.sign(&Header::typ("at+jwt"), &claims).unwrap();
        let keys = PublicKeys::of([signer.key().public().clone()]);
        let args = VerifyArgs {
            jwks: String::new(),
            issuer: Some(issuer.into()),
            audience: None,
            typ: None,
            leeway: 0,
        };
        check(&token, &args, &keys, Timestamp::from_seconds(now)).unwrap()
    }

    #[test]
    fn every_check_is_told() {
        let answer = verify("https://id", 1_000);
        assert!(answer.holds, "{}", answer.text);
        assert_eq!(answer.text.lines().count(), 9);
        assert!(
            answer.text.contains("ok    signature: ES256"),
            "{}",
            answer.text
        );
    }

    #[test]
    fn the_checks_that_fail_are_named_all_of_them() {
        let answer = verify("https://other", 3_000);
        assert!(!answer.holds);
        assert!(answer.text.contains("FAIL  issuer"), "{}", answer.text);
        assert!(
            answer.text.contains("FAIL  time: the token has expired"),
            "{}",
            answer.text
        );
        assert!(answer.text.contains("ok    signature"), "{}", answer.text);
    }

    #[test]
    fn a_key_set_comes_from_a_file_or_an_address() {
        let none = |_: &str| Err("not asked".to_owned());
        assert!(
            key_set("/nonexistent.json", none)
                .unwrap_err()
                .contains("cannot be read")
        );
        let fetched = key_set("https://id/jwks", |url| {
            Ok(format!("{{\"keys\":[], \"url\":\"{url}\"}}").into_bytes())
        });
        assert!(fetched.unwrap().is_empty());
    }
}
