//! Go's `fmt`: values as text, by verbs and flags.

mod print;
mod printf;
mod value;

pub(crate) use print::{print, println};
pub(crate) use printf::printf;
pub(crate) use value::{DEEPEST, Printer};

use crate::sink::{Buffer, Sink};
use crate::{CallError, Value};

/// Writes a value as `%v` does.
pub(crate) fn write_value(value: &Value<'_>, out: &mut dyn Sink) -> Result<(), CallError> {
    match value {
        Value::Str(text) => out.put_text(text),
        Value::Bool(true) => out.put("true"),
        Value::Bool(false) => out.put("false"),
        value => Printer::new(out).print_arg(value, 'v'),
    }
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
