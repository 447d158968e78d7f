//! Go's slices.

use std::rc::Rc;

use super::{Text, Value};

/// A slice, borrowed or made by a function.
#[derive(Clone)]
#[non_exhaustive]
pub enum List<'a> {
    /// A JSON array: `[]interface {}`.
    Json(&'a [serde_json::Value]),
    /// `[]string` of the data.
    Strings(&'a [String]),
    /// Made by a function.
    Owned(OwnedList<'a>),
}

/// Values with the type of their slice.
#[derive(Clone)]
pub struct OwnedList<'a> {
    items: Rc<[Value<'a>]>,
    elem: Elem,
    nil: bool,
    /// How deep containers are nested in it.
    depth: u16,
}

/// The element type of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elem {
    Any,
    Str,
    Int,
    AnyList,
    Byte,
}

impl Elem {
    pub(crate) fn slice_name(self) -> &'static str {
        match self {
            Self::Any => "[]interface {}",
            Self::Str => "[]string",
            Self::Int => "[]int",
            Self::AnyList => "[][]interface {}",
            Self::Byte => "[]uint8",
        }
    }
}

impl<'a> List<'a> {
    pub(crate) fn owned(items: Vec<Value<'a>>, elem: Elem) -> Self {
        let nested = elem != Elem::Str && elem != Elem::Int;
        let inner = if nested {
            items.iter().map(Value::depth).max().unwrap_or(0)
        } else {
            0
        };
        Self::Owned(OwnedList {
            items: items.into(),
            elem,
            nil: false,
            depth: inner.saturating_add(1),
        })
    }

    /// The `nil` slice, which prints like an empty one but is `null` in JSON.
    pub(crate) fn nil(elem: Elem) -> Self {
        Self::Owned(OwnedList {
            items: Rc::new([]),
            elem,
            nil: true,
            depth: 1,
        })
    }

    pub(crate) fn texts(items: impl IntoIterator<Item = Text<'a>>) -> Self {
        Self::owned(items.into_iter().map(Value::Str).collect(), Elem::Str)
    }

    /// How many elements there are.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Strings(items) => items.len(),
            Self::Owned(list) => list.items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at an index.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::from),
            Self::Strings(items) => items.get(index).map(Value::from),
            Self::Owned(list) => list.items.get(index).cloned(),
        }
    }

    /// The elements in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Value<'a>> + use<'_, 'a> {
        (0..self.len()).map(|i| self.get(i).unwrap_or_default())
    }

    pub(crate) fn elem(&self) -> Elem {
        match self {
            Self::Json(_) => Elem::Any,
            Self::Strings(_) => Elem::Str,
            Self::Owned(list) => list.elem,
        }
    }

    pub(crate) fn depth(&self) -> u16 {
        match self {
            Self::Json(_) | Self::Strings(_) => 1,
            Self::Owned(list) => list.depth,
        }
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Self::Owned(list) if list.nil)
    }
}
