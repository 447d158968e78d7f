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

fn run_of(text: &[char], fits: impl Fn(char) -> bool) -> usize {
    text.iter().position(|c| !fits(*c)).unwrap_or(text.len())
}

/// The length of the word that begins with a capital: `HTTPStatus` is `HTTP` and `Status`.
fn capital_word(text: &[char]) -> usize {
    let capitals = run_of(text, unicode::is_upper);
    let next = text.get(capitals).copied();
    match next {
        Some(c) if capitals > 1 && is_alphabetic(c) => capitals - 1,
        Some(c) if capitals == 1 && is_alphabetic(c) => {
            let rest = text.get(1..).unwrap_or_default();
            1 + run_of(rest, |c| is_alphabetic(c) && !unicode::is_upper(c))
        }
        _ => capitals,
    }
}

/// Splits the first word off.
fn next_word(text: &[char]) -> (Word, &[char], &[char]) {
    let Some(&first) = text.first() else {
        return (Word::None, &[], &[]);
    };
    let (word, length) = if is_connector(first) {
        (Word::Connector, run_of(text, is_connector))
    } else if unicode::is_punctuation(first) {
        (Word::Punctuation, run_of(text, unicode::is_punctuation))
    } else if unicode::is_upper(first) {
        (Word::Upper, capital_word(text))
    } else if is_alphabetic(first) {
        (
            Word::Letters,
            run_of(text, |c| is_alphabetic(c) && !unicode::is_upper(c)),
        )
    } else if unicode::is_number(first) {
        (Word::Number, run_of(text, unicode::is_number))
    } else {
        let other = |c| {
            !is_connector(c)
                && !is_alphabetic(c)
                && !unicode::is_number(c)
                && !unicode::is_punctuation(c)
        };
        (Word::Other, run_of(text, other).max(1))
    };
    let (word_text, rest) = text.split_at(length);
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
        return Ok(());
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
