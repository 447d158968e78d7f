//! Calls: the arguments of functions and methods, evaluated and checked.

use super::{Frame, Renderer};
use crate::functions::{self, Body, Builtin, FunctionId, Type};
use crate::program::{Command, Expr, ExprId, ExprKind, Span};
use crate::value::Elem;
use crate::{CallError, Error, List, Map, Value};

/// A value that functions nest deeper than this is refused.
const DEEPEST_VALUE: u16 = 150;

/// What the checks of a call need to know of a function.
#[derive(Clone, Copy)]
pub(super) struct Signature<'r> {
    pub(super) name: &'r str,
    pub(super) params: &'static [Type],
    pub(super) variadic: Option<Type>,
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
    /// The values of a `printf` whose format is known.
    pub(super) const PRINTF: Self = Self {
        name: "printf",
        params: &[],
        variadic: Some(Type::Any),
    };

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
    pub(super) fn call(
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
            Body::Text(body) => {
                if let Some(format) = self.format(command) {
                    let values = command.without_first();
                    let build = |renderer: &mut Self, args: &[Value<'r>]| {
                        let mut buffer = renderer.cx.buffer();
                        let written = format.write(args, &mut buffer);
                        written.map(|()| Value::Str(renderer.cx.built(buffer)))
                    };
                    return self.with_args(frame, dot, Signature::PRINTF, &values, last, build);
                }
                self.with_args(
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
                )
            }
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
        let args = command.args.of(&self.program.args);
        let count = args.len() + usize::from(last.is_some());
        signature
            .check(count)
            .map_err(|error| frame.error(command.span, error))?;
        // The frequent numbers of arguments need no memory and no places to be filled.
        let result = match (args, last) {
            ([], None) => call(self, &[]),
            ([a], None) => {
                let a = self.arg(frame, dot, signature.param(0), *a)?;
                call(self, &[a])
            }
            ([], Some(last)) => {
                let a = self.piped(frame, last, signature.param(0), command.span)?;
                call(self, &[a])
            }
            ([a, b], None) => {
                let a = self.arg(frame, dot, signature.param(0), *a)?;
                let b = self.arg(frame, dot, signature.param(1), *b)?;
                call(self, &[a, b])
            }
            ([a], Some(last)) => {
                let a = self.arg(frame, dot, signature.param(0), *a)?;
                let b = self.piped(frame, last, signature.param(1), command.span)?;
                call(self, &[a, b])
            }
            ([a, b, c], None) => {
                let a = self.arg(frame, dot, signature.param(0), *a)?;
                let b = self.arg(frame, dot, signature.param(1), *b)?;
                let c = self.arg(frame, dot, signature.param(2), *c)?;
                call(self, &[a, b, c])
            }
            ([a, b], Some(last)) => {
                let a = self.arg(frame, dot, signature.param(0), *a)?;
                let b = self.arg(frame, dot, signature.param(1), *b)?;
                let c = self.piped(frame, last, signature.param(2), command.span)?;
                call(self, &[a, b, c])
            }
            (args, last) => {
                let mut values = Vec::with_capacity(count);
                for (i, arg) in args.iter().enumerate() {
                    values.push(self.arg(frame, dot, signature.param(i), *arg)?);
                }
                if let Some(last) = last {
                    values.push(self.piped(
                        frame,
                        last,
                        signature.param(count - 1),
                        command.span,
                    )?);
                }
                call(self, &values)
            }
        };
        result.map_err(|error| frame.error(command.span, error.of_function(signature.name)))
    }

    /// The value of the command before, as the last argument.
    fn piped(
        &self,
        frame: &Frame<'r>,
        value: Value<'r>,
        wanted: Type,
        span: Span,
    ) -> Result<Value<'r>, Error> {
        self.validated(value, wanted)
            .map_err(|error| frame.error(span, error))
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
            ExprKind::Literal(span) if matches!(wanted, Type::Str | Type::Any | Type::Reflect) => {
                return Ok(Value::from(frame.text(span)));
            }
            ExprKind::Nil => nil_of(wanted),
            ExprKind::Field(path) => {
                let value = self.path(frame, dot, path, expr.span)?;
                self.validated(value, wanted)
            }
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
    #[inline]
    fn validated(&self, value: Value<'r>, wanted: Type) -> Result<Value<'r>, CallError> {
        if matches!(wanted, Type::Any | Type::Reflect)
            && !matches!(value, Value::Missing | Value::Map(_))
        {
            return Ok(value);
        }
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
