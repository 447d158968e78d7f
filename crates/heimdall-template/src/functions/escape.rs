//! `html`, `js`, `urlquery`, `urlenc`.

use crate::context::Context;
use crate::sink::{Buffer, Sink};
use crate::{CallError, Text, Value, unicode, utf8};

/// The arguments as text: one string as it is, else as `print` has it, with `<no value>` for nothing.
fn joined<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Result<Text<'a>, CallError> {
    if let [Value::Str(text)] = args {
        return Ok(text.clone());
    }
    let shown: Vec<Value<'a>> = args
        .iter()
        .map(|arg| {
            if arg.is_nil() {
                Value::from("<no value>")
            } else {
                arg.clone()
            }
        })
        .collect();
    let mut buffer: Buffer = cx.buffer();
    crate::fmt::print_pointed(&shown, &mut buffer)?;
    Ok(cx.built(buffer))
}

pub(super) fn html<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let text = joined(cx, args)?;
    replace_bytes(text.as_bytes(), out, |byte| {
        Some(match byte {
            0 => "\u{FFFD}",
            b'"' => "&#34;",
            b'\'' => "&#39;",
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            _ => return None,
        })
    })
}

/// Writes bytes, some of them replaced.
fn replace_bytes(
    bytes: &[u8],
    out: &mut dyn Sink,
    replacement: impl Fn(u8) -> Option<&'static str>,
) -> Result<(), CallError> {
    let mut start = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if let Some(replacement) = replacement(*byte) {
            out.put_bytes(bytes.get(start..i).unwrap_or_default())?;
            out.put(replacement)?;
            start = i + 1;
        }
    }
    out.put_bytes(bytes.get(start..).unwrap_or_default())
}

pub(super) fn js<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let text = joined(cx, args)?;
    for (_, c) in utf8::chars(text.as_bytes()) {
        match c.unwrap_or(char::REPLACEMENT_CHARACTER) {
            '\\' => out.put("\\\\")?,
            '\'' => out.put("\\'")?,
            '"' => out.put("\\\"")?,
            '<' => out.put("\\u003C")?,
            '>' => out.put("\\u003E")?,
            '&' => out.put("\\u0026")?,
            '=' => out.put("\\u003D")?,
            c if c < ' ' => out.put(&format!("\\u00{:02X}", u32::from(c)))?,
            c if c.is_ascii() || unicode::is_print(c) => out.put(c.encode_utf8(&mut [0; 4]))?,
            c => out.put(&format!("\\u{:04X}", u32::from(c)))?,
        }
    }
    Ok(())
}

pub(super) fn urlquery<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let text = joined(cx, args)?;
    crate::url::query_escape(text.as_bytes(), out)
}

/// `urlenc`: a string, or what a `String` method gives, escaped for a query; nothing for all else.
pub(super) fn urlenc<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    match super::arg(args, 0) {
        Value::Str(text) => crate::url::query_escape(text.as_bytes(), out),
        value => {
            let text = crate::methods::string_method(value).unwrap_or_default();
            crate::url::query_escape(text.as_bytes(), out)
        }
    }
}
