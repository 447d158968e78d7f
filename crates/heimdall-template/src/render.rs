//! Runs a program over data.

mod eval;
mod range;

use std::fmt;

use crate::context::Context;
use crate::engine::Settings;
use crate::fmt::write_printable;
use crate::functions::{self, Body, FunctionId};
use crate::program::{Definition, ExprKind, Op, Pipe, PipeId, Program, Run, Span, StrId};
use crate::sink::Output;
use crate::{CallError, Error, ErrorKind, Limit, RenderOptions, Value};

/// Control structures, parentheses and `template` calls that may be open at a time: the renderer recurses.
const DEEPEST: usize = 300;

/// Renders the definition `name` of a program.
pub(crate) fn render<'r>(
    settings: &'r Settings,
    program: &'r Program,
    name: &str,
    data: Value<'r>,
    out: &mut dyn fmt::Write,
    options: RenderOptions,
) -> Result<(), Error> {
    let Some(definition) = program.definition(name.as_bytes()) else {
        return Err(Error::new(
            ErrorKind::Exec,
            format!("template `{name}` is not defined"),
        ));
    };
    let mut renderer = Renderer {
        cx: Context::new(settings, Some(program)),
        program,
        out: Output::new(out, settings.limits.output, options),
        calls: 0,
        depth: 0,
    };
    renderer.definition(definition, data)?;
    renderer.out.finish().map_err(Error::from)
}

/// The value of a pipeline that depends on no data; `None` when it cannot be computed.
pub(crate) fn constant<'r>(
    settings: &'r Settings,
    program: &'r Program,
    source: usize,
    pipe: usize,
) -> Option<Value<'r>> {
    let source = program.sources.get(source)?;
    let mut nowhere = String::new();
    let mut renderer = Renderer {
        cx: Context::new(settings, Some(program)),
        program,
        out: Output::new(&mut nowhere, 0, RenderOptions::default()),
        calls: 0,
        depth: 0,
    };
    let mut frame = Frame {
        source: &source.text,
        name: "",
        root: Value::Missing,
        variables: Vec::new(),
    };
    renderer
        .pipe(&mut frame, &Value::Missing, PipeId(pipe as u32))
        .ok()
}

struct Renderer<'r, 'o> {
    cx: Context<'r>,
    program: &'r Program,
    out: Output<'o>,
    calls: usize,
    depth: usize,
}

/// The variables of one body; nothing is inherited by a called one.
struct Frame<'r> {
    source: &'r str,
    name: &'r str,
    /// `$`
    root: Value<'r>,
    /// The others, from slot 1 on; there is no memory before the first is set.
    variables: Vec<Value<'r>>,
}

impl<'r> Frame<'r> {
    #[inline]
    fn text(&self, span: Span) -> &'r str {
        self.source
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    fn error(&self, span: Span, error: impl Into<Error>) -> Error {
        error.into().at(
            self.name,
            self.source,
            span.start as usize,
            span.end as usize,
        )
    }

    #[inline]
    fn variable(&self, slot: u32) -> Value<'r> {
        match slot.checked_sub(1) {
            None => self.root.clone(),
            Some(index) => self
                .variables
                .get(index as usize)
                .cloned()
                .unwrap_or_default(),
        }
    }

    fn set(&mut self, slot: u32, value: Value<'r>) {
        let Some(index) = slot.checked_sub(1) else {
            self.root = value;
            return;
        };
        let index = index as usize;
        if self.variables.len() <= index {
            self.variables.resize(index + 1, Value::Missing);
        }
        if let Some(place) = self.variables.get_mut(index) {
            *place = value;
        }
    }
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl<'r> Renderer<'r, '_> {
    fn definition(&mut self, definition: &'r Definition, data: Value<'r>) -> Result<(), Error> {
        let (source, name) = match self.program.sources.get(definition.source) {
            Some(source) => (source.text.as_str(), source.name.as_str()),
            None => ("", ""),
        };
        let mut frame = Frame {
            source,
            name,
            root: data.clone(),
            variables: Vec::new(),
        };
        self.list(&mut frame, &data, definition.body)?;
        Ok(())
    }

    fn list(&mut self, frame: &mut Frame<'r>, dot: &Value<'r>, run: Run) -> Result<Flow, Error> {
        for op in run.of(&self.program.ops) {
            let flow = match *op {
                Op::Text(span) => {
                    use crate::sink::Sink as _;
                    self.out
                        .put(frame.text(span))
                        .map_err(|error| frame.error(span, error))?;
                    continue;
                }
                Op::Action(pipe) => {
                    self.action(frame, dot, pipe)?;
                    continue;
                }
                Op::If {
                    pipe,
                    then,
                    otherwise,
                } => {
                    let truth = self.pipe(frame, dot, pipe)?.truth();
                    self.nested(frame, dot, if truth { then } else { otherwise })?
                }
                Op::With {
                    pipe,
                    then,
                    otherwise,
                } => {
                    let value = self.pipe(frame, dot, pipe)?;
                    if value.truth() {
                        self.nested(frame, &value, then)?
                    } else {
                        self.nested(frame, dot, otherwise)?
                    }
                }
                Op::Range {
                    pipe,
                    body,
                    otherwise,
                } => self.range(frame, dot, pipe, body, otherwise)?,
                Op::Break => Flow::Break,
                Op::Continue => Flow::Continue,
                Op::Template { name, pipe, span } => {
                    self.call_template(frame, dot, name, pipe, span)?;
                    continue;
                }
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn nested(&mut self, frame: &mut Frame<'r>, dot: &Value<'r>, run: Run) -> Result<Flow, Error> {
        if run.is_empty() {
            return Ok(Flow::Next);
        }
        self.deeper(frame, Span::default(), |renderer, frame| {
            renderer.list(frame, dot, run)
        })
    }

    fn deeper<T>(
        &mut self,
        frame: &mut Frame<'r>,
        span: Span,
        run: impl FnOnce(&mut Self, &mut Frame<'r>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth >= DEEPEST {
            return Err(frame.error(span, CallError::limit(Limit::Depth)));
        }
        self.depth += 1;
        let result = run(self, frame);
        self.depth -= 1;
        result
    }

    fn call_template(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        name: StrId,
        pipe: Option<PipeId>,
        span: Span,
    ) -> Result<(), Error> {
        let wanted = self.program.string(name);
        let Some(definition) = self.program.definition(wanted) else {
            let message = format!(
                "template `{}` is not defined",
                String::from_utf8_lossy(wanted)
            );
            return Err(frame.error(span, CallError::new(message)));
        };
        let data = match pipe {
            Some(pipe) => self.pipe(frame, dot, pipe)?,
            None => Value::Missing,
        };
        if self.calls >= self.cx.settings().limits.depth {
            return Err(frame.error(span, CallError::limit(Limit::Depth)));
        }
        self.calls += 1;
        self.charge(frame, span)?;
        self.deeper(frame, span, |renderer, _| {
            renderer.definition(definition, data)
        })?;
        self.calls -= 1;
        Ok(())
    }

    #[inline]
    fn charge(&mut self, frame: &Frame<'r>, span: Span) -> Result<(), Error> {
        self.cx.charge(1).map_err(|error| frame.error(span, error))
    }

    /// Prints a pipeline's value, unless it declares or assigns.
    fn action(&mut self, frame: &mut Frame<'r>, dot: &Value<'r>, id: PipeId) -> Result<(), Error> {
        let Some(pipe) = self.program.pipe(id) else {
            return Ok(());
        };
        self.charge(frame, pipe.span)?;
        if pipe.decl.first.is_some() {
            self.pipe(frame, dot, id)?;
            return Ok(());
        }
        self.out.begin_action(pipe.literal_breaks);
        if !self.write_call(frame, dot, pipe)? {
            let value = self.pipe(frame, dot, id)?;
            let written = match value {
                Value::Missing | Value::Nil => self.out.put_no_value(),
                Value::Map(map) => {
                    write_printable(&Value::Map(self.cx.current(map)), &mut self.out)
                }
                value => write_printable(&value, &mut self.out),
            };
            written.map_err(|error| frame.error(pipe.span, error))?;
        }
        self.out.end_action();
        Ok(())
    }

    /// Lets the last function of a pipeline write straight to the output; `false` when it is none that writes.
    fn write_call(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        pipe: &'r Pipe,
    ) -> Result<bool, Error> {
        if pipe.folded.is_some() {
            return Ok(false);
        }
        let Some((last, before)) = pipe.commands.of(&self.program.commands).split_last() else {
            return Ok(false);
        };
        let head = self.program.expr(last.head);
        let Some(ExprKind::Function(FunctionId::Builtin(index))) = head.map(|head| head.kind)
        else {
            return Ok(false);
        };
        let Some(builtin) = functions::builtin(index) else {
            return Ok(false);
        };
        let Body::Text(write) = builtin.body else {
            return Ok(false);
        };
        let value = self.commands(frame, dot, before)?;
        self.with_args(frame, dot, builtin.into(), last, value, |renderer, args| {
            write(&mut renderer.cx, args, &mut renderer.out)
        })?;
        Ok(true)
    }
}
