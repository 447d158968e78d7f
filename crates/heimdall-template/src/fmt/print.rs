//! `print` and `println`.

use super::{write_printable, write_value};
use crate::sink::Sink;
use crate::{CallError, Value};

/// The values one after another, with a blank between two that are no strings.
pub(crate) fn print(args: &[Value<'_>], out: &mut dyn Sink) -> Result<(), CallError> {
    print_by(args, out, write_value)
}

/// The same, with what pointers point to in their place.
pub(crate) fn print_pointed(args: &[Value<'_>], out: &mut dyn Sink) -> Result<(), CallError> {
    print_by(args, out, write_printable)
}

fn print_by(
    args: &[Value<'_>],
    out: &mut dyn Sink,
    write: fn(&Value<'_>, &mut dyn Sink) -> Result<(), CallError>,
) -> Result<(), CallError> {
    let mut after_string = true;
    for arg in args {
        let is_string = matches!(arg, Value::Str(_));
        if !is_string && !after_string {
            out.put(" ")?;
        }
        write(arg, out)?;
        after_string = is_string;
    }
    Ok(())
}

/// The values with blanks between them and a line feed behind.
pub(crate) fn println(args: &[Value<'_>], out: &mut dyn Sink) -> Result<(), CallError> {
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            out.put(" ")?;
        }
        write_value(arg, out)?;
    }
    out.put("\n")
}
