//! Tokens to program: the grammar of `text/template/parse`.

mod pipeline;

use crate::engine::Settings;
use crate::fold;
use crate::lex::{Keyword, LexError, Lexer, Token, TokenKind};
use crate::program::{Command, Definition, ExprId, Op, PipeId, Program, Run, Source, Span, StrId};
use crate::{Error, ErrorKind, strconv};

/// Control structures and parentheses nested deeper than this are refused: parser and renderer recurse.
const DEEPEST: usize = 100;

/// Parses the texts into one program; the definitions of each are visible to all.
pub(crate) fn parse(settings: &Settings, sources: &[(&str, &str)]) -> Result<Program, Error> {
    let mut program = Program::default();
    for (index, (name, text)) in sources.iter().enumerate() {
        if u32::try_from(text.len()).is_err() {
            return Err(Error::new(
                ErrorKind::Parse,
                "text of four gigabytes or more".into(),
            ));
        }
        program.pipe_sources.push(program.pipes.len() as u32);
        program.sources.push(Source {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        });
        reserve(&mut program, text);
        let mut parser = Parser::new(settings, &mut program, index, text);
        let result = parser.text_of(name);
        let at = parser.at;
        result.map_err(|fault| {
            let (start, end) = fault.place.unwrap_or((at.start, at.end));
            Error::new(ErrorKind::Parse, fault.message)
                .suggesting(fault.nearest.as_deref())
                .at(name, text, start, end)
        })?;
    }
    fold::fold(settings, &mut program);
    Ok(program)
}

/// Makes room for what a text of this length usually holds, so that the tables need not grow often.
fn reserve(program: &mut Program, text: &str) {
    let actions = text.len() / 40;
    program.ops.reserve(actions * 2);
    program.pipes.reserve(actions);
    program.commands.reserve(actions);
    program.args.reserve(actions);
    program.exprs.reserve(actions * 2);
    program.paths.reserve(actions * 2);
}

/// What is wrong; without a place it is the current token's.
struct Fault {
    message: String,
    place: Option<(usize, usize)>,
    nearest: Option<String>,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self {
            message,
            place: None,
            nearest: None,
        }
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Self::from(message.to_owned())
    }
}

impl From<LexError> for Fault {
    fn from(error: LexError) -> Self {
        Self {
            message: error.message,
            place: Some((error.start, error.end)),
            nearest: None,
        }
    }
}

/// How a list of nodes ended.
enum End {
    End,
    /// `else`; an `if` or `with` may follow in the same action.
    Else,
}

/// Names that a body sees, innermost last; the place of each is its slot.
struct Frame<'s> {
    variables: Vec<Name<'s>>,
    range_depth: usize,
}

/// A variable's name; not set before the pipeline that declares it has been evaluated.
#[derive(Clone, Copy)]
struct Name<'s> {
    text: &'s str,
    set: bool,
}

impl Frame<'_> {
    fn new() -> Self {
        Self {
            variables: vec![Name {
                text: "$",
                set: true,
            }],
            range_depth: 0,
        }
    }
}

struct Parser<'p, 's> {
    settings: &'p Settings,
    program: &'p mut Program,
    source_index: usize,
    source: &'s str,
    lexer: Lexer<'s>,
    /// Tokens given back, the next one last.
    pending: [Token; 3],
    waiting: usize,
    /// The token last taken, for the place of an error.
    at: Token,
    /// Where the term last read ends.
    last_end: usize,
    frame: Frame<'s>,
    depth: usize,
    /// Nodes of lists that have not ended yet, innermost last.
    open_ops: Vec<Op>,
    open_commands: Vec<Command>,
    open_args: Vec<ExprId>,
    /// Parents of paths and their numbers.
    parents: Vec<(Span, u32)>,
    /// Literals of the current action have a carriage return, a line feed.
    literal_breaks: (bool, bool),
}

impl<'p, 's> Parser<'p, 's> {
    fn new(
        settings: &'p Settings,
        program: &'p mut Program,
        source_index: usize,
        source: &'s str,
    ) -> Self
    where
        'p: 's,
    {
        Self {
            settings,
            program,
            source_index,
            source,
            lexer: Lexer::new(source, &settings.left, &settings.right),
            pending: [Token::START; 3],
            waiting: 0,
            at: Token::START,
            last_end: 0,
            frame: Frame::new(),
            depth: 0,
            open_ops: Vec::new(),
            open_commands: Vec::new(),
            open_args: Vec::new(),
            parents: Vec::new(),
            literal_breaks: (false, false),
        }
    }

    fn next(&mut self) -> Result<Token, Fault> {
        let waiting = self.waiting.checked_sub(1);
        let token = match waiting.and_then(|last| Some((last, *self.pending.get(last)?))) {
            Some((last, token)) => {
                self.waiting = last;
                token
            }
            None => self.lexer.next()?,
        };
        self.at = token;
        Ok(token)
    }

    #[inline]
    fn back(&mut self, token: Token) {
        if let Some(free) = self.pending.get_mut(self.waiting) {
            *free = token;
            self.waiting += 1;
        }
    }

    fn peek(&mut self) -> Result<Token, Fault> {
        let token = self.next()?;
        self.back(token);
        Ok(token)
    }

    fn next_non_space(&mut self) -> Result<Token, Fault> {
        loop {
            let token = self.next()?;
            if token.kind != TokenKind::Space {
                return Ok(token);
            }
        }
    }

    fn peek_non_space(&mut self) -> Result<Token, Fault> {
        let token = self.next_non_space()?;
        self.back(token);
        Ok(token)
    }

    fn str_of(&self, token: Token) -> &'s str {
        self.source.get(token.start..token.end).unwrap_or_default()
    }

    fn unexpected<T>(&self, token: Token, context: &str) -> Result<T, Fault> {
        let what = match token.kind {
            TokenKind::Eof => "unexpected end of the text".to_owned(),
            _ => format!("unexpected `{}`", self.str_of(token)),
        };
        Err(Fault {
            message: format!("{what} in {context}"),
            place: Some((token.start, token.end)),
            nearest: None,
        })
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Result<Token, Fault> {
        let token = self.next_non_space()?;
        if token.kind == kind {
            Ok(token)
        } else {
            self.unexpected(token, context)
        }
    }

    fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= DEEPEST {
            return Err(format!("nested deeper than {DEEPEST} levels").into());
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// The whole text.
    fn text_of(&mut self, name: &str) -> Result<(), Fault> {
        let mark = self.open_ops.len();
        loop {
            let token = self.next()?;
            match token.kind {
                TokenKind::Eof => break,
                TokenKind::LeftDelim => {
                    let first = self.next_non_space()?;
                    if first.kind == TokenKind::Keyword(Keyword::Define) {
                        self.definition()?;
                        continue;
                    }
                    self.back(first);
                    if self.action()?.is_some() {
                        return Err("`end` or `else` without a beginning".into());
                    }
                }
                _ => self.text(token)?,
            }
        }
        let body = self.close_list(mark);
        self.define(name.to_owned(), body)
    }

    fn text(&mut self, token: Token) -> Result<(), Fault> {
        if token.kind != TokenKind::Text {
            return self.unexpected(token, "input");
        }
        self.open_ops.push(Op::Text(span(token)));
        Ok(())
    }

    /// Nodes up to `end` or `else`.
    fn list(&mut self) -> Result<(Run, End), Fault> {
        let mark = self.open_ops.len();
        loop {
            let token = self.next_non_space()?;
            match token.kind {
                TokenKind::Eof => return Err("unexpected end of the text: `end` is missing".into()),
                TokenKind::LeftDelim => {
                    if let Some(end) = self.action()? {
                        return Ok((self.close_list(mark), end));
                    }
                }
                _ => self.text(token)?,
            }
        }
    }

    /// Moves the nodes of a list that has ended to their place.
    fn close_list(&mut self, mark: usize) -> Run {
        let start = self.program.ops.len() as u32;
        self.program.ops.extend(self.open_ops.drain(mark..));
        Run {
            start,
            end: self.program.ops.len() as u32,
        }
    }

    /// What stands between delimiters, the left one being past.
    fn action(&mut self) -> Result<Option<End>, Fault> {
        let token = self.next_non_space()?;
        self.literal_breaks = (false, false);
        let TokenKind::Keyword(keyword) = token.kind else {
            self.back(token);
            let pipe = self.pipeline("command", TokenKind::RightDelim)?;
            self.open_ops.push(Op::Action(pipe));
            return Ok(None);
        };
        match keyword {
            Keyword::End => {
                self.expect(TokenKind::RightDelim, "end")?;
                return Ok(Some(End::End));
            }
            Keyword::Else => {
                let next = self.peek_non_space()?;
                if !matches!(next.kind, TokenKind::Keyword(Keyword::If | Keyword::With)) {
                    self.expect(TokenKind::RightDelim, "else")?;
                }
                return Ok(Some(End::Else));
            }
            Keyword::If | Keyword::With | Keyword::Range => {
                let op = self.deeper(|parser| parser.control(keyword))?;
                self.open_ops.push(op);
            }
            Keyword::Break | Keyword::Continue => self.jump(token, keyword)?,
            Keyword::Template => {
                let name = self.next_non_space()?;
                let id = self.template_name(name, "template clause")?;
                let next = self.next_non_space()?;
                let pipe = if next.kind == TokenKind::RightDelim {
                    None
                } else {
                    self.back(next);
                    Some(self.pipeline("template clause", TokenKind::RightDelim)?)
                };
                self.open_ops.push(Op::Template {
                    name: id,
                    pipe,
                    span: span(name),
                });
            }
            Keyword::Block => self.deeper(Self::block)?,
            Keyword::Define => return self.unexpected(token, "command"),
        }
        Ok(None)
    }

    fn jump(&mut self, token: Token, keyword: Keyword) -> Result<(), Fault> {
        let next = self.next_non_space()?;
        if next.kind != TokenKind::RightDelim {
            return self.unexpected(next, self.str_of(token));
        }
        if self.frame.range_depth == 0 {
            return Err(format!("`{}` outside `range`", self.str_of(token)).into());
        }
        self.open_ops.push(if keyword == Keyword::Break {
            Op::Break
        } else {
            Op::Continue
        });
        Ok(())
    }

    /// `if`, `with` or `range` up to its `end`.
    fn control(&mut self, keyword: Keyword) -> Result<Op, Fault> {
        let visible = self.frame.variables.len();
        let context = match keyword {
            Keyword::If => "if",
            Keyword::With => "with",
            _ => "range",
        };
        let pipe = self.pipeline(context, TokenKind::RightDelim)?;
        let ranges = usize::from(keyword == Keyword::Range);
        self.frame.range_depth += ranges;
        let (body, end) = self.list()?;
        self.frame.range_depth -= ranges;
        let otherwise = match end {
            End::End => Run::default(),
            End::Else => self.otherwise(keyword)?,
        };
        self.frame.variables.truncate(visible);
        Ok(match keyword {
            Keyword::If => Op::If {
                pipe,
                then: body,
                otherwise,
            },
            Keyword::With => Op::With {
                pipe,
                then: body,
                otherwise,
            },
            _ => Op::Range {
                pipe,
                body,
                otherwise,
            },
        })
    }

    fn otherwise(&mut self, keyword: Keyword) -> Result<Run, Fault> {
        let next = self.peek()?;
        if next.kind == TokenKind::Keyword(keyword) && keyword != Keyword::Range {
            self.next()?;
            let mark = self.open_ops.len();
            let op = self.deeper(|parser| parser.control(keyword))?;
            self.open_ops.push(op);
            return Ok(self.close_list(mark));
        }
        let (list, end) = self.list()?;
        match end {
            End::End => Ok(list),
            End::Else => Err("expected `end`, found `else`".into()),
        }
    }

    fn template_name(&mut self, token: Token, context: &str) -> Result<StrId, Fault> {
        if !matches!(token.kind, TokenKind::String | TokenKind::RawString) {
            return self.unexpected(token, context);
        }
        let name = strconv::unquote(self.str_of(token)).ok_or("invalid syntax of a string")?;
        Ok(self.intern(name))
    }

    fn intern(&mut self, bytes: Vec<u8>) -> StrId {
        self.program.strings.push(bytes.into());
        StrId(self.program.strings.len() as u32 - 1)
    }

    /// `define "name"` up to its `end`.
    fn definition(&mut self) -> Result<(), Fault> {
        let token = self.next_non_space()?;
        let name = self.template_name(token, "define clause")?;
        self.expect(TokenKind::RightDelim, "define clause")?;
        self.body_named(name, "define clause")
    }

    /// `block "name" pipeline` up to its `end`: a definition and a call of it.
    fn block(&mut self) -> Result<(), Fault> {
        let token = self.next_non_space()?;
        let name = self.template_name(token, "block clause")?;
        let pipe: PipeId = self.pipeline("block clause", TokenKind::RightDelim)?;
        self.body_named(name, "block clause")?;
        self.open_ops.push(Op::Template {
            name,
            pipe: Some(pipe),
            span: span(token),
        });
        Ok(())
    }

    fn body_named(&mut self, name: StrId, context: &str) -> Result<(), Fault> {
        let outer = std::mem::replace(&mut self.frame, Frame::new());
        let (body, end) = self.list()?;
        if matches!(end, End::Else) {
            return Err(format!("unexpected `else` in {context}").into());
        }
        let name = String::from_utf8_lossy(self.program.string(name)).into_owned();
        self.define(name, body)?;
        self.frame = outer;
        Ok(())
    }

    /// Adds a body; one that holds nothing gives way to one that does.
    fn define(&mut self, name: String, body: Run) -> Result<(), Fault> {
        let empty = body.of(&self.program.ops).iter().all(|op| match op {
            Op::Text(text) => self
                .source
                .get(text.start as usize..text.end as usize)
                .is_some_and(|t| t.trim().is_empty()),
            _ => false,
        });
        let definition = Definition {
            name,
            body,
            source: self.source_index,
            empty,
        };
        match self
            .program
            .definitions
            .iter_mut()
            .find(|known| known.name == definition.name)
        {
            None => self.program.definitions.push(definition),
            // Another text may redefine what an earlier one defined, as Go's associated templates do.
            Some(known) if known.empty || (known.source != self.source_index && !empty) => {
                *known = definition
            }
            Some(_) if empty => {}
            Some(known) => {
                return Err(format!("multiple definition of template `{}`", known.name).into());
            }
        }
        Ok(())
    }
}

fn span(token: Token) -> Span {
    Span {
        start: token.start as u32,
        end: token.end as u32,
    }
}
