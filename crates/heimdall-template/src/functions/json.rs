//! `toJson`, `fromJson` and their like, with the spelling of Go's `encoding/json`.

use super::{arg, convert};
use crate::context::Context;
use crate::fmt::DEEPEST;
use crate::native::Native;
use crate::sink::Sink;
use crate::strconv::{self, FloatFormat};
use crate::value::Elem;
use crate::{CallError, List, Map, Text, Value, utf8};

type Written = Result<(), CallError>;

/// How JSON is written.
#[derive(Clone, Copy)]
struct Style {
    /// `<`, `>` and `&` as escapes
    html: bool,
    pretty: bool,
}

const PLAIN: Style = Style {
    html: true,
    pretty: false,
};
const PRETTY: Style = Style {
    html: true,
    pretty: true,
};
const RAW: Style = Style {
    html: false,
    pretty: false,
};

/// Whether nothing in the value can be without a spelling in JSON.
fn always_fits(value: &Value<'_>) -> bool {
    matches!(
        value,
        Value::Missing
            | Value::Nil
            | Value::Bool(_)
            | Value::Int(..)
            | Value::Str(_)
            | Value::List(List::Json(_) | List::Strings(_))
            | Value::Map(Map::Json(_))
    )
}

/// Writes JSON; what cannot be written is nothing at all, unless it `must`.
fn put<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    style: Style,
    must: bool,
    out: &mut dyn Sink,
) -> Written {
    let value = arg(args, 0);
    if always_fits(value) {
        return Writer { cx, out, style }.value(value, 0);
    }
    let mut buffer = cx.buffer();
    let written = Writer {
        cx,
        out: &mut buffer,
        style,
    }
    .value(value, 0);
    match written {
        Ok(()) => {
            let text = cx.built(buffer);
            out.put_text(&text)
        }
        Err(error) if must || error.kind() != crate::ErrorKind::Exec => Err(error),
        Err(_) => Ok(()),
    }
}

pub(super) fn to_json<'a>(cx: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    put(cx, args, PLAIN, false, out)
}

pub(super) fn must_to_json<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Written {
    put(cx, args, PLAIN, true, out)
}

pub(super) fn to_pretty_json<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Written {
    put(cx, args, PRETTY, false, out)
}

pub(super) fn must_to_pretty_json<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Written {
    put(cx, args, PRETTY, true, out)
}

pub(super) fn to_raw_json<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Written {
    put(cx, args, RAW, true, out)
}

struct Writer<'w, 'a> {
    cx: &'w mut Context<'a>,
    out: &'w mut dyn Sink,
    style: Style,
}

impl<'a> Writer<'_, 'a> {
    fn value(&mut self, value: &Value<'a>, depth: usize) -> Written {
        if depth > DEEPEST {
            return Err("json: value is nested too deep".into());
        }
        self.cx.charge(1)?;
        match value {
            Value::Missing | Value::Nil => self.out.put("null"),
            Value::Bool(b) => self.out.put(if *b { "true" } else { "false" }),
            Value::Int(n, _) => self.out.put(&n.to_string()),
            Value::Uint(n, _) => self.out.put(&n.to_string()),
            Value::Float(f) => self.float(*f),
            Value::Complex(..) => Err("json: unsupported type: complex128".into()),
            Value::Str(text) => self.string(text.as_bytes()),
            Value::List(list) if list.is_nil() => self.out.put("null"),
            Value::List(list) if list.elem() == Elem::Byte => {
                use base64::Engine as _;
                let bytes: Vec<u8> = list
                    .iter()
                    .filter_map(|v| {
                        if let Value::Uint(n, _) = v {
                            Some(n as u8)
                        } else {
                            None
                        }
                    })
                    .collect();
                self.string(
                    base64::engine::general_purpose::STANDARD
                        .encode(bytes)
                        .as_bytes(),
                )
            }
            Value::List(list) => {
                let items = list.iter();
                self.container("[", "]", items.map(|item| (None, item)), depth)
            }
            Value::Map(map) if map.is_nil() => self.out.put("null"),
            Value::Map(map) => {
                let entries = self.cx.current(map.clone()).entries();
                self.container(
                    "{",
                    "}",
                    entries.into_iter().map(|(key, value)| (Some(key), value)),
                    depth,
                )
            }
            Value::Object(object) if object.is_nil() => self.out.put("null"),
            Value::Shared(object) if object.is_nil() => self.out.put("null"),
            Value::Object(object) => {
                let fields = object.field_names().iter();
                let fields = fields.map(|name| {
                    (
                        Some(Text::from(*name)),
                        object.field(name).unwrap_or_default(),
                    )
                });
                self.container("{", "}", fields.collect::<Vec<_>>().into_iter(), depth)
            }
            Value::Shared(object) => {
                let fields = object.field_names().iter().map(|name| {
                    let value = object
                        .field(name)
                        .and_then(|value| value.detached())
                        .unwrap_or_default();
                    (Some(Text::from((*name).to_owned())), value)
                });
                self.container("{", "}", fields.collect::<Vec<_>>().into_iter(), depth)
            }
            Value::Native(Native::Version(version)) => self.string(version.to_string().as_bytes()),
            Value::Native(native @ Native::Certificate(_)) => {
                let fields = native.fields().into_iter();
                let fields = fields.map(|(name, _)| {
                    (
                        Some(Text::from(name)),
                        native.field(name).unwrap_or_default(),
                    )
                });
                self.container("{", "}", fields.collect::<Vec<_>>().into_iter(), depth)
            }
            Value::Time(time) => self.string(
                time.format("2006-01-02T15:04:05.999999999Z07:00")
                    .as_bytes(),
            ),
        }
    }

    fn container(
        &mut self,
        open: &str,
        close: &str,
        items: impl Iterator<Item = (Option<Text<'a>>, Value<'a>)>,
        depth: usize,
    ) -> Written {
        self.out.put(open)?;
        let mut empty = true;
        for (key, value) in items {
            if !empty {
                self.out.put(",")?;
            }
            empty = false;
            self.line(depth + 1)?;
            if let Some(key) = key {
                self.string(key.as_bytes())?;
                self.out.put(if self.style.pretty { ": " } else { ":" })?;
            }
            self.value(&value, depth + 1)?;
        }
        if !empty {
            self.line(depth)?;
        }
        self.out.put(close)
    }

    /// A new line with its indent, when there are lines.
    fn line(&mut self, depth: usize) -> Written {
        if !self.style.pretty {
            return Ok(());
        }
        self.out.put("\n")?;
        self.out.put(&"  ".repeat(depth))
    }

    fn float(&mut self, f: f64) -> Written {
        if !f.is_finite() {
            return Err("json: unsupported value".into());
        }
        let mut text = String::new();
        if f != 0.0 && (f.abs() < 1e-6 || f.abs() >= 1e21) {
            strconv::format_float(f, FloatFormat::Exponent, None, &mut text);
            // JSON's negative exponents have no zero in front.
            if let Some((mantissa, digit)) = text.split_once("e-0") {
                text = format!("{mantissa}e-{digit}");
            }
        } else {
            strconv::format_float(f, FloatFormat::Fixed, None, &mut text);
        }
        self.out.put(&text)
    }

    fn string(&mut self, bytes: &[u8]) -> Written {
        self.out.put("\"")?;
        let html = self.style.html;
        let plain = |b: &u8| {
            matches!(b, b' '..=b'~' | 0x7f)
                && !matches!(b, b'"' | b'\\')
                && !(html && matches!(b, b'<' | b'>' | b'&'))
        };
        let mut rest = bytes;
        loop {
            let length = rest.iter().position(|b| !plain(b)).unwrap_or(rest.len());
            let (head, tail) = rest.split_at(length);
            if let Ok(head) = std::str::from_utf8(head) {
                self.out.put(head)?;
            }
            let Some((c, width)) = utf8::decode(tail) else {
                break;
            };
            rest = tail.get(width..).unwrap_or_default();
            match c {
                None => self.out.put("\\ufffd")?,
                Some('"') => self.out.put("\\\"")?,
                Some('\\') => self.out.put("\\\\")?,
                Some('\n') => self.out.put("\\n")?,
                Some('\r') => self.out.put("\\r")?,
                Some('\t') => self.out.put("\\t")?,
                Some('\x08') => self.out.put("\\b")?,
                Some('\x0c') => self.out.put("\\f")?,
                Some(c) if c.is_ascii() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    self.out.put(&format!("\\u{:04x}", u32::from(c)))?;
                }
                Some(c) => self.out.put(c.encode_utf8(&mut [0; 4]))?,
            }
        }
        self.out.put("\"")
    }
}

pub(super) fn must_from_json<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    let text = convert::text(args, 0).to_lossy();
    cx.charge(text.len() / 64)?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| CallError::new(error.to_string()))?;
    owned(cx, json)
}

/// Nothing when the text is no JSON.
pub(super) fn from_json<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
) -> Result<Value<'a>, CallError> {
    match must_from_json(cx, args) {
        Err(error) if error.kind() == crate::ErrorKind::Exec => Ok(Value::Nil),
        answer => answer,
    }
}

fn owned<'a>(cx: &mut Context<'a>, json: serde_json::Value) -> Result<Value<'a>, CallError> {
    cx.reserve_items(1)?;
    Ok(match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(b) => Value::Bool(b),
        serde_json::Value::Number(n) => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(s) => Value::from(s),
        serde_json::Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.into_iter().map(|item| owned(cx, item)).collect();
            Value::list(items?)
        }
        serde_json::Value::Object(map) => {
            let entries = map
                .into_iter()
                .map(|(key, value)| Ok((Text::from(key), owned(cx, value)?)));
            let entries: Result<Vec<_>, CallError> = entries.collect();
            Value::dict(entries?)
        }
    })
}
