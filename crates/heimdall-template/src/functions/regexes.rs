//! sprig's regular expressions: RE2 syntax, linear time.

use regex::bytes::Regex;

use super::convert;
use crate::context::Context;
use crate::sink::Sink;
use crate::value::Elem;
use crate::{CallError, List, Text, Value};

type Answer<'a> = Result<Value<'a>, CallError>;

/// Go's syntax in the words of the `regex` crate, which knows more than Go and spells a few things otherwise.
pub(crate) fn translate(pattern: &str) -> Result<String, CallError> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.char_indices().peekable();
    let mut class_depth = false;
    let mut class_start = 0;
    let mut repeated = false;
    let refuse = |what: &str| {
        Err(CallError::new(format!(
            "error parsing regexp: {what}: `{pattern}`"
        )))
    };
    while let Some((at, c)) = chars.next() {
        let rest = pattern.get(at..).unwrap_or_default();
        let after_repetition = std::mem::replace(&mut repeated, false);
        if !class_depth && let Some(length) = operator(rest) {
            // The crate stacks repetitions, Go refuses them: in Perl `a**` is an error and `a++` something else.
            if after_repetition {
                return refuse("invalid nested repetition operator");
            }
            if repeats_too_often(rest) {
                return refuse("invalid repeat count");
            }
            out.push_str(rest.get(..length).unwrap_or_default());
            while chars.next_if(|(i, _)| *i < at + length).is_some() {}
            if chars.next_if(|(_, c)| *c == '?').is_some() {
                out.push('?');
            }
            repeated = true;
            continue;
        }
        match c {
            '\\' => {
                let Some((_, escaped)) = chars.next() else {
                    return refuse("trailing backslash at end of expression");
                };
                match escaped {
                    // \Q…\E quotes.
                    'Q' if !class_depth => {
                        let quoted = rest.get(2..).unwrap_or_default();
                        let length = quoted.find("\\E").unwrap_or(quoted.len());
                        out.push_str(&regex::escape(quoted.get(..length).unwrap_or_default()));
                        let end = at + 2 + (length + 2).min(quoted.len());
                        while chars.next_if(|(i, _)| *i < end).is_some() {}
                    }
                    'E' => {}
                    // One byte of any kind is a character here.
                    'C' => out.push_str("(?s:.)"),
                    // Octal escapes: up to three digits, the first of them a zero or followed by another.
                    '0'..='7' => {
                        let mut code = escaped.to_digit(8).unwrap_or_default();
                        let mut digits = 1;
                        while digits < 3
                            && let Some((_, digit)) = chars.next_if(|(_, c)| matches!(c, '0'..='7'))
                        {
                            code = code * 8 + digit.to_digit(8).unwrap_or_default();
                            digits += 1;
                        }
                        if digits == 1 && escaped != '0' {
                            return refuse("invalid escape sequence");
                        }
                        out.push_str(&format!("\\x{{{code:x}}}"));
                    }
                    // Perl's classes are of ASCII in Go.
                    'd' => out.push_str(if class_depth { "0-9" } else { "[0-9]" }),
                    'D' => out.push_str("[^0-9]"),
                    's' => out.push_str(if class_depth {
                        "\\t\\n\\x0C\\r "
                    } else {
                        "[\\t\\n\\x0C\\r ]"
                    }),
                    'S' => out.push_str("[^\\t\\n\\x0C\\r ]"),
                    'w' => out.push_str(if class_depth {
                        "0-9A-Za-z_"
                    } else {
                        "[0-9A-Za-z_]"
                    }),
                    'W' => out.push_str("[^0-9A-Za-z_]"),
                    'b' if !class_depth => out.push_str("(?-u:\\b)"),
                    'B' if !class_depth => out.push_str("(?-u:\\B)"),
                    'A' | 'z' if !class_depth => {
                        out.push('\\');
                        out.push(escaped);
                    }
                    'a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' | 'p' | 'P' => {
                        out.push('\\');
                        out.push(escaped);
                    }
                    c if c.is_ascii_punctuation() => {
                        out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])))
                    }
                    _ => return refuse("invalid escape sequence"),
                }
            }
            '[' if !class_depth => {
                class_depth = true;
                class_start = out.len() + 1;
                out.push('[');
                if chars.next_if(|(_, c)| *c == '^').is_some() {
                    out.push('^');
                    class_start += 1;
                }
                if chars.next_if(|(_, c)| *c == ']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' if rest.starts_with("[:") => {
                let end = rest.find(":]").map_or(0, |end| end + 2);
                if end == 0 {
                    out.push_str("\\[");
                } else {
                    out.push_str(rest.get(..end).unwrap_or_default());
                    while chars.next_if(|(i, _)| *i < at + end).is_some() {}
                }
            }
            // Set operations of the crate are plain characters in Go.
            '[' | '&' | '~' if class_depth => {
                out.push('\\');
                out.push(c);
            }
            '-' if class_depth && chars.peek().is_some_and(|(_, next)| *next == '-') => {
                out.push_str("\\-")
            }
            ']' if class_depth && out.len() >= class_start => {
                class_depth = false;
                out.push(']');
            }
            // A brace that begins no repetition is a character.
            '{' if !class_depth => out.push_str("\\{"),
            '}' if !class_depth && !ends_repetition(pattern, at) => out.push_str("\\}"),
            '(' if rest.starts_with("(?x")
                || rest.starts_with("(?R")
                || rest.starts_with("(?u") =>
            {
                return refuse("invalid or unsupported Perl syntax");
            }
            // The question mark of `(?:` repeats nothing.
            '(' if !class_depth && chars.next_if(|(_, c)| *c == '?').is_some() => {
                out.push_str("(?")
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The repetition that stands at the beginning, `{2}`, `{2,}` or `{2,3}`.
fn repetition(rest: &str) -> Option<&str> {
    let inner = rest.strip_prefix('{')?.split_once('}')?.0;
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(inner)
}

/// The length of the repetition operator at the beginning.
fn operator(rest: &str) -> Option<usize> {
    match rest.as_bytes().first()? {
        b'*' | b'+' | b'?' => Some(1),
        b'{' => repetition(rest).map(|inner| inner.len() + 2),
        _ => None,
    }
}

fn ends_repetition(pattern: &str, at: usize) -> bool {
    let before = pattern.get(..at).unwrap_or_default();
    before.rfind('{').is_some_and(|open| {
        let piece = pattern.get(open..).unwrap_or_default();
        let named = before
            .get(..open)
            .is_some_and(|b| b.ends_with("\\p") || b.ends_with("\\P") || b.ends_with("\\x"));
        let escaped = before.get(..open).is_some_and(|b| b.ends_with('\\'));
        named || (!escaped && repetition(piece).is_some_and(|inner| open + inner.len() + 1 == at))
    })
}

/// Go allows a thousand.
fn repeats_too_often(rest: &str) -> bool {
    let inner = repetition(rest).unwrap_or_default();
    inner
        .split(',')
        .any(|number| !number.is_empty() && number.parse::<u32>().map_or(true, |n| n > 1000))
}

fn charge(cx: &mut Context<'_>, text: &[u8]) -> Result<(), CallError> {
    cx.charge(text.len() / 16)
}

pub(super) fn is_match<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    match must_match(cx, args) {
        Err(error) if error.kind() == crate::ErrorKind::Exec => Ok(Value::Bool(false)),
        answer => answer,
    }
}

pub(super) fn must_match<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let regex = cx.regex(convert::text(args, 0))?;
    let text = convert::bytes(args, 1);
    charge(cx, text)?;
    // A byte that is no UTF-8 is the character U+FFFD to Go.
    let found = match std::str::from_utf8(text) {
        Ok(_) => regex.is_match(text),
        Err(_) => regex.is_match(crate::utf8::lossy(text).as_bytes()),
    };
    Ok(Value::Bool(found))
}

/// Whether a match can begin here: in the middle of a character Go finds none.
fn between_chars(text: Option<&str>, at: usize) -> bool {
    text.is_none_or(|text| text.is_char_boundary(at))
}

/// The matches as Go finds them: an empty one right behind a match does not count.
///
/// Each takes from the limits before it is kept.
fn matches(
    cx: &mut Context<'_>,
    regex: &Regex,
    text: &[u8],
    most: usize,
) -> Result<Vec<(usize, usize)>, CallError> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let chars = std::str::from_utf8(text).ok();
    for m in regex.find_iter(text) {
        if found.len() >= most {
            break;
        }
        let after_match = found.last().is_some_and(|last| last.1 == m.start());
        if !m.is_empty() || (!after_match && between_chars(chars, m.start())) {
            cx.reserve_items(1)?;
            found.push((m.start(), m.end()));
        }
    }
    Ok(found)
}

/// `regexFindAll pattern text count`
pub(super) fn find_all<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let regex = cx.regex(convert::text(args, 0))?;
    let text = convert::text(args, 1);
    charge(cx, text.as_bytes())?;
    let most = usize::try_from(convert::int(args, 2)).unwrap_or(usize::MAX);
    let found = matches(cx, &regex, text.as_bytes(), most)?;
    if found.is_empty() {
        return Ok(Value::List(List::nil(Elem::Str)));
    }
    Ok(Value::List(List::texts(
        found
            .into_iter()
            .filter_map(|(start, end)| text.cut(start, end)),
    )))
}

pub(super) fn find<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let regex = cx.regex(convert::text(args, 0))?;
    let text = convert::text(args, 1);
    charge(cx, text.as_bytes())?;
    let found = regex
        .find(text.as_bytes())
        .and_then(|m| text.cut(m.start(), m.end()));
    Ok(Value::Str(found.unwrap_or(Text::EMPTY)))
}

/// Writes the text with its matches replaced.
fn put_replaced(
    regex: &Regex,
    text: &[u8],
    out: &mut dyn Sink,
    put: impl Fn(&regex::bytes::Captures<'_>, &mut dyn Sink) -> Result<(), CallError>,
) -> Result<(), CallError> {
    let mut written = 0;
    let mut last_end = None;
    let chars = std::str::from_utf8(text).ok();
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        if whole.is_empty()
            && (last_end == Some(whole.start()) || !between_chars(chars, whole.start()))
        {
            continue;
        }
        out.put_bytes(text.get(written..whole.start()).unwrap_or_default())?;
        put(&captures, out)?;
        written = whole.end();
        last_end = Some(whole.end());
    }
    out.put_bytes(text.get(written..).unwrap_or_default())
}

/// `regexReplaceAll pattern text replacement`: `$1` and `${name}` stand for groups.
pub(super) fn replace_all<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let regex = cx.regex(convert::text(args, 0))?;
    let (text, replacement) = (convert::bytes(args, 1), convert::bytes(args, 2));
    charge(cx, text)?;
    put_replaced(&regex, text, out, |captures, out| {
        expand(captures, replacement, out)
    })
}

fn expand(
    captures: &regex::bytes::Captures<'_>,
    template: &[u8],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let mut rest = template;
    while let Some(at) = memchr::memchr(b'$', rest) {
        let (before, dollar) = rest.split_at(at);
        out.put_bytes(before)?;
        let after = dollar.get(1..).unwrap_or_default();
        if after.first() == Some(&b'$') {
            out.put("$")?;
            rest = after.get(1..).unwrap_or_default();
            continue;
        }
        let Some((name, following)) = group_name(after) else {
            out.put("$")?;
            rest = after;
            continue;
        };
        let group = match number(name) {
            Some(index) => captures.get(index),
            None => captures.name(name),
        };
        if let Some(group) = group {
            out.put_bytes(group.as_bytes())?;
        }
        rest = following;
    }
    out.put_bytes(rest)
}

fn number(name: &str) -> Option<usize> {
    let digits = name.bytes().all(|b| b.is_ascii_digit());
    // A number with a zero in front is a name.
    if !digits || (name.len() > 1 && name.starts_with('0')) {
        return None;
    }
    name.parse().ok().filter(|n| *n < 100_000_000)
}

/// The name of a group, `1`, `name` or `{name}`, and what follows.
fn group_name(text: &[u8]) -> Option<(&str, &[u8])> {
    let braced = text.first() == Some(&b'{');
    let inner = if braced { text.get(1..)? } else { text };
    let inner_text = match std::str::from_utf8(inner) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(inner.get(..error.valid_up_to())?).ok()?,
    };
    let word = |c: char| c == '_' || crate::unicode::is_letter(c) || crate::unicode::is_digit(c);
    let length = inner_text.find(|c| !word(c)).unwrap_or(inner_text.len());
    let name = inner_text.get(..length).filter(|name| !name.is_empty())?;
    let rest = inner.get(length..)?;
    if !braced {
        return Some((name, rest));
    }
    rest.strip_prefix(b"}").map(|rest| (name, rest))
}

pub(super) fn replace_all_literal<'a>(
    cx: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let regex = cx.regex(convert::text(args, 0))?;
    let (text, replacement) = (convert::bytes(args, 1), convert::bytes(args, 2));
    charge(cx, text)?;
    put_replaced(&regex, text, out, |_, out| out.put_bytes(replacement))
}

/// `regexSplit pattern text count`
pub(super) fn split<'a>(cx: &mut Context<'a>, args: &[Value<'a>]) -> Answer<'a> {
    let regex = cx.regex(convert::text(args, 0))?;
    let text = convert::text(args, 1);
    let count = convert::int(args, 2);
    charge(cx, text.as_bytes())?;
    if count == 0 {
        return Ok(Value::List(List::nil(Elem::Str)));
    }
    if !convert::bytes(args, 0).is_empty() && text.is_empty() {
        return Ok(Value::List(List::texts([Text::EMPTY])));
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = matches(cx, &regex, text.as_bytes(), most)?;
    let mut pieces: Vec<Text<'a>> = Vec::new();
    let (mut start, mut end) = (0, 0);
    for (match_start, match_end) in found {
        if pieces.len() + 1 == most {
            break;
        }
        end = match_start;
        if match_end != 0 {
            pieces.extend(text.cut(start, end));
        }
        start = match_end;
    }
    if end != text.len() {
        pieces.extend(text.cut(start, text.len()));
    }
    Ok(Value::List(List::texts(pieces)))
}

/// Backslashes before what means something in a pattern.
pub(super) fn quote_meta<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let mut quoted = Vec::new();
    for byte in convert::bytes(args, 0) {
        if b"\\.+*?()|[]{}^$".contains(byte) {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    out.put_bytes(&quoted)
}
