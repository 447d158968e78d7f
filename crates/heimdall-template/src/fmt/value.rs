//! One value by one verb.

use crate::native::Native;
use crate::sink::Sink;
use crate::strconv::{self, FloatFormat};
use crate::value::{Elem, Kind};
use crate::{CallError, List, Map, Object, Text, Value, unicode, utf8};

/// Values nested deeper than this are refused: printing recurses.
pub(crate) const DEEPEST: usize = 200;

/// Flags, width and precision of a verb.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) width: Option<usize>,
    pub(crate) precision: Option<usize>,
    pub(crate) sharp: bool,
    pub(crate) zero: bool,
    pub(crate) plus: bool,
    pub(crate) minus: bool,
    pub(crate) space: bool,
    /// `%#v`
    pub(crate) sharp_v: bool,
    /// `%+v`
    pub(crate) plus_v: bool,
}

/// Prints values.
pub(crate) struct Printer<'o> {
    out: &'o mut dyn Sink,
    flags: Flags,
    /// Inside an error mark, where methods are not called.
    erroring: bool,
    /// The pointer is followed already.
    pointed: bool,
}

/// `%!d(<nil>)`
pub(crate) fn bad_verb_of_nil(out: &mut dyn Sink, verb: char) -> Result<(), CallError> {
    out.put("%!")?;
    out.put(verb.encode_utf8(&mut [0; 4]))?;
    out.put("(<nil>)")
}

impl<'o> Printer<'o> {
    pub(crate) fn new(out: &'o mut dyn Sink) -> Self {
        Self::with_flags(out, Flags::default())
    }

    pub(crate) fn with_flags(out: &'o mut dyn Sink, flags: Flags) -> Self {
        Self {
            out,
            flags,
            erroring: false,
            pointed: false,
        }
    }

    /// A value that stands alone.
    pub(crate) fn print_arg(&mut self, value: &Value<'_>, verb: char) -> Result<(), CallError> {
        match (value, verb) {
            (Value::Missing | Value::Nil, 'v' | 'T') => self.pad("<nil>"),
            (Value::Missing | Value::Nil, _) => bad_verb_of_nil(self.out, verb),
            (_, 'T') => self.string(&Text::from(&*value.type_name()), 's'),
            (_, 'p') => self.pointer(value),
            // Only `Errorf` knows %w.
            (_, 'w') => self.bad_verb(value, verb),
            _ => self.print_value(value, verb, 0),
        }
    }

    /// A structure behind a pointer, as if it were the structure.
    pub(crate) fn print_pointed(&mut self, value: &Value<'_>) -> Result<(), CallError> {
        self.pointed = true;
        self.print_value(value, 'v', 0)
    }

    fn print_value(
        &mut self,
        value: &Value<'_>,
        verb: char,
        depth: usize,
    ) -> Result<(), CallError> {
        if depth > DEEPEST {
            return Err(CallError::new("value is nested too deep to print"));
        }
        if let Some(text) = self.own_text(value, verb) {
            return self.string(&Text::from(text), verb);
        }
        match value {
            Value::Missing | Value::Nil => self.out.put(if self.flags.sharp_v {
                "interface {}(nil)"
            } else {
                "<nil>"
            }),
            Value::Bool(b) if matches!(verb, 't' | 'v') => {
                self.pad(if *b { "true" } else { "false" })
            }
            Value::Int(n, _) => self.integer(n.unsigned_abs(), *n < 0, verb, value, true),
            Value::Uint(n, _) => self.integer(*n, false, verb, value, false),
            Value::Float(f) => self.float_verb(*f, verb, value),
            Value::Complex(re, im) => self.complex(*re, *im, verb, value),
            Value::Str(text) if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') => {
                self.string(text, verb)
            }
            Value::List(list) => self.list(list, verb, depth),
            Value::Map(map) => self.map(map, verb, depth),
            Value::Object(object) => self.object(*object, verb, depth),
            Value::Shared(object) => self.object(object.as_ref(), verb, depth),
            Value::Native(native) => self.native(native, verb, depth),
            Value::Time(time) => self.time(time, verb),
            Value::Bool(_) | Value::Str(_) => self.bad_verb(value, verb),
        }
    }

    /// What a `String` or `Error` method gives, where Go asks for it.
    fn own_text(&self, value: &Value<'_>, verb: char) -> Option<String> {
        if self.erroring || self.flags.sharp_v || !matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') {
            return None;
        }
        crate::methods::string_method(value)
    }

    fn bad_verb(&mut self, value: &Value<'_>, verb: char) -> Result<(), CallError> {
        self.out.put("%!")?;
        self.out.put(verb.encode_utf8(&mut [0; 4]))?;
        self.out.put("(")?;
        self.out.put(&value.type_name())?;
        self.out.put("=")?;
        let erroring = std::mem::replace(&mut self.erroring, true);
        self.print_value(value, 'v', 0)?;
        self.erroring = erroring;
        self.out.put(")")
    }

    fn padding(&mut self, count: usize) -> Result<(), CallError> {
        let fill = if self.flags.zero && !self.flags.minus {
            "0"
        } else {
            " "
        };
        // Piecewise, so that a limit is met before the memory is taken.
        let piece = fill.repeat(count.min(64));
        let mut left = count;
        while left > 0 {
            let now = left.min(64);
            self.out.put(piece.get(..now).unwrap_or_default())?;
            left -= now;
        }
        Ok(())
    }

    fn pad(&mut self, text: &str) -> Result<(), CallError> {
        self.pad_bytes(text.as_bytes())
    }

    fn pad_bytes(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        let width = self.flags.width.unwrap_or(0);
        if width == 0 {
            return self.out.put_bytes(bytes);
        }
        let missing = width.saturating_sub(utf8::chars(bytes).count());
        if !self.flags.minus {
            self.padding(missing)?;
        }
        self.out.put_bytes(bytes)?;
        if self.flags.minus {
            self.padding(missing)
        } else {
            Ok(())
        }
    }

    fn pad_with_blanks(&mut self, text: &str) -> Result<(), CallError> {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text)?;
        self.flags.zero = zero;
        Ok(())
    }

    fn string(&mut self, text: &Text<'_>, verb: char) -> Result<(), CallError> {
        match verb {
            'x' => self.hex(text.as_bytes(), false),
            'X' => self.hex(text.as_bytes(), true),
            'q' => self.quoted(text.as_bytes()),
            'v' if self.flags.sharp_v => self.quoted(text.as_bytes()),
            _ if self.flags.width.is_none() && self.flags.precision.is_none() => {
                self.out.put_text(text)
            }
            _ => self.pad_bytes(self.truncated(text.as_bytes())),
        }
    }

    fn truncated<'t>(&self, bytes: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.flags.precision else {
            return bytes;
        };
        match utf8::chars(bytes).nth(precision) {
            Some((end, _)) => bytes.get(..end).unwrap_or(bytes),
            None => bytes,
        }
    }

    fn quoted(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        let bytes = self.truncated(bytes);
        let plain = !self.flags.sharp && self.flags.width.is_none();
        if plain && strconv::is_plain(bytes) {
            self.out.put("\"")?;
            self.out.put_bytes(bytes)?;
            return self.out.put("\"");
        }
        if self.flags.sharp && strconv::can_backquote(bytes) {
            return self.pad(&format!("`{}`", utf8::lossy(bytes)));
        }
        let mut quoted = String::with_capacity(bytes.len() + 2);
        strconv::quote(bytes, self.flags.plus, &mut quoted);
        self.pad(&quoted)
    }

    fn hex(&mut self, bytes: &[u8], upper: bool) -> Result<(), CallError> {
        let length = self
            .flags
            .precision
            .map_or(bytes.len(), |p| p.min(bytes.len()));
        let prefix = match (self.flags.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut text = String::with_capacity(length.saturating_mul(2));
        for (i, byte) in bytes.iter().take(length).enumerate() {
            if i > 0 && self.flags.space {
                text.push(' ');
            }
            if i == 0 || self.flags.space {
                text.push_str(prefix);
            }
            let digits = if upper {
                b"0123456789ABCDEF"
            } else {
                b"0123456789abcdef"
            };
            for nibble in [byte >> 4, byte & 15] {
                text.push(
                    digits
                        .get(usize::from(nibble))
                        .map_or('0', |b| char::from(*b)),
                );
            }
        }
        if text.is_empty() {
            return self.padding(self.flags.width.unwrap_or(0));
        }
        self.pad(&text)
    }

    fn integer(
        &mut self,
        n: u64,
        negative: bool,
        verb: char,
        value: &Value<'_>,
        signed: bool,
    ) -> Result<(), CallError> {
        match verb {
            'v' if self.flags.sharp_v && !signed => {
                let sharp = std::mem::replace(&mut self.flags.sharp, true);
                self.digits(n, false, 16, 'v')?;
                self.flags.sharp = sharp;
                Ok(())
            }
            'v' | 'd' => self.digits(n, negative, 10, verb),
            'b' => self.digits(n, negative, 2, verb),
            'o' | 'O' => self.digits(n, negative, 8, verb),
            'x' | 'X' => self.digits(n, negative, 16, verb),
            'c' | 'q' | 'U' => {
                let code = if negative { n.wrapping_neg() } else { n };
                match verb {
                    'c' => self.pad(char_of(code).encode_utf8(&mut [0; 4])),
                    'q' => {
                        let mut quoted = String::new();
                        strconv::quote_char(Some(char_of(code)), self.flags.plus, &mut quoted);
                        self.pad(&quoted)
                    }
                    _ => self.unicode(code),
                }
            }
            _ => self.bad_verb(value, verb),
        }
    }

    fn unicode(&mut self, code: u64) -> Result<(), CallError> {
        let precision = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{code:0precision$X}");
        let shown = u32::try_from(code)
            .ok()
            .and_then(char::from_u32)
            .filter(|c| unicode::is_print(*c));
        if let (true, Some(c)) = (self.flags.sharp, shown) {
            text.push_str(&format!(" '{c}'"));
        }
        self.pad_with_blanks(&text)
    }

    fn digits(&mut self, n: u64, negative: bool, base: u32, verb: char) -> Result<(), CallError> {
        if n == 0 && self.flags.precision == Some(0) {
            let zero = std::mem::replace(&mut self.flags.zero, false);
            self.padding(self.flags.width.unwrap_or(0))?;
            self.flags.zero = zero;
            return Ok(());
        }
        let digits = match (base, verb) {
            (2, _) => format!("{n:b}"),
            (8, _) => format!("{n:o}"),
            (16, 'X') => format!("{n:X}"),
            (16, _) => format!("{n:x}"),
            _ => n.to_string(),
        };
        let sign = if negative {
            "-"
        } else if self.flags.plus {
            "+"
        } else if self.flags.space {
            " "
        } else {
            ""
        };
        let least = match (self.flags.precision, self.flags.width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero && !self.flags.minus => {
                width - sign.len().min(width)
            }
            _ => 0,
        };
        let zeros = least.saturating_sub(digits.len());
        let prefix = match (self.flags.sharp, base, verb) {
            (_, _, 'O') => "0o",
            (true, 2, _) => "0b",
            (true, 8, _) if zeros == 0 && !digits.starts_with('0') => "0",
            (true, 16, 'X') => "0X",
            (true, 16, _) => "0x",
            _ => "",
        };
        // `%#O` has octal's own leading zero besides.
        let octal = if verb == 'O' && self.flags.sharp && zeros == 0 && !digits.starts_with('0') {
            "0"
        } else {
            ""
        };
        if zeros == 0 && self.flags.width.is_none() {
            self.out.put(sign)?;
            self.out.put(prefix)?;
            self.out.put(octal)?;
            return self.out.put(&digits);
        }
        let text = format!("{sign}{prefix}{octal}{}{digits}", "0".repeat(zeros));
        self.pad_with_blanks(&text)
    }

    fn float_verb(&mut self, f: f64, verb: char, value: &Value<'_>) -> Result<(), CallError> {
        match verb {
            'v' => self.float(f, 'g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => self.float(f, verb, None),
            'f' | 'F' | 'e' | 'E' => self.float(f, verb, Some(6)),
            _ => self.bad_verb(value, verb),
        }
    }

    fn complex(
        &mut self,
        re: f64,
        im: f64,
        verb: char,
        value: &Value<'_>,
    ) -> Result<(), CallError> {
        if !matches!(
            verb,
            'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E'
        ) {
            return self.bad_verb(value, verb);
        }
        self.out.put("(")?;
        self.float_verb(re, verb, value)?;
        let plus = std::mem::replace(&mut self.flags.plus, true);
        self.float_verb(im, verb, value)?;
        self.flags.plus = plus;
        self.out.put("i)")
    }

    fn float(&mut self, f: f64, verb: char, default: Option<usize>) -> Result<(), CallError> {
        let precision = self.flags.precision.or(default);
        let mut number = String::new();
        match verb {
            'X' if f.is_finite() => strconv::hex_float(f, precision, true, &mut number),
            'E' | 'G' => {
                let format = if verb == 'E' {
                    FloatFormat::Exponent
                } else {
                    FloatFormat::General
                };
                strconv::format_float(f, format, precision, &mut number);
                if f.is_finite() {
                    number.make_ascii_uppercase();
                }
            }
            _ => strconv::format_float(f, float_format(verb), precision, &mut number),
        }
        let (mut sign, digits) = match number.as_bytes().first() {
            Some(b'-') => ("-", number.get(1..).unwrap_or_default()),
            Some(b'+') => ("+", number.get(1..).unwrap_or_default()),
            _ => ("+", number.as_str()),
        };
        if self.flags.space && sign == "+" && !self.flags.plus {
            sign = " ";
        }
        if !f.is_finite() {
            let shown = if f.is_nan() && !self.flags.space && !self.flags.plus {
                ""
            } else {
                sign
            };
            let shown = if f.is_infinite() && sign == "+" && !self.flags.plus {
                "+"
            } else {
                shown
            };
            return self.pad_with_blanks(&format!("{shown}{digits}"));
        }
        let marked;
        let digits = if self.flags.sharp && verb != 'b' {
            marked = with_point(digits, verb, precision);
            marked.as_str()
        } else {
            digits
        };
        if !self.flags.plus && sign == "+" {
            return self.pad(digits);
        }
        let length = sign.len() + digits.len();
        if let Some(width) = self.flags.width
            && self.flags.zero
            && !self.flags.minus
            && width > length
        {
            self.out.put(sign)?;
            self.padding(width - length)?;
            return self.out.put(digits);
        }
        self.pad(&format!("{sign}{digits}"))
    }

    fn list(&mut self, list: &List<'_>, verb: char, depth: usize) -> Result<(), CallError> {
        let bytes = list.elem() == Elem::Byte;
        if bytes && matches!(verb, 's' | 'q' | 'x' | 'X') {
            let bytes: Vec<u8> = list
                .iter()
                .map(|v| {
                    if let Value::Uint(n, _) = v {
                        n as u8
                    } else {
                        0
                    }
                })
                .collect();
            return self.string(&Text::from(bytes), verb);
        }
        let (open, separator, close) = self.brackets("[", "]");
        if self.flags.sharp_v {
            self.out.put(if bytes && depth == 0 {
                "[]byte"
            } else {
                list.elem().slice_name()
            })?;
            if list.is_nil() {
                return self.out.put("(nil)");
            }
        }
        self.out.put(open)?;
        for (i, item) in list.iter().enumerate() {
            if i > 0 {
                self.out.put(separator)?;
            }
            self.print_value(&item, verb, depth + 1)?;
        }
        self.out.put(close)
    }

    fn brackets(
        &self,
        open: &'static str,
        close: &'static str,
    ) -> (&'static str, &'static str, &'static str) {
        if self.flags.sharp_v {
            ("{", ", ", "}")
        } else {
            (open, " ", close)
        }
    }

    fn map(&mut self, map: &Map<'_>, verb: char, depth: usize) -> Result<(), CallError> {
        let (open, separator, close) = self.brackets("map[", "]");
        if self.flags.sharp_v {
            self.out.put(map.type_name())?;
            if map.is_nil() {
                return self.out.put("(nil)");
            }
        }
        self.out.put(open)?;
        for (i, (key, value)) in map.entries().into_iter().enumerate() {
            if i > 0 {
                self.out.put(separator)?;
            }
            self.print_value(&Value::Str(key), verb, depth + 1)?;
            self.out.put(":")?;
            self.print_value(&value, verb, depth + 1)?;
        }
        self.out.put(close)
    }

    fn object(&mut self, object: &dyn Object, verb: char, depth: usize) -> Result<(), CallError> {
        let fields = object
            .field_names()
            .iter()
            .map(|name| (*name, object.field(name).unwrap_or_default()));
        self.fields(object.type_name(), fields, verb, depth)
    }

    fn native(&mut self, native: &Native, verb: char, depth: usize) -> Result<(), CallError> {
        self.fields(native.type_name(), native.fields().into_iter(), verb, depth)
    }

    fn fields<'v>(
        &mut self,
        type_name: &str,
        fields: impl Iterator<Item = (&'v str, Value<'v>)>,
        verb: char,
        depth: usize,
    ) -> Result<(), CallError> {
        let name = match type_name.strip_prefix('*') {
            Some(name) => {
                if !std::mem::take(&mut self.pointed) {
                    self.out.put("&")?;
                }
                name
            }
            None => type_name,
        };
        if self.flags.sharp_v {
            self.out.put(name)?;
        }
        let (_, separator, _) = self.brackets("", "");
        self.out.put("{")?;
        for (i, (name, value)) in fields.enumerate() {
            if i > 0 {
                self.out.put(separator)?;
            }
            if self.flags.sharp_v || self.flags.plus_v {
                self.out.put(name)?;
                self.out.put(":")?;
            }
            self.print_value(&value, verb, depth + 1)?;
        }
        self.out.put("}")
    }

    /// A time by a verb that does not call its method: the fields Go keeps it in.
    fn time(&mut self, time: &crate::Time, verb: char) -> Result<(), CallError> {
        if self.flags.sharp_v {
            return self.out.put(&time.go_syntax());
        }
        self.out.put("{")?;
        self.print_value(
            &Value::Uint(time.nanos().into(), crate::UintType::Uint64),
            verb,
            1,
        )?;
        self.out.put(" ")?;
        self.print_value(&Value::int64(time.seconds_since_year_one()), verb, 1)?;
        self.out.put(" ")?;
        match verb {
            'v' => self.out.put("<nil>")?,
            verb => bad_verb_of_nil(self.out, verb)?,
        }
        self.out.put("}")
    }

    fn pointer(&mut self, value: &Value<'_>) -> Result<(), CallError> {
        match value.kind() {
            // Addresses differ from run to run in Go as well; this one gives nothing away.
            Kind::Slice | Kind::Map | Kind::Pointer => self.pad("0xc000000000"),
            _ => self.bad_verb(value, 'p'),
        }
    }
}

fn char_of(code: u64) -> char {
    u32::try_from(code)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn float_format(verb: char) -> FloatFormat {
    match verb {
        'e' => FloatFormat::Exponent,
        'f' | 'F' => FloatFormat::Fixed,
        'b' => FloatFormat::Binary,
        'x' => FloatFormat::Hex,
        _ => FloatFormat::General,
    }
}

/// The `#` flag: always a decimal point, and for `%g` the zeros that the shortest form drops.
fn with_point(number: &str, verb: char, precision: Option<usize>) -> String {
    let mut missing: i64 = match verb {
        'g' | 'G' | 'x' => precision.map_or(6, |p| p as i64),
        _ => 0,
    };
    let tail_start = number
        .find(|c| matches!(c, 'p' | 'P') || (matches!(c, 'e' | 'E') && !matches!(verb, 'x' | 'X')))
        .unwrap_or(number.len());
    let (head, tail) = number.split_at(tail_start);
    let mut saw_nonzero = false;
    for c in head.chars().filter(|c| *c != '.') {
        saw_nonzero |= c != '0';
        missing -= i64::from(saw_nonzero);
    }
    let mut text = head.to_owned();
    if !head.contains('.') {
        missing -= i64::from(head == "0");
        text.push('.');
    }
    (0..missing).for_each(|_| text.push('0'));
    text.push_str(tail);
    text
}
