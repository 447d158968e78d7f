//! Cuts template text into tokens, as `text/template/parse` does.

use crate::unicode;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Eof,
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Pipe,
    LeftParen,
    RightParen,
    Assign,
    Declare,
    Comma,
    Char,
    Dot,
    Field,
    Variable,
    Identifier,
    Bool,
    CharConstant,
    Number,
    ComplexNumber,
    String,
    RawString,
    Nil,
    Keyword(Keyword),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// A piece of the text: bytes `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    /// Before the first token.
    pub(crate) const START: Self = Self {
        kind: TokenKind::Eof,
        start: 0,
        end: 0,
    };
}

/// A text that has no tokens at this place.
#[derive(Debug)]
pub(crate) struct LexError {
    pub(crate) message: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

pub(crate) struct Lexer<'s> {
    source: &'s str,
    left: &'s str,
    right: &'s str,
    /// The first bytes of the delimiters: most places are decided by them alone.
    left_first: u8,
    right_first: u8,
    start: usize,
    pos: usize,
    inside_action: bool,
    parens: usize,
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s str, left: &'s str, right: &'s str) -> Self {
        Self {
            source,
            left,
            right,
            left_first: left.bytes().next().unwrap_or_default(),
            right_first: right.bytes().next().unwrap_or_default(),
            start: 0,
            pos: 0,
            inside_action: false,
            parens: 0,
        }
    }

    /// The next token; `Eof` for ever at the end.
    pub(crate) fn next(&mut self) -> Result<Token, LexError> {
        self.start = self.pos;
        if self.inside_action {
            self.inside_action()
        } else {
            self.text()
        }
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.pos..).unwrap_or_default()
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.pos + ahead).copied()
    }

    fn peek_char(&self) -> Option<char> {
        match self.byte(0)? {
            byte if byte.is_ascii() => Some(char::from(byte)),
            _ => self.rest().chars().next(),
        }
    }

    fn token(&self, kind: TokenKind) -> Token {
        Token {
            kind,
            start: self.start,
            end: self.pos,
        }
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, LexError> {
        Err(LexError {
            message: message.into(),
            start: self.start,
            end: self.pos.max(self.start),
        })
    }

    fn text(&mut self) -> Result<Token, LexError> {
        loop {
            let rest = self.rest();
            if rest.is_empty() {
                return Ok(self.token(TokenKind::Eof));
            }
            let Some(found) = self.find_left(rest) else {
                self.pos = self.source.len();
                return Ok(self.token(TokenKind::Text));
            };
            if found > 0 {
                let text = rest.get(..found).unwrap_or_default();
                let after = rest.get(found + self.left.len()..).unwrap_or_default();
                let kept = if trims_left(after) {
                    text.trim_end_matches(is_space).len()
                } else {
                    found
                };
                self.pos += found;
                if kept > 0 {
                    return Ok(Token {
                        kind: TokenKind::Text,
                        start: self.start,
                        end: self.start + kept,
                    });
                }
            }
            self.start = self.pos;
            if let Some(token) = self.left_delim()? {
                return Ok(token);
            }
        }
    }

    /// Where the left delimiter stands.
    fn find_left(&self, text: &str) -> Option<usize> {
        let (bytes, delim) = (text.as_bytes(), self.left.as_bytes());
        memchr::memchr_iter(self.left_first, bytes)
            .find(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(delim)))
    }

    /// Whether the right delimiter stands so many bytes ahead.
    #[inline]
    fn right_at(&self, ahead: usize) -> bool {
        self.byte(ahead) == Some(self.right_first)
            && self
                .source
                .as_bytes()
                .get(self.pos + ahead..)
                .is_some_and(|rest| rest.starts_with(self.right.as_bytes()))
    }

    /// The left delimiter; `None` when it began a comment, which is skipped.
    fn left_delim(&mut self) -> Result<Option<Token>, LexError> {
        self.pos += self.left.len();
        let token = self.token(TokenKind::LeftDelim);
        if trims_left(self.rest()) {
            self.pos += 2;
        }
        if !self.rest().starts_with("/*") {
            self.inside_action = true;
            self.parens = 0;
            return Ok(Some(token));
        }
        self.start = self.pos;
        self.pos += 2;
        let Some(end) = self.rest().find("*/") else {
            return self.error("unclosed comment");
        };
        self.pos += end + 2;
        if self.right_delim().is_none() {
            return self.error("comment ends before closing delimiter");
        }
        self.start = self.pos;
        Ok(None)
    }

    /// Passes the right delimiter that stands here, and the blanks its trim marker eats.
    fn right_delim(&mut self) -> Option<Token> {
        let trims = self.trimmed_right_delim();
        if trims {
            self.pos += 2;
            self.start = self.pos;
        } else if !self.right_at(0) {
            return None;
        }
        self.pos += self.right.len();
        let token = self.token(TokenKind::RightDelim);
        if trims {
            let rest = self.rest();
            self.pos += rest.len() - rest.trim_start_matches(is_space).len();
        }
        Some(token)
    }

    #[inline]
    fn trimmed_right_delim(&self) -> bool {
        self.byte(1) == Some(b'-') && self.byte(0).is_some_and(is_space_byte) && self.right_at(2)
    }

    #[inline]
    fn at_right_delim(&self) -> bool {
        self.right_at(0) || self.trimmed_right_delim()
    }

    fn inside_action(&mut self) -> Result<Token, LexError> {
        if self.at_right_delim() {
            if self.parens > 0 {
                return self.error("unclosed left paren");
            }
            self.inside_action = false;
            return Ok(self
                .right_delim()
                .unwrap_or_else(|| self.token(TokenKind::Eof)));
        }
        let Some(c) = self.peek_char() else {
            return self.error("unclosed action");
        };
        if is_space(c) {
            return Ok(self.space());
        }
        if c == '_' || unicode::is_letter(c) {
            return self.word(TokenKind::Identifier);
        }
        if c == '+' || c == '-' || unicode::is_digit(c) {
            return self.digits(c);
        }
        self.pos += c.len_utf8();
        match c {
            '=' => Ok(self.token(TokenKind::Assign)),
            ':' if self.byte(0) == Some(b'=') => {
                self.pos += 1;
                Ok(self.token(TokenKind::Declare))
            }
            ':' => self.error("expected :="),
            '|' => Ok(self.token(TokenKind::Pipe)),
            ',' => Ok(self.token(TokenKind::Comma)),
            '"' => self.quoted(b'"', TokenKind::String, "unterminated quoted string"),
            '\'' => self.quoted(
                b'\'',
                TokenKind::CharConstant,
                "unterminated character constant",
            ),
            '`' => self.raw(),
            '$' if self.at_terminator() => Ok(self.token(TokenKind::Variable)),
            '$' => self.word(TokenKind::Variable),
            '.' if self.byte(0).is_some_and(|b| b.is_ascii_digit()) || self.byte(0).is_none() => {
                self.pos -= 1;
                self.number()
            }
            '.' if self.at_terminator() => Ok(self.token(TokenKind::Dot)),
            '.' => self.word(TokenKind::Field),
            '(' => {
                self.parens += 1;
                Ok(self.token(TokenKind::LeftParen))
            }
            ')' if self.parens == 0 => self.error("unexpected right paren"),
            ')' => {
                self.parens -= 1;
                Ok(self.token(TokenKind::RightParen))
            }
            c if c.is_ascii_graphic() => Ok(self.token(TokenKind::Char)),
            c => self.error(format!(
                "unrecognized character in action: U+{:04X}",
                u32::from(c)
            )),
        }
    }

    /// Blanks; the last one belongs to ` -}}` when that follows.
    fn space(&mut self) -> Token {
        while self.byte(0).is_some_and(is_space_byte) && !self.trimmed_right_delim() {
            self.pos += 1;
        }
        self.token(TokenKind::Space)
    }

    /// A digit that is not ASCII begins a word, as Go's scanner has it.
    fn digits(&mut self, c: char) -> Result<Token, LexError> {
        if c.is_ascii() {
            self.number()
        } else {
            self.word(TokenKind::Identifier)
        }
    }

    fn word(&mut self, kind: TokenKind) -> Result<Token, LexError> {
        while self
            .byte(0)
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            self.pos += 1;
        }
        while let Some(c) = self.peek_char() {
            if !is_alphanumeric(c) {
                break;
            }
            self.pos += c.len_utf8();
        }
        if !self.at_terminator() {
            let c = self.peek_char().unwrap_or_default();
            self.start = self.pos;
            self.pos += c.len_utf8();
            return self.error(format!("bad character `{c}`"));
        }
        let token = self.token(kind);
        if kind != TokenKind::Identifier {
            return Ok(token);
        }
        Ok(Token {
            kind: keyword(self.source.get(token.start..token.end).unwrap_or_default()),
            ..token
        })
    }

    fn at_terminator(&self) -> bool {
        match self.byte(0) {
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b'.' | b',' | b'|' | b':' | b')' | b'(') => {
                true
            }
            Some(_) => self.right_at(0),
        }
    }

    fn quoted(
        &mut self,
        quote: u8,
        kind: TokenKind,
        unterminated: &str,
    ) -> Result<Token, LexError> {
        loop {
            let Some(byte) = self.byte(0) else {
                return self.error(unterminated);
            };
            self.pos += 1;
            match byte {
                b'\\' => match self.byte(0) {
                    None | Some(b'\n') => return self.error(unterminated),
                    Some(_) => self.pos += 1,
                },
                b'\n' => return self.error(unterminated),
                byte if byte == quote => return Ok(self.token(kind)),
                _ => {}
            }
        }
    }

    fn raw(&mut self) -> Result<Token, LexError> {
        match self.rest().find('`') {
            Some(end) => {
                self.pos += end + 1;
                Ok(self.token(TokenKind::RawString))
            }
            None => self.error("unterminated raw quoted string"),
        }
    }

    fn number(&mut self) -> Result<Token, LexError> {
        let good = self.scan_number();
        if good && !matches!(self.byte(0), Some(b'+' | b'-')) {
            return Ok(self.token(TokenKind::Number));
        }
        if good
            && self.scan_number()
            && self.source.as_bytes().get(self.pos.wrapping_sub(1)) == Some(&b'i')
        {
            return Ok(self.token(TokenKind::ComplexNumber));
        }
        self.error(format!(
            "bad number syntax: `{}`",
            self.source.get(self.start..self.pos).unwrap_or_default()
        ))
    }

    /// Passes what looks like a number; whether it is one is for the parser to say.
    fn scan_number(&mut self) -> bool {
        self.accept(b"+-");
        let mut digits: &[u8] = b"0123456789_";
        let mut exponent: &[u8] = b"eE";
        if self.accept(b"0") {
            if self.accept(b"xX") {
                (digits, exponent) = (b"0123456789abcdefABCDEF_", b"pP");
            } else if self.accept(b"oO") {
                (digits, exponent) = (b"01234567_", b"");
            } else if self.accept(b"bB") {
                (digits, exponent) = (b"01_", b"");
            }
        }
        while self.accept(digits) {}
        if self.accept(b".") {
            while self.accept(digits) {}
        }
        if self.accept(exponent) {
            self.accept(b"+-");
            while self.accept(b"0123456789_") {}
        }
        self.accept(b"i");
        match self.peek_char() {
            Some(c) if is_alphanumeric(c) => {
                self.pos += c.len_utf8();
                false
            }
            _ => true,
        }
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let found = self.byte(0).is_some_and(|byte| set.contains(&byte));
        self.pos += usize::from(found);
        found
    }
}

fn keyword(word: &str) -> TokenKind {
    // All of them are of small letters, two to eight.
    if !(2..=8).contains(&word.len())
        || !word.starts_with(['b', 'c', 'd', 'e', 'f', 'i', 'n', 'r', 't', 'w'])
    {
        return TokenKind::Identifier;
    }
    match word {
        "true" | "false" => TokenKind::Bool,
        "nil" => TokenKind::Nil,
        "block" => TokenKind::Keyword(Keyword::Block),
        "break" => TokenKind::Keyword(Keyword::Break),
        "continue" => TokenKind::Keyword(Keyword::Continue),
        "define" => TokenKind::Keyword(Keyword::Define),
        "else" => TokenKind::Keyword(Keyword::Else),
        "end" => TokenKind::Keyword(Keyword::End),
        "if" => TokenKind::Keyword(Keyword::If),
        "range" => TokenKind::Keyword(Keyword::Range),
        "template" => TokenKind::Keyword(Keyword::Template),
        "with" => TokenKind::Keyword(Keyword::With),
        _ => TokenKind::Identifier,
    }
}

fn trims_left(after_delim: &str) -> bool {
    matches!(after_delim.as_bytes(), [b'-', space, ..] if is_space_byte(*space))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_space_byte(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || unicode::is_letter(c) || unicode::is_digit(c)
}
