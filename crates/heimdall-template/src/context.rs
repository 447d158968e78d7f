//! What functions see of a render: limits, the outside world, written maps.

use std::rc::Rc;
#[cfg(feature = "keygen")]
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use regex::bytes::{Regex, RegexBuilder};

use crate::engine::{Environment, Settings};
use crate::program::Program;
use crate::sink::Buffer;
use crate::value::{Dict, MapType};
use crate::{CallError, Limit, Map, Text, Time, Value};

/// The state of one render that functions may use.
pub(crate) struct Context<'r> {
    settings: &'r Settings,
    program: Option<&'r Program>,
    fuel: u64,
    built: usize,
    /// Maps of the data that were written to: the address of each, and what it looks like now.
    written: Vec<(usize, Rc<Dict<'r>>)>,
    /// Maps that containers were put into: emptied at the end, so that a cycle among them is freed.
    holders: Vec<Rc<Dict<'r>>>,
    regexes: Vec<(String, Regex)>,
}

impl<'r> Context<'r> {
    pub(crate) fn new(settings: &'r Settings, program: Option<&'r Program>) -> Self {
        Self {
            settings,
            program,
            fuel: settings.limits.fuel,
            built: settings.limits.built,
            written: Vec::new(),
            holders: Vec::new(),
            regexes: Vec::new(),
        }
    }

    pub(crate) fn settings(&self) -> &'r Settings {
        self.settings
    }

    /// Uses up fuel.
    #[inline]
    pub(crate) fn charge(&mut self, steps: usize) -> Result<(), CallError> {
        match self.fuel.checked_sub(steps as u64) {
            Some(left) => {
                self.fuel = left;
                Ok(())
            }
            None => Err(CallError::limit(Limit::Fuel)),
        }
    }

    /// Room for what a function builds; give it back to [`Context::built`].
    pub(crate) fn buffer(&self) -> Buffer {
        Buffer::new(self.built)
    }

    /// Counts what a function built.
    pub(crate) fn built(&mut self, buffer: Buffer) -> Text<'r> {
        self.built = self.built.saturating_sub(buffer.bytes().len());
        buffer.into_text()
    }

    /// Counts bytes that a function is about to build.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), CallError> {
        match self.built.checked_sub(bytes) {
            Some(left) => {
                self.built = left;
                self.charge(bytes / 64)
            }
            None => Err(CallError::limit(Limit::Built)),
        }
    }

    /// Counts the elements of a list that a function is about to build.
    pub(crate) fn reserve_items(&mut self, items: usize) -> Result<(), CallError> {
        self.charge(items)?;
        self.reserve(items.saturating_mul(size_of::<Value<'_>>()))
    }

    fn environment(&self) -> Result<&'r dyn Environment, CallError> {
        let environment = self.settings.environment.as_deref();
        environment.ok_or_else(|| CallError::new("this engine has no clock and no randomness"))
    }

    pub(crate) fn now(&self) -> Result<Time, CallError> {
        let since = self
            .environment()?
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Time::utc(
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            since.subsec_nanos(),
        ))
    }

    #[cfg(feature = "keygen")]
    pub(crate) fn system_now(&self) -> Result<SystemTime, CallError> {
        Ok(self.environment()?.now())
    }

    pub(crate) fn resolve(&self, host: &str) -> Result<String, CallError> {
        self.environment()?.resolve(host)
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) -> Result<(), CallError> {
        self.environment()?.fill(bytes)
    }

    /// An even random number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> Result<u64, CallError> {
        if bound == 0 {
            return Err(CallError::new("invalid argument to random function"));
        }
        // Numbers of the last, incomplete run would favour small results.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let mut bytes = [0; 8];
            self.fill(&mut bytes)?;
            let number = u64::from_le_bytes(bytes);
            if number < limit {
                return Ok(number % bound);
            }
        }
    }

    /// Whether no map of the data was written to.
    #[inline]
    pub(crate) fn is_unwritten(&self) -> bool {
        self.written.is_empty()
    }

    /// A map as this render left it.
    pub(crate) fn current(&self, map: Map<'r>) -> Map<'r> {
        if self.written.is_empty() {
            return map;
        }
        match address(&map).and_then(|at| self.written.iter().find(|(known, _)| *known == at)) {
            Some((_, dict)) => Map::Owned(Rc::clone(dict)),
            None => map,
        }
    }

    /// A map that can be written to: one of the data gets a copy of its top level, which stands for it from now on.
    pub(crate) fn writable(&mut self, map: &Map<'r>) -> Result<Rc<Dict<'r>>, CallError> {
        match self.current(map.clone()) {
            Map::Owned(dict) => Ok(dict),
            Map::Nil => Err(CallError::new("assignment to entry in nil map")),
            borrowed => {
                self.reserve_items(borrowed.len())?;
                let dict = Rc::new(Dict::new(
                    MapType::Any,
                    borrowed.entries().into_iter().collect(),
                ));
                if let Some(at) = address(&borrowed) {
                    self.written.push((at, Rc::clone(&dict)));
                }
                Ok(dict)
            }
        }
    }

    /// Writes an entry.
    pub(crate) fn set(&mut self, dict: &Rc<Dict<'r>>, key: Text<'r>, value: Value<'r>) {
        if matches!(value, Value::Map(_) | Value::List(_)) {
            self.holders.push(Rc::clone(dict));
        }
        dict.insert(key, value);
    }

    /// A compiled pattern: a literal of the template is compiled already.
    pub(crate) fn regex(&mut self, pattern: &Text<'_>) -> Result<Regex, CallError> {
        let pattern = pattern
            .as_str()
            .ok_or("error parsing regexp: invalid UTF-8")?;
        let literals = self
            .program
            .map(|program| program.regexes.as_slice())
            .unwrap_or_default();
        if let Some((_, regex)) = literals.iter().find(|(known, _)| **known == *pattern) {
            return Ok(regex.clone());
        }
        if let Some((_, regex)) = self.regexes.iter().find(|(known, _)| known == pattern) {
            return Ok(regex.clone());
        }
        // Compiling costs far more than matching.
        self.charge(1000 + pattern.len())?;
        let regex = compile(pattern, self.settings.limits.regex)?;
        self.regexes.push((pattern.to_owned(), regex.clone()));
        Ok(regex)
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        for dict in self.holders.drain(..) {
            dict.clear();
        }
    }
}

/// Compiles a pattern of Go's syntax within a limit.
pub(crate) fn compile(pattern: &str, limit: usize) -> Result<Regex, CallError> {
    let translated = crate::functions::regexes::translate(pattern)?;
    RegexBuilder::new(&translated)
        .size_limit(limit)
        .dfa_size_limit(limit)
        .nest_limit(100)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => CallError::limit(Limit::Regex),
            error => CallError::new(format!("error parsing regexp: {error}")),
        })
}

fn address(map: &Map<'_>) -> Option<usize> {
    match map {
        Map::Json(map) => Some(std::ptr::from_ref(*map).addr()),
        Map::Borrowed(map) => Some(std::ptr::from_ref(*map).addr()),
        Map::Owned(_) | Map::Nil => None,
    }
}
