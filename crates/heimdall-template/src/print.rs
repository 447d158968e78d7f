//! A program back to text: parsing that text gives the same program.

use std::fmt::{self, Formatter};

use crate::functions::{self, FunctionId};
use crate::program::{
    Command, Decl, Definition, ExprId, ExprKind, Op, PipeId, Program, Run, Span, StrId,
};
use crate::{Template, strconv};

impl fmt::Display for Template {
    /// The template and its definitions in a plain spelling: with Go's delimiters, without comments and trim markers.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let program = self.program();
        for definition in &program.definitions {
            let source = program.sources.get(definition.source);
            let source = source
                .map(|source| source.text.as_str())
                .unwrap_or_default();
            Printer { program, source }.definition(f, definition, self.name())?;
        }
        Ok(())
    }
}

struct Printer<'p> {
    program: &'p Program,
    source: &'p str,
}

impl Printer<'_> {
    fn text(&self, span: Span) -> &str {
        self.source
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    fn definition(
        &self,
        f: &mut Formatter<'_>,
        definition: &Definition,
        main: &str,
    ) -> fmt::Result {
        if definition.name == main {
            return self.list(f, definition.body);
        }
        let mut name = String::new();
        strconv::quote(definition.name.as_bytes(), false, &mut name);
        write!(f, "{{{{define {name}}}}}")?;
        self.list(f, definition.body)?;
        f.write_str("{{end}}")
    }

    fn list(&self, f: &mut Formatter<'_>, run: Run) -> fmt::Result {
        let mut ops = run.of(&self.program.ops).iter().peekable();
        while let Some(op) = ops.next() {
            let Op::Text(span) = *op else {
                self.op(f, op)?;
                continue;
            };
            let following = match ops.peek() {
                Some(Op::Text(next)) => self.text(*next),
                _ => "{{",
            };
            literal_text(f, self.text(span), following)?;
        }
        Ok(())
    }

    fn op(&self, f: &mut Formatter<'_>, op: &Op) -> fmt::Result {
        match *op {
            Op::Text(span) => literal_text(f, self.text(span), "{{"),
            Op::Action(pipe) => {
                f.write_str("{{")?;
                self.pipe(f, pipe)?;
                f.write_str("}}")
            }
            Op::If {
                pipe,
                then,
                otherwise,
            } => self.control(f, "if", pipe, then, otherwise),
            Op::With {
                pipe,
                then,
                otherwise,
            } => self.control(f, "with", pipe, then, otherwise),
            Op::Range {
                pipe,
                body,
                otherwise,
            } => self.control(f, "range", pipe, body, otherwise),
            Op::Break => f.write_str("{{break}}"),
            Op::Continue => f.write_str("{{continue}}"),
            Op::Template { name, pipe, .. } => {
                write!(f, "{{{{template {}", self.quoted(name))?;
                if let Some(pipe) = pipe {
                    f.write_str(" ")?;
                    self.pipe(f, pipe)?;
                }
                f.write_str("}}")
            }
        }
    }

    fn control(
        &self,
        f: &mut Formatter<'_>,
        word: &str,
        pipe: PipeId,
        body: Run,
        otherwise: Run,
    ) -> fmt::Result {
        write!(f, "{{{{{word} ")?;
        self.pipe(f, pipe)?;
        f.write_str("}}")?;
        self.list(f, body)?;
        if !otherwise.is_empty() {
            f.write_str("{{else}}")?;
            self.list(f, otherwise)?;
        }
        f.write_str("{{end}}")
    }

    fn pipe(&self, f: &mut Formatter<'_>, id: PipeId) -> fmt::Result {
        let Some(pipe) = self.program.pipe(id) else {
            return Ok(());
        };
        let Decl {
            assigns,
            first,
            second,
        } = pipe.decl;
        if let Some(first) = first {
            f.write_str(self.text(first.name))?;
            if let Some(second) = second {
                write!(f, ", {}", self.text(second.name))?;
            }
            f.write_str(if assigns { " = " } else { " := " })?;
        }
        for (i, command) in pipe.commands.of(&self.program.commands).iter().enumerate() {
            f.write_str(if i > 0 { " | " } else { "" })?;
            self.command(f, command)?;
        }
        Ok(())
    }

    fn command(&self, f: &mut Formatter<'_>, command: &Command) -> fmt::Result {
        self.expr(f, command.head)?;
        for arg in command.args.of(&self.program.args) {
            f.write_str(" ")?;
            self.expr(f, *arg)?;
        }
        Ok(())
    }

    fn expr(&self, f: &mut Formatter<'_>, id: ExprId) -> fmt::Result {
        let Some(expr) = self.program.expr(id) else {
            return Ok(());
        };
        match expr.kind {
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Bool(b) => write!(f, "{b}"),
            ExprKind::Number(_) => f.write_str(self.text(expr.span)),
            ExprKind::Literal(span) => f.write_str(&quoted(self.text(span).as_bytes())),
            ExprKind::Escaped(id) => f.write_str(&self.quoted(id)),
            ExprKind::Field(path) => self.path(f, path.names),
            ExprKind::Variable { variable, path } => {
                f.write_str(self.text(variable.name))?;
                self.path(f, path.names)
            }
            ExprKind::Chain { base, path } => {
                self.expr(f, base)?;
                self.path(f, path)
            }
            ExprKind::Function(FunctionId::Builtin(index)) => {
                f.write_str(functions::builtin(index).map_or("", |builtin| builtin.name))
            }
            ExprKind::Function(FunctionId::Own(_)) => f.write_str(self.text(expr.span)),
            ExprKind::Pipe(pipe) => {
                f.write_str("(")?;
                self.pipe(f, pipe)?;
                f.write_str(")")
            }
        }
    }

    fn path(&self, f: &mut Formatter<'_>, path: Run) -> fmt::Result {
        path.of(&self.program.paths)
            .iter()
            .try_for_each(|name| write!(f, ".{}", self.text(*name)))
    }

    fn quoted(&self, id: StrId) -> String {
        quoted(self.program.string(id))
    }
}

/// Text of a template and what follows it, so that no delimiter begins where none was: a brace at the end is kept apart
/// by a comment that trims itself away, a delimiter of other engines becomes a literal.
fn literal_text(f: &mut Formatter<'_>, text: &str, following: &str) -> fmt::Result {
    for (i, piece) in text.split("{{").enumerate() {
        if i > 0 {
            f.write_str("{{`{{`}}")?;
        }
        f.write_str(piece)?;
    }
    if text.ends_with('{') && !text.ends_with("{{") && following.starts_with('{') {
        f.write_str(" {{- /**/ -}} ")?;
    }
    Ok(())
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::new();
    strconv::quote(bytes, false, &mut text);
    text
}
