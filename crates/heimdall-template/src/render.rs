//! Runs a program over data.

mod call;
mod eval;
mod range;

use std::fmt;

use self::call::Signature;
use crate::context::Context;
use crate::engine::Settings;
use crate::fmt::{Format, write_printable};
use crate::functions::{self, Body};
use crate::program::{Command, Definition, Form, Op, Pipe, PipeId, Program, Run, Span, StrId};
use crate::sink::{Output, Sink as _};
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
        parents: [None; PARENTS],
    };
    let rendered = renderer.definition(definition, data);
    // What was written before an error stays written.
    let finished = match rendered {
        Ok(()) => renderer.out.finish(),
        Err(_) => renderer.out.flush(),
    };
    rendered.and(finished.map_err(Error::from))
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
        parents: [None; PARENTS],
    };
    let mut frame = Frame {
        source: &source.text,
        name: "",
        root: Value::Missing,
        variables: Variables::default(),
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
    /// Objects that paths led to; each parent of a path has one place it may be in.
    parents: [Option<Parent<'r>>; PARENTS],
}

const PARENTS: usize = 4;

type JsonMap = serde_json::Map<String, serde_json::Value>;

/// The object that the names before the last one of some paths lead to.
#[derive(Clone, Copy)]
struct Parent<'r> {
    number: u32,
    from: &'r JsonMap,
    object: &'r JsonMap,
}

/// The variables of one body; nothing is inherited by a called one.
struct Frame<'r> {
    source: &'r str,
    name: &'r str,
    /// `$`
    root: Value<'r>,
    /// The others, from slot 1 on.
    variables: Variables<'r>,
}

/// Most bodies have a few variables, for which no memory need be taken.
const FEW: usize = 3;

#[derive(Default)]
struct Variables<'r> {
    few: [Value<'r>; FEW],
    more: Vec<Value<'r>>,
}

impl<'r> Variables<'r> {
    #[inline]
    fn get(&self, index: usize) -> Option<&Value<'r>> {
        match self.few.get(index) {
            Some(value) => Some(value),
            None => self.more.get(index - FEW),
        }
    }

    #[inline]
    fn set(&mut self, index: usize, value: Value<'r>) {
        match self.few.get_mut(index) {
            Some(place) => *place = value,
            None => self.set_more(index - FEW, value),
        }
    }

    fn set_more(&mut self, index: usize, value: Value<'r>) {
        if self.more.len() <= index {
            self.more.resize(index + 1, Value::Missing);
        }
        if let Some(place) = self.more.get_mut(index) {
            *place = value;
        }
    }
}

impl<'r> Frame<'r> {
    #[inline]
    fn text(&self, span: Span) -> &'r str {
        self.source
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    #[cold]
    fn error(&self, span: Span, error: impl Into<Error>) -> Error {
        error.into().at(
            self.name,
            self.source,
            span.start as usize,
            span.end as usize,
        )
    }

    #[inline]
    fn variable(&self, slot: u32) -> Option<&Value<'r>> {
        match slot.checked_sub(1) {
            None => Some(&self.root),
            Some(index) => self.variables.get(index as usize),
        }
    }

    fn set(&mut self, slot: u32, value: Value<'r>) {
        match slot.checked_sub(1) {
            None => self.root = value,
            Some(index) => self.variables.set(index as usize, value),
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
            variables: Variables::default(),
        };
        self.list(&mut frame, &data, definition.body)?;
        Ok(())
    }

    fn list(&mut self, frame: &mut Frame<'r>, dot: &Value<'r>, run: Run) -> Result<Flow, Error> {
        for op in run.of(&self.program.ops) {
            let flow = match *op {
                Op::Text(span) => {
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
        match pipe.form {
            Form::Written(index) => self.write_call(frame, dot, pipe, index)?,
            _ => {
                let value = self.pipe(frame, dot, id)?;
                self.write(value)
                    .map_err(|error| frame.error(pipe.span, error))?;
            }
        }
        self.out.end_action();
        Ok(())
    }

    fn write(&mut self, value: Value<'r>) -> Result<(), CallError> {
        match value {
            Value::Missing | Value::Nil => self.out.put_no_value(),
            Value::Map(map) => write_printable(&Value::Map(self.cx.current(map)), &mut self.out),
            value => write_printable(&value, &mut self.out),
        }
    }

    /// Lets the last function of a pipeline write straight to the output.
    fn write_call(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        pipe: &'r Pipe,
        index: u16,
    ) -> Result<(), Error> {
        let commands = pipe.commands.of(&self.program.commands);
        let (Some((last, before)), Some(builtin)) =
            (commands.split_last(), functions::builtin(index))
        else {
            return Ok(());
        };
        let Body::Text(write) = builtin.body else {
            return Ok(());
        };
        let value = if before.is_empty() {
            None
        } else {
            self.commands(frame, dot, before)?
        };
        if let Some(format) = self.format(last) {
            let values = last.without_first();
            let put =
                |renderer: &mut Self, args: &[Value<'r>]| format.write(args, &mut renderer.out);
            return self.with_args(frame, dot, Signature::PRINTF, &values, value, put);
        }
        self.with_args(frame, dot, builtin.into(), last, value, |renderer, args| {
            write(&mut renderer.cx, args, &mut renderer.out)
        })
    }

    /// The format of a `printf` that was cut into pieces at parsing.
    fn format(&self, command: &Command) -> Option<&'r Format> {
        self.program.formats.get(command.format?.0 as usize)
    }
}
