//! Go's `text/template` with the sprig functions: compiled, bounded, over borrowed data.

mod engine;
mod error;
mod fmt;
mod object;
mod template;
mod time;
mod utf8;
mod value;

pub use engine::{Engine, EngineBuilder, Environment, FunctionSet, Limits, MissingKey};
pub use error::{CallError, Error, ErrorKind, Limit};
pub use object::{Mapping, Object};
pub use template::{NoValue, RenderOptions, Template};
pub use time::Time;
pub use value::{IntType, List, Map, ObjectRef, Text, UintType, Value};
