//! Hosts.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use crate::Refusal;

const LONGEST: usize = 261;

/// Lower case, without the default port of the scheme, without a dot at the end.
pub(super) fn canonical<'a>(given: &'a str, scheme: &str) -> Result<Cow<'a, str>, Refusal> {
    let refused = || Refusal::bad("host can not be used");
    if given.is_empty() || given.len() > LONGEST {
        return Err(refused());
    }
    let (name, port) = split(given).ok_or_else(refused)?;
    let default = if scheme == "https" { 443 } else { 80 };
    let mut kept = given;
    if let Some(port) = port {
        let number: u16 = port
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(refused)?;
        if number == default {
            kept = name;
        }
    }
    let dotted = name.strip_suffix('.');
    if dotted == Some("") {
        return Err(refused());
    }
    let lower = !kept.bytes().any(|byte| byte.is_ascii_uppercase());
    match dotted {
        None if lower => Ok(Cow::Borrowed(kept)),
        None => Ok(Cow::Owned(kept.to_ascii_lowercase())),
        Some(name) => {
            let tail = if kept.len() > name.len() + 1 {
                kept.get(name.len() + 1..).unwrap_or_default()
            } else {
                ""
            };
            Ok(Cow::Owned(format!("{name}{tail}").to_ascii_lowercase()))
        }
    }
}

/// Name and port of an authority that has no other parts.
fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(inner) = authority.strip_prefix('[') {
        let (address, after) = inner.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        let name = authority.get(..address.len() + 2)?;
        return match after.strip_prefix(':') {
            Some(port) => is_port(port).then_some((name, Some(port))),
            None => after.is_empty().then_some((name, None)),
        };
    }
    let (name, port) = match authority.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (authority, None),
    };
    let sound = !name.is_empty()
        && name.len() <= 254
        && !name.starts_with(['.', '-', '_'])
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    (sound && port.is_none_or(is_port)).then_some((name, port))
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
