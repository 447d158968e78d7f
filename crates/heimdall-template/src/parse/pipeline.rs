//! Pipelines: declarations, commands, operands.

use super::{Fault, Name, Parser, span};
use crate::functions;
use crate::lex::{Token, TokenKind};
use crate::number::Number;
use crate::program::{
    Command, Decl, Expr, ExprId, ExprKind, Form, NumId, Path, Pipe, PipeId, Run, Span, UNSET,
    Variable,
};
use crate::strconv;

impl<'s> Parser<'_, 's> {
    /// `$x := command | command`, up to and with the token that ends it.
    pub(super) fn pipeline(&mut self, context: &str, end: TokenKind) -> Result<PipeId, Fault> {
        let first = self.peek_non_space()?;
        let decl = self.declarations(context)?;
        let mark = self.open_commands.len();
        let last = loop {
            let token = self.next_non_space()?;
            if token.kind == end {
                break token;
            }
            if !begins_operand(token.kind) {
                return self.unexpected(token, context);
            }
            self.back(token);
            let command = self.command()?;
            self.open_commands.push(command);
        };
        self.check(mark, context)?;
        self.set_declared(decl);
        let start = self.program.commands.len() as u32;
        self.program
            .commands
            .extend(self.open_commands.drain(mark..));
        let commands = Run {
            start,
            end: self.program.commands.len() as u32,
        };
        self.program.pipes.push(Pipe {
            span: Span {
                start: first.start as u32,
                end: last.start as u32,
            },
            decl,
            commands,
            literal_breaks: self.literal_breaks,
            form: Form::Commands,
        });
        Ok(PipeId(self.program.pipes.len() as u32 - 1))
    }

    fn check(&self, mark: usize, context: &str) -> Result<(), Fault> {
        let commands = self.open_commands.get(mark..).unwrap_or_default();
        if commands.is_empty() {
            return Err(format!("missing value for {context}").into());
        }
        for (stage, command) in commands.iter().enumerate().skip(1) {
            let executable = matches!(
                self.program.expr(command.head).map(|head| head.kind),
                Some(
                    ExprKind::Field(_)
                        | ExprKind::Variable { .. }
                        | ExprKind::Chain { .. }
                        | ExprKind::Function(_)
                        | ExprKind::Pipe(_)
                )
            );
            if !executable {
                return Err(
                    format!("non executable command in pipeline stage {}", stage + 1).into(),
                );
            }
        }
        Ok(())
    }

    fn declarations(&mut self, context: &str) -> Result<Decl, Fault> {
        let mut names: [Option<Token>; 2] = [None; 2];
        let mut assigns = false;
        loop {
            let variable = self.next_non_space()?;
            if variable.kind != TokenKind::Variable {
                self.back(variable);
                break;
            }
            let after = self.next()?;
            let next = if after.kind == TokenKind::Space {
                self.next_non_space()?
            } else {
                after
            };
            match next.kind {
                TokenKind::Assign | TokenKind::Declare => {
                    assigns = next.kind == TokenKind::Assign;
                    remember(&mut names, variable);
                    break;
                }
                TokenKind::Comma => {
                    remember(&mut names, variable);
                    if context != "range" || names.iter().all(Option::is_some) {
                        return Err(format!("too many declarations in {context}").into());
                    }
                    let following = self.peek_non_space()?;
                    let fits = [
                        TokenKind::Variable,
                        TokenKind::RightDelim,
                        TokenKind::RightParen,
                    ];
                    if !fits.contains(&following.kind) {
                        return Err("range can only initialize variables".into());
                    }
                }
                _ => {
                    self.back(next);
                    if after.kind == TokenKind::Space {
                        self.back(after);
                    }
                    self.back(variable);
                    break;
                }
            }
        }
        let [first, second] = names.map(|name| name.map(|name| self.declare(name, assigns)));
        Ok(Decl {
            assigns,
            first,
            second,
        })
    }

    /// A new variable, or the one that is assigned to.
    fn declare(&mut self, token: Token, assigns: bool) -> Variable {
        let text = self.str_of(token);
        if assigns && let Some(slot) = self.slot_of(text) {
            return Variable {
                slot,
                name: span(token),
            };
        }
        self.frame.variables.push(Name { text, set: false });
        // Go finds out while rendering that there is nothing to assign to.
        let slot = if assigns {
            UNSET
        } else {
            self.frame.variables.len() as u32 - 1
        };
        Variable {
            slot,
            name: span(token),
        }
    }

    /// From here on the names that a pipeline declares mean its own variables; inside it they meant outer ones.
    fn set_declared(&mut self, decl: Decl) {
        for variable in [decl.first, decl.second].into_iter().flatten() {
            if let Some(name) = self.frame.variables.get_mut(variable.slot as usize) {
                name.set = true;
            }
        }
    }

    /// The slot of the innermost variable of a name; [`UNSET`] when it is known but not set yet, which Go finds out
    /// while rendering.
    fn slot_of(&self, text: &str) -> Option<u32> {
        let variables = &self.frame.variables;
        let set = |name: &Name<'_>| name.set && name.text == text;
        match variables.iter().rposition(set) {
            Some(slot) => Some(slot as u32),
            None => variables
                .iter()
                .any(|name| name.text == text)
                .then_some(UNSET),
        }
    }

    /// `operand operand …`; passes the `|` behind it.
    fn command(&mut self) -> Result<Command, Fault> {
        let first = self.peek_non_space()?;
        let mark = self.open_args.len();
        let mut head = None;
        let mut end = first.end;
        loop {
            self.peek_non_space()?;
            if let Some(operand) = self.operand()? {
                end = self.last_end;
                match head {
                    None => head = Some(operand),
                    Some(_) => self.open_args.push(operand),
                }
            }
            let token = self.next()?;
            match token.kind {
                TokenKind::Space => continue,
                TokenKind::RightDelim | TokenKind::RightParen => self.back(token),
                TokenKind::Pipe => {}
                _ => return self.unexpected(token, "operand"),
            }
            break;
        }
        let head = head.ok_or("empty command")?;
        let start = self.program.args.len() as u32;
        self.program.args.extend(self.open_args.drain(mark..));
        let args = Run {
            start,
            end: self.program.args.len() as u32,
        };
        Ok(Command {
            head,
            args,
            span: Span {
                start: first.start as u32,
                end: end as u32,
            },
            format: None,
        })
    }

    /// A term with the fields behind it.
    fn operand(&mut self) -> Result<Option<ExprId>, Fault> {
        let Some((start, kind)) = self.term()? else {
            return Ok(None);
        };
        let mut token = self.next()?;
        if token.kind != TokenKind::Field {
            self.back(token);
            return Ok(Some(self.expr(start, kind)));
        }
        let base = match kind {
            ExprKind::Function(_) | ExprKind::Pipe(_) => Some(self.expr(start, kind)),
            ExprKind::Field(_) | ExprKind::Variable { .. } => None,
            _ => {
                let term = self
                    .source
                    .get(start as usize..token.start)
                    .unwrap_or_default();
                return Err(format!("unexpected . after term `{term}`").into());
            }
        };
        // A field's own name is the entry that was written last, so that the run goes on from it.
        let own = u32::from(matches!(kind, ExprKind::Field(_)));
        let path_start = self.program.paths.len() as u32 - own;
        while token.kind == TokenKind::Field {
            self.program.paths.push(field_name(token));
            self.last_end = token.end;
            token = self.next()?;
        }
        self.back(token);
        let names = Run {
            start: path_start,
            end: self.program.paths.len() as u32,
        };
        let kind = match (base, kind) {
            (Some(base), _) => ExprKind::Chain { base, path: names },
            (None, ExprKind::Variable { variable, .. }) => ExprKind::Variable {
                variable,
                path: self.path(names),
            },
            (None, _) => ExprKind::Field(self.path(names)),
        };
        Ok(Some(self.expr(start, kind)))
    }

    /// Names with the number of their parent: that of a recent path with the same names before the last, else a new one.
    fn path(&mut self, names: Run) -> Path {
        const RECENT: usize = 8;
        let parent = match names.of(&self.program.paths) {
            [first, .., before, _] => Span {
                start: first.start,
                end: before.end,
            },
            [first, _] => *first,
            _ => return Path { names, parent: 0 },
        };
        let source = self.source;
        let text = |span: Span| source.get(span.start as usize..span.end as usize);
        let recent = self.parents.iter().rev().take(RECENT);
        let known = recent
            .into_iter()
            .find(|(span, _)| text(*span) == text(parent));
        let parent = match known {
            Some((_, number)) => *number,
            None => {
                self.program.parents += 1;
                self.parents.push((parent, self.program.parents));
                self.program.parents
            }
        };
        Path { names, parent }
    }

    fn expr(&mut self, start: u32, kind: ExprKind) -> ExprId {
        let span = Span {
            start,
            end: self.last_end as u32,
        };
        self.program.exprs.push(Expr { span, kind });
        ExprId(self.program.exprs.len() as u32 - 1)
    }

    fn term(&mut self) -> Result<Option<(u32, ExprKind)>, Fault> {
        let token = self.next_non_space()?;
        let start = token.start as u32;
        let before = std::mem::replace(&mut self.last_end, token.end);
        let kind = match token.kind {
            TokenKind::Identifier => ExprKind::Function(self.function(token)?),
            TokenKind::Dot => ExprKind::Dot,
            TokenKind::Nil => ExprKind::Nil,
            TokenKind::Variable => self.variable(token)?,
            TokenKind::Field => {
                let at = self.program.paths.len() as u32;
                self.program.paths.push(field_name(token));
                ExprKind::Field(Path {
                    names: Run {
                        start: at,
                        end: at + 1,
                    },
                    parent: 0,
                })
            }
            TokenKind::Bool => ExprKind::Bool(self.str_of(token) == "true"),
            TokenKind::CharConstant | TokenKind::Number | TokenKind::ComplexNumber => {
                let number = self.number(token)?;
                self.program.numbers.push(number);
                ExprKind::Number(NumId(self.program.numbers.len() as u32 - 1))
            }
            TokenKind::LeftParen => {
                let pipe = self.deeper(|parser| {
                    parser.pipeline("parenthesized pipeline", TokenKind::RightParen)
                })?;
                self.last_end = self.at.end;
                ExprKind::Pipe(pipe)
            }
            TokenKind::String | TokenKind::RawString => self.string(token)?,
            _ => {
                self.last_end = before;
                self.back(token);
                return Ok(None);
            }
        };
        Ok(Some((start, kind)))
    }

    fn variable(&mut self, token: Token) -> Result<ExprKind, Fault> {
        let name = self.str_of(token);
        let Some(slot) = self.slot_of(name) else {
            return Err(format!("undefined variable `{name}`").into());
        };
        let variable = Variable {
            slot,
            name: span(token),
        };
        Ok(ExprKind::Variable {
            variable,
            path: Path::default(),
        })
    }

    fn string(&mut self, token: Token) -> Result<ExprKind, Fault> {
        let text = self.str_of(token);
        let escape = if token.kind == TokenKind::RawString {
            '\r'
        } else {
            '\\'
        };
        if !text.contains(escape) {
            self.literal_breaks.1 |= text.contains('\n');
            let inner = Span {
                start: token.start as u32 + 1,
                end: token.end as u32 - 1,
            };
            return Ok(ExprKind::Literal(inner));
        }
        let bytes = strconv::unquote(text).ok_or("invalid syntax of a string")?;
        self.literal_breaks.0 |= bytes.contains(&b'\r');
        self.literal_breaks.1 |= bytes.contains(&b'\n');
        Ok(ExprKind::Escaped(self.intern(bytes)))
    }

    fn number(&self, token: Token) -> Result<Number, Fault> {
        let text = self.str_of(token);
        let malformed = || Fault::from(format!("malformed constant: {text}"));
        match token.kind {
            TokenKind::CharConstant => {
                let inner = text.get(1..).ok_or_else(malformed)?;
                let (code, _, tail) = strconv::unquote_char(inner, '\'').ok_or_else(malformed)?;
                if tail == "'" {
                    Ok(Number::rune(code))
                } else {
                    Err(malformed())
                }
            }
            TokenKind::ComplexNumber => {
                let body = text.strip_suffix('i').ok_or_else(malformed)?;
                let signs = body
                    .char_indices()
                    .skip(1)
                    .filter(|(_, c)| matches!(c, '+' | '-'));
                let split = signs
                    .map(|(i, _)| i)
                    .filter(|i| !exponent_before(body, *i))
                    .last();
                let (re, im) = body.split_at(split.ok_or_else(malformed)?);
                let both = strconv::parse_float(re).zip(strconv::parse_float(im));
                both.map(|(re, im)| Number::complex(re, im))
                    .ok_or_else(malformed)
            }
            _ => Ok(Number::parse(text)?),
        }
    }

    fn function(&mut self, token: Token) -> Result<functions::FunctionId, Fault> {
        let name: &'s str = self.str_of(token);
        let settings = self.settings;
        functions::lookup(settings, name).ok_or_else(|| Fault {
            message: format!(
                "function `{name}` is not known{}",
                functions::why_absent(name)
            ),
            place: Some((token.start, token.end)),
            nearest: functions::nearest(settings, name),
        })
    }
}

fn remember(names: &mut [Option<Token>; 2], token: Token) {
    if let Some(free) = names.iter_mut().find(|name| name.is_none()) {
        *free = Some(token);
    }
}

/// Whether the sign at `at` belongs to an exponent.
fn exponent_before(body: &str, at: usize) -> bool {
    let before = body
        .as_bytes()
        .get(at.wrapping_sub(1))
        .copied()
        .unwrap_or_default();
    let digits = body.trim_start_matches(['+', '-']);
    let hex = digits.starts_with("0x") || digits.starts_with("0X");
    matches!(before, b'p' | b'P') || (!hex && matches!(before, b'e' | b'E'))
}

fn field_name(token: Token) -> Span {
    Span {
        start: token.start as u32 + 1,
        end: token.end as u32,
    }
}

fn begins_operand(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Bool
            | TokenKind::CharConstant
            | TokenKind::ComplexNumber
            | TokenKind::Dot
            | TokenKind::Field
            | TokenKind::Identifier
            | TokenKind::Number
            | TokenKind::Nil
            | TokenKind::RawString
            | TokenKind::String
            | TokenKind::Variable
            | TokenKind::LeftParen
    )
}
