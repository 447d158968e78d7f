//! Formats that are literals of a template, cut into pieces when it is parsed.

use super::printf::{Scan, put_verb};
use super::value::Flags;
use crate::sink::Sink;
use crate::{CallError, Value, utf8};

/// Text, or one verb for one argument.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Text(Box<str>),
    Verb { flags: Flags, verb: char },
}

/// A format whose verbs take its arguments one after another, each exactly one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Format {
    pieces: Box<[Piece]>,
}

impl Format {
    /// Cuts a format for this many arguments; `None` when it has indexes, stars or mistakes, which the render works
    /// out, or does not fit the arguments.
    pub(crate) fn prepare(format: &str, args: usize) -> Option<Self> {
        let mut scan = Scan::new(format.as_bytes(), &[]);
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut verbs = 0;
        while let Some(byte) = scan.byte() {
            if byte != b'%' {
                let rest = format.get(scan.pos..)?;
                let plain = memchr::memchr(b'%', rest.as_bytes()).unwrap_or(rest.len());
                text.push_str(rest.get(..plain)?);
                scan.pos += plain;
                continue;
            }
            scan.pos += 1;
            let (flags, verb) = scan.plain_verb()?;
            if verb == '%' {
                text.push('%');
                continue;
            }
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
            }
            verbs += 1;
            pieces.push(Piece::Verb { flags, verb });
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        (verbs == args).then(|| Self {
            pieces: pieces.into(),
        })
    }

    /// Writes the arguments, as many as there are verbs.
    pub(crate) fn write(&self, args: &[Value<'_>], out: &mut dyn Sink) -> Result<(), CallError> {
        let mut args = args.iter();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.put(text)?,
                Piece::Verb { flags, verb } => {
                    put_verb(out, *flags, args.next().unwrap_or(&Value::Missing), *verb)?;
                }
            }
        }
        Ok(())
    }
}

impl Scan<'_, '_, '_> {
    /// Flags, width, precision and verb without arguments of their own; `None` for anything else.
    fn plain_verb(&mut self) -> Option<(Flags, char)> {
        let mut flags = self.flags();
        let own_argument = |byte: Option<u8>| matches!(byte, Some(b'*' | b'['));
        if own_argument(self.byte()) {
            return None;
        }
        flags.width = self.number();
        if self.byte() == Some(b'.') {
            self.pos += 1;
            if own_argument(self.byte()) {
                return None;
            }
            flags.precision = Some(self.number().unwrap_or(0));
        }
        if own_argument(self.byte()) {
            return None;
        }
        let (verb, width) = utf8::decode(self.rest())?;
        self.pos += width;
        Some((flags, verb?))
    }
}
