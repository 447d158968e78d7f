use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How far a list was read: opaque to callers, the sort key of the last row inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

/// Why a cursor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the cursor is not one that this service gave out")]
pub struct CursorError;

impl Cursor {
    /// A cursor behind the row with this sort key.
    pub fn after(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The sort key of the last row that was read.
    pub fn key(&self) -> &str {
        &self.0
    }

    /// The text that goes into `next_cursor` (lower-case hexadecimal).
    pub fn encode(&self) -> String {
        self.0.bytes().map(|b| format!("{b:02x}")).collect()
    }

    /// Reads what [`Cursor::encode`] wrote, at most 512 characters of it.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        if text.is_empty() || text.len() > 512 || !text.len().is_multiple_of(2) || !text.is_ascii()
        {
            return Err(CursorError);
        }
        let bytes = text
            .as_bytes()
            .chunks(2)
            .map(|pair| {
                let pair = std::str::from_utf8(pair).map_err(|_| CursorError)?;
                let plain = pair
                    .bytes()
                    .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
                if !plain {
                    return Err(CursorError);
                }
                u8::from_str_radix(pair, 16).map_err(|_| CursorError)
            })
            .collect::<Result<Vec<u8>, _>>()?;
        String::from_utf8(bytes).map(Self).map_err(|_| CursorError)
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// At most so many rows, 1 to 200.
    pub limit: u32,
    /// Only rows behind this one.
    pub cursor: Option<Cursor>,
}

impl PageRequest {
    /// The size of a page when the caller names none.
    pub const DEFAULT_LIMIT: u32 = 50;
    /// The largest page.
    pub const MAX_LIMIT: u32 = 200;

    /// The first page of the default size.
    pub fn first() -> Self {
        Self {
            limit: Self::DEFAULT_LIMIT,
            cursor: None,
        }
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first()
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows, in the list's order.
    pub data: Vec<T>,
    /// Where the next page begins, encoded; `None` on the last page.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Builds a page from one row more than `limit`: the surplus row only tells that there are more.
    /// `key` names the sort key of a row.
    pub fn cut(mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more {
            rows.last().map(|row| Cursor::after(key(row)).encode())
        } else {
            None
        };
        Self {
            data: rows,
            next_cursor,
        }
    }

    /// The same page with every row turned into something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            data: self.data.into_iter().map(f).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_go_round_and_rubbish_is_refused() {
        let cursor = Cursor::after("usr_01/ü");
        assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        for bad in ["", "0", "zz", "+1", "ff", "é0"] {
            assert_eq!(Cursor::decode(bad), Err(CursorError), "{bad}");
        }
    }

    #[test]
    fn the_surplus_row_is_cut_and_names_the_next_page() {
        let page = Page::cut(vec![1, 2, 3], 2, ToString::to_string);
        assert_eq!(page.data, [1, 2]);
        assert_eq!(page.next_cursor, Some(Cursor::after("2").encode()));
        assert_eq!(
            Page::cut(vec![1, 2], 2, ToString::to_string).next_cursor,
            None
        );
    }
}
