//! `printf`: the format's text, verbs and arguments.

use super::put_int;
use super::value::{Flags, Printer, bad_verb_of_nil};
use crate::sink::Sink;
use crate::{CallError, IntType, Value, strconv, utf8};

/// Go's own bound for widths and precisions.
const TOO_LARGE: i64 = 1_000_000;

/// Writes `args` by `format`.
pub(crate) fn printf(
    format: &[u8],
    args: &[Value<'_>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let mut scan = Scan::new(format, args);
    while scan.pos < format.len() {
        let rest = scan.rest();
        let plain = memchr::memchr(b'%', rest).unwrap_or(rest.len());
        if plain > 0 {
            out.put_bytes(rest.get(..plain).unwrap_or_default())?;
            scan.pos += plain;
            continue;
        }
        scan.pos += 1;
        scan.verb(out)?;
    }
    if scan.reordered || scan.arg >= args.len() {
        return Ok(());
    }
    out.put("%!(EXTRA ")?;
    for (i, arg) in args.iter().skip(scan.arg).enumerate() {
        if i > 0 {
            out.put(", ")?;
        }
        if arg.is_nil() {
            out.put("<nil>")?;
        } else {
            out.put(&arg.type_name())?;
            out.put("=")?;
            Printer::new(out).print_arg(arg, 'v')?;
        }
    }
    out.put(")")
}

/// A place in a format.
pub(super) struct Scan<'f, 'v, 'a> {
    format: &'f [u8],
    pub(super) pos: usize,
    args: &'v [Value<'a>],
    arg: usize,
    reordered: bool,
    good_index: bool,
}

impl<'f, 'v, 'a> Scan<'f, 'v, 'a> {
    pub(super) fn new(format: &'f [u8], args: &'v [Value<'a>]) -> Self {
        Self {
            format,
            pos: 0,
            args,
            arg: 0,
            reordered: false,
            good_index: true,
        }
    }

    pub(super) fn rest(&self) -> &'f [u8] {
        self.format.get(self.pos..).unwrap_or_default()
    }

    pub(super) fn byte(&self) -> Option<u8> {
        self.format.get(self.pos).copied()
    }

    /// What stands behind a percent sign.
    fn verb(&mut self, out: &mut dyn Sink) -> Result<(), CallError> {
        self.good_index = true;
        let mut flags = self.flags();
        if let Some(verb @ b'a'..=b'z') = self.byte()
            && let Some(arg) = self.args.get(self.arg)
        {
            self.pos += 1;
            self.arg += 1;
            return put_verb(out, flags, arg, char::from(verb));
        }
        let mut after_index = self.index();
        self.width(&mut flags, &mut after_index, out)?;
        self.precision(&mut flags, &mut after_index, out)?;
        if !after_index {
            self.index();
        }
        let Some((verb, width)) = utf8::decode(self.rest()) else {
            return out.put("%!(NOVERB)");
        };
        self.pos += width;
        let verb = verb.unwrap_or(char::REPLACEMENT_CHARACTER);
        if verb == '%' {
            return out.put("%");
        }
        if !self.good_index {
            return mark(out, verb, "(BADINDEX)");
        }
        match self.args.get(self.arg) {
            None => mark(out, verb, "(MISSING)"),
            Some(arg) => {
                self.arg += 1;
                put_verb(out, flags, arg, verb)
            }
        }
    }

    pub(super) fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        while let Some(byte) = self.byte() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.pos += 1;
        }
        flags
    }

    fn width(
        &mut self,
        flags: &mut Flags,
        after_index: &mut bool,
        out: &mut dyn Sink,
    ) -> Result<(), CallError> {
        if self.byte() != Some(b'*') {
            flags.width = self.number();
            if *after_index && flags.width.is_some() {
                self.good_index = false;
            }
            return Ok(());
        }
        self.pos += 1;
        *after_index = false;
        let Some(width) = self.int_arg() else {
            return out.put("%!(BADWIDTH)");
        };
        flags.width = usize::try_from(width.abs()).ok();
        if width < 0 {
            flags.minus = true;
            flags.zero = false;
        }
        Ok(())
    }

    fn precision(
        &mut self,
        flags: &mut Flags,
        after_index: &mut bool,
        out: &mut dyn Sink,
    ) -> Result<(), CallError> {
        if self.byte() != Some(b'.') || self.pos + 1 >= self.format.len() {
            return Ok(());
        }
        self.pos += 1;
        if *after_index {
            self.good_index = false;
        }
        *after_index = self.index();
        if self.byte() != Some(b'*') {
            flags.precision = Some(self.number().unwrap_or(0));
            return Ok(());
        }
        self.pos += 1;
        *after_index = false;
        flags.precision = self.int_arg().and_then(|n| usize::try_from(n).ok());
        if flags.precision.is_none() {
            out.put("%!(BADPREC)")
        } else {
            Ok(())
        }
    }

    /// Digits, if there are any; too large a number is no number, and its digits are passed.
    pub(super) fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit @ b'0'..=b'9') = self.byte() {
            let so_far: usize = number.unwrap_or(0);
            if so_far as i64 > TOO_LARGE {
                self.pos = self.format.len();
                return None;
            }
            number = Some(so_far * 10 + usize::from(digit - b'0'));
            self.pos += 1;
        }
        number
    }

    /// The integer for a `*`.
    fn int_arg(&mut self) -> Option<i64> {
        let number = match self.args.get(self.arg)? {
            Value::Int(n, _) => Some(*n),
            Value::Uint(n, _) => i64::try_from(*n).ok(),
            _ => None,
        };
        self.arg += 1;
        number.filter(|n| (-TOO_LARGE..=TOO_LARGE).contains(n))
    }

    /// An argument's number in brackets; whether there was one.
    fn index(&mut self) -> bool {
        if self.byte() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = self.rest();
        let close = if rest.len() < 3 {
            None
        } else {
            memchr::memchr(b']', rest)
        };
        let Some(close) = close else {
            self.pos += 1;
            self.good_index = false;
            return false;
        };
        let number = bracketed(rest.get(1..close).unwrap_or_default());
        self.pos += close + 1;
        match number.and_then(|n| n.checked_sub(1)) {
            Some(index) if index < self.args.len() => {
                self.arg = index;
                true
            }
            _ => {
                self.good_index = false;
                number.is_some()
            }
        }
    }
}

fn bracketed(digits: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(digits).ok()?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|n: &usize| *n as i64 <= TOO_LARGE * 10)
}

/// One argument by one verb.
pub(super) fn put_verb(
    out: &mut dyn Sink,
    mut flags: Flags,
    arg: &Value<'_>,
    verb: char,
) -> Result<(), CallError> {
    if flags == Flags::default() {
        match (verb, arg) {
            ('s' | 'v', Value::Str(text)) => return out.put_text(text),
            ('q', Value::Str(text)) => return strconv::put_quoted_text(text, out),
            ('d' | 'v', Value::Int(n, IntType::Int | IntType::Int64)) => return put_int(*n, out),
            _ => {}
        }
    }
    if matches!(verb, 'v' | 'w') {
        flags.sharp_v = std::mem::take(&mut flags.sharp);
        flags.plus_v = std::mem::take(&mut flags.plus);
    }
    if arg.is_nil() && !matches!(verb, 'v' | 'T') {
        return bad_verb_of_nil(out, verb);
    }
    Printer::with_flags(out, flags).print_arg(arg, verb)
}

fn mark(out: &mut dyn Sink, verb: char, mark: &str) -> Result<(), CallError> {
    out.put("%!")?;
    out.put(verb.encode_utf8(&mut [0; 4]))?;
    out.put(mark)
}
