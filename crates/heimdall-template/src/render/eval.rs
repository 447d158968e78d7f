//! Pipelines, commands, operands.

use super::call::Signature;
use super::{Frame, JsonMap, PARENTS, Parent, Renderer};
use crate::functions::Type;
use crate::program::{
    Command, Decl, ExprId, ExprKind, Folded, Form, Path, Pipe, PipeId, Run, Span, UNSET, Variable,
};
use crate::{CallError, Error, Map, MissingKey, Text, Value, methods};

impl<'r> Renderer<'r, '_> {
    /// The value of a pipeline; sets its variables.
    pub(super) fn pipe(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        id: PipeId,
    ) -> Result<Value<'r>, Error> {
        let Some(pipe) = self.program.pipe(id) else {
            return Ok(Value::Missing);
        };
        let value = match pipe.form {
            Form::Operand(id) => self.operand(frame, dot, id)?.settled(),
            Form::Folded(folded) => self.folded(folded),
            Form::Commands | Form::Written(_) => {
                let commands = pipe.commands.of(&self.program.commands);
                self.commands(frame, dot, commands)?.unwrap_or_default()
            }
        };
        if pipe.decl.first.is_some() {
            self.declare(frame, pipe, &value)?;
        }
        Ok(value)
    }

    fn folded(&self, folded: Folded) -> Value<'r> {
        match folded {
            Folded::Bool(b) => Value::Bool(b),
            Folded::Int(n, kind) => Value::Int(n, kind),
            Folded::Float(f) => Value::Float(f),
            Folded::Str(id) => Value::Str(self.constant(self.program.string(id))),
        }
    }

    pub(super) fn constant(&self, bytes: &'r [u8]) -> Text<'r> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text::from(text),
            Err(_) => Text::from_bytes(bytes),
        }
    }

    fn declare(
        &mut self,
        frame: &mut Frame<'r>,
        pipe: &Pipe,
        value: &Value<'r>,
    ) -> Result<(), Error> {
        let Decl { first, second, .. } = pipe.decl;
        for variable in [first, second].into_iter().flatten() {
            if variable.slot == UNSET {
                return Err(undefined(frame, variable));
            }
            frame.set(variable.slot, value.clone());
        }
        Ok(())
    }

    /// The value of the last of some commands, each given to the next one; `None` when there are none.
    pub(super) fn commands(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        commands: &'r [Command],
    ) -> Result<Option<Value<'r>>, Error> {
        let mut value = None;
        for command in commands {
            value = Some(self.command(frame, dot, command, value)?.settled());
        }
        Ok(value)
    }

    fn command(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        command: &'r Command,
        last: Option<Value<'r>>,
    ) -> Result<Value<'r>, Error> {
        let Some(head) = self.program.expr(command.head) else {
            return Ok(Value::Missing);
        };
        match head.kind {
            ExprKind::Function(id) => return self.call(frame, dot, id, command, last),
            ExprKind::Field(path) if command.args.is_empty() && last.is_none() => {
                return self.path(frame, dot, path, command.span);
            }
            ExprKind::Field(path) => {
                return self.chain(frame, dot, dot.clone(), path.names, command, last);
            }
            ExprKind::Variable { variable, path } if !path.names.is_empty() => {
                let receiver = self.variable(frame, variable)?.clone();
                return self.chain(frame, dot, receiver, path.names, command, last);
            }
            ExprKind::Chain { base, path } => {
                let receiver = self.operand(frame, dot, base)?;
                return self.chain(frame, dot, receiver, path, command, last);
            }
            _ => {}
        }
        if !command.args.is_empty() || last.is_some() {
            let message = format!(
                "can't give argument to non-function {}",
                frame.text(head.span)
            );
            return Err(frame.error(head.span, CallError::new(message)));
        }
        match head.kind {
            ExprKind::Nil => Err(frame.error(head.span, CallError::new("nil is not a command"))),
            _ => self.operand(frame, dot, command.head),
        }
    }

    /// An operand without arguments.
    pub(super) fn operand(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        id: ExprId,
    ) -> Result<Value<'r>, Error> {
        let Some(expr) = self.program.expr(id) else {
            return Ok(Value::Missing);
        };
        match expr.kind {
            ExprKind::Dot => Ok(dot.clone()),
            ExprKind::Nil => Ok(Value::Nil),
            ExprKind::Bool(b) => Ok(Value::Bool(b)),
            ExprKind::Number(number) => {
                let number = self.program.numbers.get(number.0 as usize);
                number.and_then(|number| number.ideal()).ok_or_else(|| {
                    let message = format!("{} overflows int", frame.text(expr.span));
                    frame.error(expr.span, CallError::new(message))
                })
            }
            ExprKind::Literal(span) => Ok(Value::from(frame.text(span))),
            ExprKind::Escaped(id) => Ok(Value::Str(self.constant(self.program.string(id)))),
            ExprKind::Field(path) => self.path(frame, dot, path, expr.span),
            ExprKind::Variable { variable, path } => {
                let receiver = self.variable(frame, variable)?;
                self.path(frame, receiver, path, expr.span)
            }
            ExprKind::Chain { base, path } => {
                let receiver = self.operand(frame, dot, base)?;
                self.fields(frame, &receiver, path, expr.span)
            }
            ExprKind::Function(id) => {
                let command = Command {
                    head: ExprId(0),
                    args: Run::default(),
                    span: expr.span,
                    format: None,
                };
                self.call(frame, dot, id, &command, None)
            }
            ExprKind::Pipe(pipe) => self.deeper(frame, expr.span, |renderer, frame| {
                renderer.pipe(frame, dot, pipe)
            }),
        }
    }

    fn variable<'f>(
        &self,
        frame: &'f Frame<'r>,
        variable: Variable,
    ) -> Result<&'f Value<'r>, Error> {
        if variable.slot == UNSET {
            return Err(undefined(frame, variable));
        }
        Ok(frame.variable(variable.slot).unwrap_or(&Value::Missing))
    }

    /// Fields of the dot or a variable. JSON that no function has written to is read where it lies.
    #[inline]
    pub(super) fn path(
        &mut self,
        frame: &Frame<'r>,
        receiver: &Value<'r>,
        path: Path,
        span: Span,
    ) -> Result<Value<'r>, Error> {
        if let Value::Map(Map::Json(map)) = receiver
            && self.cx.is_unwritten()
            && let Some(json) = self.entry_by_parent(frame, map, path)
        {
            return Ok(Value::from(json));
        }
        self.fields(frame, receiver, path.names, span)
    }

    /// The entry of a JSON object at a path, when all of the path is there. Many paths of a template have the same
    /// parent, which is looked up once.
    fn entry_by_parent(
        &mut self,
        frame: &Frame<'r>,
        map: &'r JsonMap,
        path: Path,
    ) -> Option<&'r serde_json::Value> {
        let (last, before) = path.names.of(&self.program.paths).split_last()?;
        if before.is_empty() {
            return map.get(frame.text(*last));
        }
        let place = self.parents.get_mut(path.parent as usize % PARENTS)?;
        if let Some(known) = place
            && known.number == path.parent
            && std::ptr::eq(known.from, map)
        {
            return known.object.get(frame.text(*last));
        }
        let object = entry_of_json(frame, map, before)?.as_object()?;
        *place = Some(Parent {
            number: path.parent,
            from: map,
            object,
        });
        object.get(frame.text(*last))
    }

    /// Fields without arguments.
    fn fields(
        &self,
        frame: &Frame<'r>,
        receiver: &Value<'r>,
        path: Run,
        span: Span,
    ) -> Result<Value<'r>, Error> {
        let names = path.of(&self.program.paths);
        let Some((first, rest)) = names.split_first() else {
            return Ok(receiver.clone());
        };
        let fail = |error| frame.error(span, error);
        let mut value = self.field(frame.text(*first), receiver).map_err(fail)?;
        for (at, name) in rest.iter().enumerate() {
            if let Value::Map(Map::Json(map)) = value
                && self.cx.is_unwritten()
                && let Some(json) = entry_of_json(frame, map, rest.get(at..).unwrap_or_default())
            {
                return Ok(Value::from(json));
            }
            value = self.field(frame.text(*name), &value).map_err(fail)?;
        }
        Ok(value)
    }

    /// Fields, the last of which may be a method that gets the arguments.
    fn chain(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        receiver: Value<'r>,
        path: Run,
        command: &'r Command,
        last: Option<Value<'r>>,
    ) -> Result<Value<'r>, Error> {
        if command.args.is_empty() && last.is_none() {
            return self.fields(frame, &receiver, path, command.span);
        }
        let Some((method, before)) = path.of(&self.program.paths).split_last() else {
            return Ok(receiver);
        };
        let fail = |frame: &Frame<'r>, error: CallError| frame.error(command.span, error);
        let mut value = receiver;
        for name in before {
            value = self
                .field(frame.text(*name), &value)
                .map_err(|error| fail(frame, error))?;
        }
        let name = frame.text(*method);
        match value {
            Value::Missing => return self.field(name, &value).map_err(|error| fail(frame, error)),
            Value::Object(_)
            | Value::Shared(_)
            | Value::Native(_)
            | Value::Time(_)
            | Value::Int(..) => {}
            Value::Map(ref map) if !map.is_any() && map.type_name() != "map[string]string" => {}
            Value::Map(_) => {
                return Err(fail(
                    frame,
                    CallError::new(format!("{name} is not a method but has arguments")),
                ));
            }
            value => return Err(fail(frame, unknown_field(name, &value))),
        }
        let signature = Signature {
            name,
            params: &[],
            variadic: Some(Type::Any),
        };
        self.with_args(
            frame,
            dot,
            signature,
            command,
            last,
            |_, args| match methods::call(&value, name, args) {
                Some(result) => result,
                None if methods::field(&value, name).is_some() => Err(CallError::new(format!(
                    "{name} has arguments but cannot be invoked as function"
                ))),
                None => Err(unknown_field(name, &value)),
            },
        )
    }

    /// A field, an entry of a map or a method without arguments.
    fn field(&self, name: &str, receiver: &Value<'r>) -> Result<Value<'r>, CallError> {
        match receiver {
            Value::Missing => match self.cx.settings().missing_key {
                MissingKey::Error => Err(CallError::new(format!(
                    "nil data; no entry for key `{name}`"
                ))),
                _ => Ok(Value::Missing),
            },
            Value::Nil => Err(CallError::new(format!(
                "nil pointer evaluating interface {{}}.{name}"
            ))),
            Value::Map(map) => {
                if !map.is_any()
                    && let Some(result) = methods::call(receiver, name, &[])
                {
                    return result;
                }
                match self.entry(map, name) {
                    Some(value) => Ok(value),
                    None => match self.cx.settings().missing_key {
                        MissingKey::Default => Ok(Value::Missing),
                        MissingKey::Zero => Ok(map.zero()),
                        MissingKey::Error => {
                            Err(CallError::new(format!("map has no entry for key `{name}`")))
                        }
                    },
                }
            }
            receiver => methods::field(receiver, name)
                .or_else(|| methods::call(receiver, name, &[]))
                .unwrap_or_else(|| Err(unknown_field(name, receiver))),
        }
    }

    fn entry(&self, map: &Map<'r>, name: &str) -> Option<Value<'r>> {
        match map {
            Map::Owned(_) => map.get(name),
            map => self.cx.current(map.clone()).get(name),
        }
    }
}

/// The entry of a JSON object at a path, when all of the path is there.
#[inline]
fn entry_of_json<'r>(
    frame: &Frame<'r>,
    map: &'r JsonMap,
    names: &[Span],
) -> Option<&'r serde_json::Value> {
    let (first, rest) = names.split_first()?;
    let mut json = map.get(frame.text(*first))?;
    for name in rest {
        let serde_json::Value::Object(map) = json else {
            return None;
        };
        json = map.get(frame.text(*name))?;
    }
    Some(json)
}

fn undefined(frame: &Frame<'_>, variable: Variable) -> Error {
    let message = format!("undefined variable: {}", frame.text(variable.name));
    frame.error(variable.name, CallError::new(message))
}

fn unknown_field(name: &str, receiver: &Value<'_>) -> CallError {
    CallError::new(format!(
        "can't evaluate field {name} in type {}",
        receiver.type_name()
    ))
}
