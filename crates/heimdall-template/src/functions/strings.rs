//! sprig's strings.

use std::rc::Rc;

use super::{arg, convert};
use crate::context::Context;
use crate::sink::{Buffer, Sink};
use crate::value::{Dict, MapType};
use crate::{CallError, List, Map, Text, Value, strconv, unicode, utf8};

type Answer<'a> = Result<Value<'a>, CallError>;
type Written = Result<(), CallError>;

/// Writes each character changed; a broken byte counts as U+FFFD, as in Go's `strings.Map`.
fn map_chars(bytes: &[u8], out: &mut dyn Sink, map: impl Fn(char) -> char) -> Written {
    let mut mapped = String::with_capacity(bytes.len());
    for (_, c) in utf8::chars(bytes) {
        mapped.push(map(c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
    out.put(&mapped)
}

pub(super) fn upper<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let bytes = convert::bytes(args, 0);
    if !bytes
        .iter()
        .any(|b| b.is_ascii_lowercase() || !b.is_ascii())
    {
        return out.put_bytes(bytes);
    }
    map_chars(bytes, out, unicode::to_upper)
}

pub(super) fn lower<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let bytes = convert::bytes(args, 0);
    if !bytes
        .iter()
        .any(|b| b.is_ascii_uppercase() || !b.is_ascii())
    {
        return out.put_bytes(bytes);
    }
    map_chars(bytes, out, unicode::to_lower)
}

/// `strings.Title`: a capital after everything that is no letter, digit, mark, underscore or apostrophe-like sign.
pub(super) fn title<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let before = std::cell::Cell::new(' ');
    map_chars(convert::bytes(args, 0), out, |c| {
        let previous = before.replace(c);
        if is_separator(previous) {
            unicode::to_title(c)
        } else {
            c
        }
    })
}

fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !unicode::is_letter(c) && !unicode::is_digit(c) && unicode::is_space(c)
}

pub(super) fn untitle<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let waiting = std::cell::Cell::new(true);
    map_chars(convert::bytes(args, 0), out, |c| {
        if unicode::is_space(c) {
            waiting.set(true);
            return c;
        }
        if waiting.replace(false) {
            unicode::to_lower(c)
        } else {
            c
        }
    })
}

pub(super) fn swapcase<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let after_space = std::cell::Cell::new(true);
    map_chars(convert::bytes(args, 0), out, |c| {
        if unicode::is_upper(c) || unicode::is_title(c) {
            after_space.set(false);
            unicode::to_lower(c)
        } else if unicode::is_lower(c) {
            if after_space.replace(false) {
                unicode::to_title(c)
            } else {
                unicode::to_upper(c)
            }
        } else {
            after_space.set(unicode::is_space(c));
            c
        }
    })
}

/// First bytes of words, each taken for a character of Latin-1.
pub(super) fn initials<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let mut after_space = true;
    for byte in convert::bytes(args, 0) {
        let c = char::from(*byte);
        let space = unicode::is_space(c);
        if !space && after_space {
            out.put(c.encode_utf8(&mut [0; 4]))?;
        }
        after_space = space;
    }
    Ok(())
}

/// Without blanks; bytes are taken for characters of Latin-1 once there is a blank.
pub(super) fn nospace<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let bytes = convert::bytes(args, 0);
    if !bytes.iter().any(|b| unicode::is_space(char::from(*b))) {
        return out.put_bytes(bytes);
    }
    let kept: String = bytes
        .iter()
        .map(|b| char::from(*b))
        .filter(|c| !unicode::is_space(*c))
        .collect();
    out.put(&kept)
}

/// The text without what fits at both ends.
fn trimmed<'a>(text: &Text<'a>, fits: impl Fn(char) -> bool) -> Value<'a> {
    let bytes = text.as_bytes();
    let fits = |c: Option<char>| fits(c.unwrap_or(char::REPLACEMENT_CHARACTER));
    let mut start = bytes.len();
    let mut end = 0;
    for (offset, c) in utf8::chars(bytes) {
        if !fits(c) {
            start = start.min(offset);
            end = offset + c.map_or(1, char::len_utf8);
        }
    }
    Value::Str(text.cut(start.min(end), end).unwrap_or(Text::EMPTY))
}

pub(super) fn trim<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(trimmed(convert::text(args, 0), unicode::is_space))
}

/// `trimAll characters text`
pub(super) fn trim_all<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let set: Vec<char> = convert::text(args, 0).to_lossy().chars().collect();
    Ok(trimmed(convert::text(args, 1), |c| set.contains(&c)))
}

pub(super) fn trim_prefix<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let (prefix, text) = (convert::bytes(args, 0), convert::text(args, 1));
    let start = if text.as_bytes().starts_with(prefix) {
        prefix.len()
    } else {
        0
    };
    Ok(Value::Str(
        text.cut(start, text.len()).unwrap_or(Text::EMPTY),
    ))
}

pub(super) fn trim_suffix<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let (suffix, text) = (convert::bytes(args, 0), convert::text(args, 1));
    let end = if text.as_bytes().ends_with(suffix) {
        text.len() - suffix.len()
    } else {
        text.len()
    };
    Ok(Value::Str(text.cut(0, end).unwrap_or(Text::EMPTY)))
}

pub(super) fn has_prefix<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Bool(
        convert::bytes(args, 1).starts_with(convert::bytes(args, 0)),
    ))
}

pub(super) fn has_suffix<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Bool(
        convert::bytes(args, 1).ends_with(convert::bytes(args, 0)),
    ))
}

pub(super) fn contains<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Bool(
        memchr::memmem::find(convert::bytes(args, 1), convert::bytes(args, 0)).is_some(),
    ))
}

pub(super) fn to_string<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(Value::Str(convert::strval(cx, arg(args, 0))?))
}

pub(super) fn quote<'a>(cx: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let mut following = false;
    for value in args.iter().filter(|value| !value.is_nil()) {
        if following {
            out.put(" ")?;
        }
        following = true;
        match value {
            Value::Str(text) => strconv::put_quoted_text(text, out)?,
            value => strconv::put_quoted_text(&convert::strval(cx, value)?, out)?,
        }
    }
    Ok(())
}

pub(super) fn squote<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    for (i, value) in args.iter().filter(|value| !value.is_nil()).enumerate() {
        out.put(if i > 0 { " '" } else { "'" })?;
        crate::fmt::write_value(value, out)?;
        out.put("'")?;
    }
    Ok(())
}

/// The values with blanks between them, `nil`s left out.
pub(super) fn cat<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    for (i, value) in args.iter().filter(|value| !value.is_nil()).enumerate() {
        if i > 0 {
            out.put(" ")?;
        }
        crate::fmt::write_value(value, out)?;
    }
    Ok(())
}

/// Copies of a text, written piece by piece so that a limit is met in time.
fn put_repeated(cx: &mut Context<'_>, text: &[u8], count: i64, out: &mut dyn Sink) -> Written {
    let Ok(count) = usize::try_from(count) else {
        return Err("strings: negative Repeat count".into());
    };
    if text.is_empty() {
        return Ok(());
    }
    cx.charge(text.len().saturating_mul(count) / 64)?;
    for _ in 0..count {
        out.put_bytes(text)?;
    }
    Ok(())
}

/// `repeat count text`
pub(super) fn repeat<'a>(cx: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    put_repeated(cx, convert::bytes(args, 1), convert::int(args, 0), out)
}

/// `indent count text`
pub(super) fn indent<'a>(cx: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let spaces = convert::int(args, 0);
    for (i, line) in convert::bytes(args, 1).split(|b| *b == b'\n').enumerate() {
        if i > 0 {
            out.put("\n")?;
        }
        put_repeated(cx, b" ", spaces, out)?;
        out.put_bytes(line)?;
    }
    Ok(())
}

pub(super) fn nindent<'a>(cx: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    if convert::int(args, 0) < 0 {
        return Err("strings: negative Repeat count".into());
    }
    out.put("\n")?;
    indent(cx, args, out)
}

/// `replace old new text`
pub(super) fn replace<'a>(cx: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let (old, new, text) = (
        convert::bytes(args, 0),
        convert::bytes(args, 1),
        convert::bytes(args, 2),
    );
    cx.charge(text.len() / 64)?;
    if old.is_empty() {
        for (offset, c) in utf8::chars(text) {
            out.put_bytes(new)?;
            let width = c.map_or(1, char::len_utf8);
            out.put_bytes(text.get(offset..offset + width).unwrap_or_default())?;
        }
        return out.put_bytes(new);
    }
    let mut start = 0;
    for at in memchr::memmem::find_iter(text, old) {
        out.put_bytes(text.get(start..at).unwrap_or_default())?;
        out.put_bytes(new)?;
        start = at + old.len();
    }
    out.put_bytes(text.get(start..).unwrap_or_default())
}

/// `plural one many count`
pub(super) fn plural<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(arg(args, if convert::int(args, 2) == 1 { 0 } else { 1 }).clone())
}

/// `trunc count text`: from the end for a negative count.
pub(super) fn trunc<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let (count, text) = (convert::int(args, 0), convert::text(args, 1));
    let length = text.len() as i64;
    let (start, end) = match count {
        count if count < 0 && length.saturating_add(count) > 0 => (length + count, length),
        count if count >= 0 && length > count => (0, count),
        _ => (0, length),
    };
    cut(text, start, end)
}

fn cut<'a>(text: &Text<'a>, start: i64, end: i64) -> Answer<'a> {
    let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    bounds
        .and_then(|(start, end)| text.cut(start, end))
        .map(Value::Str)
        .ok_or_else(|| {
            let length = text.len();
            CallError::new(format!(
                "slice bounds out of range [{start}:{end}] with length {length}"
            ))
        })
}

/// `substr start end text`
pub(super) fn substr<'a>(_: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let (start, end, text) = (
        convert::int(args, 0),
        convert::int(args, 1),
        convert::text(args, 2),
    );
    let length = text.len() as i64;
    if start < 0 {
        return cut(text, 0, end);
    }
    cut(
        text,
        start,
        if end < 0 || end > length { length } else { end },
    )
}

/// `abbrev width text`
pub(super) fn abbrev<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    abbreviated(convert::bytes(args, 1), 0, convert::int(args, 0), out)
}

/// `abbrevboth left right text`
pub(super) fn abbrevboth<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Written {
    let (left, right, text) = (
        convert::int(args, 0),
        convert::int(args, 1),
        convert::bytes(args, 2),
    );
    if left > 0 && right < 7 {
        return out.put_bytes(text);
    }
    abbreviated(text, left, right, out)
}

/// Text from an offset on, with dots for what is cut; nothing for what the library refuses.
fn abbreviated(text: &[u8], offset: i64, width: i64, out: &mut dyn Sink) -> Written {
    if width < 4 {
        return out.put_bytes(text);
    }
    let length = text.len() as i64;
    if length <= width {
        return out.put_bytes(text);
    }
    let piece = |start: i64, end: i64| {
        let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        bounds
            .and_then(|(start, end)| text.get(start..end))
            .unwrap_or_default()
    };
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    if offset <= 4 {
        out.put_bytes(piece(0, width - 3))?;
        return out.put("...");
    }
    if width < 7 {
        return Ok(());
    }
    out.put("...")?;
    if offset + width - 3 < length {
        return abbreviated(piece(offset, length), 0, width - 3, out);
    }
    out.put_bytes(piece(length - (width - 3), length))
}

/// `wrap width text`
pub(super) fn wrap<'a>(_: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    wrapped(
        convert::bytes(args, 1),
        convert::int(args, 0),
        b"\n",
        false,
        out,
    )
}

/// `wrapWith width separator text`
pub(super) fn wrap_with<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Written {
    let separator = match convert::bytes(args, 1) {
        [] => b"\n",
        separator => separator,
    };
    wrapped(
        convert::bytes(args, 2),
        convert::int(args, 0),
        separator,
        true,
        out,
    )
}

fn wrapped(
    text: &[u8],
    width: i64,
    separator: &[u8],
    cut_words: bool,
    out: &mut dyn Sink,
) -> Written {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    let mut rest = text;
    while rest.len() > width {
        if let [b' ', after @ ..] = rest {
            rest = after;
            continue;
        }
        let window = rest.get(..=width).unwrap_or(rest);
        let (line, next) = match memchr::memrchr(b' ', window) {
            Some(space) => (space, space + 1),
            None if cut_words => (width, width),
            None => match memchr::memchr(b' ', rest.get(width..).unwrap_or_default()) {
                Some(space) => (width + space, width + space + 1),
                None => {
                    out.put_bytes(rest)?;
                    return Ok(());
                }
            },
        };
        out.put_bytes(rest.get(..line).unwrap_or_default())?;
        out.put_bytes(separator)?;
        rest = rest.get(next..).unwrap_or_default();
    }
    out.put_bytes(rest)
}

/// `strings.Split`: between all characters for an empty separator.
fn pieces<'a>(
    cx: &mut Context<'a>,
    text: &Text<'a>,
    separator: &[u8],
    limit: i64,
) -> Result<Vec<Text<'a>>, CallError> {
    let bytes = text.as_bytes();
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    if most == 0 {
        return Ok(Vec::new());
    }
    let mut cuts: Vec<(usize, usize)> = Vec::new();
    let mut cut = |start: usize, end: usize| {
        cx.reserve_items(1)?;
        cuts.push((start, end));
        Ok::<(), CallError>(())
    };
    if separator.is_empty() {
        let mut places = utf8::chars(bytes).skip(1).take(most - 1);
        places.try_for_each(|(offset, _)| cut(offset, offset))?;
    } else {
        let mut places = memchr::memmem::find_iter(bytes, separator).take(most - 1);
        places.try_for_each(|at| cut(at, at + separator.len()))?;
    }
    if separator.is_empty() && bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut start = 0;
    let mut pieces = Vec::with_capacity(cuts.len() + 1);
    for (end, next) in cuts {
        pieces.extend(text.cut(start, end));
        start = next;
    }
    pieces.extend(text.cut(start, bytes.len()));
    Ok(pieces)
}

pub(super) fn split_list<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let pieces = pieces(cx, convert::text(args, 1), convert::bytes(args, 0), -1)?;
    Ok(Value::List(List::texts(pieces)))
}

fn numbered<'a>(pieces: Vec<Text<'a>>) -> Value<'a> {
    let entries = pieces.into_iter().enumerate();
    let entries = entries
        .map(|(i, piece)| (Text::from(format!("_{i}")), Value::Str(piece)))
        .collect();
    Value::Map(Map::Owned(Rc::new(Dict::new(MapType::Str, entries))))
}

pub(super) fn split<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(numbered(pieces(
        cx,
        convert::text(args, 1),
        convert::bytes(args, 0),
        -1,
    )?))
}

/// `splitn separator count text`
pub(super) fn splitn<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    Ok(numbered(pieces(
        cx,
        convert::text(args, 2),
        convert::bytes(args, 0),
        convert::int(args, 1),
    )?))
}

/// `join separator list`
pub(super) fn join<'a>(cx: &mut Context<'a>, args: &[Value<'a>], out: &mut dyn Sink) -> Written {
    let separator = convert::bytes(args, 0);
    match arg(args, 1) {
        Value::Missing | Value::Nil => Ok(()),
        Value::List(list) => {
            cx.charge(list.len())?;
            for (i, item) in list.iter().filter(|item| !item.is_nil()).enumerate() {
                if i > 0 {
                    out.put_bytes(separator)?;
                }
                convert::write_strval(&item, out)?;
            }
            Ok(())
        }
        value => convert::write_strval(value, out),
    }
}

/// Random characters out of a set.
fn random<'a>(cx: &mut Context<'a>, count: i64, set: &[u8]) -> Answer<'a> {
    let mut buffer: Buffer = cx.buffer();
    for _ in 0..count.max(0) {
        cx.charge(1)?;
        let at = cx.below(set.len() as u64)? as usize;
        buffer.put_bytes(set.get(at..=at).unwrap_or_default())?;
    }
    Ok(Value::Str(cx.built(buffer)))
}

pub(super) fn rand_alpha_num<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let set = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    random(cx, convert::int(args, 0), set)
}

pub(super) fn rand_alpha<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    random(
        cx,
        convert::int(args, 0),
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    )
}

pub(super) fn rand_numeric<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    random(cx, convert::int(args, 0), b"0123456789")
}

pub(super) fn rand_ascii<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let set: Vec<u8> = (b' '..=b'~').collect();
    random(cx, convert::int(args, 0), &set)
}

/// The characters in random order.
pub(super) fn shuffle<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let mut chars: Vec<char> = convert::text(args, 0).to_lossy().chars().collect();
    cx.reserve(chars.len())?;
    for i in (1..chars.len()).rev() {
        chars.swap(i, cx.below(i as u64 + 1)? as usize);
    }
    Ok(Value::from(chars.into_iter().collect::<String>()))
}
