#![doc = include_str!("../README.md")]

mod context;
mod decimal;
mod document;
mod engine;
mod error;
mod fmt;
mod fold;
mod functions;
mod jsonl;
mod lex;
mod methods;
mod native;
mod number;
mod object;
mod parse;
mod print;
mod program;
mod render;
mod sink;
mod strconv;
mod template;
mod time;
mod unicode;
mod url;
mod utf8;
mod value;

pub use document::{Document, DocumentError, RequestDocument};
pub use engine::{Engine, EngineBuilder, Environment, FunctionSet, Limits, MissingKey};
pub use error::{CallError, Error, ErrorKind, Limit};
pub use jsonl::Batch;
pub use object::{Mapping, Object};
pub use template::{NoValue, RenderOptions, Template};
pub use time::Time;
pub use url::Url;
pub use value::{IntType, List, Map, Text, UintType, Value};
