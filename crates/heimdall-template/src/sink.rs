//! Where text goes, within limits.

use std::fmt;

use crate::{CallError, Limit, NoValue, RenderOptions, Text, utf8};

/// Takes text until a limit is reached.
pub(crate) trait Sink {
    fn put(&mut self, text: &str) -> Result<(), CallError>;

    /// Bytes that need not be UTF-8, nor end at a character's end.
    fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), CallError>;

    /// Text between two marks.
    fn put_enclosed(&mut self, mark: &str, text: &str) -> Result<(), CallError> {
        self.put(mark)?;
        self.put(text)?;
        self.put(mark)
    }

    #[inline]
    fn put_text(&mut self, text: &Text<'_>) -> Result<(), CallError> {
        match text.as_str() {
            Some(text) => self.put(text),
            None => self.put_bytes(text.as_bytes()),
        }
    }
}

/// Collects what one function builds.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    limit: usize,
}

impl Buffer {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }

    pub(crate) fn into_text<'a>(self) -> Text<'a> {
        Text::from(self.bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Sink for Buffer {
    #[inline]
    fn put(&mut self, text: &str) -> Result<(), CallError> {
        self.put_bytes(text.as_bytes())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(CallError::limit(Limit::Built));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// Shorter pieces are collected up to this many bytes, so that the caller's writer is called once for many.
const BATCH: usize = 256;

/// The output of a render.
pub(crate) struct Output<'o> {
    out: &'o mut dyn fmt::Write,
    left: usize,
    options: RenderOptions,
    /// Whether the text of the action being run may have a carriage return, a line feed.
    breaks: Option<(bool, bool)>,
    /// The beginning of a character whose rest may follow.
    pending: Vec<u8>,
    /// Whole characters that wait to be written.
    batch: [u8; BATCH],
    filled: usize,
}

impl<'o> Output<'o> {
    pub(crate) fn new(out: &'o mut dyn fmt::Write, limit: usize, options: RenderOptions) -> Self {
        Self {
            out,
            left: limit,
            options,
            breaks: None,
            pending: Vec::new(),
            batch: [0; BATCH],
            filled: 0,
        }
    }

    /// Begins the text of one action.
    #[inline]
    pub(crate) fn begin_action(&mut self, literal_breaks: (bool, bool)) {
        if self.options.guard_newlines {
            self.breaks = Some(literal_breaks);
        }
    }

    /// Back to text of the template.
    #[inline]
    pub(crate) fn end_action(&mut self) {
        self.breaks = None;
    }

    /// An action that has no value.
    pub(crate) fn put_no_value(&mut self) -> Result<(), CallError> {
        match self.options.no_value {
            NoValue::Go => self.put("<no value>"),
            NoValue::Nothing => Ok(()),
            NoValue::Refuse => Err(CallError::new("no value to print")),
        }
    }

    /// Writes what waits, also for the rest of its character.
    pub(crate) fn finish(&mut self) -> Result<(), CallError> {
        if !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            self.write(&utf8::lossy(&pending))?;
        }
        self.flush()
    }

    /// Hands what waits to the caller's writer.
    pub(crate) fn flush(&mut self) -> Result<(), CallError> {
        let filled = std::mem::take(&mut self.filled);
        let waiting = self.batch.get(..filled).unwrap_or_default();
        let written = match std::str::from_utf8(waiting) {
            Ok("") => Ok(()),
            Ok(text) => self.out.write_str(text),
            Err(_) => self.out.write_str(&utf8::lossy(waiting)),
        };
        written.map_err(|_| CallError::new("the output refused the text"))
    }

    #[inline]
    fn write(&mut self, text: &str) -> Result<(), CallError> {
        if let Some(allowed) = self.breaks {
            guard(text, allowed)?;
        }
        let Some(left) = self.left.checked_sub(text.len()) else {
            return Err(CallError::limit(Limit::Output));
        };
        self.left = left;
        let end = self.filled + text.len();
        if let Some(place) = self.batch.get_mut(self.filled..end) {
            place.copy_from_slice(text.as_bytes());
            self.filled = end;
            return Ok(());
        }
        self.write_on(text)
    }

    /// Text for which the batch has no room left.
    #[inline(never)]
    fn write_on(&mut self, text: &str) -> Result<(), CallError> {
        self.flush()?;
        match self.batch.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                self.filled = text.len();
                Ok(())
            }
            None => self
                .out
                .write_str(text)
                .map_err(|_| CallError::new("the output refused the text")),
        }
    }
}

/// Refuses line breaks that the literals of an action have not.
fn guard(text: &str, (carriage_return, line_feed): (bool, bool)) -> Result<(), CallError> {
    let refused = text
        .bytes()
        .any(|b| (b == b'\r' && !carriage_return) || (b == b'\n' && !line_feed));
    if refused {
        return Err(CallError::new(
            "the text of this action has a line break that its literals have not",
        ));
    }
    Ok(())
}

impl Sink for Output<'_> {
    fn put_enclosed(&mut self, mark: &str, text: &str) -> Result<(), CallError> {
        let length = text.len() + 2 * mark.len();
        if self.pending.is_empty()
            && self.breaks.is_none()
            && let Some(left) = self.left.checked_sub(length)
            && let Some(place) = self.batch.get_mut(self.filled..self.filled + length)
        {
            let (before, rest) = place.split_at_mut(mark.len());
            let (middle, after) = rest.split_at_mut(text.len());
            before.copy_from_slice(mark.as_bytes());
            middle.copy_from_slice(text.as_bytes());
            after.copy_from_slice(mark.as_bytes());
            self.left = left;
            self.filled += length;
            return Ok(());
        }
        self.put(mark)?;
        self.put(text)?;
        self.put(mark)
    }

    #[inline]
    fn put(&mut self, text: &str) -> Result<(), CallError> {
        if self.pending.is_empty() {
            return self.write(text);
        }
        self.put_bytes(text.as_bytes())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        if self.pending.is_empty()
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            return self.write(text);
        }
        let mut all = std::mem::take(&mut self.pending);
        all.extend_from_slice(bytes);
        let whole = all.len() - unfinished(&all);
        let (whole, rest) = all.split_at(whole);
        self.pending = rest.to_vec();
        match std::str::from_utf8(whole) {
            Ok(text) => self.write(text),
            Err(_) => self.write(&utf8::lossy(whole)),
        }
    }
}

/// How many bytes at the end may be the beginning of a character.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = bytes
        .get(bytes.len().saturating_sub(3)..)
        .unwrap_or_default();
    for (i, byte) in tail.iter().enumerate() {
        let piece = tail.get(i..).unwrap_or_default();
        let width = match byte {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => continue,
        };
        let broken = std::str::from_utf8(piece)
            .err()
            .is_some_and(|error| error.error_len().is_some());
        if width > piece.len() && !broken {
            return piece.len();
        }
    }
    0
}
