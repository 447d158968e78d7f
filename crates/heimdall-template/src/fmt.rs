//! Go's `fmt`: values as text, by verbs and flags.

mod number;
mod prepared;
mod print;
mod printf;
mod value;

pub(crate) use prepared::Format;
pub(crate) use print::{print, print_pointed, println};
pub(crate) use printf::printf;
pub(crate) use value::{DEEPEST, Printer};

use crate::sink::{Buffer, Sink};
use crate::{CallError, IntType, Value};

/// Writes a value as `%v` does.
pub(crate) fn write_value(value: &Value<'_>, out: &mut dyn Sink) -> Result<(), CallError> {
    match value {
        Value::Str(text) => out.put_text(text),
        Value::Bool(true) => out.put("true"),
        Value::Bool(false) => out.put("false"),
        Value::Int(n, IntType::Int | IntType::Int64) => put_int(*n, out),
        Value::Float(f)
            if f.fract() == 0.0 && f.abs() < 1e6 && (*f != 0.0 || f.is_sign_positive()) =>
        {
            put_int(*f as i64, out)
        }
        // Between these bounds the shortest form has no exponent, and is Rust's as well.
        Value::Float(f) if (1e-4..1e6).contains(&f.abs()) => put_display(f, out),
        value => Printer::new(out).print_arg(value, 'v'),
    }
}

/// Writes without taking memory.
fn put_display(value: &dyn std::fmt::Display, out: &mut dyn Sink) -> Result<(), CallError> {
    struct Pieces<'o> {
        out: &'o mut dyn Sink,
        result: Result<(), CallError>,
    }
    impl std::fmt::Write for Pieces<'_> {
        fn write_str(&mut self, piece: &str) -> std::fmt::Result {
            self.result = self.out.put(piece);
            match self.result {
                Ok(()) => Ok(()),
                Err(_) => Err(std::fmt::Error),
            }
        }
    }
    let mut pieces = Pieces {
        out,
        result: Ok(()),
    };
    // What went wrong is in `result`.
    let _ = std::fmt::write(&mut pieces, format_args!("{value}"));
    pieces.result
}

/// Writes a whole number without taking memory.
pub(crate) fn put_int(n: i64, out: &mut dyn Sink) -> Result<(), CallError> {
    let mut digits = [b'0'; 20];
    let mut left = n.unsigned_abs();
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + (left % 10) as u8;
        start -= 1;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if n < 0 {
        out.put("-")?;
    }
    out.put(std::str::from_utf8(digits.get(start..).unwrap_or_default()).unwrap_or_default())
}

/// Writes the value of an action: what a pointer points to, unless it has a method for it.
pub(crate) fn write_printable(value: &Value<'_>, out: &mut dyn Sink) -> Result<(), CallError> {
    match value {
        Value::Object(_) | Value::Shared(_) => Printer::new(out).print_pointed(value),
        value => write_value(value, out),
    }
}

/// What `%v` gives, for messages.
pub(crate) fn display(value: &Value<'_>) -> String {
    const LONGEST: usize = 4096;
    let mut buffer = Buffer::new(LONGEST);
    // A longer one is cut: it is for people.
    let _ = write_value(value, &mut buffer);
    buffer.into_text().to_lossy().into_owned()
}
