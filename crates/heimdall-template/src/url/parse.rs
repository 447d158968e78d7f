//! Text to URL.

use std::net::Ipv6Addr;

use super::escape::{Escaping, escape, unescape};
use super::{Url, UrlError, Userinfo};

fn refuse<T>(message: &str) -> Result<T, UrlError> {
    Err(UrlError(message.into()))
}

/// Decoded text; bytes that are no UTF-8 are replaced, since a URL's fields are text here.
fn decoded(text: &str, part: Escaping) -> Result<String, UrlError> {
    let bytes = unescape(text, part)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| crate::utf8::lossy(error.as_bytes())))
}

pub(super) fn parse(text: &str) -> Result<Url, UrlError> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let mut url = Url::default();
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return refuse("invalid control character in URL");
    }
    if text == "*" {
        url.path = "*".into();
    } else {
        parse_before_fragment(&mut url, text)?;
    }
    url.fragment = decoded(fragment, Escaping::Fragment)?;
    if escape(url.fragment.as_bytes(), Escaping::Fragment) != fragment {
        url.raw_fragment = fragment.into();
    }
    Ok(url)
}

fn parse_before_fragment(url: &mut Url, text: &str) -> Result<(), UrlError> {
    let (scheme, mut rest) = scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    if rest.ends_with('?') && rest.matches('?').count() == 1 {
        url.force_query = true;
        rest = rest.strip_suffix('?').unwrap_or(rest);
    } else if let Some((before, query)) = rest.split_once('?') {
        url.raw_query = query.into();
        rest = before;
    }
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.opaque = rest.into();
            return Ok(());
        }
        if rest
            .split('/')
            .next()
            .is_some_and(|segment| segment.contains(':'))
        {
            return refuse("first path segment in URL cannot contain colon");
        }
    }
    let has_authority =
        rest.starts_with("//") && (!url.scheme.is_empty() || !rest.starts_with("///"));
    if has_authority {
        let after = rest.strip_prefix("//").unwrap_or(rest);
        let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
        parse_authority(url, authority)?;
        rest = path;
    } else if !url.scheme.is_empty() && rest.starts_with('/') {
        url.omit_host = true;
    }
    url.path = decoded(rest, Escaping::Path)?;
    if escape(url.path.as_bytes(), Escaping::Path) != rest {
        url.raw_path = rest.into();
    }
    Ok(())
}

/// The scheme, empty if there is none, and what follows its colon.
fn scheme(text: &str) -> Result<(&str, &str), UrlError> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return refuse("missing protocol scheme"),
            b':' => return Ok(text.split_once(':').unwrap_or(("", text))),
            _ => return Ok(("", text)),
        }
    }
    Ok(("", text))
}

fn parse_authority(url: &mut Url, authority: &str) -> Result<(), UrlError> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    url.host = parse_host(&url.scheme, host)?;
    let Some(user) = user else { return Ok(()) };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    if !user.bytes().all(allowed) {
        return refuse("invalid userinfo");
    }
    let (username, password) = match user.split_once(':') {
        Some((username, password)) => (username, Some(decoded(password, Escaping::User)?)),
        None => (user, None),
    };
    url.user = Some(Userinfo {
        username: decoded(username, Escaping::User)?,
        password,
    });
    Ok(())
}

fn valid_port(port: &str) -> bool {
    port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

fn parse_host(scheme: &str, host: &str) -> Result<String, UrlError> {
    match host.rfind('[') {
        Some(0) => {}
        Some(_) => return refuse("invalid IP-literal"),
        None => {
            let colon = match host.find(':') {
                // Other schemes may have anything there, as database URLs do.
                Some(_) if !matches!(scheme, "http" | "https") => host.rfind(':'),
                first => first,
            };
            let port = colon
                .and_then(|colon| host.get(colon..))
                .unwrap_or_default();
            return if valid_port(port) {
                decoded(host, Escaping::Host)
            } else {
                refuse("invalid port after host")
            };
        }
    }
    let Some((address, port)) = host
        .strip_prefix('[')
        .and_then(|host| host.rsplit_once(']'))
    else {
        return refuse("missing ']' in host");
    };
    if !valid_port(port) {
        return refuse("invalid port after host");
    }
    let address = match address.find("%25") {
        Some(at) => {
            let (address, zone) = address.split_at(at);
            decoded(address, Escaping::Host)? + &decoded(zone, Escaping::Zone)?
        }
        None => decoded(address, Escaping::Host)?,
    };
    let (plain, zone) = address
        .split_once('%')
        .map_or((address.as_str(), None), |(a, z)| (a, Some(z)));
    if plain.parse::<Ipv6Addr>().is_err() || zone == Some("") {
        return refuse("invalid host");
    }
    Ok(format!("[{address}]{port}"))
}
