//! Go's maps with string keys.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Elem, List, Text, Value};
use crate::object::Mapping;

/// A map, borrowed or made by a function.
#[derive(Clone)]
#[non_exhaustive]
pub enum Map<'a> {
    /// A JSON object: `map[string]interface {}`.
    Json(&'a serde_json::Map<String, serde_json::Value>),
    /// A map of the caller's.
    Borrowed(&'a dyn Mapping),
    /// Made by a function; `set` writes into it.
    Owned(Rc<Dict<'a>>),
    /// The `nil` map: empty, refuses writes.
    Nil,
}

/// A map that lives during a render.
pub struct Dict<'a> {
    kind: MapType,
    entries: RefCell<BTreeMap<Text<'a>, Value<'a>>>,
    /// How deep containers are nested in it.
    depth: Cell<u16>,
}

/// Go's map types that functions make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapType {
    /// `map[string]interface {}`
    Any,
    /// `map[string]string`
    Str,
    /// `url.Values`
    UrlValues,
}

impl MapType {
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "map[string]string" => Self::Str,
            "url.Values" => Self::UrlValues,
            _ => Self::Any,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Any => "map[string]interface {}",
            Self::Str => "map[string]string",
            Self::UrlValues => "url.Values",
        }
    }
}

impl<'a> Dict<'a> {
    pub(crate) fn new(kind: MapType, entries: BTreeMap<Text<'a>, Value<'a>>) -> Self {
        let inner = entries.values().map(Value::depth).max().unwrap_or(0);
        Self {
            kind,
            entries: RefCell::new(entries),
            depth: Cell::new(inner.saturating_add(1)),
        }
    }

    pub(crate) fn kind(&self) -> MapType {
        self.kind
    }

    pub(crate) fn insert(&self, key: Text<'a>, value: Value<'a>) {
        self.depth
            .set(self.depth.get().max(value.depth().saturating_add(1)));
        self.entries.borrow_mut().insert(key, value);
    }

    pub(crate) fn clear(&self) {
        let entries = std::mem::take(&mut *self.entries.borrow_mut());
        drop(entries);
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        self.entries.borrow_mut().remove(key);
    }
}

impl<'a> Map<'a> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(map) => map.len(),
            Self::Borrowed(map) => map.len(),
            Self::Owned(dict) => dict.entries.borrow().len(),
            Self::Nil => 0,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a key.
    #[inline]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(map) => map.get(key).map(Value::from),
            Self::Borrowed(map) => map.get(key),
            Self::Owned(dict) => dict.entries.borrow().get(key.as_bytes()).cloned(),
            Self::Nil => None,
        }
    }

    /// The value at a key that need not be UTF-8.
    pub(crate) fn get_text(&self, key: &Text<'_>) -> Option<Value<'a>> {
        match (self, key.as_str()) {
            (Self::Owned(dict), _) => dict.entries.borrow().get(key.as_bytes()).cloned(),
            (_, Some(key)) => self.get(key),
            (_, None) => None,
        }
    }

    /// The entries in the order of their keys, as Go's `range` and `fmt` show them.
    pub fn entries(&self) -> Vec<(Text<'a>, Value<'a>)> {
        let mut entries: Vec<(Text<'a>, Value<'a>)> = match self {
            Self::Json(map) => map
                .iter()
                .map(|(key, value)| (Text::from(key.as_str()), Value::from(value)))
                .collect(),
            Self::Borrowed(map) => map
                .entries()
                .into_iter()
                .map(|(key, value)| (Text::from(key), value))
                .collect(),
            Self::Owned(dict) => {
                return dict
                    .entries
                    .borrow()
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
            }
            Self::Nil => return Vec::new(),
        };
        // Another crate may have switched on serde_json's insertion order.
        if !entries.is_sorted_by(|a, b| a.0 <= b.0) {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        entries
    }

    pub(crate) fn depth(&self) -> u16 {
        match self {
            Self::Owned(dict) => dict.depth.get(),
            _ => 1,
        }
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    pub(crate) fn type_name(&self) -> &str {
        match self {
            Self::Json(_) | Self::Nil => MapType::Any.name(),
            Self::Borrowed(map) => map.type_name(),
            Self::Owned(dict) => dict.kind.name(),
        }
    }

    /// The element type's name: what stands behind `map[string]`.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.type_name() == MapType::Any.name()
    }

    /// Go's zero value of the element type.
    pub(crate) fn zero(&self) -> Value<'a> {
        match self.type_name() {
            "map[string]string" => Value::Str(Text::EMPTY),
            "map[string][]string" | "url.Values" | "http.Header" => {
                Value::List(List::nil(Elem::Str))
            }
            _ => Value::Nil,
        }
    }
}
