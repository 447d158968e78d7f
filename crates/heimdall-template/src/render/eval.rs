//! Pipelines, commands, operands, calls.

use super::{Frame, Renderer};
use crate::functions::{self, Body, Builtin, FunctionId, Type};
use crate::program::{
    Command, Decl, Expr, ExprId, ExprKind, Folded, Pipe, PipeId, Run, Span, UNSET, Variable,
};
use crate::value::Elem;
use crate::{CallError, Error, List, Map, MissingKey, Text, Value, methods};

/// A value that functions nest deeper than this is refused.
const DEEPEST_VALUE: u16 = 150;

/// What the checks of a call need to know of a function.
#[derive(Clone, Copy)]
pub(super) struct Signature<'r> {
    name: &'r str,
    params: &'static [Type],
    variadic: Option<Type>,
}

impl From<&'static Builtin> for Signature<'_> {
    fn from(builtin: &'static Builtin) -> Self {
        Self {
            name: builtin.name,
            params: builtin.params,
            variadic: builtin.variadic,
        }
    }
}

impl Signature<'_> {
    /// The type of a parameter; the variadic one goes on for ever.
    fn param(&self, index: usize) -> Type {
        self.params
            .get(index)
            .copied()
            .or(self.variadic)
            .unwrap_or(Type::Any)
    }

    fn check(&self, count: usize) -> Result<(), CallError> {
        let wanted = self.params.len();
        let fits = if self.variadic.is_some() {
            count >= wanted
        } else {
            count == wanted
        };
        if fits {
            return Ok(());
        }
        let least = if self.variadic.is_some() {
            "at least "
        } else {
            ""
        };
        let name = self.name;
        Err(CallError::new(format!(
            "wrong number of args for {name}: want {least}{wanted} got {count}"
        )))
    }
}

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
        let value = match pipe.folded {
            Some(folded) => self.folded(folded),
            None => {
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

    fn constant(&self, bytes: &'r [u8]) -> Text<'r> {
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
                return self.fields(frame, dot, path, command.span);
            }
            ExprKind::Field(path) => {
                return self.chain(frame, dot, dot.clone(), path, command, last);
            }
            ExprKind::Variable { variable, path } if !path.is_empty() => {
                let receiver = self.variable(frame, variable)?;
                return self.chain(frame, dot, receiver, path, command, last);
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
    fn operand(
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
            ExprKind::Field(path) => self.fields(frame, dot, path, expr.span),
            ExprKind::Variable { variable, path } => {
                let receiver = self.variable(frame, variable)?;
                self.fields(frame, &receiver, path, expr.span)
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
                };
                self.call(frame, dot, id, &command, None)
            }
            ExprKind::Pipe(pipe) => self.deeper(frame, expr.span, |renderer, frame| {
                renderer.pipe(frame, dot, pipe)
            }),
        }
    }

    fn variable(&self, frame: &Frame<'r>, variable: Variable) -> Result<Value<'r>, Error> {
        if variable.slot == UNSET {
            return Err(undefined(frame, variable));
        }
        Ok(frame.variable(variable.slot))
    }

    /// Fields without arguments.
    fn fields(
        &mut self,
        frame: &Frame<'r>,
        receiver: &Value<'r>,
        path: Run,
        span: Span,
    ) -> Result<Value<'r>, Error> {
        let mut names = path.of(&self.program.paths);
        let mut value = None;
        while let Some((name, rest)) = names.split_first() {
            names = rest;
            let current = value.as_ref().unwrap_or(receiver);
            value = Some(match current {
                Value::Map(Map::Json(map)) if self.cx.is_unwritten() => {
                    match self.json_entry(frame, map, *name, &mut names) {
                        Some(json) => Value::from(json),
                        None => self
                            .absent(frame.text(*name), &Value::Nil)
                            .map_err(|error| frame.error(span, error))?,
                    }
                }
                current => self
                    .field(frame.text(*name), current)
                    .map_err(|error| frame.error(span, error))?,
            });
        }
        Ok(value.unwrap_or_else(|| receiver.clone()))
    }

    /// The entry of a JSON object, and of the objects in it as far as the names go on.
    fn json_entry(
        &self,
        frame: &Frame<'r>,
        map: &'r serde_json::Map<String, serde_json::Value>,
        name: Span,
        names: &mut &'r [Span],
    ) -> Option<&'r serde_json::Value> {
        let mut json = map.get(frame.text(name))?;
        while let (serde_json::Value::Object(inner), Some((next, rest))) =
            (json, names.split_first())
        {
            let Some(found) = inner.get(frame.text(*next)) else {
                break;
            };
            (json, *names) = (found, rest);
        }
        Some(json)
    }

    /// An unknown key of a map with this zero value.
    fn absent(&self, name: &str, zero: &Value<'r>) -> Result<Value<'r>, CallError> {
        match self.cx.settings().missing_key {
            MissingKey::Default => Ok(Value::Missing),
            MissingKey::Zero => Ok(zero.clone()),
            MissingKey::Error => Err(CallError::new(format!("map has no entry for key `{name}`"))),
        }
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

    fn call(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        id: FunctionId,
        command: &Command,
        last: Option<Value<'r>>,
    ) -> Result<Value<'r>, Error> {
        self.charge(frame, command.span)?;
        let builtin = match id {
            FunctionId::Builtin(index) => functions::builtin(index),
            FunctionId::Own(index) => return self.call_own(frame, dot, index, command, last),
        };
        let Some(builtin) = builtin else {
            return Ok(Value::Missing);
        };
        match builtin.body {
            Body::Value(body) => self.with_args(
                frame,
                dot,
                builtin.into(),
                command,
                last,
                |renderer, args| {
                    let value = body(&mut renderer.cx, args)?;
                    // Freeing a value recurses as deep as it is nested.
                    if value.depth() > DEEPEST_VALUE {
                        return Err("lists and maps are nested too deep".into());
                    }
                    Ok(value)
                },
            ),
            Body::Text(body) => self.with_args(
                frame,
                dot,
                builtin.into(),
                command,
                last,
                |renderer, args| {
                    let mut buffer = renderer.cx.buffer();
                    body(&mut renderer.cx, args, &mut buffer)?;
                    Ok(Value::Str(renderer.cx.built(buffer)))
                },
            ),
            Body::And => self.short_circuit(frame, dot, builtin, command, last, false),
            Body::Or => self.short_circuit(frame, dot, builtin, command, last, true),
        }
    }

    fn call_own(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        index: u16,
        command: &Command,
        last: Option<Value<'r>>,
    ) -> Result<Value<'r>, Error> {
        let settings = self.cx.settings();
        let Some((name, own)) = settings.own.get(usize::from(index)) else {
            return Ok(Value::Missing);
        };
        let signature = Signature {
            name,
            params: &[],
            variadic: Some(Type::Any),
        };
        self.with_args(frame, dot, signature, command, last, |_, args| own(args))
    }

    fn short_circuit(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        builtin: &'static Builtin,
        command: &Command,
        last: Option<Value<'r>>,
        stop: bool,
    ) -> Result<Value<'r>, Error> {
        let signature = Signature::from(builtin);
        let count = command.args.len() + usize::from(last.is_some());
        signature
            .check(count)
            .map_err(|error| frame.error(command.span, error))?;
        let mut value = Value::Missing;
        for arg in command.args.of(&self.program.args) {
            value = self.arg(frame, dot, Type::Reflect, *arg)?;
            if value.truth() == stop {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// Evaluates and checks the arguments, then calls.
    pub(super) fn with_args<T>(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        signature: Signature<'_>,
        command: &Command,
        last: Option<Value<'r>>,
        call: impl FnOnce(&mut Self, &[Value<'r>]) -> Result<T, CallError>,
    ) -> Result<T, Error> {
        let count = command.args.len() + usize::from(last.is_some());
        signature
            .check(count)
            .map_err(|error| frame.error(command.span, error))?;
        // Arrays of the right length: what is not there need not be made and freed.
        match count {
            0 => self.filled(frame, dot, signature, command, last, &mut [], call),
            1 => self.filled(
                frame,
                dot,
                signature,
                command,
                last,
                &mut [Value::Missing],
                call,
            ),
            2 => {
                let args = &mut [Value::Missing, Value::Missing];
                self.filled(frame, dot, signature, command, last, args, call)
            }
            3 => {
                let args = &mut [Value::Missing, Value::Missing, Value::Missing];
                self.filled(frame, dot, signature, command, last, args, call)
            }
            count => {
                let args = &mut vec![Value::Missing; count];
                self.filled(frame, dot, signature, command, last, args, call)
            }
        }
    }

    /// Evaluates the arguments into their places, then calls.
    #[expect(
        clippy::too_many_arguments,
        reason = "the second half of `with_args`, which owns the places"
    )]
    fn filled<T>(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        signature: Signature<'_>,
        command: &Command,
        last: Option<Value<'r>>,
        args: &mut [Value<'r>],
        call: impl FnOnce(&mut Self, &[Value<'r>]) -> Result<T, CallError>,
    ) -> Result<T, Error> {
        let count = args.len();
        for (i, (place, arg)) in args
            .iter_mut()
            .zip(command.args.of(&self.program.args))
            .enumerate()
        {
            *place = self.arg(frame, dot, signature.param(i), *arg)?;
        }
        if let (Some(last), Some(place)) = (last, args.last_mut()) {
            let checked = self.validated(last, signature.param(count - 1));
            *place = checked.map_err(|error| frame.error(command.span, error))?;
        }
        call(self, args).map_err(|mut error| {
            if error.kind == crate::ErrorKind::Exec && !signature.name.is_empty() {
                error.message = format!("error calling {}: {}", signature.name, error.message);
            }
            frame.error(command.span, error)
        })
    }

    /// An argument for a parameter of a type.
    fn arg(
        &mut self,
        frame: &mut Frame<'r>,
        dot: &Value<'r>,
        wanted: Type,
        id: ExprId,
    ) -> Result<Value<'r>, Error> {
        let Some(expr) = self.program.expr(id) else {
            return Ok(Value::Missing);
        };
        let checked = match expr.kind {
            ExprKind::Nil => nil_of(wanted),
            ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::Literal(_)
            | ExprKind::Escaped(_) => {
                if matches!(wanted, Type::Any | Type::Reflect) {
                    return self.operand(frame, dot, id);
                }
                self.literal(frame, expr, wanted)
            }
            _ => {
                let value = self.operand(frame, dot, id)?;
                self.validated(value, wanted)
            }
        };
        checked.map_err(|error| frame.error(expr.span, error))
    }

    /// A literal takes the type of its parameter.
    fn literal(
        &self,
        frame: &Frame<'r>,
        expr: &Expr,
        wanted: Type,
    ) -> Result<Value<'r>, CallError> {
        let value = match (expr.kind, wanted) {
            (ExprKind::Bool(b), Type::Bool) => Some(Value::Bool(b)),
            (ExprKind::Literal(span), Type::Str) => Some(Value::from(frame.text(span))),
            (ExprKind::Escaped(id), Type::Str) => {
                Some(Value::Str(self.constant(self.program.string(id))))
            }
            (ExprKind::Number(id), Type::Int) => self
                .program
                .numbers
                .get(id.0 as usize)
                .and_then(|number| number.int)
                .map(Value::int),
            (ExprKind::Number(id), Type::Uint32) => {
                let number = self
                    .program
                    .numbers
                    .get(id.0 as usize)
                    .and_then(|number| number.uint);
                number.map(|n| Value::Uint(n & 0xffff_ffff, crate::UintType::Uint32))
            }
            (ExprKind::Number(id), Type::Float) => self
                .program
                .numbers
                .get(id.0 as usize)
                .and_then(|number| number.float)
                .map(Value::Float),
            _ => None,
        };
        value.ok_or_else(|| {
            CallError::new(format!(
                "expected {}; found {}",
                wanted.name(),
                frame.text(expr.span)
            ))
        })
    }

    /// The value, if it can be passed as a parameter of this type.
    fn validated(&self, value: Value<'r>, wanted: Type) -> Result<Value<'r>, CallError> {
        let fits = match (&value, wanted) {
            (Value::Missing, Type::Any) => return Ok(Value::Nil),
            (Value::Missing, Type::Map | Type::List) => return nil_of(wanted),
            (Value::Map(map), Type::Any | Type::Reflect) if !matches!(map, Map::Owned(_)) => {
                let Value::Map(map) = value else {
                    return Ok(value);
                };
                return Ok(Value::Map(self.cx.current(map)));
            }
            (_, Type::Any | Type::Reflect) => true,
            (Value::Str(_), Type::Str)
            | (Value::Bool(_), Type::Bool)
            | (Value::Float(_), Type::Float) => true,
            (Value::Int(_, crate::IntType::Int), Type::Int) | (Value::Time(_), Type::Time) => true,
            (Value::Uint(_, crate::UintType::Uint32), Type::Uint32) => true,
            (Value::List(list), Type::List) => list.elem() == Elem::Any,
            (Value::Native(crate::native::Native::Certificate(_)), Type::Certificate) => true,
            (Value::Map(map), Type::Map) if map.is_any() => {
                return Ok(Value::Map(self.cx.current(map.clone())));
            }
            _ => false,
        };
        if fits {
            return Ok(value);
        }
        let name = wanted.name();
        Err(CallError::new(match value {
            Value::Missing => format!("invalid value; expected {name}"),
            value => format!(
                "wrong type for value; expected {name}; got {}",
                value.type_name()
            ),
        }))
    }
}

fn undefined(frame: &Frame<'_>, variable: Variable) -> Error {
    let message = format!("undefined variable: {}", frame.text(variable.name));
    frame.error(variable.name, CallError::new(message))
}

fn nil_of<'r>(wanted: Type) -> Result<Value<'r>, CallError> {
    match wanted {
        Type::Any | Type::Reflect => Ok(Value::Nil),
        Type::Map => Ok(Value::Map(Map::Nil)),
        Type::List => Ok(Value::List(List::nil(Elem::Any))),
        _ => Err(CallError::new(format!(
            "cannot assign nil to {}",
            wanted.name()
        ))),
    }
}

fn unknown_field(name: &str, receiver: &Value<'_>) -> CallError {
    CallError::new(format!(
        "can't evaluate field {name} in type {}",
        receiver.type_name()
    ))
}
