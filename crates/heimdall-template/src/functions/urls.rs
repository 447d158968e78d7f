//! `urlParse` and `urlJoin`.

use super::{arg, convert, dicts};
use crate::context::Context;
use crate::sink::Sink;
use crate::{CallError, Text, Url, Value};

pub(super) fn parse<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Value<'a>, CallError> {
    let text = convert::text(args, 0).to_lossy();
    cx.reserve(text.len())?;
    let url = Url::parse(&text)
        .map_err(|error| CallError::new(format!("unable to parse url: {error}")))?;
    let user = url
        .user
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let hostname = url.hostname().to_owned();
    let entries = [
        ("scheme", url.scheme),
        ("host", url.host),
        ("hostname", hostname),
        ("path", url.path),
        ("query", url.raw_query),
        ("opaque", url.opaque),
        ("fragment", url.fragment),
        ("userinfo", user),
    ];
    Ok(dicts::any_map(
        entries
            .into_iter()
            .map(|(key, value)| (Text::from(key), Value::from(value)))
            .collect(),
    ))
}

pub(super) fn join<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let Value::Map(map) = arg(args, 0) else {
        return Ok(());
    };
    let part = |key: &str| match map.get(key) {
        None => Ok(String::new()),
        Some(Value::Str(text)) => Ok(text.to_lossy().into_owned()),
        Some(value) => {
            let kind = value.kind_name();
            Err(CallError::new(format!(
                "unable to parse {key} key, must be of type string, but {kind} found"
            )))
        }
    };
    let mut url = Url {
        scheme: part("scheme")?,
        host: part("host")?,
        path: part("path")?,
        raw_query: part("query")?,
        opaque: part("opaque")?,
        fragment: part("fragment")?,
        ..Url::default()
    };
    let user = part("userinfo")?;
    if !user.is_empty() {
        url.user = Url::parse(&format!("proto://{user}@host"))
            .map_err(|error| CallError::new(format!("unable to parse userinfo in dict: {error}")))?
            .user;
    }
    out.put(&url.to_string())
}
