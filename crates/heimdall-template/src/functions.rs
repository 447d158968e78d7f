//! The functions that templates call: Go's own and sprig's, each with the types of its parameters.

mod compare;
mod convert;
mod crypto;
mod dates;
mod defaults;
mod dicts;
mod encoding;
mod escape;
mod json;
mod keys;
mod lists;
mod logic;
mod math;
mod merge;
mod passwords;
mod paths;
mod reflection;
pub(crate) mod regexes;
mod semver;
mod strings;
mod table;
mod urls;
mod words;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use crate::context::Context;
use crate::engine::Settings;
use crate::sink::Sink;
pub(crate) use keys::Certificate;
pub(crate) use semver::Version;

use crate::{CallError, FunctionSet, Value};

/// A function known to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FunctionId {
    Builtin(u16),
    /// One of the caller's, by its place among the names of the engine.
    Own(u16),
}

/// The type of a parameter, as far as Go checks it before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// `interface{}`
    Any,
    /// `reflect.Value`: takes everything, also no value
    Reflect,
    Str,
    Int,
    Uint32,
    Float,
    Bool,
    /// `map[string]interface{}`
    Map,
    /// `[]interface{}`
    List,
    Time,
    /// sprig's certificate
    Certificate,
}

impl Type {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::Str => "string",
            Self::Int => "int",
            Self::Uint32 => "uint32",
            Self::Float => "float64",
            Self::Bool => "bool",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Time => "time.Time",
            Self::Certificate => "sprig.certificate",
        }
    }
}

/// What runs.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    /// Gives a value.
    Value(for<'a> fn(&mut Context<'a>, &[Value<'a>]) -> Result<Value<'a>, CallError>),
    /// Gives a string, written piece by piece; straight to the output when it is printed.
    Text(for<'a> fn(&mut Context<'a>, &[Value<'a>], &mut dyn Sink) -> Result<(), CallError>),
    /// `and`: evaluates only as many arguments as it needs.
    And,
    /// `or`
    Or,
}

/// A function with its signature.
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Type],
    pub(crate) variadic: Option<Type>,
    /// `None` for Go's own functions.
    pub(crate) set: Option<FunctionSet>,
    pub(crate) body: Body,
    /// Gives the same for the same arguments, and is cheap.
    pub(crate) pure: bool,
}

/// The last entry of the table, which the entry of the same name before it hides.
fn go_slice() -> u16 {
    table::BUILTINS.len() as u16 - 1
}

/// FNV-1a: the names are our own, so that nobody can make them collide.
#[derive(Clone, Copy, Default)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

type ByName = HashMap<&'static str, u16, BuildHasherDefault<Fnv>>;

static BY_NAME: LazyLock<ByName> = LazyLock::new(|| {
    // Backwards, so that the first of two entries wins.
    table::BUILTINS
        .iter()
        .enumerate()
        .rev()
        .map(|(i, builtin)| (builtin.name, i as u16))
        .collect()
});

/// The function of this name, if this engine offers it.
pub(crate) fn lookup(settings: &Settings, name: &str) -> Option<FunctionId> {
    if !settings.own.is_empty()
        && let Some(index) = settings.own.iter().position(|own| own.0 == name)
    {
        return Some(FunctionId::Own(index as u16));
    }
    let index = *BY_NAME.get(name)?;
    if offered(settings, builtin(index)?) {
        return Some(FunctionId::Builtin(index));
    }
    (name == "slice").then(|| FunctionId::Builtin(go_slice()))
}

#[inline]
pub(crate) fn builtin(index: u16) -> Option<&'static Builtin> {
    table::BUILTINS.get(usize::from(index))
}

fn offered(settings: &Settings, builtin: &Builtin) -> bool {
    builtin.set.is_none_or(|set| settings.sets.contains(&set))
}

/// A reason for a function that exists but is not offered.
pub(crate) fn why_absent(name: &str) -> &'static str {
    match BY_NAME
        .get(name)
        .and_then(|index| builtin(*index))
        .and_then(|builtin| builtin.set)
    {
        Some(_) => ": its function set is switched off",
        None => "",
    }
}

/// The offered name that differs least.
pub(crate) fn nearest(settings: &Settings, name: &str) -> Option<String> {
    let builtins = table::BUILTINS
        .iter()
        .filter(|builtin| offered(settings, builtin))
        .map(|builtin| builtin.name);
    let names = builtins.chain(settings.own.iter().map(|own| own.0.as_str()));
    let bound = (name.chars().count() / 3).max(1) + 1;
    names
        .map(|known| (distance(known, name), known))
        .filter(|(d, _)| *d < bound + 1)
        .min()
        .map(|(_, known)| known.to_owned())
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let longest = 40;
    let b: Vec<char> = b.chars().take(longest).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a_char) in a.chars().take(longest).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b_char) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            left = (left + 1)
                .min(above + 1)
                .min(diagonal + usize::from(a_char != *b_char));
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The first argument, second and so on; the signature saw to their number.
#[inline]
pub(crate) fn arg<'v, 'a>(args: &'v [Value<'a>], index: usize) -> &'v Value<'a> {
    args.get(index).unwrap_or(&Value::Missing)
}
