//! What a trusted proxy says about the request it got.

use std::borrow::Cow;
use std::net::IpAddr;

use heimdall_finalizer::is_token;

use crate::gate::{authority, path};
use crate::{HeaderView, Refusal, Request};

/// Takes over method, scheme, host, target and client addresses.
pub(super) fn apply<'a>(
    request: &mut Request<'a>,
    target: &mut Cow<'a, str>,
) -> Result<(), Refusal> {
    let headers = request.headers;
    if let Some(method) = single(headers, "x-forwarded-method")? {
        if !is_token(method) || method == "CONNECT" {
            return Err(Refusal::bad("forwarded method can not be used"));
        }
        request.method = Cow::Borrowed(method);
    }
    if let Some(proto) = single(headers, "x-forwarded-proto")? {
        request.scheme = Cow::Borrowed(proto);
    }
    if headers.first("x-forwarded-host").is_some() {
        let host = single(headers, "x-forwarded-host")?.unwrap_or_default();
        request.host = authority::canonical(host, &request.scheme)?;
    }
    if let Some(uri) = single(headers, "x-forwarded-uri")? {
        *target = effective_target(uri, target)?;
    }
    request.client_ips = addresses(headers);
    Ok(())
}

/// Path of the forwarded URI; its query, or else that of the request.
fn effective_target<'a>(uri: &'a str, own: &Cow<'a, str>) -> Result<Cow<'a, str>, Refusal> {
    let origin = match uri.split_once("://") {
        Some(_) => path::split_absolute(uri).map_or("", |(origin, _)| origin),
        None => uri,
    };
    let origin = origin.split('#').next().unwrap_or_default();
    let (own_path, own_query) = path::split_query(own);
    let (path, query) = path::split_query(origin);
    let path = if path.is_empty() { own_path } else { path };
    Ok(Cow::Owned(match query.or(own_query) {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }))
}

/// A field that may come once. An empty one is as good as none.
fn single<'a>(headers: &'a (dyn HeaderView + 'a), name: &str) -> Result<Option<&'a str>, Refusal> {
    let values = headers.values(name);
    match values.as_slice() {
        [] => Ok(None),
        [one] => match std::str::from_utf8(one) {
            Ok(text) => Ok((!text.is_empty()).then_some(text)),
            Err(_) => Err(Refusal::bad(format!("`{name}` is no text"))),
        },
        _ => Err(Refusal::bad(format!("`{name}` comes twice"))),
    }
}

/// The client's address first. `Forwarded` beats `X-Forwarded-For`; one bad address voids a list.
fn addresses(headers: &dyn HeaderView) -> Vec<String> {
    let texts = |name: &str| -> Vec<String> {
        headers
            .values(name)
            .into_iter()
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    };
    match from_forwarded(&texts("forwarded")) {
        Some(found) if !found.is_empty() => found,
        _ => from_x_forwarded_for(&texts("x-forwarded-for")),
    }
}

fn from_x_forwarded_for(lines: &[String]) -> Vec<String> {
    let parts = lines
        .iter()
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let mut found = Vec::new();
    for part in parts {
        if !is_address(part) {
            return Vec::new();
        }
        found.push(part.to_owned());
    }
    found
}

fn from_forwarded(lines: &[String]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for line in lines {
        for parameter in parameters(line)? {
            let Some((name, value)) = parameter.trim().split_once('=') else {
                continue;
            };
            if !name.trim().eq_ignore_ascii_case("for") {
                continue;
            }
            if let Some(address) = node(value.trim())? {
                found.push(address);
            }
        }
    }
    Some(found)
}

/// The parameters of a line, separated by `;` and `,` outside quotes; `None` when a quote is left open.
fn parameters(line: &str) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in line.chars() {
        if !quoted && (c == ',' || c == ';') {
            all.push(String::new());
            continue;
        }
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    (!quoted && !escaped).then_some(all)
}

/// The address of a node (RFC 7239 §6): outer `None` when it is none, inner `None` when it is hidden on purpose.
fn node(value: &str) -> Option<Option<String>> {
    let unquoted;
    let quoted = value.starts_with('"');
    let value = if quoted {
        let inner = value.strip_prefix('"')?.strip_suffix('"')?;
        let mut plain = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            plain.push(if c == '\\' { chars.next()? } else { c });
        }
        unquoted = plain;
        unquoted.trim()
    } else {
        value
    };
    if value.eq_ignore_ascii_case("unknown") || value.starts_with('_') {
        return Some(None);
    }
    let address = match value.strip_prefix('[') {
        Some(_) if !quoted => return None,
        Some(inner) => inner.strip_suffix(']')?,
        None => value,
    };
    is_address(address).then(|| Some(address.to_owned()))
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}
