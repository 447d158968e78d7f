//! Go's `string`: bytes that are usually UTF-8.

use std::rc::Rc;

/// A string, borrowed or shared.
///
/// Go cuts strings between bytes, so a piece need not be UTF-8; such a piece is kept as bytes until it is printed.
#[derive(Clone)]
pub struct Text<'a>(Repr<'a>);

#[derive(Clone)]
enum Repr<'a> {
    Borrowed(&'a str),
    Shared(Rc<str>),
    /// Not UTF-8: the constructors see to it.
    Bytes(Rc<[u8]>),
}

impl<'a> Text<'a> {
    /// The empty string.
    pub const EMPTY: Self = Self(Repr::Borrowed(""));

    /// The string, when it is UTF-8.
    #[inline]
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Repr::Borrowed(text) => Some(text),
            Repr::Shared(text) => Some(text),
            Repr::Bytes(_) => None,
        }
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Borrowed(text) => text.as_bytes(),
            Repr::Shared(text) => text.as_bytes(),
            Repr::Bytes(bytes) => bytes,
        }
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there is nothing in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The string with each byte that is not UTF-8 replaced, as Go's own conversions do.
    pub fn to_lossy(&self) -> std::borrow::Cow<'_, str> {
        match self.as_str() {
            Some(text) => text.into(),
            None => crate::utf8::lossy(self.as_bytes()).into(),
        }
    }

    /// From any bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self(Repr::Shared(text.into())),
            Err(_) => Self(Repr::Bytes(bytes.into())),
        }
    }

    /// A copy that borrows nothing.
    pub(crate) fn detached<'b>(&self) -> Text<'b> {
        match &self.0 {
            Repr::Borrowed(text) => Text(Repr::Shared((*text).into())),
            Repr::Shared(text) => Text(Repr::Shared(Rc::clone(text))),
            Repr::Bytes(bytes) => Text(Repr::Bytes(Rc::clone(bytes))),
        }
    }

    /// The bytes `start..end`, borrowed when they can be. `None` when out of range.
    pub fn cut(&self, start: usize, end: usize) -> Option<Self> {
        if let Repr::Borrowed(text) = self.0
            && let Some(piece) = text.get(start..end)
        {
            return Some(Self(Repr::Borrowed(piece)));
        }
        self.as_bytes().get(start..end).map(Self::from_bytes)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self(Repr::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    #[inline]
    fn from(text: String) -> Self {
        Self(Repr::Shared(text.into()))
    }
}

impl From<Vec<u8>> for Text<'_> {
    #[inline]
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::from(text),
            Err(error) => Self(Repr::Bytes(error.into_bytes().into())),
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl std::borrow::Borrow<[u8]> for Text<'_> {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_lossy())
    }
}
