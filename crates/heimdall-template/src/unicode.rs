//! Character classes and case as Go's `unicode` package has them: one character to one character.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// A sorted list of ranges.
struct Table(Vec<(char, char)>);

impl Table {
    /// The table of a class in regular-expression syntax; these are literals below, so that it always parses.
    fn of(class: &str) -> Self {
        let hir = regex_syntax::Parser::new().parse(class);
        match hir.as_ref().map(regex_syntax::hir::Hir::kind) {
            Ok(HirKind::Class(Class::Unicode(class))) => Self(
                class
                    .iter()
                    .map(|range| (range.start(), range.end()))
                    .collect(),
            ),
            _ => Self(Vec::new()),
        }
    }

    fn contains(&self, c: char) -> bool {
        self.0
            .binary_search_by(|&(start, end)| {
                if end < c {
                    std::cmp::Ordering::Less
                } else if start > c {
                    std::cmp::Ordering::Greater
                } else {
                    std::cmp::Ordering::Equal
                }
            })
            .is_ok()
    }
}

static LETTER: LazyLock<Table> = LazyLock::new(|| Table::of(r"\p{L}"));
static DIGIT: LazyLock<Table> = LazyLock::new(|| Table::of(r"\p{Nd}"));
static PRINT: LazyLock<Table> = LazyLock::new(|| Table::of(r"[\p{L}\p{M}\p{N}\p{P}\p{S} ]"));
static UPPER: LazyLock<Table> = LazyLock::new(|| Table::of(r"\p{Lu}"));
static LOWER: LazyLock<Table> = LazyLock::new(|| Table::of(r"\p{Ll}"));

pub(crate) fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphabetic()
    } else {
        LETTER.contains(c)
    }
}

pub(crate) fn is_digit(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_digit()
    } else {
        DIGIT.contains(c)
    }
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        matches!(c, ' '..='~')
    } else {
        PRINT.contains(c)
    }
}

pub(crate) fn is_upper(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_uppercase()
    } else {
        UPPER.contains(c)
    }
}

pub(crate) fn is_lower(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_lowercase()
    } else {
        LOWER.contains(c)
    }
}

/// Title case letters: the digraphs and the Greek letters with iota subscript.
pub(crate) fn is_title(c: char) -> bool {
    matches!(c, '\u{1C5}' | '\u{1C8}' | '\u{1CB}' | '\u{1F2}' | '\u{1F88}'..='\u{1F8F}' | '\u{1F98}'..='\u{1F9F}'
        | '\u{1FA8}'..='\u{1FAF}' | '\u{1FBC}' | '\u{1FCC}' | '\u{1FFC}')
}

/// White space; Latin-1 by Go's list, beyond it by the property.
pub(crate) fn is_space(c: char) -> bool {
    match c {
        '\t'..='\r' | ' ' | '\u{85}' | '\u{A0}' => true,
        c if u32::from(c) < 0x100 => false,
        c => c.is_whitespace(),
    }
}

/// The simple upper case: never more than one character.
pub(crate) fn to_upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(upper), None) => upper,
        _ => with_iota(c).unwrap_or(c),
    }
}

/// The simple title case.
pub(crate) fn to_title(c: char) -> char {
    match c {
        '\u{1C4}'..='\u{1C6}' => '\u{1C5}',
        '\u{1C7}'..='\u{1C9}' => '\u{1C8}',
        '\u{1CA}'..='\u{1CC}' => '\u{1CB}',
        '\u{1F1}'..='\u{1F3}' => '\u{1F2}',
        // Georgian has capitals for whole words only.
        '\u{10D0}'..='\u{10FF}' => c,
        c => to_upper(c),
    }
}

/// The simple lower case.
pub(crate) fn to_lower(c: char) -> char {
    if c == '\u{130}' {
        return 'i';
    }
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

/// Greek letters with iota subscript have a capital of one character besides the one of two.
fn with_iota(c: char) -> Option<char> {
    match c {
        '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => {
            char::from_u32(u32::from(c) + 8)
        }
        '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => char::from_u32(u32::from(c) + 9),
        _ => None,
    }
}

static PUNCTUATION: LazyLock<Table> = LazyLock::new(|| Table::of(r"\p{P}"));
static NUMBER: LazyLock<Table> = LazyLock::new(|| Table::of(r"\p{N}"));

/// Punctuation; some ASCII signs are symbols instead.
pub(crate) fn is_punctuation(c: char) -> bool {
    PUNCTUATION.contains(c)
}

pub(crate) fn is_number(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_digit()
    } else {
        NUMBER.contains(c)
    }
}
