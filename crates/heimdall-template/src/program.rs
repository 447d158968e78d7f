//! A parsed template: flat tables that the renderer walks by index.

use crate::fmt::Format;
use crate::functions::FunctionId;
use crate::number::Number;

/// Bytes of the source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A run of entries in one of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Run {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Run {
    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub(crate) fn of<T>(self, table: &[T]) -> &[T] {
        table
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// Something to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    Text(Span),
    /// Prints a pipeline, or only runs it when it declares or assigns.
    Action(PipeId),
    If {
        pipe: PipeId,
        then: Run,
        otherwise: Run,
    },
    With {
        pipe: PipeId,
        then: Run,
        otherwise: Run,
    },
    Range {
        pipe: PipeId,
        body: Run,
        otherwise: Run,
    },
    Break,
    Continue,
    Template {
        name: StrId,
        pipe: Option<PipeId>,
        span: Span,
    },
}

macro_rules! id {
    ($($name:ident),*) => {$(
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) u32);
    )*};
}

id!(PipeId, StrId, NumId, ExprId, FormatId);

/// `$x := a | b c`
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pipe {
    pub(crate) span: Span,
    pub(crate) decl: Decl,
    pub(crate) commands: Run,
    /// A literal of this action has a carriage return, a line feed.
    pub(crate) literal_breaks: (bool, bool),
    pub(crate) form: Form,
}

/// The shape of a pipeline, found out before rendering.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// Any commands.
    Commands,
    /// Commands, the last of which is a function that writes text.
    Written(u16),
    /// One operand, and nothing is called.
    Operand(ExprId),
    /// Nothing in it depends on data.
    Folded(Folded),
}

/// A value known before rendering.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Folded {
    Bool(bool),
    Int(i64, crate::IntType),
    Float(f64),
    Str(StrId),
}

/// Variables that a pipeline sets: up to two in a `range`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decl {
    pub(crate) assigns: bool,
    pub(crate) first: Option<Variable>,
    pub(crate) second: Option<Variable>,
}

/// The slot of a variable that is not set: reading or assigning it is an error of the render.
pub(crate) const UNSET: u32 = u32::MAX;

/// A variable: its place in the frame and its name in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) slot: u32,
    pub(crate) name: Span,
}

/// `head arg arg`
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command {
    pub(crate) head: ExprId,
    pub(crate) args: Run,
    pub(crate) span: Span,
    /// The format of a `printf`, when it is a literal that could be cut into pieces.
    pub(crate) format: Option<FormatId>,
}

impl Command {
    /// The command with the arguments behind the first.
    pub(crate) fn without_first(&self) -> Self {
        let start = (self.args.start + 1).min(self.args.end);
        let end = self.args.end;
        Self {
            args: Run { start, end },
            ..*self
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Expr {
    pub(crate) span: Span,
    pub(crate) kind: ExprKind,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    Number(NumId),
    /// A literal as it stands in the text.
    Literal(Span),
    /// A literal with escapes.
    Escaped(StrId),
    /// `.A.B`
    Field(Path),
    /// `$x.A.B`; slot 0 is `$`.
    Variable {
        variable: Variable,
        path: Path,
    },
    /// `(pipe).A.B`
    Chain {
        base: ExprId,
        path: Run,
    },
    Function(FunctionId),
    Pipe(PipeId),
}

/// Names one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Path {
    pub(crate) names: Run,
    /// Two paths with the same number have the same names before the last one.
    pub(crate) parent: u32,
}

/// A named body: the text itself, `define` or `block`.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) body: Run,
    /// Which of the sources its spans belong to.
    pub(crate) source: usize,
    /// Only blanks and comments.
    pub(crate) empty: bool,
}

/// A text given to the engine.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// All tables.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) sources: Vec<Source>,
    pub(crate) definitions: Vec<Definition>,
    pub(crate) ops: Vec<Op>,
    pub(crate) pipes: Vec<Pipe>,
    /// The first pipe of each source.
    pub(crate) pipe_sources: Vec<u32>,
    pub(crate) commands: Vec<Command>,
    pub(crate) args: Vec<ExprId>,
    pub(crate) exprs: Vec<Expr>,
    /// Names of paths.
    pub(crate) paths: Vec<Span>,
    /// Numbers given to the parents of paths.
    pub(crate) parents: u32,
    pub(crate) numbers: Vec<Number>,
    pub(crate) strings: Vec<Box<[u8]>>,
    /// Formats that are literals, cut into pieces.
    pub(crate) formats: Vec<Format>,
    /// Patterns that are literals, compiled.
    pub(crate) regexes: Vec<(Box<str>, regex::bytes::Regex)>,
}

impl Program {
    pub(crate) fn definition(&self, name: &[u8]) -> Option<&Definition> {
        self.definitions
            .iter()
            .find(|definition| definition.name.as_bytes() == name)
    }

    #[inline]
    pub(crate) fn string(&self, id: StrId) -> &[u8] {
        self.strings
            .get(id.0 as usize)
            .map(AsRef::as_ref)
            .unwrap_or_default()
    }

    #[inline]
    pub(crate) fn pipe(&self, id: PipeId) -> Option<&Pipe> {
        self.pipes.get(id.0 as usize)
    }

    #[inline]
    pub(crate) fn expr(&self, id: ExprId) -> Option<&Expr> {
        self.exprs.get(id.0 as usize)
    }
}
