//! Functions of the caller's as closures over typed arguments.

use std::sync::Arc;

use crate::value::Elem;
use crate::{CallError, IntType, List, Time, Value};

/// What runs for a function of one's own.
pub(crate) type Run = dyn for<'a> Fn(&[Value<'a>]) -> Result<Value<'a>, CallError> + Send + Sync;

/// A closure that templates can call: up to five arguments of types that are [`Argument`]s, a result that is an
/// [`Answer`].
///
/// Implemented for every such closure and `fn`; see [`EngineBuilder::function`](crate::EngineBuilder::function).
pub trait Function<Args, R>: Send + Sync + 'static {
    /// Calls it.
    fn call(&self, args: Args) -> R;
}

/// A tuple of arguments.
pub trait Arguments<'v> {
    /// The tuple with its arguments read; a `&str` borrows from them.
    type Read;

    /// Reads every argument.
    ///
    /// # Errors
    /// When there are more or fewer than the function takes, or one is of another type.
    fn read(args: &'v [Value<'_>]) -> Result<Self::Read, CallError>;
}

/// One argument: `bool`, an integer, `f64`, `&str`, `String`, `Time`, `Option` and `Vec` of them.
///
/// Numbers convert where nothing is lost: an integer takes any integer that fits it and a `float64` that is whole, since
/// JSON knows no others; `f64` takes every number.
pub trait Argument<'v> {
    /// What the closure gets.
    type Read;

    /// Reads the argument.
    ///
    /// # Errors
    /// When it is of another type, or too large.
    fn read(value: &'v Value<'_>) -> Result<Self::Read, CallError>;
}

/// What a closure gives back: any of the argument types, a `Value`, `Option` and `Vec` of them (`None` is `nil`), or a
/// `Result` with an error that becomes the template's.
pub trait Answer {
    /// The value.
    ///
    /// # Errors
    /// What the closure refused.
    fn answer<'a>(self) -> Result<Value<'a>, CallError>;
}

fn mismatch(wanted: &str, value: &Value<'_>) -> CallError {
    CallError::new(format!(
        "wrong type for value; expected {wanted}; got {}",
        value.type_name()
    ))
}

/// A float that is a whole number which a float can hold exactly.
fn whole(f: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (f.fract() == 0.0 && f.abs() <= EXACT).then_some(f as i64)
}

macro_rules! integers {
    ($($int:ty => $name:literal),*) => {$(
        impl<'v> Argument<'v> for $int {
            type Read = Self;

            fn read(value: &'v Value<'_>) -> Result<Self, CallError> {
                let number = match value {
                    Value::Int(n, _) => <$int>::try_from(*n).ok(),
                    Value::Uint(n, _) => <$int>::try_from(*n).ok(),
                    Value::Float(f) => whole(*f).and_then(|n| <$int>::try_from(n).ok()),
                    _ => return Err(mismatch($name, value)),
                };
                number.ok_or_else(|| {
                    CallError::new(format!(
                        concat!("{} does not fit ", $name),
                        crate::fmt::display(value)
                    ))
                })
            }
        }
    )*};
}

integers!(i64 => "int64", i32 => "int32", u64 => "uint64", u32 => "uint32", usize => "uint");

macro_rules! argument {
    ($($argument:ty => $read:ty, $name:literal, $pattern:pat => $got:expr);* $(;)?) => {$(
        impl<'v> Argument<'v> for $argument {
            type Read = $read;

            fn read(value: &'v Value<'_>) -> Result<$read, CallError> {
                match value {
                    $pattern => Ok($got),
                    value => Err(mismatch($name, value)),
                }
            }
        }
    )*};
}

argument! {
    bool => bool, "bool", Value::Bool(b) => *b;
    String => String, "string", Value::Str(text) => text.to_lossy().into_owned();
    Time => Time, "time.Time", Value::Time(time) => *time;
}

impl<'v> Argument<'v> for f64 {
    type Read = Self;

    fn read(value: &'v Value<'_>) -> Result<Self, CallError> {
        match value {
            Value::Float(f) => Ok(*f),
            Value::Int(n, _) => Ok(*n as f64),
            Value::Uint(n, _) => Ok(*n as f64),
            value => Err(mismatch("float64", value)),
        }
    }
}

impl<'v> Argument<'v> for &str {
    type Read = &'v str;

    fn read(value: &'v Value<'_>) -> Result<&'v str, CallError> {
        match value {
            Value::Str(text) => text
                .as_str()
                .ok_or_else(|| CallError::new("the string is not UTF-8")),
            value => Err(mismatch("string", value)),
        }
    }
}

/// `nil` and no value are `None`.
impl<'v, T: Argument<'v>> Argument<'v> for Option<T> {
    type Read = Option<T::Read>;

    fn read(value: &'v Value<'_>) -> Result<Self::Read, CallError> {
        if value.is_nil() {
            return Ok(None);
        }
        T::read(value).map(Some)
    }
}

/// The elements are read for themselves, so that they must be types that borrow nothing.
impl<'v, T: for<'e> Argument<'e, Read = T>> Argument<'v> for Vec<T> {
    type Read = Self;

    fn read(value: &'v Value<'_>) -> Result<Self, CallError> {
        match value {
            Value::List(list) => list.iter().map(|item| T::read(&item)).collect(),
            value => Err(mismatch("a list", value)),
        }
    }
}

macro_rules! answers {
    ($($answer:ty),*) => {$(
        impl Answer for $answer {
            fn answer<'a>(self) -> Result<Value<'a>, CallError> {
                Ok(Value::from(self))
            }
        }
    )*};
}

answers!(bool, i64, f64, String, &'static str, Time);

impl Answer for i32 {
    fn answer<'a>(self) -> Result<Value<'a>, CallError> {
        Ok(Value::Int(self.into(), IntType::Int))
    }
}

/// Not an object or mapping that is borrowed; see [`EngineBuilder::variadic`](crate::EngineBuilder::variadic) for those.
impl Answer for Value<'static> {
    fn answer<'a>(self) -> Result<Value<'a>, CallError> {
        self.detached()
            .ok_or_else(|| CallError::new("a function gave a borrowed object"))
    }
}

impl<T: Answer> Answer for Option<T> {
    fn answer<'a>(self) -> Result<Value<'a>, CallError> {
        self.map_or(Ok(Value::Nil), T::answer)
    }
}

/// A `[]string` of strings, else a `[]interface {}`.
impl<T: Answer> Answer for Vec<T> {
    fn answer<'a>(self) -> Result<Value<'a>, CallError> {
        let items: Vec<Value<'a>> = self
            .into_iter()
            .map(T::answer)
            .collect::<Result<_, CallError>>()?;
        let strings = !items.is_empty() && items.iter().all(|item| matches!(item, Value::Str(_)));
        let elem = if strings { Elem::Str } else { Elem::Any };
        Ok(Value::List(List::owned(items, elem)))
    }
}

impl<T: Answer, E: std::fmt::Display> Answer for Result<T, E> {
    fn answer<'a>(self) -> Result<Value<'a>, CallError> {
        match self {
            Ok(answer) => answer.answer(),
            Err(error) => Err(CallError::new(error.to_string())),
        }
    }
}

macro_rules! functions {
    ($count:literal: $($arg:ident $place:ident),*) => {
        impl<F, R, $($arg),*> Function<($($arg,)*), R> for F
        where
            F: Fn($($arg),*) -> R + Send + Sync + 'static,
        {
            #[allow(non_snake_case)]
            fn call(&self, ($($place,)*): ($($arg,)*)) -> R {
                self($($place),*)
            }
        }

        impl<'v, $($arg: Argument<'v>),*> Arguments<'v> for ($($arg,)*) {
            type Read = ($($arg::Read,)*);

            fn read(args: &'v [Value<'_>]) -> Result<Self::Read, CallError> {
                let [$($place),*] = args else {
                    return Err(CallError::new(format!(
                        concat!("wrong number of args: want ", $count, " got {}"),
                        args.len()
                    )));
                };
                Ok(($($arg::read($place)?,)*))
            }
        }
    };
}

functions!("0":);
functions!("1": A a);
functions!("2": A a, B b);
functions!("3": A a, B b, C c);
functions!("4": A a, B b, C c, D d);
functions!("5": A a, B b, C c, D d, E e);

/// The closure over arguments as they come.
pub(crate) fn erased<F, Args, R>(function: F) -> Arc<Run>
where
    F: Function<Args, R> + for<'v> Function<<Args as Arguments<'v>>::Read, R>,
    Args: for<'v> Arguments<'v> + 'static,
    R: Answer + 'static,
{
    shared(move |args| {
        let args = Args::read(args)?;
        Function::<<Args as Arguments<'_>>::Read, R>::call(&function, args).answer()
    })
}

/// Says what the closure is for, so that its lifetimes are found out.
pub(crate) fn shared<F>(function: F) -> Arc<Run>
where
    F: for<'a> Fn(&[Value<'a>]) -> Result<Value<'a>, CallError> + Send + Sync + 'static,
{
    Arc::new(function)
}
