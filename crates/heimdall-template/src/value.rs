//! Go's values, borrowed where they lie.

mod list;
mod map;
mod text;

use std::borrow::Cow;
use std::rc::Rc;

pub(crate) use list::Elem;
pub use list::List;
pub use map::Map;
pub(crate) use map::{Dict, MapType};
pub use text::Text;

use crate::native::Native;
use crate::object::{Mapping, Object};
use crate::time::Time;

/// A value of one of Go's kinds.
///
/// Conversions with `From` borrow; nothing is copied. JSON numbers are `float64`, as in Go.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Value<'a> {
    /// No value at all: an unknown key of a map. Prints as `<no value>`.
    #[default]
    Missing,
    /// `nil`.
    Nil,
    /// `bool`.
    Bool(bool),
    /// A signed integer and its type.
    Int(i64, IntType),
    /// An unsigned integer and its type.
    Uint(u64, UintType),
    /// `float64`.
    Float(f64),
    /// `complex128`: real and imaginary part.
    Complex(f64, f64),
    /// `string`.
    Str(Text<'a>),
    /// A slice.
    List(List<'a>),
    /// A map with string keys.
    Map(Map<'a>),
    /// Something of the caller's with fields and methods.
    Object(&'a dyn Object),
    /// Something with fields and methods that was made during the render.
    Shared(Rc<dyn Object>),
    /// A structure of a function's.
    #[doc(hidden)]
    Native(Native),
    /// `time.Time`.
    Time(Time),
}

/// Go's signed integer types that templates meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntType {
    /// `int`
    Int,
    /// `int8`
    Int8,
    /// `int16`
    Int16,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `time.Duration`, nanoseconds
    Duration,
    /// `time.Month`
    Month,
    /// `time.Weekday`
    Weekday,
}

/// Go's unsigned integer types that templates meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UintType {
    /// `uint`
    Uint,
    /// `uint8`
    Uint8,
    /// `uint16`
    Uint16,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
}

/// Go's `reflect.Kind`, as far as values here have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Invalid,
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    Str,
    Slice,
    Map,
    Pointer,
    Struct,
}

impl<'a> Value<'a> {
    /// An object of the caller's.
    pub fn object(object: &'a dyn Object) -> Self {
        Self::Object(object)
    }

    /// An object made during the render. What its fields and methods give is copied; prefer
    /// [`Value::object`] for one that can be borrowed.
    pub fn shared_object(object: Rc<dyn Object>) -> Self {
        Self::Shared(object)
    }

    /// A map of the caller's.
    pub fn mapping(map: &'a dyn Mapping) -> Self {
        Self::Map(Map::Borrowed(map))
    }

    /// A `[]string`.
    pub fn strings(list: &'a [String]) -> Self {
        Self::List(List::Strings(list))
    }

    /// A `[]interface {}` of values.
    pub fn list(values: Vec<Value<'a>>) -> Self {
        Self::List(List::owned(values, Elem::Any))
    }

    /// A `map[string]interface {}` of values.
    pub fn dict(entries: impl IntoIterator<Item = (Text<'a>, Value<'a>)>) -> Self {
        Self::Map(Map::Owned(Rc::new(Dict::new(
            MapType::Any,
            entries.into_iter().collect(),
        ))))
    }

    /// The text of a `string` that is valid UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => text.as_str(),
            _ => None,
        }
    }

    /// The number of any signed integer.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(n, _) => Some(*n),
            _ => None,
        }
    }

    /// The number of a `float64`.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(f) => Some(*f),
            _ => None,
        }
    }

    /// The truth of a `bool`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// Whether there is nothing: no value or `nil`.
    #[inline]
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Missing | Self::Nil)
    }

    pub(crate) fn int(n: i64) -> Self {
        Self::Int(n, IntType::Int)
    }

    pub(crate) fn int64(n: i64) -> Self {
        Self::Int(n, IntType::Int64)
    }

    /// Go's truth: not the zero value, not empty.
    #[inline]
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Missing | Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(n, _) => *n != 0,
            Self::Uint(n, _) => *n != 0,
            Self::Float(f) => *f != 0.0,
            Self::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => !object.is_nil(),
            Self::Shared(object) => !object.is_nil(),
            Self::Native(_) | Self::Time(_) => true,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Missing | Self::Nil => Kind::Invalid,
            Self::Bool(_) => Kind::Bool,
            Self::Int(..) => Kind::Int,
            Self::Uint(..) => Kind::Uint,
            Self::Float(_) => Kind::Float,
            Self::Complex(..) => Kind::Complex,
            Self::Str(_) => Kind::Str,
            Self::List(_) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Object(object) if object.type_name().starts_with('*') => Kind::Pointer,
            Self::Shared(object) if object.type_name().starts_with('*') => Kind::Pointer,
            Self::Native(native) if native.type_name().starts_with('*') => Kind::Pointer,
            Self::Object(_) | Self::Shared(_) | Self::Native(_) | Self::Time(_) => Kind::Struct,
        }
    }

    /// What `kindOf` prints.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind() {
            Kind::Invalid => "invalid",
            Kind::Bool => "bool",
            Kind::Int => match self {
                Self::Int(_, IntType::Int8) => "int8",
                Self::Int(_, IntType::Int16) => "int16",
                Self::Int(_, IntType::Int32) => "int32",
                Self::Int(_, IntType::Int64 | IntType::Duration) => "int64",
                _ => "int",
            },
            Kind::Uint => match self {
                Self::Uint(_, UintType::Uint8) => "uint8",
                Self::Uint(_, UintType::Uint16) => "uint16",
                Self::Uint(_, UintType::Uint32) => "uint32",
                Self::Uint(_, UintType::Uint64) => "uint64",
                _ => "uint",
            },
            Kind::Float => "float64",
            Kind::Complex => "complex128",
            Kind::Str => "string",
            Kind::Slice => "slice",
            Kind::Map => "map",
            Kind::Pointer => "ptr",
            Kind::Struct => "struct",
        }
    }

    /// What `%T` prints.
    pub(crate) fn type_name(&self) -> Cow<'_, str> {
        match self {
            Self::Missing | Self::Nil => "<nil>".into(),
            Self::Int(_, IntType::Duration) => "time.Duration".into(),
            Self::Int(_, IntType::Month) => "time.Month".into(),
            Self::Int(_, IntType::Weekday) => "time.Weekday".into(),
            Self::List(list) => list.elem().slice_name().into(),
            Self::Map(map) => map.type_name().into(),
            Self::Object(object) => object.type_name().into(),
            Self::Shared(object) => object.type_name().into(),
            Self::Native(native) => native.type_name().into(),
            Self::Time(_) => "time.Time".into(),
            _ => self.kind_name().into(),
        }
    }

    /// How deep containers made by functions are nested here; what is borrowed counts once.
    pub(crate) fn depth(&self) -> u16 {
        match self {
            Self::List(list) => list.depth(),
            Self::Map(map) => map.depth(),
            _ => 0,
        }
    }

    /// A copy that borrows nothing; `None` when there is a borrowed object or map in it.
    pub(crate) fn detached<'b>(&self) -> Option<Value<'b>> {
        Some(match self {
            Self::Missing => Value::Missing,
            Self::Nil => Value::Nil,
            Self::Bool(b) => Value::Bool(*b),
            Self::Int(n, kind) => Value::Int(*n, *kind),
            Self::Uint(n, kind) => Value::Uint(*n, *kind),
            Self::Float(f) => Value::Float(*f),
            Self::Complex(re, im) => Value::Complex(*re, *im),
            Self::Str(text) => Value::Str(text.detached()),
            Self::List(list) => {
                let items: Option<Vec<Value<'b>>> =
                    list.iter().map(|item| item.detached()).collect();
                Value::List(List::owned(items?, list.elem()))
            }
            Self::Map(map) => {
                let entries = map.entries().into_iter();
                let entries: Option<_> = entries
                    .map(|(key, value)| Some((key.detached(), value.detached()?)))
                    .collect();
                Value::Map(Map::Owned(Rc::new(Dict::new(
                    MapType::of(map.type_name()),
                    entries?,
                ))))
            }
            Self::Object(_) => return None,
            Self::Shared(object) => Value::Shared(Rc::clone(object)),
            Self::Native(native) => Value::Native(native.clone()),
            Self::Time(time) => Value::Time(*time),
        })
    }

    /// A pipeline's end looks through an interface: a `nil` in it is no value any more.
    #[inline]
    pub(crate) fn settled(self) -> Self {
        match self {
            Self::Nil => Self::Missing,
            value => value,
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}(", self.type_name())?;
        f.write_str(&crate::fmt::display(self))?;
        f.write_str(")")
    }
}

impl<'a> From<&'a serde_json::Value> for Value<'a> {
    #[inline]
    fn from(json: &'a serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(s) => Self::from(s.as_str()),
            serde_json::Value::Array(items) => Self::List(List::Json(items)),
            serde_json::Value::Object(map) => Self::Map(Map::Json(map)),
        }
    }
}

impl<'a> From<&'a serde_json::Map<String, serde_json::Value>> for Value<'a> {
    #[inline]
    fn from(map: &'a serde_json::Map<String, serde_json::Value>) -> Self {
        Self::Map(Map::Json(map))
    }
}

impl<'a, T: Object> From<&'a T> for Value<'a> {
    #[inline]
    fn from(object: &'a T) -> Self {
        Self::object(object)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self::Str(Text::from(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Value<'_> {
    #[inline]
    fn from(text: String) -> Self {
        Self::Str(Text::from(text))
    }
}

impl<'a> From<Text<'a>> for Value<'a> {
    #[inline]
    fn from(text: Text<'a>) -> Self {
        Self::Str(text)
    }
}

impl From<bool> for Value<'_> {
    #[inline]
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i64> for Value<'_> {
    #[inline]
    fn from(n: i64) -> Self {
        Self::Int(n, IntType::Int)
    }
}

impl From<f64> for Value<'_> {
    #[inline]
    fn from(f: f64) -> Self {
        Self::Float(f)
    }
}

impl From<Time> for Value<'_> {
    #[inline]
    fn from(time: Time) -> Self {
        Self::Time(time)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    #[inline]
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}
