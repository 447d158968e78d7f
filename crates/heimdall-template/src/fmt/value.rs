//! One value by one verb.

use crate::native::Native;
use crate::sink::Sink;
use crate::strconv;
use crate::value::{Elem, Kind};
use crate::{CallError, List, Map, Object, Text, Value, utf8};

/// Values nested deeper than this are refused: printing recurses.
pub(crate) const DEEPEST: usize = 200;

/// Flags, width and precision of a verb.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    pub(super) out: &'o mut dyn Sink,
    pub(super) flags: Flags,
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
            Value::Object(object) if object.is_nil() => self.nil_pointer(object.type_name(), verb),
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

    pub(super) fn bad_verb(&mut self, value: &Value<'_>, verb: char) -> Result<(), CallError> {
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

    pub(super) fn padding(&mut self, count: usize) -> Result<(), CallError> {
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

    pub(super) fn pad(&mut self, text: &str) -> Result<(), CallError> {
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

    pub(super) fn pad_with_blanks(&mut self, text: &str) -> Result<(), CallError> {
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
        if !self.flags.sharp && self.flags.width.is_none() {
            return strconv::put_quoted(bytes, self.flags.plus, self.out);
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
        // Where it is looked at from: for UTC Go keeps no location.
        self.nil_pointer("*time.Location", verb)?;
        self.out.put("}")
    }

    /// A pointer that points nowhere, of a type without methods for this verb.
    fn nil_pointer(&mut self, type_name: &str, verb: char) -> Result<(), CallError> {
        match verb {
            'v' if self.flags.sharp_v => {
                self.out.put("(")?;
                self.out.put(type_name)?;
                self.out.put(")(nil)")
            }
            'v' => self.pad("<nil>"),
            'b' | 'd' => self.digits(0, false, if verb == 'b' { 2 } else { 10 }, verb),
            'o' => self.digits(0, false, 8, verb),
            'x' | 'X' => self.digits(0, false, 16, verb),
            _ => {
                self.out.put("%!")?;
                self.out.put(verb.encode_utf8(&mut [0; 4]))?;
                self.out.put("(")?;
                self.out.put(type_name)?;
                self.out.put("=")?;
                self.pad("<nil>")?;
                self.out.put(")")
            }
        }
    }

    fn pointer(&mut self, value: &Value<'_>) -> Result<(), CallError> {
        match value.kind() {
            // Addresses differ from run to run in Go as well; this one gives nothing away.
            Kind::Slice | Kind::Map | Kind::Pointer => self.pad("0xc000000000"),
            _ => self.bad_verb(value, 'p'),
        }
    }
}
