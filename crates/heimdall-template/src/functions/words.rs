//! `snakecase`, `kebabcase`, `camelcase`: where words begin and end.

use super::convert;
use crate::context::Context;
use crate::sink::Sink;
use crate::{CallError, Value, unicode};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Word {
    None,
    Number,
    /// Begins with a capital.
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || unicode::is_space(c)
}

/// A letter of an alphabet; Han characters belong to none.
fn is_alphabetic(c: char) -> bool {
    unicode::is_letter(c)
        && !matches!(c, '\u{4E00}'..='\u{9FCC}' | '\u{3400}'..='\u{4D85}' | '\u{20000}'..='\u{2B81D}')
}

/// The character that decides: U+FFFD is passed over, and at the end of the text the one before counts on. The second
/// is how many characters that takes.
fn deciding(text: &[char], before: char) -> (char, usize) {
    match text.iter().position(|c| *c != char::REPLACEMENT_CHARACTER) {
        Some(at) => (text.get(at).copied().unwrap_or(before), at + 1),
        None => (before, text.len()),
    }
}

/// How many characters of `text` behind `before` fit.
fn run_of(text: &[char], before: char, fits: impl Fn(char) -> bool) -> usize {
    let (mut length, mut before) = (0, before);
    while let Some(rest) = text.get(length..).filter(|rest| !rest.is_empty()) {
        let (c, size) = deciding(rest, before);
        if !fits(c) {
            break;
        }
        (length, before) = (length + size, c);
    }
    length
}

/// How many characters follow the capital `first` in its word: `HTTPStatus` is `HTTP` and `Status`.
fn after_capital(text: &[char], first: char) -> usize {
    if text.is_empty() {
        return 0;
    }
    let (second, size) = deciding(text, first);
    if !unicode::is_upper(second) {
        if !is_alphabetic(second) {
            return 0;
        }
        let rest = text.get(size..).unwrap_or_default();
        return size + run_of(rest, second, |c| is_alphabetic(c) && !unicode::is_upper(c));
    }
    let (mut length, mut last_size, mut last) = (size, size, second);
    while let Some(rest) = text.get(length..).filter(|rest| !rest.is_empty()) {
        let (c, size) = deciding(rest, last);
        if !unicode::is_upper(c) {
            return if is_alphabetic(c) {
                length - last_size
            } else {
                length
            };
        }
        (length, last_size, last) = (length + size, size, c);
    }
    length
}

/// Splits the first word off.
fn next_word(text: &[char]) -> (Word, &[char], &[char]) {
    let (first, begun) = deciding(text, char::REPLACEMENT_CHARACTER);
    if first == char::REPLACEMENT_CHARACTER {
        return (Word::None, text, &[]);
    }
    let rest = text.get(begun..).unwrap_or_default();
    let (word, more) = if is_connector(first) {
        (Word::Connector, run_of(rest, first, is_connector))
    } else if unicode::is_punctuation(first) {
        (
            Word::Punctuation,
            run_of(rest, first, unicode::is_punctuation),
        )
    } else if unicode::is_upper(first) {
        (Word::Upper, after_capital(rest, first))
    } else if is_alphabetic(first) {
        let small = |c| is_alphabetic(c) && !unicode::is_upper(c);
        (Word::Letters, run_of(rest, first, small))
    } else if unicode::is_number(first) {
        (Word::Number, run_of(rest, first, unicode::is_number))
    } else {
        let other = |c| {
            !is_connector(c)
                && !is_alphabetic(c)
                && !unicode::is_number(c)
                && !unicode::is_punctuation(c)
        };
        (Word::Other, run_of(rest, first, other))
    };
    let (word_text, rest) = text.split_at(begun + more);
    (word, word_text, rest)
}

fn put_word(out: &mut String, word: Word, text: &[char], connector: char) {
    for &c in text {
        out.push(match word {
            Word::Upper | Word::Connector if is_connector(c) => connector,
            Word::Upper | Word::Connector => unicode::to_lower(c),
            _ => c,
        });
    }
}

fn joined(text: &str, connector: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 8);
    let (mut word, mut current, mut rest) = next_word(&chars);
    while !rest.is_empty() {
        if word != Word::Connector {
            put_word(&mut out, word, current, connector);
        }
        let (before, before_text) = (word, current);
        (word, current, rest) = next_word(rest);
        match before {
            Word::Number => {
                while matches!(word, Word::Letters | Word::Number) {
                    put_word(&mut out, word, current, connector);
                    (word, current, rest) = next_word(rest);
                }
                if !matches!(word, Word::None | Word::Punctuation | Word::Connector) {
                    out.push(connector);
                }
            }
            Word::Connector => put_word(&mut out, before, before_text, connector),
            Word::Punctuation => {}
            _ if word != Word::Number => {
                if !matches!(word, Word::Connector | Word::Punctuation) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = current;
                (word, current, rest) = next_word(rest);
                if word != Word::Letters {
                    // A number belongs to the word before it, unless small letters follow.
                    put_word(&mut out, Word::Number, number, connector);
                    if !matches!(word, Word::Connector | Word::Punctuation) {
                        out.push(connector);
                    }
                    continue;
                }
                out.push(connector);
                put_word(&mut out, Word::Number, number, connector);
                while matches!(word, Word::Letters | Word::Number) {
                    put_word(&mut out, word, current, connector);
                    (word, current, rest) = next_word(rest);
                }
                if !matches!(word, Word::None | Word::Punctuation | Word::Connector) {
                    out.push(connector);
                }
            }
        }
    }
    put_word(&mut out, word, current, connector);
    out
}

pub(super) fn snakecase<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    out.put(&joined(&convert::text(args, 0).to_lossy(), '_'))
}

pub(super) fn kebabcase<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    out.put(&joined(&convert::text(args, 0).to_lossy(), '-'))
}

/// Capitals at the beginnings of words, connectors between them gone; those in front stay.
pub(super) fn camelcase<'a>(
    _: &mut Context<'a>,
    args: &[Value<'a>],
    out: &mut dyn Sink,
) -> Result<(), CallError> {
    let text = convert::text(args, 0).to_lossy();
    let leading = text.find(|c| !is_connector(c)).unwrap_or(text.len());
    let (connectors, rest) = text.split_at(leading);
    out.put(connectors)?;
    let mut chars = rest.chars();
    let Some(first) = chars.next() else {
        // Nothing but connectors: the library writes the last one twice.
        return match text.chars().next_back() {
            Some(last) => out.put(last.encode_utf8(&mut [0; 4])),
            None => Ok(()),
        };
    };
    let mut after_capital = unicode::is_upper(first);
    let mut current = unicode::to_upper(first);
    let mut camel = String::with_capacity(rest.len());
    for next in chars {
        let before = std::mem::replace(&mut current, next);
        if is_connector(before) {
            if is_connector(next) {
                camel.push(before);
                continue;
            }
            after_capital = unicode::is_upper(next);
            current = unicode::to_upper(next);
            continue;
        }
        if after_capital {
            if unicode::is_upper(next) {
                current = unicode::to_lower(next);
            } else {
                after_capital = false;
            }
        }
        camel.push(before);
    }
    camel.push(current);
    out.put(&camel)
}
